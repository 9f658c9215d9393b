//! What commands read out of the API's answers: only the fields they show.

use serde::Deserialize;

/// A list answer.
#[derive(Debug, Deserialize)]
pub struct Page<T> {
    /// The entries of this page.
    pub data: Vec<T>,
    /// Where the next page starts.
    pub next_cursor: Option<String>,
}

/// A session, as far as commands show it.
#[derive(Clone, Debug, Deserialize)]
pub struct SessionView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub status: String,
    /// What a person has to do while it is pending.
    pub connection_step: Option<String>,
    /// Since when.
    pub status_since: Option<String>,
    /// The linked account.
    pub phone_number: Option<String>,
    /// Why it is not connected.
    pub disconnect_reason: Option<String>,
    /// When it tries again.
    pub next_attempt_at: Option<String>,
}

/// A QR that can be scanned now.
#[derive(Deserialize)]
pub struct QrView {
    /// What it holds: the secret of the link.
    pub qr: String,
}

/// A code that can be typed now.
#[derive(Deserialize)]
pub struct CodeView {
    /// What to type: the secret of the link.
    pub code: String,
    /// When it stops working.
    pub expires_at: String,
}

/// An accepted message.
#[derive(Debug, Deserialize)]
pub struct MessageView {
    /// Its id.
    pub id: String,
    /// How far it has come.
    pub status: String,
}

/// An API key without its secret.
#[derive(Debug, Deserialize)]
pub struct KeyView {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub label: String,
    /// Its first characters.
    pub prefix: String,
    /// `active` or `revoked`.
    pub status: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it was last used.
    pub last_used_at: Option<String>,
    /// The plan that it carries: its id, or its name where that is known.
    pub plan: Option<String>,
}

/// A plan.
#[derive(Debug, Deserialize)]
pub struct PlanView {
    /// Its id.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// Calls in a second.
    pub requests_per_second: Option<u32>,
    /// Messages in a day.
    pub messages_per_day: Option<u64>,
    /// One-time passwords in a day.
    pub otps_per_day: Option<u64>,
    /// Sessions.
    pub sessions: Option<u64>,
}

/// What a key has used.
#[derive(Debug, Deserialize)]
pub struct UsageView {
    /// The plan that it carries.
    pub plan: Option<CarriedView>,
    /// When the day ends.
    pub resets_at: String,
    /// Messages of the day.
    pub messages: ShareView,
    /// One-time passwords of the day.
    pub otps: ShareView,
    /// Sessions that exist.
    pub sessions: ShareView,
}

/// The plan that a key carries.
#[derive(Debug, Deserialize)]
pub struct CarriedView {
    /// What its owner calls it.
    pub name: String,
}

/// How much was used of how much.
#[derive(Debug, Deserialize)]
pub struct ShareView {
    /// How much was used.
    pub used: u64,
    /// How much there is.
    pub limit: Option<u64>,
}

/// A key that was just made.
#[derive(Deserialize)]
pub struct NewKeyView {
    /// Its id.
    pub id: String,
    /// The secret, shown once.
    pub key: String,
    /// Until when the secret before works as well.
    pub previous_valid_until: Option<String>,
}
