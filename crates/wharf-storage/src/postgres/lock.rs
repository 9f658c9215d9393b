//! What stands for "there is only one writer" where units run side by side: locks that end with the transaction. On
//! SQLite they are nothing.
//!
//! A unit that takes several takes them in the order of this list, so that no two wait for each other. Should two do so
//! all the same, PostgreSQL gives one up: that is [`StorageError::Contended`](crate::StorageError::Contended), and
//! everybody who writes has a way to try again (the API's caller by its 503, an actor by its next look, the engine by a
//! new client).
//!
//! 1. [`Lock::Devices`], [`Lock::Plans`], [`Lock::Made`] of one key, [`Lock::Keys`], [`Lock::Workspaces`]: rare.
//! 2. [`Lock::Owned`] or [`Lock::Changed`] of one session: fenced writes of a session go on beside each other; what
//!    reads to write, or replaces the owner, is alone.
//! 3. [`Lock::Messages`] of one session: what moves messages of a session on, one unit at a time, because status,
//!    queue and the order in a chat are decided on rows that were read.
//! 4. [`Lock::Codes`] of one phone: what sends it codes, one unit at a time, because limits are counted. Of one workspace:
//!    what saves its texts, because they are counted, too.
//! 5. The locks of rows. Units that write several rows of one kind write them in the order of their keys.
//! 6. The row of `usage` of the key from whose quota is taken: after everything that it is taken for, because whatever else
//!    takes from it waits. What nothing limits is written there in batches, in the order of the keys, after the keys' own rows.
//! 7. The rows of statistics, which many units write: at the very end, in the order of their keys.

use wharf_model::{ApiKeyId, SessionId};

use crate::seal::Blind;

/// What a unit must have to itself, or share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    /// The master key is in force until the commit: keys are wrapped by it. Shared.
    Keys,
    /// No key is added meanwhile: all are wrapped anew.
    AllKeys,
    /// Nobody else brings a linked device in.
    Devices,
    /// Nobody else changes a plan, or which keys carry one.
    Plans,
    /// Nobody else makes a session with this key, whose sessions are counted. The number is of its kind alone, as that of
    /// [`Lock::Codes`].
    Made(ApiKeyId),
    /// The first workspace is made once.
    Workspaces,
    /// The session keeps its owner until the commit. Shared.
    Owned(SessionId),
    /// Nobody else writes anything fenced of the session.
    Changed(SessionId),
    /// Nobody else moves messages of the session.
    Messages(SessionId),
    /// Nobody else sends codes that count towards the same limit. The number is of its kind alone, so that one that is
    /// shared by chance only makes somebody wait.
    Codes(Blind),
}

const SHARED: &str = "select pg_advisory_xact_lock_shared($1)";
const ALONE: &str = "select pg_advisory_xact_lock($1)";

impl Lock {
    /// Whether whoever has this lock has `other` as well.
    pub(crate) fn covers(self, other: Self) -> bool {
        self == other
            || match (self, other) {
                (Self::Changed(mine), Self::Owned(session)) => mine == session,
                (Self::AllKeys, Self::Keys) => true,
                _ => false,
            }
    }

    pub(crate) fn sql(self) -> &'static str {
        match self {
            Self::Keys | Self::Owned(_) => SHARED,
            Self::AllKeys
            | Self::Devices
            | Self::Plans
            | Self::Made(_)
            | Self::Workspaces
            | Self::Changed(_)
            | Self::Messages(_)
            | Self::Codes(_) => ALONE,
        }
    }

    /// The number that PostgreSQL knows the lock by. Two sessions with one number would only wait for each other.
    pub(crate) fn number(self) -> i64 {
        match self {
            Self::Keys | Self::AllKeys => 1,
            Self::Workspaces => 2,
            Self::Devices => 3,
            Self::Plans => 4,
            Self::Made(key) => of_counted(key.as_bytes()),
            Self::Owned(session) | Self::Changed(session) => of_session(session) & !1,
            Self::Messages(session) => of_session(session) | 1,
            Self::Codes(counted) => of_counted(counted.as_bytes()),
        }
    }
}

/// The random half of the id, with a bit set that keeps it away from the small numbers above and from the owner's.
fn of_session(session: SessionId) -> i64 {
    let [.., a, b, c, d, e, f, g, h] = *session.as_bytes();
    i64::from_be_bytes([a, b, c, d, e, f, g, h]) | i64::MIN
}

/// Half of the index or of the id, without the sign that sessions have and above the small numbers.
fn of_counted(counted: &[u8; 16]) -> i64 {
    let [.., a, b, c, d, e, f, g, h] = *counted;
    (i64::from_be_bytes([a, b, c, d, e, f, g, h]) & i64::MAX) | 0x100
}
