//! Archives of a Baileys folder. Nothing is ever written: names are looked at, and the files that matter are read.

use std::io::{Cursor, Read};
use std::path::{Component, Path};

use tar::Archive;
use zeroize::Zeroizing;
use zip::ZipArchive;

use super::{Folder, KeyFile, MAX_CREDS, MAX_FILES, MAX_KEY, MAX_UNPACKED, limited};
use crate::baileys::names::KeyName;
use crate::error::VaultError;

const CREDS: &str = "creds.json";
/// What begins the end of a zip archive, which says how many entries there are (APPNOTE.TXT, section 4.3.16).
const ZIP_END: &[u8] = b"PK\x05\x06";
/// Where in it that is said.
const ZIP_ENTRIES: usize = 10;
/// What stands so many bytes before that end where there are more entries than it can say (section 4.3.15).
const ZIP64: (usize, &[u8]) = (20, b"PK\x06\x07");

/// The credentials and keys of a zip archive.
pub(super) fn zip(packed: &[u8]) -> Result<Folder, VaultError> {
    const DAMAGED: VaultError = VaultError::Damaged("zip archive");
    if ends_of_zip(packed).any(|end| holds_too_many(packed, end)) {
        return Err(VaultError::TooManyFiles);
    }
    let mut archive = ZipArchive::new(Cursor::new(packed)).map_err(|_| DAMAGED)?;
    let mut files = Files::default();
    for place in 0..archive.len() {
        let name = archive.name_for_index(place).and_then(Result::ok).ok_or(DAMAGED)?;
        let name = name.into_owned();
        let Some(wanted) = Wanted::of(&name)? else { continue };
        files.read(&name, wanted, archive.by_index(place).map_err(|_| DAMAGED)?, DAMAGED)?;
    }
    files.folder()
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

/// The credentials and keys of a tar archive.
pub(super) fn tar(packed: &[u8]) -> Result<Folder, VaultError> {
    const DAMAGED: VaultError = VaultError::Damaged("tar archive");
    let mut archive = Archive::new(packed);
    let mut files = Files::default();
    for (count, entry) in archive.entries().map_err(|_| DAMAGED)?.enumerate() {
        if count == MAX_FILES {
            return Err(VaultError::TooManyFiles);
        }
        let entry = entry.map_err(|_| DAMAGED)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let wanted = Wanted::of(&name)?.filter(|_| entry.header().entry_type().is_file());
        if let Some(wanted) = wanted {
            files.read(&name, wanted, entry, DAMAGED)?;
        }
    }
    files.folder()
}

/// A file that is read.
enum Wanted {
    Creds,
    Key(KeyName),
}

impl Wanted {
    /// By its name; every name is checked.
    fn of(name: &str) -> Result<Option<Self>, VaultError> {
        check_path(name)?;
        Ok(if is_creds(name) {
            Some(Self::Creds)
        } else {
            KeyName::of_file(file_name(name)).map(Self::Key)
        })
    }
}

/// What was read so far, each with its folder: keys are those that lie beside the first credentials.
#[derive(Default)]
struct Files {
    creds: Option<(String, Zeroizing<Vec<u8>>)>,
    keys: Vec<(String, KeyFile)>,
    size: usize,
}

impl Files {
    fn read(&mut self, path: &str, wanted: Wanted, from: impl Read, otherwise: VaultError) -> Result<(), VaultError> {
        let folder = folder_of(path).to_owned();
        match wanted {
            Wanted::Creds if self.creds.is_some() => {}
            Wanted::Creds => self.creds = Some((folder, limited(from, MAX_CREDS, otherwise)?)),
            Wanted::Key(name) => {
                // One that is too large stays behind, and what was read of it counts: nothing cannot be read either.
                let content = match limited(from, MAX_KEY, otherwise) {
                    Err(VaultError::UnpacksTooLarge) => {
                        self.size += MAX_KEY;
                        Zeroizing::default()
                    }
                    content => content?,
                };
                self.size += content.len();
                if self.size > MAX_UNPACKED {
                    return Err(VaultError::UnpacksTooLarge);
                }
                self.keys.push((folder, KeyFile { name, content }));
            }
        }
        Ok(())
    }

    fn folder(self) -> Result<Folder, VaultError> {
        let (folder, creds) = self.creds.ok_or(VaultError::NoCreds)?;
        let beside = self.keys.into_iter().filter(|(of, _)| *of == folder);
        Ok(Folder {
            creds,
            keys: beside.map(|(_, key)| key).collect(),
        })
    }
}

/// Whether this is the file that matters, in whatever folder.
pub(super) fn is_creds(name: &str) -> bool {
    file_name(name) == CREDS
}

/// A name without its folders.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// The folders of a name.
pub(super) fn folder_of(path: &str) -> &str {
    &path[..path.len() - file_name(path).len()]
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
