//! The rules of ARCHITECTURE.md as checks. Every check returns its faults as sentences; `run` shows all of them at once.

mod arrows;
mod files;
mod libraries;
mod migrations;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand};

use crate::report;

/// What the checks look at.
pub struct Tree {
    root: PathBuf,
    metadata: Metadata,
    sources: Vec<Source>,
}

/// A Rust file of the project.
pub struct Source {
    /// Relative to the root, with `/`.
    path: String,
    text: String,
}

impl Source {
    /// The crate's folder name, `None` outside `crates/`.
    fn krate(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }

    /// Whether it is code of tests, benches or examples.
    fn is_test(&self) -> bool {
        let segments: Vec<&str> = self.path.split('/').collect();
        segments
            .iter()
            .any(|part| matches!(*part, "tests" | "benches" | "examples" | "fuzz" | "conformance"))
            || segments.last() == Some(&"tests.rs")
    }
}

/// Runs every check.
pub fn run() -> Result<()> {
    let tree = Tree::read()?;
    let faults: Vec<String> = [
        arrows::check(&tree),
        libraries::check(&tree),
        files::check(&tree)?,
        migrations::check(&tree)?,
    ]
    .concat();
    if faults.is_empty() {
        report(&format!("tidy: {} files, no fault", tree.sources.len()));
        return Ok(());
    }
    bail!("tidy found {} fault(s):\n- {}", faults.len(), faults.join("\n- "));
}

impl Tree {
    fn read() -> Result<Self> {
        let metadata = MetadataCommand::new()
            .no_deps()
            .exec()
            .context("cargo metadata failed")?;
        let root = metadata.workspace_root.clone().into_std_path_buf();
        let sources = rust_files(&root)?
            .into_iter()
            .map(|path| {
                let text =
                    std::fs::read_to_string(root.join(&path)).with_context(|| format!("{path} is unreadable"))?;
                Ok(Source { path, text })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            root,
            metadata,
            sources,
        })
    }
}

/// The Rust files that git tracks, or would track.
fn rust_files(root: &Path) -> Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"])
        .current_dir(root)
        .output()
        .context("git could not be started")?;
    let listed = String::from_utf8(output.stdout).context("git listed a file name that is not UTF-8")?;
    Ok(listed
        .lines()
        .filter(|path| root.join(path).exists())
        .map(str::to_owned)
        .collect())
}
