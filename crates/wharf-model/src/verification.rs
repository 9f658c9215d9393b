//! How far a verification has come.

use std::fmt;
use std::str::FromStr;

use crate::message::UnknownName;

/// Where a verification stands. Every status but the first is the end of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VerificationStatus {
    /// A code was sent and may be checked.
    Pending,
    /// The right code came.
    Approved,
    /// Its time ran out.
    Expired,
    /// As many wrong codes came as may be tried.
    MaxAttemptsReached,
    /// It was taken back.
    Cancelled,
}

impl VerificationStatus {
    /// Every status.
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Approved,
        Self::Expired,
        Self::MaxAttemptsReached,
        Self::Cancelled,
    ];

    /// The stable name on the wire and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Expired => "expired",
            Self::MaxAttemptsReached => "max_attempts_reached",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing changes any more.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Pending)
    }
}

impl fmt::Display for VerificationStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for VerificationStatus {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or(UnknownName("verification status"))
    }
}
