//! The data of events about verifications. A code never stands in one.

use serde_json::{Map, Value, json};
use wharf_model::{SessionId, Timestamp, VerificationId, VerificationStatus};

/// What every event about a verification tells.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub id: VerificationId,
    pub status: VerificationStatus,
    /// `None`: nothing was sent, because the phone is a test number.
    pub session: Option<SessionId>,
    pub phone: Option<&'a str>,
    pub purpose: &'a str,
    pub metadata: Option<&'a Value>,
    pub at: Timestamp,
}

/// The data, with the reason where there is one.
pub(crate) fn data(facts: Facts<'_>, reason: Option<&str>) -> Value {
    let mut data = Map::new();
    data.insert("otp_id".to_owned(), json!(facts.id.to_string()));
    data.insert("status".to_owned(), json!(facts.status.as_str()));
    data.insert(
        "session_id".to_owned(),
        json!(facts.session.map(|session| session.to_string())),
    );
    data.insert("phone".to_owned(), json!(facts.phone));
    data.insert("purpose".to_owned(), json!(facts.purpose));
    data.insert("at".to_owned(), json!(facts.at.to_string()));
    if let Some(reason) = reason {
        data.insert("reason".to_owned(), json!(reason));
    }
    if let Some(metadata) = facts.metadata {
        data.insert("metadata".to_owned(), metadata.clone());
    }
    Value::Object(data)
}

/// `otp.blocked`: which phones are meant, without the digits in which they differ, and until when.
pub(crate) fn blocked(prefix: &str, session: Option<SessionId>, purpose: &str, until: Timestamp) -> Value {
    json!({
        "reason": "low_conversion",
        "prefix": format!("+{prefix}"),
        "session_id": session.map(|session| session.to_string()),
        "purpose": purpose,
        "blocked_until": until.to_string(),
    })
}
