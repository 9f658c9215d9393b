//! JSON objects that hold credentials: `creds.json` itself, `{creds, keys}`, or files by name.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::archive::{self, folder_of};
use super::{Folder, KeyFile, MAX_FILES, MAX_KEY};
use crate::baileys::names::{KeyName, Kind};
use crate::error::VaultError;
use crate::ordered::Ordered;

/// What an object turned out to be.
pub(super) enum Found {
    /// `creds.json` itself.
    Bare,
    /// Something that holds it.
    Wrapped(Folder),
}

/// The credentials and keys of an object: of several folders in one object the first.
pub(super) fn files(content: &[u8]) -> Result<Found, VaultError> {
    let object: Object<'_> = serde_json::from_slice(content).map_err(|_| VaultError::Damaged("JSON"))?;
    let (folder, creds) = match object.creds {
        _ if object.is_creds => return Ok(Found::Bare),
        Some((folder, creds)) => (folder, unquoted(creds)?),
        None => return Err(VaultError::Unrecognised),
    };
    if object.entries.too_many {
        return Err(VaultError::TooManyFiles);
    }
    let beside = object.entries.kept.into_iter().filter(|entry| entry.folder == folder);
    let keys = beside.map(Entry::into_file).collect::<Result<_, _>>()?;
    Ok(Found::Wrapped(Folder { creds, keys }))
}

/// A file may be written into the object as what it says, or as a text that says it. What only looks like such a text
/// stays as it is: some keys are texts.
fn unquoted(value: &RawValue) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let written = value.get();
    if !written.starts_with('"') {
        return Ok(Zeroizing::new(written.as_bytes().to_vec()));
    }
    let text: String = serde_json::from_str(written).map_err(|_| VaultError::Damaged("JSON"))?;
    let is_json = text.trim_start().starts_with(['{', '"']);
    Ok(Zeroizing::new(if is_json {
        text.into_bytes()
    } else {
        written.as_bytes().to_vec()
    }))
}

/// A key, unread, and the folder that its name says.
struct Entry<'j> {
    folder: String,
    name: KeyName,
    content: &'j RawValue,
}

impl Entry<'_> {
    /// One that is too large stays behind: nothing cannot be read either.
    fn into_file(self) -> Result<KeyFile, VaultError> {
        let is_small = self.content.get().len() <= MAX_KEY;
        Ok(KeyFile {
            name: self.name,
            content: if is_small {
                unquoted(self.content)?
            } else {
                Zeroizing::default()
            },
        })
    }
}

/// Keys, as many as there may be.
#[derive(Default)]
struct Entries<'j> {
    kept: Vec<Entry<'j>>,
    too_many: bool,
}

impl<'j> Entries<'j> {
    fn push(&mut self, folder: &str, name: KeyName, content: &'j RawValue) {
        if self.kept.len() == MAX_FILES {
            self.too_many = true;
            return;
        }
        let folder = folder.to_owned();
        self.kept.push(Entry { folder, name, content });
    }
}

/// What matters of an object. Nothing else of it is built, however much there is.
#[derive(Default)]
struct Object<'j> {
    /// It has the fields of `creds.json` itself.
    is_creds: bool,
    /// It holds `creds.json`, as a field or as a file, and in which folder.
    creds: Option<(String, &'j RawValue)>,
    entries: Entries<'j>,
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
                let creds = (folder_of(&name).to_owned(), fields.next_value()?);
                object.creds = object.creds.or(Some(creds));
            } else if name == "keys" {
                groups(fields.next_value()?, &mut object.entries).map_err(A::Error::custom)?;
            } else if let Some(key) = KeyName::of_file(archive::file_name(&name)) {
                object.entries.push(folder_of(&name), key, fields.next_value()?);
            } else {
                object.is_creds |= matches!(name.as_str(), "noiseKey" | "signedIdentityKey");
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(object)
    }
}

/// `keys`: objects by type and id, or values by `TYPE-ID`. Some write no keys as `null` or as an array of nothing.
fn groups<'j>(value: &'j RawValue, entries: &mut Entries<'j>) -> serde_json::Result<()> {
    let object = |value: &'j RawValue| -> serde_json::Result<Vec<(String, &'j RawValue)>> {
        if !value.get().starts_with('{') {
            return Ok(Vec::new());
        }
        serde_json::from_str::<Ordered<&'j RawValue>>(value.get()).map(|fields| fields.0)
    };
    for (name, value) in object(value)? {
        if let Some(key) = KeyName::of_entry(&name) {
            entries.push("", key, value);
        } else if let Some(kind) = Kind::of_group(&name) {
            for (id, value) in object(value)? {
                entries.push("", KeyName { kind, id }, value);
            }
        }
    }
    Ok(())
}
