//! Owns the chat server: connections from the handshake to the last stanza, and every answer it gives. It knows
//! clients only through their stanzas, and a client's fault ends that client's connection and nothing else.

mod accept;
mod connection;
pub(crate) mod directory;
pub(crate) mod dirty;
mod dispatch;
mod files;
mod front;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod group_messages;
pub(crate) mod groups;
mod held;
mod inlet;
mod linking;
mod login;
mod messages;
pub(crate) mod notifications;
mod outlet;
mod pair_code;
mod passkey;
mod pipe;
pub(crate) mod presence;
mod questions;
pub(crate) mod receipts;
pub(crate) mod removal;
pub(crate) mod routing;
pub(crate) mod standing;
pub(crate) mod strangers;
mod tap;
pub(crate) mod tls;

pub(crate) use accept::{Door, serve};
pub(crate) use files::files;

use std::sync::Arc;

use wacore_binary::Node;

use crate::model::DeviceId;
use crate::network::Network;
use crate::network::account::Account;
use crate::network::session::Session;
use crate::store::Ticket;

/// A logged-in device, as the handlers of its stanzas see it.
#[derive(Debug)]
struct Client {
    network: Arc<Network>,
    account: Arc<Account>,
    device: DeviceId,
    session: Arc<Session>,
}

/// What a stanza leads to: answers that may be shown once `after` is durable, and perhaps a change of the connection.
#[derive(Debug, Default)]
struct Reply {
    answers: Vec<Node>,
    after: Ticket,
    then: Then,
}

/// What happens after the answers are queued.
#[derive(Debug, Default, PartialEq, Eq)]
enum Then {
    #[default]
    Continue,
    /// The client wants its queue.
    Activate,
    /// The client said goodbye.
    Close,
}

impl Reply {
    fn nothing() -> Self {
        Self::default()
    }

    fn answer(node: Node) -> Self {
        Self {
            answers: vec![node],
            ..Self::default()
        }
    }

    fn answer_after(node: Node, after: Ticket) -> Self {
        Self {
            answers: vec![node],
            after,
            then: Then::Continue,
        }
    }
}
