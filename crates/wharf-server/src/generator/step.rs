//! What the visitor of an attempt is shown.

use std::fmt;

use serde::Serialize;
use wharf_model::Timestamp;
use zeroize::Zeroizing;

/// Where an attempt is. Holds secrets: it is told to the attempt's own page and to nobody else.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// The connection is being opened.
    Connecting,
    /// A QR is to be scanned.
    ScanQr {
        /// What it holds.
        qr: String,
        /// When it stops working.
        expires_at: String,
    },
    /// A code is to be typed.
    EnterCode {
        /// `ABCD-EFGH`.
        code: String,
        /// When it stops working.
        expires_at: String,
    },
    /// The account is linked; the string is being made and sent to its own chat.
    Linked,
    /// The string can be taken, once.
    Done {
        /// Whether the account's own chat has it as well.
        sent: bool,
    },
    /// It came to nothing, or was given up.
    Failed {
        /// One sentence.
        reason: String,
    },
}

/// Logs are written with `Debug`: QRs and codes must not reach them.
impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Step {
    pub(super) fn qr(text: String, expires_at: Timestamp) -> Self {
        Self::ScanQr {
            qr: text,
            expires_at: expires_at.to_string(),
        }
    }

    pub(super) fn code(code: &str, expires_at: Timestamp) -> Self {
        let grouped = code.split_at_checked(4).map(|(one, other)| format!("{one}-{other}"));
        Self::EnterCode {
            code: grouped.unwrap_or_else(|| code.to_owned()),
            expires_at: expires_at.to_string(),
        }
    }

    pub(super) fn failed(reason: &str) -> Self {
        Self::Failed {
            reason: reason.to_owned(),
        }
    }

    /// Stable, for metrics.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::ScanQr { .. } => "scan_qr",
            Self::EnterCode { .. } => "enter_code",
            Self::Linked => "linked",
            Self::Done { .. } => "done",
            Self::Failed { .. } => "failed",
        }
    }

    /// Whether nothing follows.
    pub(super) const fn is_end(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Failed { .. })
    }
}

/// What an attempt is for.
#[derive(Serialize)]
pub struct Handover {
    /// The session string.
    #[serde(serialize_with = "revealed")]
    pub session: Zeroizing<String>,
    /// Which linked device it is of.
    pub fingerprint: String,
}

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handover").finish_non_exhaustive()
    }
}

fn revealed<S: serde::Serializer>(secret: &Zeroizing<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret)
}
