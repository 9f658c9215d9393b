//! Owns `DIR/cli.json`: where this directory's server is and a key to it, readable by its owner alone. A server writes
//! it when it starts; commands read it, so that on one machine nobody has to copy keys about.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// What `cli.json` holds.
#[derive(Clone, Debug, Default)]
pub struct CliFile {
    /// The server's address.
    pub url: Option<String>,
    /// A key to it.
    pub api_key: Option<SecretString>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
struct Stored {
    url: Option<String>,
    api_key: Option<String>,
}

impl CliFile {
    /// Where it lies.
    pub fn path(dir: &Path) -> PathBuf {
        dir.join("cli.json")
    }

    /// Reads it; empty when there is none.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = Self::path(dir);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            read => read.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let stored: Stored = serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
        Ok(Self {
            url: stored.url,
            api_key: stored.api_key.map(SecretString::from),
        })
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let key = self.api_key.as_ref().map(|key| key.expose_secret().to_owned());
        let text = serde_json::to_string(&Stored {
            url: self.url.clone(),
            api_key: key,
        })?;
        write_private(&Self::path(dir), &text)
    }
}

/// Writes a file that only its owner may read, by way of a new one beside it: a crash leaves the old or the new.
///
/// # Errors
/// When the directory cannot be written.
pub fn write_private(path: &Path, text: &str) -> Result<()> {
    let draft = path.with_extension("new");
    let written = remove_old(&draft)
        .and_then(|()| write_new(&draft, text))
        .and_then(|()| fs::rename(&draft, path));
    written.with_context(|| format!("cannot write {}", path.display()))
}

fn remove_old(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        assert!(CliFile::read(dir.path()).unwrap().url.is_none());
        let file = CliFile {
            url: Some("http://127.0.0.1:1".to_owned()),
            api_key: Some(SecretString::from("k")),
        };
        file.write(dir.path()).unwrap();
        file.write(dir.path()).unwrap();
        let read = CliFile::read(dir.path()).unwrap();
        assert_eq!(read.url, file.url);
        assert_eq!(read.api_key.unwrap().expose_secret(), "k");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(CliFile::path(dir.path())).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_damaged_file_is_said_to_be_damaged() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(CliFile::path(dir.path()), "{").unwrap();
        assert!(CliFile::read(dir.path()).unwrap_err().to_string().contains("damaged"));
    }
}
