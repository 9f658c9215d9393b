//! Ids as texts.

use std::borrow::Cow;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use wharf_model::{ApiKeyId, EventId, MessageId, PlanId, SessionId, VerificationId, WorkspaceId};

macro_rules! wire_id {
    ($name:ident, $id:ident, $prefix:literal) => {
        #[doc = concat!("An id that starts with `", $prefix, "`.")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) struct $name(pub(crate) $id);

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map(Self).map_err(D::Error::custom)
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .pattern(Some(concat!("^", $prefix, "[0-9a-hjkmnp-tv-z]{26}$")))
                    .examples([concat!($prefix, "06bkrxzq3sx4h7e0p9c2d5t8vw")])
                    .into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($id).into()
            }
        }
    };
}

wire_id!(SessionIdText, SessionId, "ses_");
wire_id!(MessageIdText, MessageId, "msg_");
wire_id!(VerificationIdText, VerificationId, "otp_");
wire_id!(ApiKeyIdText, ApiKeyId, "key_");
wire_id!(PlanIdText, PlanId, "pln_");
wire_id!(EventIdText, EventId, "evt_");
wire_id!(WorkspaceIdText, WorkspaceId, "wsp_");
