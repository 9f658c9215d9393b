//! Where the machine's PostgreSQL is, and as whom it may run.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use super::ClusterError;

/// The programs of one version, and the prefix that makes them run as somebody who is not root.
#[derive(Clone, Debug)]
pub(super) struct Install {
    bin: PathBuf,
    /// `Some` when this process is root.
    user: Option<User>,
}

/// Whom the server runs as.
#[derive(Clone, Copy, Debug)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Install {
    pub(super) fn find() -> Result<Self, ClusterError> {
        let bin = newest_debian().or_else(on_path).ok_or(ClusterError::NotInstalled)?;
        let user = if is_root()? { Some(postgres_user()?) } else { None };
        Ok(Self { bin, user })
    }

    pub(super) fn user(&self) -> Option<User> {
        self.user
    }

    /// Runs a program to its end, as the server's user, and returns what it printed.
    pub(super) fn run(&self, program: &str, arguments: &[&str]) -> Result<Vec<u8>, ClusterError> {
        let mut command = self.command(program);
        let output = output(program, command.args(arguments).stdin(Stdio::null()))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let text = [output.stdout, output.stderr].concat();
        Err(ClusterError::Failed {
            program: program.to_owned(),
            output: String::from_utf8_lossy(&text).trim().to_owned(),
        })
    }

    fn command(&self, program: &str) -> Command {
        let path = self.bin.join(program);
        let mut command = match self.user {
            None => Command::new(path),
            Some(User { uid, gid }) => {
                let mut command = Command::new("setpriv");
                command.args([&format!("--reuid={uid}"), &format!("--regid={gid}"), "--clear-groups"]);
                command.arg(path);
                command
            }
        };
        // The caller's own settings of PostgreSQL's clients are not meant for this server.
        for name in [
            "PGHOST",
            "PGPORT",
            "PGUSER",
            "PGDATABASE",
            "PGPASSWORD",
            "PGOPTIONS",
            "PGSERVICE",
            "PGSSLMODE",
        ] {
            command.env_remove(name);
        }
        command.current_dir("/").env("LC_ALL", "C.UTF-8");
        command
    }
}

pub(super) fn output(program: &str, command: &mut Command) -> Result<Output, ClusterError> {
    command.output().map_err(|source| ClusterError::Run {
        program: program.to_owned(),
        source,
    })
}

fn newest_debian() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let with_number = versions.filter_map(|entry| {
        let number: u32 = entry.file_name().to_str()?.parse().ok()?;
        Some((number, entry.path().join("bin")))
    });
    with_number
        .filter(|(_, bin)| bin.join("initdb").is_file())
        .max_by_key(|(number, _)| *number)
        .map(|(_, bin)| bin)
}

fn on_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find(|folder| folder.join("initdb").is_file())
}

fn is_root() -> Result<bool, ClusterError> {
    Ok(number_of(&["-u"])? == Some(0))
}

fn postgres_user() -> Result<User, ClusterError> {
    let (uid, gid) = (number_of(&["-u", "postgres"])?, number_of(&["-g", "postgres"])?);
    match (uid, gid) {
        (Some(uid), Some(gid)) => Ok(User { uid, gid }),
        _ => Err(ClusterError::NoUser),
    }
}

fn number_of(arguments: &[&str]) -> Result<Option<u32>, ClusterError> {
    let output = output("id", Command::new("id").args(arguments))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse().ok())
}
