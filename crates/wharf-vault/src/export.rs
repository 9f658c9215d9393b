//! Credentials in the forms that other programs take.

use std::io::{Cursor, Write as _};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use wharf_model::Random;
use zeroize::Zeroizing;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::baileys::write::{self, File};
use crate::bundle;
use crate::credentials::hidden;
use crate::error::VaultError;
use crate::report::Portable;

/// What bundles begin with. People tell by it what they hold; Wharf looks at what follows.
const BUNDLE: &str = "WHARF-BUNDLE~";

/// A folder on its way out.
pub struct Folder {
    /// A zip archive of what `useMultiFileAuthState` keeps.
    pub zip: Zeroizing<Vec<u8>>,
    /// Conversations that the other program has no words for. Their peers are met anew.
    pub left_behind: usize,
}

hidden!(Folder);

/// `creds.json` of Baileys: enough to log in with. Conversations are negotiated anew.
pub fn baileys_creds(portable: &Portable) -> Zeroizing<Vec<u8>> {
    write::creds(portable)
}

/// The same as a session string: the prefix, and base64 of it compressed (family A of those that bots read).
///
/// # Errors
/// Never in practice: it is written to memory.
pub fn session_string(portable: &Portable, prefix: &str) -> std::io::Result<Zeroizing<String>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(&write::creds(portable))?;
    let packed = Zeroizing::new(packer.finish()?);
    let mut string = Zeroizing::new(prefix.to_owned());
    BASE64_STANDARD.encode_string(&*packed, &mut string);
    Ok(string)
}

/// Everything that Wharf can take along, sealed under a passphrase, as base64 behind the brand `WHARF-BUNDLE~`. Takes
/// some 50 ms and 19 MiB.
///
/// # Errors
/// [`VaultError::UnpacksTooLarge`] for more than a bundle can hold.
pub fn bundle(portable: &Portable, passphrase: &str, random: &dyn Random) -> Result<Zeroizing<String>, VaultError> {
    let bundle = Zeroizing::new(bundle::seal(portable, passphrase, random)?);
    let mut text = Zeroizing::new(BUNDLE.to_owned());
    BASE64_STANDARD.encode_string(&*bundle, &mut text);
    Ok(text)
}

/// Everything that Baileys can take along: credentials, pre-keys, conversations, app state, hidden ids, tokens.
///
/// # Errors
/// Never in practice: it is written to memory.
pub fn baileys_folder(portable: &Portable) -> std::io::Result<Folder> {
    let (files, left_behind) = write::folder(portable);
    let zip = zipped(&files).map_err(std::io::Error::other)?;
    Ok(Folder { zip, left_behind })
}

fn zipped(files: &[File]) -> zip::result::ZipResult<Zeroizing<Vec<u8>>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        writer.start_file(name.as_str(), SimpleFileOptions::default().unix_permissions(0o600))?;
        writer.write_all(content)?;
    }
    Ok(Zeroizing::new(writer.finish()?.into_inner()))
}
