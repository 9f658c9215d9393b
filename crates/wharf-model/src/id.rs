//! Ids of stored things: a visible prefix and a UUIDv7 (RFC 9562) in 26 characters of lower-case base32.
//! The time in front keeps rows that were made together together in an index.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use data_encoding::{Encoding, Specification};
use uuid::{Builder, Uuid};

use crate::{Clock, Random};

/// A text that is not an id of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a {kind} id: expected `{prefix}` and 26 characters of base32")]
pub struct IdError {
    /// The kind that was wanted, such as `session`.
    pub kind: &'static str,
    /// The prefix that it starts with, such as `ses_`.
    pub prefix: &'static str,
}

/// Crockford's alphabet in lower case, without padding: no look-alike letters, and texts sort as their bytes do.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification.symbols.push_str("0123456789abcdefghjkmnpqrstvwxyz");
    specification.encoding().unwrap_or(data_encoding::BASE32HEX_NOPAD)
});

fn encode(uuid: Uuid) -> String {
    BASE32.encode(uuid.as_bytes())
}

fn decode(text: &str) -> Option<Uuid> {
    Uuid::from_slice(&BASE32.decode(text.as_bytes()).ok()?).ok()
}

fn version7(clock: &dyn Clock, random: &dyn Random) -> Uuid {
    let mut bytes = [0; 10];
    random.fill(&mut bytes);
    let millis = u64::try_from(clock.now().as_millis()).unwrap_or(0);
    Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// What every id of this kind starts with.
            pub const PREFIX: &'static str = $prefix;

            /// A new id; its order follows the clock.
            pub fn generate(clock: &dyn Clock, random: &dyn Random) -> Self {
                Self(version7(clock, random))
            }

            /// The 16 bytes that storage keeps.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The 16 bytes that storage keeps.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $prefix, encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix($prefix)
                    .and_then(decode)
                    .map(Self)
                    .ok_or(IdError { kind: $kind, prefix: $prefix })
            }
        }
    };
}

id!(
    /// A tenant.
    WorkspaceId, "workspace", "wsp_"
);
id!(
    /// One linked WhatsApp account.
    SessionId, "session", "ses_"
);
id!(
    /// One outbound or inbound message.
    MessageId, "message", "msg_"
);
id!(
    /// One row of the event log.
    EventId, "event", "evt_"
);
id!(
    /// One code from its first send to its end.
    VerificationId, "verification", "otp_"
);
id!(
    /// One API key (the row, never the secret).
    ApiKeyId, "API key", "key_"
);
id!(
    /// What API keys that carry it may use.
    PlanId, "plan", "pln_"
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemEdges;
    use proptest::prelude::*;

    #[test]
    fn an_id_reads_back_as_itself() {
        let id = SessionId::generate(&SystemEdges, &SystemEdges);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().len(), "ses_".len() + 26);
    }

    #[test]
    fn an_id_of_another_kind_is_refused_with_what_was_wanted() {
        let id = MessageId::generate(&SystemEdges, &SystemEdges);
        let error = id.to_string().parse::<SessionId>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "not a session id: expected `ses_` and 26 characters of base32"
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC*") {
            let _ = text.parse::<SessionId>();
            let _ = format!("ses_{text}").parse::<SessionId>();
        }

        #[test]
        fn ids_sort_in_text_as_in_bytes(a in any::<[u8; 16]>(), b in any::<[u8; 16]>()) {
            let (first, second) = (SessionId::from_bytes(a), SessionId::from_bytes(b));
            prop_assert_eq!(first.cmp(&second), first.to_string().cmp(&second.to_string()));
        }
    }
}
