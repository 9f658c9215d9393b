//! The six measurements, (a) to (f).

pub mod accept;
pub mod idle;
pub mod linking;
pub mod otp;
pub mod restart;
pub mod send;

use std::path::{Path, PathBuf};

use anyhow::Result;
use wharf_testkit::process::{Sandbox, SandboxOptions};

use crate::gateway::{Baileys, Wharf};
use crate::plan::Plan;
use crate::stanzas;

/// What every measurement starts from.
pub struct Bench {
    /// The binaries, and the folder of the Baileys programs.
    pub wharf: PathBuf,
    pub sandbox: PathBuf,
    pub baileys: PathBuf,
    /// The program that compares the times of checks; without it they are not compared.
    pub timing: Option<PathBuf>,
    /// Where data goes; removed at the end.
    pub folder: PathBuf,
    pub plan: Plan,
}

impl Bench {
    async fn start_sandbox(&self) -> Result<Sandbox> {
        Ok(Sandbox::start(&self.sandbox, &SandboxOptions::default()).await?)
    }

    async fn start_logging_sandbox(&self) -> Result<Sandbox> {
        let options = SandboxOptions {
            arguments: vec!["--stanza-log".to_owned(), stanzas::KEPT.to_string()],
            ..SandboxOptions::default()
        };
        Ok(Sandbox::start(&self.sandbox, &options).await?)
    }

    async fn start_wharf(&self, name: &str, chat_url: &str) -> Result<Wharf> {
        Wharf::start(&self.wharf, &self.data(name), chat_url, None).await
    }

    async fn start_baileys(&self, name: &str, sandbox: &Sandbox, chat_url: &str) -> Result<Baileys> {
        Baileys::start(&self.baileys, &self.data(name), chat_url, &sandbox.root_public_key).await
    }

    fn data(&self, name: &str) -> PathBuf {
        Path::new(&self.folder).join(name)
    }
}

/// Tells the person at the terminal what is going on; the result alone is on standard output.
#[expect(clippy::print_stderr, reason = "a command line tool speaks on stderr")]
pub fn tell(text: &str) {
    eprintln!("{text}");
}
