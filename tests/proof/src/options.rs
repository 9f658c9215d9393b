//! What both programs are told on the command line, and where they put things.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use crate::drive::{Dialect, StageOptions};

/// Options of both programs.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// The binary under test, built with the feature `sandbox`
    #[arg(long, value_name = "BIN")]
    pub wharf: PathBuf,
    /// The sandbox's binary
    #[arg(long, value_name = "BIN")]
    pub sandbox: PathBuf,
    /// Names the run; the same seed makes the same choices
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The database
    #[arg(long, value_enum, default_value = "sqlite")]
    pub dialect: Dialect,
    /// Keep the recording here
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// The folder of the Baileys companion, with its packages installed
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../baileys"))]
    pub baileys: PathBuf,
    /// One more setting of Wharf, such as WHARF_LOG__FILTER=debug; repeat for more
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    pub settings: Vec<(String, String)>,
    /// Node
    #[arg(long, value_name = "BIN", default_value = "node")]
    pub node: PathBuf,
}

impl Options {
    /// A stage with these options, in this folder.
    pub fn stage(&self, program: &'static str, folder: &Path) -> StageOptions {
        StageOptions {
            wharf: self.wharf.clone(),
            sandbox: self.sandbox.clone(),
            node: self.node.clone(),
            baileys: self.baileys.clone(),
            dialect: self.dialect,
            seed: self.seed,
            folder: folder.to_owned(),
            data_dir: None,
            program,
            environment: self.settings.clone(),
            prefix: Vec::new(),
        }
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(format!("{text} is not NAME=VALUE")),
    }
}

/// Where a run puts its things: where it was told to, or in a folder that vanishes when all went well.
#[derive(Debug)]
pub enum Place {
    /// Stays.
    Kept(PathBuf),
    /// Vanishes.
    Passing(tempfile::TempDir),
}

impl Place {
    /// A place for one run; its name says what ran.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(keep: Option<&Path>, name: &str) -> Result<Self> {
        if let Some(folder) = keep {
            let folder = folder.join(name);
            // What an earlier run of this name left: its keys belong to a network that is gone.
            if folder.exists() {
                std::fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
            }
            std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
            let folder = folder.canonicalize().context("the folder is gone")?;
            return Ok(Self::Kept(folder));
        }
        let made = tempfile::Builder::new().prefix(&format!("wharf-{name}-")).tempdir();
        Ok(Self::Passing(made.context("no temporary folder can be made")?))
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        match self {
            Self::Kept(folder) => folder,
            Self::Passing(folder) => folder.path(),
        }
    }

    /// Keeps it whatever it was, and says where it is.
    pub fn keep(self) -> PathBuf {
        match self {
            Self::Kept(folder) => folder,
            Self::Passing(folder) => folder.keep(),
        }
    }
}
