//! What only a session's actor writes, fenced by its epoch.

use wharf_model::{SessionId, SessionStatus, Timestamp};

use super::history;
use crate::driver::value::params;
use crate::error::StorageError;
use crate::postgres::lock::Lock;
use crate::seal::Sealed;
use crate::unit::tx::Tx;

/// A session and the epoch under which the caller owns it. Every fenced write checks it in its own transaction, so an
/// owner that was replaced cannot write, however late it wakes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fence {
    /// The session.
    pub session: SessionId,
    /// The epoch that [`claim`] gave.
    pub epoch: i64,
}

/// A new state of a session.
#[derive(Clone, Debug)]
pub struct StateChange {
    /// The state.
    pub status: SessionStatus,
    /// Since when.
    pub at: Timestamp,
    /// The stable code of the close reason, for `disconnected` and `auth_failed`.
    pub reason: Option<String>,
    /// One sentence about what is wrong.
    pub error: Option<String>,
    /// When the next attempt is.
    pub next_attempt_at: Option<Timestamp>,
}

impl StateChange {
    /// A change that needs no explanation.
    pub const fn plain(status: SessionStatus, at: Timestamp) -> Self {
        Self {
            status,
            at,
            reason: None,
            error: None,
            next_attempt_at: None,
        }
    }
}

/// Makes the caller the owner under a new epoch; whoever owned the session before is fenced out.
///
/// # Errors
/// [`StorageError::NotFound`] when there is no such session.
pub async fn claim(
    tx: &mut Tx,
    session: SessionId,
    owner: &str,
    lease_until: Option<Timestamp>,
) -> Result<Fence, StorageError> {
    // Whatever the owner before has begun ends first; it is stale from here on.
    tx.lock(Lock::Changed(session)).await?;
    tx.learn(None);
    let row = tx
        .first(
            "update sessions set owner = $2, lease_until = $3, epoch = epoch + 1
             where id = $1 and deleted_at is null returning epoch",
            params![&session, owner, lease_until],
        )
        .await?;
    let epoch = row.ok_or(StorageError::NotFound("session"))?.take()?;
    Ok(Fence { session, epoch })
}

/// Keeps the session for longer.
///
/// # Errors
/// [`StorageError::StaleEpoch`] when it has another owner.
pub async fn renew_lease(tx: &mut Tx, fence: &Fence, lease_until: Timestamp) -> Result<(), StorageError> {
    check_epoch(tx, fence).await?;
    tx.execute(
        "update sessions set lease_until = $2 where id = $1",
        params![&fence.session, lease_until],
    )
    .await?;
    Ok(())
}

/// Stores a new state with its own timestamp, and adds it to the history. The caller appends the event.
///
/// # Errors
/// [`StorageError::StaleEpoch`] when the session has another owner.
pub async fn record_state(tx: &mut Tx, fence: &Fence, change: &StateChange) -> Result<(), StorageError> {
    check_epoch(tx, fence).await?;
    tx.execute(
        "update sessions set status = $2, status_since = $3, error = $4, disconnect_reason = $5, next_attempt_at = $6,
             updated_at = $3,
             authenticated_at = case when $2 = 'authenticated' then $3 else authenticated_at end,
             ready_at = case when $2 = 'ready' then $3 else ready_at end,
             auth_failed_at = case when $2 = 'auth_failed' then $3 else auth_failed_at end,
             disconnected_at = case when $2 = 'disconnected' then $3 else disconnected_at end
         where id = $1",
        params![
            &fence.session,
            change.status,
            change.at,
            &change.error,
            &change.reason,
            change.next_attempt_at
        ],
    )
    .await?;
    history::append(tx, fence.session, change).await
}

/// Notes that a QR was shown. The QR itself is never stored.
///
/// # Errors
/// [`StorageError::StaleEpoch`] when the session has another owner.
pub async fn note_qr(tx: &mut Tx, fence: &Fence, at: Timestamp) -> Result<(), StorageError> {
    check_epoch(tx, fence).await?;
    tx.execute(
        "update sessions set last_qr_at = $2, updated_at = $2 where id = $1",
        params![&fence.session, at],
    )
    .await?;
    Ok(())
}

/// Stores who the account is; see [`super::SessionProfile::seal`].
///
/// # Errors
/// [`StorageError::StaleEpoch`] when the session has another owner.
pub async fn set_profile(
    tx: &mut Tx,
    fence: &Fence,
    profile: Option<&Sealed>,
    now: Timestamp,
) -> Result<(), StorageError> {
    check_epoch(tx, fence).await?;
    tx.execute(
        "update sessions set profile = $2, updated_at = $3 where id = $1",
        params![&fence.session, profile, now],
    )
    .await?;
    Ok(())
}

/// Notes which linked device the session is.
///
/// # Errors
/// [`StorageError::StaleEpoch`] when the session has another owner.
pub async fn set_fingerprint(tx: &mut Tx, fence: &Fence, fingerprint: &str) -> Result<(), StorageError> {
    check_epoch(tx, fence).await?;
    tx.execute(
        "update sessions set fingerprint = $2 where id = $1",
        params![&fence.session, fingerprint],
    )
    .await?;
    Ok(())
}

/// Refuses an owner that was replaced. The session keeps its owner until the unit has ended.
pub(crate) async fn check_epoch(tx: &mut Tx, fence: &Fence) -> Result<(), StorageError> {
    if tx.knows(fence) {
        return Ok(());
    }
    tx.lock(Lock::Owned(fence.session)).await?;
    let row = tx
        .first(
            "select epoch from sessions where id = $1 and deleted_at is null",
            params![&fence.session],
        )
        .await?;
    let epoch: i64 = row.ok_or(StorageError::StaleEpoch)?.take()?;
    if epoch == fence.epoch {
        tx.learn(Some(*fence));
        Ok(())
    } else {
        Err(StorageError::StaleEpoch)
    }
}
