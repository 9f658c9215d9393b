//! How many codes were sent lately: counted on the rows of what was sent, in the unit that sends, so that no counter can
//! disagree with them.

use wharf_model::{ApiKeyId, SessionId, Timestamp, WorkspaceId};

use crate::driver::value::params;
use crate::error::StorageError;
use crate::postgres::lock::Lock;
use crate::seal::Blind;
use crate::unit::tx::Tx;

/// What sends have in common that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// The phone.
    Phone(Blind),
    /// The phone without its last four digits.
    Prefix(Blind),
    /// The end user's address.
    Client(Blind),
    /// The API key.
    Key(ApiKeyId),
    /// The session.
    Session(SessionId),
}

impl Counted {
    const fn bytes(&self) -> &[u8; 16] {
        match self {
            Self::Phone(index) | Self::Prefix(index) | Self::Client(index) => index.as_bytes(),
            Self::Key(id) => id.as_bytes(),
            Self::Session(id) => id.as_bytes(),
        }
    }

    const fn sql(self) -> &'static str {
        match self {
            Self::Phone(_) => {
                "select at from verification_sends where workspace_id = $1 and phone_index = $2 and at > $3
                 order by at desc limit 1 offset $4"
            }
            Self::Prefix(_) => {
                "select at from verification_sends where workspace_id = $1 and prefix_index = $2 and at > $3
                 order by at desc limit 1 offset $4"
            }
            Self::Client(_) => {
                "select at from verification_sends where workspace_id = $1 and client_index = $2 and at > $3
                 order by at desc limit 1 offset $4"
            }
            Self::Key(_) => {
                "select at from verification_sends where workspace_id = $1 and key_id = $2 and at > $3
                 order by at desc limit 1 offset $4"
            }
            Self::Session(_) => {
                "select at from verification_sends where workspace_id = $1 and session_id = $2 and at > $3
                 order by at desc limit 1 offset $4"
            }
        }
    }
}

/// Keeps other units from counting the same, until this one has ended: what was counted stays true. In the order of the
/// locks' numbers, so that no two units wait for each other.
///
/// # Errors
/// The database failed.
pub async fn lock(tx: &mut Tx, counted: &[Counted]) -> Result<(), StorageError> {
    let mut locks: Vec<_> = counted
        .iter()
        .map(|counted| Lock::Codes(Blind::from_bytes(*counted.bytes())))
        .collect();
    locks.sort_unstable_by_key(|lock| lock.number());
    for one in locks {
        tx.lock(one).await?;
    }
    Ok(())
}

/// When one more is allowed, where `most` were sent in the time since `since`; `None`: now. Reads `most` entries of an index.
///
/// # Errors
/// The database failed.
pub async fn next_allowed_at(
    tx: &mut Tx,
    workspace: WorkspaceId,
    counted: Counted,
    most: u32,
    (since, now): (Timestamp, Timestamp),
) -> Result<Option<Timestamp>, StorageError> {
    let (bytes, skipped) = (*counted.bytes(), most.saturating_sub(1));
    let found = tx
        .first(counted.sql(), params![&workspace, &bytes, since, skipped])
        .await?;
    let Some(mut row) = found else { return Ok(None) };
    let at: Timestamp = row.take()?;
    Ok(Some(at + now.since(since)))
}

/// What became of codes that were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// How many were sent.
    pub sent: u32,
    /// How many of those were of verifications that were approved.
    pub approved: u32,
}

/// What became of the last codes that were sent to phones of a prefix after `since`, of a thousand at most.
///
/// # Errors
/// The database failed.
pub async fn conversion(
    tx: &mut Tx,
    workspace: WorkspaceId,
    prefix: Blind,
    since: Timestamp,
) -> Result<Conversion, StorageError> {
    let sql = "select count(*), coalesce(sum(case when v.status = 'approved' then 1 else 0 end), 0)
               from (select verification_id from verification_sends
                     where workspace_id = $1 and prefix_index = $2 and at > $3 order by at desc limit 1000) s
               join verifications v on v.workspace_id = $1 and v.id = s.verification_id";
    let found = tx.first(sql, params![&workspace, prefix, since]).await?;
    let Some(mut row) = found else {
        return Ok(Conversion { sent: 0, approved: 0 });
    };
    Ok(Conversion {
        sent: row.take()?,
        approved: row.take()?,
    })
}
