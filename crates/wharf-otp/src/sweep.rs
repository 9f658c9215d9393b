//! What falls due: a verification's time is over, nothing was heard of its delivery, it was kept long enough. Sleeps until
//! the next of these times; while no verification exists, it does nothing.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wharf_model::{EventKind, MessageStatus, Timestamp, VerificationStatus, WorkspaceId};
use wharf_storage::receptions::{self, Reception};
use wharf_storage::verifications::{self as rows, Verification};
use wharf_storage::{Queue, StorageError, Tx};

use crate::error::OtpError;
use crate::verifications::{ReceptionTeller, Teller, Verifications};

/// How many verifications one round takes.
const AT_ONCE: u32 = 100;

/// It looks this often at least: the clock may be set.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// And not more often than this.
const SHORTEST_SLEEP: Duration = Duration::from_millis(100);

impl Verifications {
    /// Does what falls due, until `stop`. The composition root runs it as a task.
    pub async fn sweep(self, stop: CancellationToken) {
        loop {
            if let Err(error) = self.sweep_now().await {
                tracing::warn!(error = %error, "Verifications that are due could not be ended; it is tried again");
            }
            let sleep = self.until_due().await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(sleep) => {}
                () = self.cx.earlier.notified() => {}
            }
        }
    }

    /// Does at once what is due now. Says how many verifications it came to.
    ///
    /// # Errors
    /// Storage failed.
    pub async fn sweep_now(&self) -> Result<usize, OtpError> {
        let sends = self.sweep_sends().await?;
        let receptions = self.sweep_receptions().await.map_err(OtpError::Storage)?;
        Ok(sends + receptions)
    }

    async fn sweep_sends(&self) -> Result<usize, OtpError> {
        let mut swept = 0;
        loop {
            let now = self.cx.clock.now();
            let due = self.cx.storage.read(move |tx| Box::pin(rows::due(tx, now, AT_ONCE)));
            let due = due.await.map_err(OtpError::Storage)?;
            let count = due.len();
            swept += count;
            self.take(due, now).await.map_err(OtpError::Storage)?;
            if count < AT_ONCE as usize {
                return Ok(swept);
            }
        }
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
            swept += count;
            self.end_receptions(due, now).await?;
            if count < AT_ONCE as usize {
                return Ok(swept);
            }
        }
    }

    async fn end_receptions(&self, mut due: Vec<Reception>, now: Timestamp) -> Result<(), StorageError> {
        if due.is_empty() {
            return Ok(());
        }
        // The others are to be deleted. In one order, so that no two rounds wait for each other.
        due.retain(|reception| !reception.status.is_final());
        due.sort_unstable_by_key(|reception| reception.id);
        let mut keys = HashMap::new();
        for reception in &due {
            let session = reception.session_id;
            if !keys.contains_key(&session) {
                let found = self.cx.session_keys(session).await?;
                keys.insert(session, found);
            }
        }
        let cx = Arc::clone(&self.cx);
        let ended = self.cx.storage.write(Queue::Normal, move |tx| {
            Box::pin(async move {
                for reception in &due {
                    let Some(expired) = receptions::expire(tx, reception.id, now).await? else {
                        continue;
                    };
                    // Of one whose session was deleted nothing can be opened, nor told.
                    if let Some(Some(keys)) = keys.get(&expired.session_id) {
                        let teller = ReceptionTeller::new(&cx, keys);
                        teller.tell(tx, &expired, EventKind::OtpExpired, now).await?;
                    }
                }
                receptions::delete_due(tx, now, AT_ONCE).await
            })
        });
        ended.await.map(drop)
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

    async fn take(&self, mut due: Vec<Verification>, now: Timestamp) -> Result<(), StorageError> {
        if due.is_empty() {
            return Ok(());
        }
        // In one order, so that no two rounds wait for each other.
        due.sort_unstable_by_key(|verification| verification.id);
        let tellers = self.tellers(&due).await?;
        let unheard = self.cx.storage.write(Queue::Normal, move |tx| {
            Box::pin(async move {
                let mut unheard = Vec::new();
                for verification in due.into_iter().filter(|due| !due.status.is_final()) {
                    let Some(teller) = tellers.get(&verification.workspace_id) else {
                        continue;
                    };
                    if verification.expires_at <= now {
                        expire(tx, teller, &verification, now).await?;
                    } else if is_unheard(tx, teller, &verification, now).await? {
                        unheard.push(verification.session_id);
                    }
                }
                rows::delete_due(tx, now, AT_ONCE).await?;
                Ok(unheard)
            })
        });
        for session in unheard.await? {
            self.cx.deliveries.pool.note(session, false);
        }
        Ok(())
    }

    async fn tellers(&self, due: &[Verification]) -> Result<HashMap<WorkspaceId, Teller>, StorageError> {
        let mut tellers = HashMap::new();
        for verification in due {
            let workspace = verification.workspace_id;
            if let Entry::Vacant(place) = tellers.entry(workspace) {
                let keys = self.cx.storage.workspace_keys(workspace).await?;
                place.insert(Teller::new(&self.cx, &keys));
            }
        }
        Ok(tellers)
    }
}

async fn expire(tx: &mut Tx, teller: &Teller, due: &Verification, now: Timestamp) -> Result<(), StorageError> {
    match rows::expire(tx, due.id, now).await? {
        Some(expired) => teller.tell(tx, &expired, EventKind::OtpExpired, None, now).await,
        None => Ok(()),
    }
}

/// Tells that nothing was heard of the last message's delivery, if that is so. One that failed was told before.
async fn is_unheard(tx: &mut Tx, teller: &Teller, due: &Verification, now: Timestamp) -> Result<bool, StorageError> {
    let Some(verification) = rows::note_undelivered(tx, due.id, now).await? else {
        return Ok(false);
    };
    let last = rows::sends(tx, verification.id).await?.pop();
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
