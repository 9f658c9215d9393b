//! How the tests build. All of them take one profile and the features of the whole workspace, so that nothing is compiled
//! a second time: two packages built one after the other would choose other features of what they share.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use cargo_metadata::MetadataCommand;

use crate::settle;
use crate::test::shell;

/// What `make demo` builds: optimised a little, so that tests wait less than they would for a debug build, and with its
/// checks.
pub const PROFILE: &str = "demo";

/// A subcommand of cargo on the whole workspace.
pub fn workspace(subcommand: &str) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args([subcommand, "--profile", PROFILE, "--workspace"]);
    command.args(["--features", "wharf-server/sandbox"]);
    command
}

/// Builds binaries of the workspace; the folder that they are in.
pub fn binaries(names: &[&str]) -> Result<PathBuf> {
    let mut build = workspace("build");
    for name in names {
        build.args(["--bin", name]);
    }
    shell(&mut build)?;
    settle::run()?;
    folder(PROFILE)
}

/// Where cargo puts what it builds with a profile.
pub fn folder(profile: &str) -> Result<PathBuf> {
    let target = MetadataCommand::new().no_deps().exec()?.target_directory;
    // The one profile whose folder has another name.
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(target.join(folder).into())
}
