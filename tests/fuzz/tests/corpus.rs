//! Every input that the fuzzer kept, once more: whatever it found stays mended.

use std::panic::catch_unwind;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use wharf_sandbox::fuzz;

fn replay(target: &str, run: fn(&[u8])) -> Result<()> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let inputs = std::fs::read_dir(&folder).with_context(|| format!("{} is missing", folder.display()))?;
    let mut replayed = 0;
    for input in inputs {
        let path = input?.path();
        let bytes = std::fs::read(&path)?;
        let survived = catch_unwind(|| run(&bytes)).is_ok();
        ensure!(survived, "{} is not survived", path.display());
        replayed += 1;
    }
    ensure!(replayed > 0, "{} is empty", folder.display());
    Ok(())
}

#[test]
fn frames() -> Result<()> {
    replay("frames", fuzz::frames)
}

#[test]
fn handshake() -> Result<()> {
    replay("handshake", fuzz::handshake)
}

#[test]
fn nodes() -> Result<()> {
    replay("nodes", fuzz::nodes)
}

#[test]
fn credentials() -> Result<()> {
    replay("credentials", |bytes| {
        drop(wharf_vault::examine(bytes, Some("passphrase")));
    })
}

#[test]
fn bundles() -> Result<()> {
    replay("bundles", wharf_vault::fuzz::contents)
}

#[test]
fn bodies() -> Result<()> {
    replay("bodies", fuzz::bodies)
}
