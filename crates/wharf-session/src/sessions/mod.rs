//! The facade that the HTTP API, the command line and later features call. Promises that a reply comes after what it
//! tells of is durable. Never answers for another workspace: its sessions and messages do not exist here.

mod accept;
mod control;
mod create;
mod export;
mod messages;
mod pairing;
mod prepare;
mod view;

use std::sync::Arc;

use wharf_storage::Storage;

use crate::context::{Context, SessionDeps};
use crate::registry::Registry;
use crate::supervisor::Supervisor;

pub use accept::AcceptError;
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
        Self { cx, supervisor }
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
