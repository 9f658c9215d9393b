//! The master key file: `DIR/master.key`, 64 hexadecimal digits and a line feed, readable by its owner only.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use wharf_model::Random;

use super::MasterKey;
use crate::error::OpenError;

pub(crate) fn key_path(dir: &Path) -> PathBuf {
    dir.join("master.key")
}

/// The key of a rotation that may not have ended: written before the rows are rewrapped, renamed after.
pub(crate) fn next_key_path(dir: &Path) -> PathBuf {
    dir.join("master.key.next")
}

/// The key in a file; `None` when there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<MasterKey>, OpenError> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let text = zeroize::Zeroizing::new(text);
            MasterKey::parse(&text)
                .map(Some)
                .map_err(|_| OpenError::MasterKeyMalformed(path.to_owned()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == ErrorKind::InvalidData => Err(OpenError::MasterKeyMalformed(path.to_owned())),
        Err(source) => Err(OpenError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

/// A new key in a new file, whole or not there at all; only called when there is none.
pub(crate) fn create(path: &Path, random: &dyn Random) -> Result<MasterKey, OpenError> {
    let key = MasterKey::generate(random);
    let unfinished = path.with_extension("key.new");
    let io = |source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    remove_if_there(&unfinished).map_err(io)?;
    write_new(&unfinished, &key)?;
    fs::rename(&unfinished, path)
        .and_then(|()| sync_parent(path))
        .map_err(io)?;
    Ok(key)
}

pub(crate) fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes a key to a file that must not exist, and makes sure that it is on the disk.
pub(crate) fn write_new(path: &Path, key: &MasterKey) -> Result<(), OpenError> {
    let written = private_file(path).and_then(|mut file| {
        file.write_all(key.to_text().as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        sync_parent(path)
    });
    written.map_err(|source| OpenError::Io {
        path: path.to_owned(),
        source,
    })
}

/// Creates a file that only its owner can read.
pub(crate) fn private_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

/// A rename or a new name is durable once its directory is.
pub(crate) fn sync_parent(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
