//! What the demo remembers beside the database: hashes of the cookies of signed-in browsers.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::cli_file::write_private;

/// What is remembered.
#[derive(Clone, Debug, Default)]
pub struct DemoState {
    /// SHA-256 of each cookie, oldest first.
    pub cookies: Vec<[u8; 32]>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
struct Stored {
    cookie_sha256: Vec<String>,
}

impl DemoState {
    /// Where it lies.
    pub fn path(dir: &Path) -> PathBuf {
        dir.join("demo.json")
    }

    /// Reads it; empty at the first start.
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
        let cookies = stored.cookie_sha256.iter().filter_map(|text| decode(text)).collect();
        Ok(Self { cookies })
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let cookie_sha256 = self.cookies.iter().map(|hash| HEXLOWER.encode(hash)).collect();
        write_private(&Self::path(dir), &serde_json::to_string(&Stored { cookie_sha256 })?)
    }
}

fn decode(text: &str) -> Option<[u8; 32]> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}
