//! What a session is right now, secrets included: held in memory, read through a `watch`, never stored or logged.

use std::fmt;

use wharf_model::{SessionState, Timestamp};

/// A QR that a person is to scan.
#[derive(Clone, PartialEq, Eq)]
pub struct QrCode {
    /// What the QR holds; it contains the link's secret.
    pub text: String,
    /// When it stops working.
    pub expires_at: Timestamp,
}

/// Logs are written with `Debug`: the text must not reach them.
impl fmt::Debug for QrCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QrCode")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// A code that a person is to type into his phone.
#[derive(Clone, PartialEq, Eq)]
pub struct PairingCode {
    /// Eight characters; whoever types them links his account.
    pub code: String,
    /// When it stops working.
    pub expires_at: Timestamp,
}

/// Logs are written with `Debug`: the code must not reach them.
impl fmt::Debug for PairingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PairingCode")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// What an account with a passkey asks of the person who links it.
#[derive(Clone, PartialEq, Eq)]
pub enum PasskeyStep {
    /// The passkey is to sign this: WebAuthn's `PublicKeyCredentialRequestOptions` as JSON, as WhatsApp said them.
    Sign(String),
    /// The phone must show the same code. Whoever confirms another one links somebody else's companion.
    Compare(String),
}

/// Logs are written with `Debug`: neither challenges nor codes must reach them.
impl fmt::Debug for PasskeyStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sign(_) => "Sign",
            Self::Compare(_) => "Compare",
        })
    }
}

/// The state of one session as its actor knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Where the session is.
    pub state: SessionState,
    /// Since when.
    pub since: Timestamp,
    /// The QR to scan, while there is one.
    pub qr: Option<QrCode>,
    /// The code to type, while there is one.
    pub pairing_code: Option<PairingCode>,
    /// What is asked of the account's passkey, while something is.
    pub passkey: Option<PasskeyStep>,
    /// The session was deleted; nothing follows.
    pub deleted: bool,
}
