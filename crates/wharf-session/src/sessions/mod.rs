//! The facade that the HTTP API, the command line and later features call. Promises that a reply comes after what it
//! tells of is durable. Never answers for another workspace: its sessions and messages do not exist here.

mod accept;
mod codes;
mod control;
mod create;
mod export;
mod messages;
mod pairing;
mod passkey;
mod prepare;
mod view;

use std::sync::Arc;

use wharf_model::{SessionId, WorkspaceId};
use wharf_storage::Storage;
use wharf_storage::audit::{Action, AuditEntry, Requester};

use crate::context::{Context, SessionDeps};
use crate::registry::Registry;
use crate::supervisor::Supervisor;

pub use accept::AcceptError;
pub use codes::{NewCode, PreparedCode};
pub use create::{InUse, Linked, MAX_METADATA, MAX_NAME, NewSession, SessionPatch};
pub use export::{Leaving, SignalState};
pub use messages::MessageQuery;
pub use prepare::NewMessage;
pub(crate) use view::state_of;
pub use view::{MessageView, SessionView};

/// All sessions of this process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sessions {
    cx: Arc<Context>,
    supervisor: Supervisor,
    /// Whose name stands in the audit log.
    by: Requester,
}

impl Sessions {
    /// Starts the supervisor, which brings up every session that should be connected. Must be called within a runtime.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the caller builds it for this call and has no more use for it"
    )]
    pub fn new(deps: SessionDeps) -> Self {
        let cx = Arc::new(Context::new(&deps));
        let supervisor = Supervisor::start(Arc::clone(&cx), Arc::new(Registry::default()), &deps.tasks);
        Self {
            cx,
            supervisor,
            by: Requester::server(),
        }
    }

    /// The same sessions, on behalf of somebody: what he does stands in the audit log under his name.
    #[must_use]
    pub fn acting_for(&self, by: Requester) -> Self {
        Self { by, ..self.clone() }
    }

    /// What this one does now, for the audit log, where there is one.
    fn entry(&self, workspace: WorkspaceId, action: Action, session: Option<SessionId>) -> Option<AuditEntry> {
        self.cx.config.audited.then(|| AuditEntry {
            workspace,
            at: self.cx.clock.now(),
            by: self.by.clone(),
            action,
            session,
            api_key: None,
            plan: None,
        })
    }

    /// Stops gracefully and waits for the end: nothing new is sent, what is on the wire gets a moment for its ack,
    /// clients flush and close, actors end. What was not acknowledged is sent again at the next start.
    pub async fn drained(&self) {
        self.cx.stopping.cancel();
        self.supervisor.ended().await;
    }

    fn storage(&self) -> &Storage {
        &self.cx.storage
    }
}
