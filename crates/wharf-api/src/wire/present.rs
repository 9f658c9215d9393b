//! Tells `null` from absent, for fields that a PATCH may empty.

use serde::{Deserialize, Deserializer};

/// `None` when the field is absent (with `#[serde(default)]`), `Some(None)` when it is `null`.
pub(crate) fn present<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}
