//! What a caller may do, as a closed list with stable names.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// One permission of an API key. [`Scope::Admin`] holds every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// See sessions and their history.
    SessionsRead,
    /// Create, change, connect, disconnect, log out and delete sessions.
    SessionsWrite,
    /// See QRs, which link whoever scans them.
    SessionsLink,
    /// Take a session's credentials out.
    SessionsExport,
    /// See messages.
    MessagesRead,
    /// Send and cancel messages.
    MessagesSend,
    /// Send one-time passwords, and take them back.
    OtpSend,
    /// Check one-time passwords by the ids of their verifications.
    OtpVerify,
    /// Check them by the phones that they were sent to, too.
    OtpVerifyByPhone,
    /// Ask for texts that prove their senders' numbers.
    OtpReceive,
    /// See verifications.
    OtpRead,
    /// Read the event feed.
    EventsRead,
    /// Everything, keys and metrics included.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 13] = [
        Self::SessionsRead,
        Self::SessionsWrite,
        Self::SessionsLink,
        Self::SessionsExport,
        Self::MessagesRead,
        Self::MessagesSend,
        Self::OtpSend,
        Self::OtpVerify,
        Self::OtpVerifyByPhone,
        Self::OtpReceive,
        Self::OtpRead,
        Self::EventsRead,
        Self::Admin,
    ];

    /// The stable name on the wire and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SessionsRead => "sessions:read",
            Self::SessionsWrite => "sessions:write",
            Self::SessionsLink => "sessions:link",
            Self::SessionsExport => "sessions:export",
            Self::MessagesRead => "messages:read",
            Self::MessagesSend => "messages:send",
            Self::OtpSend => "otp:send",
            Self::OtpVerify => "otp:verify",
            Self::OtpVerifyByPhone => "otp:verify_by_phone",
            Self::OtpReceive => "otp:receive",
            Self::OtpRead => "otp:read",
            Self::EventsRead => "events:read",
            Self::Admin => "admin",
        }
    }

    /// Whether a holder of `held` may do this.
    pub fn is_granted_by(self, held: &[Self]) -> bool {
        held.contains(&self) || held.contains(&Self::Admin)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A scope name that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown scope")]
pub struct UnknownScope;

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or(UnknownScope)
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl PartialSchema for Scope {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(Self::ALL.map(Self::as_str)))
            .into()
    }
}

impl ToSchema for Scope {}

/// A scope as a type, so that a handler's signature says what its caller must hold.
pub(crate) trait Permission: Send + Sync + 'static {
    /// The scope; `None` where everybody with credentials is let in.
    const SCOPE: Option<Scope>;
}

/// Whoever has credentials: he sees what is his own.
#[derive(Debug)]
pub(crate) struct Anybody;

impl Permission for Anybody {
    const SCOPE: Option<Scope> = None;
}

macro_rules! permissions {
    ($($name:ident => $scope:ident),* $(,)?) => {$(
        /// The caller holds the scope of this name.
        #[derive(Debug)]
        pub(crate) struct $name;

        impl Permission for $name {
            const SCOPE: Option<Scope> = Some(Scope::$scope);
        }
    )*};
}

permissions! {
    ReadSessions => SessionsRead,
    WriteSessions => SessionsWrite,
    LinkSessions => SessionsLink,
    ExportSessions => SessionsExport,
    ReadMessages => MessagesRead,
    SendMessages => MessagesSend,
    SendCodes => OtpSend,
    VerifyCodes => OtpVerify,
    ReceiveCodes => OtpReceive,
    ReadCodes => OtpRead,
    ReadEvents => EventsRead,
    Administer => Admin,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
        }
    }

    #[test]
    fn admin_holds_every_scope_and_the_others_only_themselves() {
        for scope in Scope::ALL {
            assert!(scope.is_granted_by(&[Scope::Admin]));
            assert_eq!(scope.is_granted_by(&[Scope::EventsRead]), scope == Scope::EventsRead);
        }
    }
}
