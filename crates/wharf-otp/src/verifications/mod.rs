//! The facade that the HTTP API calls. Promises that an answer comes after what it tells of is durable, and that another
//! workspace's verifications do not exist here.

mod block;
mod check;
mod countries;
mod order;
mod read;
mod receive;
mod receptions;
mod send;
mod texts;

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Notify;
use wharf_model::{ApiKeyId, Clock, EventId, EventKind, Random, SessionId, Timestamp};
use wharf_session::Sessions;
use wharf_storage::events::{self as log, Event};
use wharf_storage::verifications::{Open, Verification};
use wharf_storage::{Storage, StorageError, Tx, WorkspaceKeys};

pub use check::{CheckCode, Which};
pub use read::VerificationQuery;
pub use receive::{Awaited, ReceiveCode};
pub use receptions::Found;
pub(crate) use receptions::ReceptionTeller;
pub(crate) use send::one_spelling;
pub use send::{SendCode, Sent};
pub use texts::{TextSource, TextView};

use crate::config::OtpConfig;
use crate::country::OwnCountries;
use crate::events::{self, Facts};
use crate::follow::Deliveries;
use crate::telemetry;
use crate::texts::Texts;

/// What [`Verifications`] is made of.
#[derive(Clone, Debug)]
pub struct OtpDeps {
    /// Settings.
    pub config: OtpConfig,
    /// The sessions that send.
    pub sessions: Sessions,
    /// The open database.
    pub storage: Storage,
    /// What becomes of the messages; the sessions were given the same.
    pub deliveries: Arc<Deliveries>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Codes and ids.
    pub random: Arc<dyn Random>,
}

/// All verifications. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Verifications {
    pub(crate) cx: Arc<Cx>,
}

/// What the calls and the sweep share.
#[derive(Debug)]
pub(crate) struct Cx {
    pub(crate) config: OtpConfig,
    pub(crate) sessions: Sessions,
    pub(crate) storage: Storage,
    pub(crate) deliveries: Arc<Deliveries>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    /// The refusals that were told of.
    blocked: block::Told,
    pub(crate) own_countries: OwnCountries,
    texts: Texts,
    /// Something may fall due earlier than what the sweep sleeps for.
    pub(crate) earlier: Notify,
}

impl Verifications {
    /// The verifications of an open database.
    pub fn new(deps: OtpDeps) -> Self {
        let OtpDeps {
            config,
            sessions,
            storage,
            deliveries,
            clock,
            random,
        } = deps;
        Self {
            cx: Arc::new(Cx {
                config,
                sessions,
                storage,
                deliveries,
                clock,
                random,
                blocked: block::Told::default(),
                own_countries: OwnCountries::default(),
                texts: Texts::default(),
                earlier: Notify::new(),
            }),
        }
    }
}

/// Whether a caller that is limited to sessions (`None`: to none) and comes with a key may know of a verification of a session,
/// which a key made. One of a test number has no session: it is for the key that made it.
pub(crate) fn may_know(
    allowed: Option<&[SessionId]>,
    key: Option<ApiKeyId>,
    (session, maker): (Option<SessionId>, Option<ApiKeyId>),
) -> bool {
    match (allowed, session) {
        (None, _) => true,
        (Some(allowed), Some(session)) => allowed.contains(&session),
        (Some(_), None) => key.is_some() && key == maker,
    }
}

/// Tells of verifications inside a unit of work.
#[derive(Clone, Debug)]
pub(crate) struct Teller {
    keys: Arc<WorkspaceKeys>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Teller {
    pub(crate) fn new(cx: &Cx, keys: &Arc<WorkspaceKeys>) -> Self {
        Self {
            keys: Arc::clone(keys),
            clock: Arc::clone(&cx.clock),
            random: Arc::clone(&cx.random),
        }
    }

    /// Appends an event about a verification, and counts it.
    pub(crate) async fn tell(
        &self,
        tx: &mut Tx,
        about: &Verification,
        kind: EventKind,
        reason: Option<&str>,
        at: Timestamp,
    ) -> Result<(), StorageError> {
        telemetry::happened(kind);
        self.append(tx, about, kind, reason, at).await
    }

    /// The same without counting it: for units that are given up in the ordinary course of things.
    pub(crate) async fn append(
        &self,
        tx: &mut Tx,
        about: &Verification,
        kind: EventKind,
        reason: Option<&str>,
        at: Timestamp,
    ) -> Result<(), StorageError> {
        let Open { phone, metadata } = about.open(&self.keys)?;
        // The caller's own JSON was an object when it was stored.
        let metadata: Option<Value> = metadata.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let facts = Facts {
            id: about.id,
            status: about.status,
            session: about.session_id,
            phone: Some(&phone),
            purpose: &about.purpose,
            metadata: metadata.as_ref(),
            at,
        };
        let id = EventId::generate(&*self.clock, &*self.random);
        let data = self
            .keys
            .seal_event(id, events::data(facts, reason).to_string().as_bytes())?;
        let event = Event {
            id,
            workspace_id: about.workspace_id,
            session_id: about.session_id,
            kind,
            data,
            created_at: at,
        };
        log::append(tx, &event).await
    }
}
