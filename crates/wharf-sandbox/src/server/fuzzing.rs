//! A logged-in client without a socket, for fuzzing.

use std::sync::Arc;

use tokio::sync::mpsc;
use wacore_binary::{Node, OwnedNodeRef};
use waproto::whatsapp::ClientPayload;

use super::inlet::Incoming;
use super::{Client, Then, dispatch, linking, login};
use crate::model::DeviceId;
use crate::network::Network;
use crate::network::account::Account;
use crate::network::session::{Outgoing, Session};

pub(crate) struct Puppet {
    client: Client,
    _offered: mpsc::Receiver<Outgoing>,
}

impl Puppet {
    /// Logs a device in that exists.
    pub(crate) fn log_in(network: &Arc<Network>, account: &Arc<Account>, device: DeviceId) -> Self {
        let (session, offered) = Session::new();
        let session = Arc::new(session);
        if let Some(found) = account.state().devices.get_mut(&device) {
            found.session = Some(Arc::clone(&session));
        }
        session.activate();
        let client = Client {
            network: Arc::clone(network),
            account: Arc::clone(account),
            device,
            session,
        };
        Self {
            client,
            _offered: offered,
        }
    }

    /// Says a stanza; the answers.
    pub(crate) fn say(&self, node: OwnedNodeRef) -> Vec<Node> {
        let incoming = Incoming {
            node,
            observed: None,
            refused: None,
        };
        let reply = dispatch::handle(&self.client, &incoming);
        if reply.then == Then::Activate {
            login::activate(&self.client);
        }
        reply.answers
    }
}

/// What is read of a payload before anybody is let in.
pub(crate) fn read_payload(network: &Network, payload: &ClientPayload) {
    let proven = [7; 32];
    let _nobody = login::identify(network, payload, proven);
    if let Some(data) = payload.device_pairing_data.as_option() {
        let _no_keys = linking::Registration::read(data, proven);
    }
}
