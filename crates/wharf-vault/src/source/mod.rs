//! From whatever people carry around to the one file that matters. Looks at content only: the same brand stands in front
//! of different forms in different projects.

mod archive;
mod json;
mod text;

use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use zeroize::Zeroizing;

use crate::baileys::names::KeyName;
use crate::bundle::MAGIC;
use crate::error::VaultError;

/// Bytes of the largest input.
pub const MAX_INPUT: usize = 4 * 1024 * 1024;
/// Bytes of the largest thing that comes out of a packed one.
const MAX_UNPACKED: usize = 8 * 1024 * 1024;
/// Bytes of the largest `creds.json`; real ones have some ten thousand.
const MAX_CREDS: usize = 512 * 1024;
/// Entries of the largest archive; an account with thousands of contacts has some ten thousand.
pub(crate) const MAX_FILES: usize = 20_000;
/// Bytes of the largest file of a key: a conversation with all the keys that it keeps.
const MAX_KEY: usize = 512 * 1024;
/// Packed things inside packed things; real ones have at most four.
const MAX_LAYERS: usize = 6;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZIP: &[u8] = b"PK\x03\x04";
/// Where a tar archive says that it is one.
const TAR: (usize, &[u8]) = (257, b"ustar");

/// What was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Wharf's own form.
    Bundle,
    /// `creds.json` alone.
    BaileysCreds,
    /// `creds.json` and keys beside it.
    BaileysFolder,
}

/// Something that was taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// A brand in front of a session string.
    Prefix,
    /// Base64, of either alphabet.
    Base64,
    /// Compression.
    Gzip,
    /// An archive.
    Zip,
    /// An archive.
    Tar,
    /// A JSON object of files, or of credentials and keys.
    Json,
}

/// What was found.
pub(crate) struct Source {
    /// What was taken off to get there, outermost first.
    pub layers: Vec<Layer>,
    pub found: Found,
}

/// What lay under all layers.
pub(crate) enum Found {
    /// `creds.json`, alone or with keys.
    Baileys(Format, Folder),
    /// A bundle, still sealed.
    Bundle(Zeroizing<Vec<u8>>),
}

/// A key by its name, as JSON.
pub(crate) struct KeyFile {
    pub name: KeyName,
    pub content: Zeroizing<Vec<u8>>,
}

/// Files by name: what an archive or an object holds.
pub(crate) struct Folder {
    /// The text of `creds.json`.
    pub creds: Zeroizing<Vec<u8>>,
    /// The keys that lay beside it.
    pub keys: Vec<KeyFile>,
}

/// Takes off layer by layer until credentials are there. O(size of all layers), which is bounded.
pub(crate) fn unpack(data: &[u8]) -> Result<Source, VaultError> {
    if data.len() > MAX_INPUT {
        return Err(VaultError::TooLarge);
    }
    let mut layers = Vec::new();
    let mut content = Zeroizing::new(without_mark(data).to_vec());
    for _ in 0..MAX_LAYERS {
        match peel(content, &mut layers)? {
            Peeled::More(inner) => content = inner,
            Peeled::Core(Found::Baileys(_, folder)) if folder.creds.len() > MAX_CREDS => {
                return Err(VaultError::UnpacksTooLarge);
            }
            Peeled::Core(found) => return Ok(Source { layers, found }),
        }
    }
    Err(VaultError::Unrecognised)
}

/// What one layer held.
enum Peeled {
    /// Something to look at again.
    More(Zeroizing<Vec<u8>>),
    /// The last one.
    Core(Found),
}

fn peel(content: Zeroizing<Vec<u8>>, layers: &mut Vec<Layer>) -> Result<Peeled, VaultError> {
    if content.starts_with(MAGIC) {
        return Ok(Peeled::Core(Found::Bundle(content)));
    }
    if content.starts_with(&GZIP) {
        layers.push(Layer::Gzip);
        return gunzip(&content).map(Peeled::More);
    }
    if content.starts_with(ZIP) {
        layers.push(Layer::Zip);
        return Ok(folder(archive::zip(&content)?));
    }
    if is_tar(&content) {
        layers.push(Layer::Tar);
        return Ok(folder(archive::tar(&content)?));
    }
    if !is_json(&content) {
        return text::payload(&content, layers).map(Peeled::More);
    }
    Ok(match json::files(&content)? {
        json::Found::Bare => {
            let (creds, keys) = (content, Vec::new());
            Peeled::Core(Found::Baileys(Format::BaileysCreds, Folder { creds, keys }))
        }
        json::Found::Wrapped(folder) => {
            layers.push(Layer::Json);
            self::folder(folder)
        }
    })
}

const fn folder(folder: Folder) -> Peeled {
    Peeled::Core(Found::Baileys(Format::BaileysFolder, folder))
}

/// Text without the mark that some editors put before it.
fn without_mark(data: &[u8]) -> &[u8] {
    data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data)
}

/// Whether something known begins like this: what decides if a text is base64 of something.
fn is_known(head: &[u8]) -> bool {
    is_bundle(head) || head.starts_with(&GZIP) || head.starts_with(&ZIP[..2]) || is_json(head)
}

/// Whether the first three bytes are those of a bundle.
fn is_bundle(head: &[u8]) -> bool {
    head.starts_with(&MAGIC[..3])
}

fn is_json(content: &[u8]) -> bool {
    content.trim_ascii_start().starts_with(b"{")
}

fn is_tar(content: &[u8]) -> bool {
    let (place, magic) = TAR;
    content.get(place..).is_some_and(|rest| rest.starts_with(magic))
}

fn gunzip(packed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let damaged = VaultError::Damaged("compressed part");
    limited(MultiGzDecoder::new(packed), MAX_UNPACKED, damaged)
}

/// Reads all there is, unless that is too much.
fn limited(from: impl std::io::Read, most: usize, otherwise: VaultError) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let mut content = Zeroizing::new(Vec::new());
    let most_read = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    from.take(most_read).read_to_end(&mut content).map_err(|_| otherwise)?;
    if content.len() > most {
        return Err(VaultError::UnpacksTooLarge);
    }
    Ok(content)
}
