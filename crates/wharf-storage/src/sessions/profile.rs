//! Who an account is. Kept sealed as one JSON value: no phone number and no name of a person stands in a plain column.

use serde_json::{Value, json};
use wharf_model::{SessionId, Timestamp};

use crate::error::StorageError;
use crate::seal::{Place, Sealed, SessionKeys};

/// The profile of a linked account.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SessionProfile {
    /// E.164.
    pub phone_number: Option<String>,
    /// The account's own jid.
    pub whatsapp_id: Option<String>,
    /// Its hidden id.
    pub lid: Option<String>,
    /// The name that it shows.
    pub profile_name: Option<String>,
    /// The phone's platform.
    pub platform: Option<String>,
    /// Where its picture is.
    pub profile_picture_url: Option<String>,
    /// Its "about" text.
    pub status_message: Option<String>,
    /// When it was connected last, once it is not any more.
    pub last_seen: Option<Timestamp>,
    /// When WhatsApp was asked for picture and "about" text.
    pub asked_at: Option<Timestamp>,
}

impl SessionProfile {
    /// Seals it for its session.
    ///
    /// # Errors
    /// See [`crate::SealingKey::seal`].
    pub fn seal(&self, keys: &SessionKeys) -> Result<Sealed, StorageError> {
        Ok(keys.seal(&place(keys.session()), self.to_json().to_string().as_bytes())?)
    }

    /// Opens what [`Self::seal`] made.
    ///
    /// # Errors
    /// The value does not open, or is not a profile.
    pub fn open(keys: &SessionKeys, sealed: &Sealed) -> Result<Self, StorageError> {
        let bytes = keys.open(&place(keys.session()), sealed)?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|_| StorageError::Unreadable("profile"))?;
        Ok(Self::from_json(&value))
    }

    fn to_json(&self) -> Value {
        json!({
            "phone_number": self.phone_number,
            "whatsapp_id": self.whatsapp_id,
            "lid": self.lid,
            "profile_name": self.profile_name,
            "platform": self.platform,
            "profile_picture_url": self.profile_picture_url,
            "status_message": self.status_message,
            "last_seen": self.last_seen.map(Timestamp::as_millis),
            "asked_at": self.asked_at.map(Timestamp::as_millis),
        })
    }

    /// A missing field is `None`: older rows have fewer.
    fn from_json(value: &Value) -> Self {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        let time = |name: &str| value[name].as_i64().map(Timestamp::from_millis);
        Self {
            phone_number: text("phone_number"),
            whatsapp_id: text("whatsapp_id"),
            lid: text("lid"),
            profile_name: text("profile_name"),
            platform: text("platform"),
            profile_picture_url: text("profile_picture_url"),
            status_message: text("status_message"),
            last_seen: time("last_seen"),
            asked_at: time("asked_at"),
        }
    }
}

fn place(session: SessionId) -> Place {
    Place::session(session, "profile")
}

/// Logs are written with `Debug`: who a person is must not reach them.
impl std::fmt::Debug for SessionProfile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionProfile(***)")
    }
}
