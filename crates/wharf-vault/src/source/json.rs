//! JSON objects that hold credentials: `creds.json` itself, `{creds, keys}`, or files by name.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::archive;
use crate::error::VaultError;

/// What matters of an object. Nothing else of it is built, however much there is.
#[derive(Default)]
pub(super) struct Object<'j> {
    /// It has the fields of `creds.json` itself.
    is_creds: bool,
    /// It holds `creds.json`, as a field or as a file.
    holds: Option<&'j RawValue>,
}

/// What an object turned out to be.
pub(super) enum Found {
    /// `creds.json` itself.
    Bare,
    /// Something that holds it.
    Wrapped(Zeroizing<Vec<u8>>),
}

/// Where the credentials are in an object.
pub(super) fn creds(content: &[u8]) -> Result<Found, VaultError> {
    let object: Object<'_> = serde_json::from_slice(content).map_err(|_| VaultError::Damaged("JSON"))?;
    match object.holds {
        _ if object.is_creds => Ok(Found::Bare),
        Some(creds) => unquoted(creds).map(Found::Wrapped),
        None => Err(VaultError::Unrecognised),
    }
}

/// A file may be written into the object as what it says, or as a text that says it.
fn unquoted(value: &RawValue) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let written = value.get();
    if !written.starts_with('"') {
        return Ok(Zeroizing::new(written.as_bytes().to_vec()));
    }
    let text: String = serde_json::from_str(written).map_err(|_| VaultError::Damaged("creds.json"))?;
    Ok(Zeroizing::new(text.into_bytes()))
}

impl<'de: 'j, 'j> Deserialize<'de> for Object<'j> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut object = Object::default();
        while let Some(name) = fields.next_key::<String>()? {
            if name == "creds" || archive::is_creds(&name) {
                object.holds = Some(fields.next_value()?);
            } else {
                object.is_creds |= matches!(name.as_str(), "noiseKey" | "signedIdentityKey");
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(object)
    }
}
