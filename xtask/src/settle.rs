//! Keeps the second build of a folder from being as long as the first. `waproto` 0.7.0 writes a file while it is built
//! and declares it as its own input: to the next build it looks changed, and the engine and all above it are compiled
//! once more.

use std::fs::{self, File};
use std::path::Path;
use std::time::SystemTime;

use anyhow::Result;
use cargo_metadata::MetadataCommand;

/// What `waproto` writes.
const WRITTEN: &str = "out/whatsapp.local.desc";

/// Makes the file look old, in every profile that was built. The `Makefile` does the same for the demo.
pub fn run() -> Result<()> {
    let target = MetadataCommand::new().no_deps().exec()?.target_directory;
    for folder in [target.clone(), target.join("live")] {
        for profile in children(folder.as_std_path()) {
            for package in children(&profile.join("build")) {
                make_old(&package.join(WRITTEN))?;
            }
        }
    }
    Ok(())
}

/// Nothing for a folder that is not there.
fn children(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

fn make_old(file: &Path) -> Result<()> {
    if file.is_file() {
        File::options()
            .write(true)
            .open(file)?
            .set_modified(SystemTime::UNIX_EPOCH)?;
    }
    Ok(())
}
