//! The word that codes are refused because hardly any is used. Told once for as long as it lasts, however many are refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use wharf_model::{EventId, EventKind, Timestamp};
use wharf_storage::events::{self as log, Event};
use wharf_storage::{Blind, Queue, StorageError, WorkspaceKeys};

use super::Cx;
use super::send::{SendCode, purpose};
use crate::{events, telemetry};

/// Until when it was told for a prefix. In memory: after a start it is told once more.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<HashMap<Blind, Timestamp>>);

impl Told {
    /// Whether it is to be told now.
    fn begin(&self, prefix: Blind, now: Timestamp, until: Timestamp) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, until| *until > now);
        told.insert(prefix, until).is_none()
    }
}

impl Cx {
    /// Tells of a refusal that lasts for `wait`. One that cannot be stored is logged: the refusal stands all the same.
    pub(super) async fn tell_blocked(
        &self,
        keys: &Arc<WorkspaceKeys>,
        (prefix, index): (&str, Blind),
        new: &SendCode,
        wait: Duration,
    ) {
        let now = self.clock.now();
        let until = now + wait;
        if !self.blocked.begin(index, now, until) {
            return;
        }
        if let Err(error) = self.append_blocked(keys, prefix, new, (now, until)).await {
            tracing::error!(error.cause = ?error, "It could not be told that codes are refused");
        }
    }

    async fn append_blocked(
        &self,
        keys: &Arc<WorkspaceKeys>,
        prefix: &str,
        new: &SendCode,
        (now, until): (Timestamp, Timestamp),
    ) -> Result<(), StorageError> {
        let purpose = purpose(new.purpose.clone()).unwrap_or_default();
        let data = events::blocked(prefix, new.session, &purpose, until).to_string();
        let id = EventId::generate(&*self.clock, &*self.random);
        let event = Event {
            id,
            workspace_id: keys.workspace(),
            session_id: new.session,
            kind: EventKind::OtpBlocked,
            data: keys.seal_event(id, data.as_bytes())?,
            created_at: now,
        };
        telemetry::happened(EventKind::OtpBlocked);
        self.storage
            .write(Queue::Normal, move |tx| {
                Box::pin(async move { log::append(tx, &event).await })
            })
            .await
    }
}
