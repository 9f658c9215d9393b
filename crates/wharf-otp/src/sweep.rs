//! What falls due: a verification's time is over, nothing was heard of its delivery, it was kept long enough. Sleeps until
//! the next of these times; while no verification exists, it does nothing.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio_util::sync::CancellationToken;
use wharf_model::{Day, EventKind, MessageStatus, Timestamp, VerificationStatus};
use wharf_storage::receptions::{self, Reception};
use wharf_storage::verifications::{self as rows, Verification};
use wharf_storage::{Queue, StorageError, Tx};

use crate::error::OtpError;
use crate::verifications::{ReceptionTeller, Teller, Verifications};

/// How many verifications one round takes.
const AT_ONCE: u32 = 100;

/// How many days the statistics go back.
const DAYS_COUNTED: u32 = 400;

/// It looks this often at least: the clock may be set.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// After a failure it waits this long: what failed is still due.
const AFTER_A_FAILURE: Duration = Duration::from_secs(5);

/// And not more often than this.
const SHORTEST_SLEEP: Duration = Duration::from_millis(100);

impl Verifications {
    /// Does what falls due, until `stop`. The composition root runs it as a task.
    pub async fn sweep(self, stop: CancellationToken) {
        loop {
            let swept = stop.run_until_cancelled(self.sweep_now()).await;
            let sleep = match swept {
                None => return,
                Some(Ok(_)) => self.until_due().await,
                Some(Err(error)) => {
                    tracing::warn!(error.cause = ?error, "Verifications that are due could not be ended; it is tried again");
                    AFTER_A_FAILURE
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(sleep) => {}
                () = self.cx.earlier.notified() => {}
            }
        }
    }

    /// Does at once what is due now. Says how many verifications it came to. One that cannot be ended does not keep the
    /// others from it.
    ///
    /// # Errors
    /// Storage failed, for one of them at least.
    pub async fn sweep_now(&self) -> Result<usize, OtpError> {
        let sends = self.sweep_sends().await.map_err(OtpError::Storage)?;
        let receptions = self.sweep_receptions().await.map_err(OtpError::Storage)?;
        Ok(sends + receptions)
    }

    async fn sweep_sends(&self) -> Result<usize, StorageError> {
        let mut swept = 0;
        loop {
            let now = self.cx.clock.now();
            let due = self.cx.storage.read(move |tx| Box::pin(rows::due(tx, now, AT_ONCE)));
            let due = due.await?;
            let count = due.len();
            // Each in a unit of its own, which commit together: none waits for another one's rows.
            let open = due.into_iter().filter(|due| !due.status.is_final());
            let ended = join_all(open.map(|due| self.end(due, now))).await;
            let deleted = self.cx.storage.write(Queue::Normal, move |tx| {
                Box::pin(async move {
                    rows::delete_due(tx, now, AT_ONCE).await?;
                    // A day at a time: no more than one is added in a day.
                    rows::delete_oldest_day(tx, Day::of(now).before(DAYS_COUNTED)).await
                })
            });
            deleted.await?;
            ended.into_iter().collect::<Result<(), _>>()?;
            swept += count;
            if count < AT_ONCE as usize {
                return Ok(swept);
            }
        }
    }

    async fn end(&self, due: Verification, now: Timestamp) -> Result<(), StorageError> {
        let keys = self.cx.storage.workspace_keys(due.workspace_id).await?;
        let (teller, session) = (Teller::new(&self.cx, &keys), due.session_id);
        let ended = self.cx.storage.write(Queue::Normal, move |tx| {
            Box::pin(async move {
                if due.expires_at <= now {
                    expire(tx, &teller, &due, now).await?;
                    return Ok(false);
                }
                is_unheard(tx, &teller, &due, now).await
            })
        });
        if let (true, Some(session)) = (ended.await?, session) {
            self.cx.deliveries.pool.note(session, false, now);
        }
        Ok(())
    }

    async fn sweep_receptions(&self) -> Result<usize, StorageError> {
        let mut swept = 0;
        loop {
            let now = self.cx.clock.now();
            let due = self
                .cx
                .storage
                .read(move |tx| Box::pin(receptions::due(tx, now, AT_ONCE)));
            let due = due.await?;
            let count = due.len();
            let open = due.into_iter().filter(|due| !due.status.is_final());
            let ended = join_all(open.map(|due| self.end_reception(due, now))).await;
            let deleted = self.cx.storage.write(Queue::Normal, move |tx| {
                Box::pin(receptions::delete_due(tx, now, AT_ONCE))
            });
            deleted.await?;
            ended.into_iter().collect::<Result<(), _>>()?;
            swept += count;
            if count < AT_ONCE as usize {
                return Ok(swept);
            }
        }
    }

    async fn end_reception(&self, due: Reception, now: Timestamp) -> Result<(), StorageError> {
        let keys = self.cx.session_keys(due.session_id).await?;
        let cx = Arc::clone(&self.cx);
        let ended = self.cx.storage.write(Queue::Normal, move |tx| {
            Box::pin(async move {
                let expired = receptions::expire(tx, due.id, now).await?;
                // Of one whose session was deleted nothing can be opened, nor told.
                if let (Some(expired), Some(keys)) = (expired, &keys) {
                    let teller = ReceptionTeller::new(&cx, keys);
                    teller.tell(tx, &expired, EventKind::OtpExpired, now).await?;
                }
                Ok(())
            })
        });
        ended.await
    }

    async fn until_due(&self) -> Duration {
        let next = self.cx.storage.glance(|tx| {
            Box::pin(async move {
                let dues = [rows::next_due_at(tx).await?, receptions::next_due_at(tx).await?];
                Ok(dues.into_iter().flatten().min())
            })
        });
        match next.await {
            Ok(Some(at)) => self.cx.clock.until(at).clamp(SHORTEST_SLEEP, LONGEST_SLEEP),
            // A failure is told by the round that follows.
            Ok(None) | Err(_) => LONGEST_SLEEP,
        }
    }
}

async fn expire(tx: &mut Tx, teller: &Teller, due: &Verification, now: Timestamp) -> Result<(), StorageError> {
    match rows::expire(tx, due.workspace_id, due.id, now).await? {
        Some(expired) => teller.tell(tx, &expired, EventKind::OtpExpired, None, now).await,
        None => Ok(()),
    }
}

/// Tells that nothing was heard of the last message's delivery, if that is so. One that failed was told before.
async fn is_unheard(tx: &mut Tx, teller: &Teller, due: &Verification, now: Timestamp) -> Result<bool, StorageError> {
    let Some(verification) = rows::note_undelivered(tx, due.workspace_id, due.id, now).await? else {
        return Ok(false);
    };
    let last = rows::sends(tx, verification.workspace_id, verification.id).await?.pop();
    let waits = |status| {
        matches!(
            status,
            MessageStatus::Queued | MessageStatus::Sending | MessageStatus::Sent
        )
    };
    if verification.status != VerificationStatus::Pending || !last.is_some_and(|send| waits(send.status)) {
        return Ok(false);
    }
    teller
        .tell(tx, &verification, EventKind::OtpUndelivered, None, now)
        .await?;
    Ok(true)
}
