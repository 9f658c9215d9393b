//! What is due for sessions as a whole, beside keeping them connected. Each look reads one index; it writes only when
//! something is due.

use std::collections::HashMap;

use wharf_model::{Lane, MessageStatus, SessionId, WorkspaceId};
use wharf_storage::{Queue, StorageError, messages, sessions};

use super::{Supervisor, log_failure};
use crate::ledger::Ledger;
use crate::telemetry;

/// How many rows one unit of work ends or deletes: more would hold up what people wait for.
const CHUNK: u32 = 200;

/// How many such units one round makes.
const ROUNDS: usize = 50;

impl Supervisor {
    pub(super) async fn keep_house(&self) {
        if let Err(error) = self.count_queues().await {
            log_failure(&error, "The queues could not be counted");
        }
        if let Err(error) = self.shred_due().await {
            log_failure(
                &error,
                "Keys of an unlinked session could not be shredded; it is tried again",
            );
        }
        if let Err(error) = self.expire_unattended().await {
            log_failure(
                &error,
                "Messages whose time ran out could not be ended; it is tried again",
            );
        }
        if let Err(error) = self.purge_deleted().await {
            log_failure(
                &error,
                "What deleted sessions leave could not be cleared away; it is tried again",
            );
        }
    }

    /// How much waits in the sessions that have an actor, lane by lane.
    async fn count_queues(&self) -> Result<(), StorageError> {
        let sessions: Vec<_> = self.registry.all().iter().map(|slot| slot.session).collect();
        let depths = self
            .cx
            .storage
            .read(move |tx| {
                Box::pin(async move {
                    let mut depths = HashMap::new();
                    for session in sessions {
                        for depth in messages::queue_depth(tx, session).await? {
                            *depths.entry(depth.lane).or_insert(0) += depth.queued;
                        }
                    }
                    Ok(depths)
                })
            })
            .await?;
        for lane in Lane::ALL {
            telemetry::queued(lane, depths.get(&lane).copied().unwrap_or(0));
        }
        Ok(())
    }

    /// Keys of devices that were unlinked long enough ago.
    async fn shred_due(&self) -> Result<(), StorageError> {
        let now = self.cx.clock.now();
        let due = self
            .cx
            .storage
            .read(move |tx| Box::pin(sessions::due_for_shredding(tx, now)))
            .await?;
        for session in due {
            self.cx.storage.shred_session_signal_state(session).await?;
            tracing::info!(session.id = %session, "The keys of the unlinked session were shredded");
        }
        Ok(())
    }

    /// Messages that no actor looks at: their session is off.
    async fn expire_unattended(&self) -> Result<(), StorageError> {
        let now = self.cx.clock.now();
        let sessions = self
            .cx
            .storage
            .read(move |tx| Box::pin(messages::sessions_with_expired(tx, now)))
            .await?;
        for (workspace, session) in sessions {
            if self.registry.get(session).is_none() {
                self.expire_session(workspace, session).await?;
            }
        }
        Ok(())
    }

    async fn expire_session(&self, workspace: WorkspaceId, session: SessionId) -> Result<(), StorageError> {
        let keys = self.cx.storage.session_keys(session).await?;
        let now = self.cx.clock.now();
        let ledger = Ledger::new(&self.cx, workspace, keys.clone());
        let ended = self
            .cx
            .storage
            .write(Queue::Normal, move |tx| {
                Box::pin(async move { ledger.expire_in_flight(tx, now).await })
            })
            .await?;
        telemetry::messages(MessageStatus::Expired, ended);
        for _ in 0..ROUNDS {
            let ledger = Ledger::new(&self.cx, workspace, keys.clone());
            let ended = self
                .cx
                .storage
                .write(Queue::Normal, move |tx| {
                    Box::pin(async move { ledger.expire(tx, now, CHUNK).await })
                })
                .await?;
            telemetry::messages(MessageStatus::Expired, ended);
            if ended < CHUNK as usize {
                break;
            }
        }
        Ok(())
    }

    async fn purge_deleted(&self) -> Result<(), StorageError> {
        for _ in 0..ROUNDS {
            let gone = self
                .cx
                .storage
                .write(Queue::Normal, move |tx| Box::pin(sessions::purge_deleted(tx, CHUNK)))
                .await?;
            if gone < u64::from(CHUNK) {
                break;
            }
        }
        Ok(())
    }
}
