//! Archives of a Baileys folder. Nothing is ever written: names are looked at, and one file is read.

use std::io::Cursor;
use std::path::{Component, Path};

use tar::Archive;
use zeroize::Zeroizing;
use zip::ZipArchive;

use super::{MAX_CREDS, limited};
use crate::error::VaultError;

/// Entries of the largest archive; an account with thousands of contacts has some ten thousand.
const MAX_FILES: usize = 20_000;
const CREDS: &str = "creds.json";
/// What begins the end of a zip archive, which says how many entries there are (APPNOTE.TXT, section 4.3.16).
const ZIP_END: &[u8] = b"PK\x05\x06";
/// Where in it that is said.
const ZIP_ENTRIES: usize = 10;

/// `creds.json` of a zip archive.
pub(super) fn zip(packed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    const DAMAGED: VaultError = VaultError::Damaged("zip archive");
    if zip_entries(packed).ok_or(DAMAGED)? > MAX_FILES {
        return Err(VaultError::TooManyFiles);
    }
    let mut archive = ZipArchive::new(Cursor::new(packed)).map_err(|_| DAMAGED)?;
    let mut found = None;
    for place in 0..archive.len() {
        let name = archive.name_for_index(place).and_then(Result::ok).ok_or(DAMAGED)?;
        check_path(&name)?;
        found = found.or(is_creds(&name).then_some(place));
    }
    let file = archive
        .by_index(found.ok_or(VaultError::NoCreds)?)
        .map_err(|_| DAMAGED)?;
    limited(file, MAX_CREDS, DAMAGED)
}

/// How many entries the archive says it has: the library would make room for all of them.
fn zip_entries(packed: &[u8]) -> Option<usize> {
    let end = packed.windows(ZIP_END.len()).rposition(|window| window == ZIP_END)?;
    let count = packed.get(end + ZIP_ENTRIES..end + ZIP_ENTRIES + 2)?;
    Some(usize::from(u16::from_le_bytes([count[0], count[1]])))
}

/// `creds.json` of a tar archive.
pub(super) fn tar(packed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    const DAMAGED: VaultError = VaultError::Damaged("tar archive");
    let mut archive = Archive::new(packed);
    let mut found = None;
    for (count, entry) in archive.entries().map_err(|_| DAMAGED)?.enumerate() {
        if count == MAX_FILES {
            return Err(VaultError::TooManyFiles);
        }
        let entry = entry.map_err(|_| DAMAGED)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        check_path(&name)?;
        if found.is_none() && is_creds(&name) && entry.header().entry_type().is_file() {
            found = Some(limited(entry, MAX_CREDS, DAMAGED)?);
        }
    }
    found.ok_or(VaultError::NoCreds)
}

/// Whether this is the file that matters, in whatever folder.
pub(super) fn is_creds(name: &str) -> bool {
    name.rsplit(['/', '\\']).next() == Some(CREDS)
}

/// Paths that lead out are harmless here, but no honest program writes them.
fn check_path(name: &str) -> Result<(), VaultError> {
    let name = name.replace('\\', "/");
    let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if Path::new(&name).components().all(inside) {
        Ok(())
    } else {
        Err(VaultError::UnsafePath)
    }
}
