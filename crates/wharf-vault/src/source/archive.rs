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
/// What stands so many bytes before that end where there are more entries than it can say (section 4.3.15).
const ZIP64: (usize, &[u8]) = (20, b"PK\x06\x07");

/// `creds.json` of a zip archive.
pub(super) fn zip(packed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    const DAMAGED: VaultError = VaultError::Damaged("zip archive");
    if ends_of_zip(packed).any(|end| holds_too_many(packed, end)) {
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

/// Wherever an end may begin: the library takes the last one that it can read.
fn ends_of_zip(packed: &[u8]) -> impl Iterator<Item = usize> {
    let windows = packed.windows(ZIP_END.len()).enumerate();
    windows.filter(|(_, window)| *window == ZIP_END).map(|(place, _)| place)
}

/// Whether the archive says of itself that it holds too many entries: the library would make room for all of them.
fn holds_too_many(packed: &[u8], end: usize) -> bool {
    let (before, magic) = ZIP64;
    let is_zip64 = end
        .checked_sub(before)
        .is_some_and(|place| packed[place..].starts_with(magic));
    let count = packed[end..].get(ZIP_ENTRIES..ZIP_ENTRIES + 2);
    let count = count.map_or(0, |count| usize::from(u16::from_le_bytes([count[0], count[1]])));
    is_zip64 || count > MAX_FILES
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
