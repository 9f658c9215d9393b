//! From whatever people carry around to the one file that matters. Looks at content only: the same brand stands in front
//! of different forms in different projects.

mod archive;
mod json;
mod text;

use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use zeroize::Zeroizing;

use crate::error::VaultError;

/// Bytes of the largest input.
pub const MAX_INPUT: usize = 4 * 1024 * 1024;
/// Bytes of the largest thing that comes out of a packed one.
const MAX_UNPACKED: usize = 12 * 1024 * 1024;
/// Bytes of the largest `creds.json`; real ones have some ten thousand.
const MAX_CREDS: usize = 512 * 1024;
/// Packed things inside packed things; real ones have at most four.
const MAX_LAYERS: usize = 6;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZIP: &[u8] = b"PK\x03\x04";
/// Where a tar archive says that it is one.
const TAR: (usize, &[u8]) = (257, b"ustar");

/// What was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
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
    pub format: Format,
    pub layers: Vec<Layer>,
    /// The text of `creds.json`.
    pub creds: Zeroizing<Vec<u8>>,
}

/// Takes off layer by layer until `creds.json` is there. O(size of all layers), which is bounded.
pub(crate) fn unpack(data: &[u8]) -> Result<Source, VaultError> {
    if data.len() > MAX_INPUT {
        return Err(VaultError::TooLarge);
    }
    let mut layers = Vec::new();
    let mut content = Zeroizing::new(without_mark(data).to_vec());
    for _ in 0..MAX_LAYERS {
        match peel(content, &mut layers)? {
            Peeled::More(inner) => content = inner,
            Peeled::Creds(_, creds) if creds.len() > MAX_CREDS => return Err(VaultError::UnpacksTooLarge),
            Peeled::Creds(format, creds) => return Ok(Source { format, layers, creds }),
        }
    }
    Err(VaultError::Unrecognised)
}

/// What one layer held.
enum Peeled {
    /// Something to look at again.
    More(Zeroizing<Vec<u8>>),
    /// The text of `creds.json`.
    Creds(Format, Zeroizing<Vec<u8>>),
}

fn peel(content: Zeroizing<Vec<u8>>, layers: &mut Vec<Layer>) -> Result<Peeled, VaultError> {
    if content.starts_with(&GZIP) {
        layers.push(Layer::Gzip);
        return gunzip(&content).map(Peeled::More);
    }
    if content.starts_with(ZIP) {
        layers.push(Layer::Zip);
        return Ok(Peeled::Creds(Format::BaileysFolder, archive::zip(&content)?));
    }
    if is_tar(&content) {
        layers.push(Layer::Tar);
        return Ok(Peeled::Creds(Format::BaileysFolder, archive::tar(&content)?));
    }
    if !is_json(&content) {
        return text::payload(&content, layers).map(Peeled::More);
    }
    Ok(match json::creds(&content)? {
        json::Found::Bare => Peeled::Creds(Format::BaileysCreds, content),
        json::Found::Wrapped(creds) => {
            layers.push(Layer::Json);
            Peeled::Creds(Format::BaileysFolder, creds)
        }
    })
}

/// Text without the mark that some editors put before it.
fn without_mark(data: &[u8]) -> &[u8] {
    data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data)
}

/// Whether something known begins like this: what decides if a text is base64 of something.
fn is_known(head: &[u8]) -> bool {
    head.starts_with(&GZIP) || head.starts_with(&ZIP[..2]) || is_json(head)
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
