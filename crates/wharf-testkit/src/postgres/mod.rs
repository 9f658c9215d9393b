//! PostgreSQL for tests: a temporary cluster of the machine's own server, on a free port of the loopback interface.
//!
//! Promises: the server runs as a user that is not root; each [`Cluster::fresh_database`] is nobody else's; the server
//! is ended and its files are removed when the [`Cluster`] goes or its process ends, by SIGKILL too. Never touches a
//! server that it did not start.

mod cluster;
mod guard;
mod install;

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

pub use cluster::{Cluster, Flush};

/// Why there is no PostgreSQL. One sentence for whoever reads the failed test.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No server program was found.
    #[error(
        "PostgreSQL is not installed: no initdb in /usr/lib/postgresql/*/bin nor on the PATH (Debian: `apt-get install postgresql`)"
    )]
    NotInstalled,
    /// The server refuses to run as root, and there is nobody else.
    #[error("PostgreSQL does not run as root and there is no user `postgres` (Debian's package makes one)")]
    NoUser,
    /// A program could not be started or waited for.
    #[error("cannot run {program}")]
    Run {
        /// Which one.
        program: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A program said no.
    #[error("{program} failed: {output}")]
    Failed {
        /// Which one.
        program: String,
        /// What it printed.
        output: String,
    },
    /// A file could not be used.
    #[error("cannot use the cluster's folder")]
    Folder(#[source] std::io::Error),
}

/// Names the dialect that end-to-end suites run on.
const DIALECT: &str = "WHARF_TEST_DATABASE";

/// The address of a fresh database when the environment says `WHARF_TEST_DATABASE=postgres`, in a cluster that this
/// process shares; `None`, which is SQLite, when it says `sqlite` or nothing.
///
/// # Panics
/// When PostgreSQL was asked for and cannot be had, or when another dialect was asked for: a suite that ran on
/// something else than it was told to would prove nothing.
#[expect(clippy::panic, reason = "a test without its database fails, and says why")]
pub fn database_url_for_tests() -> Option<String> {
    match std::env::var(DIALECT).as_deref() {
        Err(std::env::VarError::NotPresent) | Ok("" | "sqlite") => None,
        Ok("postgres") => Some(fresh_shared_database()),
        _ => panic!("{DIALECT} must be `sqlite` or `postgres`"),
    }
}

/// A fresh database in the cluster that this process shares. Its writes are not flushed: nothing outlives the test.
///
/// # Panics
/// When PostgreSQL cannot be had.
#[expect(clippy::panic, reason = "a test without its database fails, and says why")]
pub fn fresh_shared_database() -> String {
    let url = shared()
        .as_ref()
        .map_err(report)
        .and_then(|cluster| cluster.fresh_database().map_err(|e| report(&e)));
    url.unwrap_or_else(|sentence| panic!("no PostgreSQL for this test: {sentence}"))
}

/// Every row of every table of a database, in PostgreSQL's binary form: texts and bytes stand in it as they are. For
/// tests that look for what must not be there.
///
/// # Errors
/// The database cannot be read.
pub fn contents(url: &str) -> Result<Vec<(String, Vec<u8>)>, ClusterError> {
    let install = install::Install::find()?;
    let psql = |arguments: &[&str]| install.run("psql", &[&["--no-psqlrc", url], arguments].concat());
    let list = "select tablename from pg_tables where schemaname = 'public'";
    let names = psql(&["--tuples-only", "--no-align", &format!("--command={list}")])?;
    let names = String::from_utf8_lossy(&names).into_owned();
    let tables = names.lines().map(|table| {
        let copy = format!("--command=copy \"{table}\" to stdout (format binary)");
        Ok((table.to_owned(), psql(&[&copy])?))
    });
    tables.collect()
}

/// One cluster for all tests of a process. A static is not dropped; the cluster's guard sees the process end.
fn shared() -> MutexGuard<'static, Result<Cluster, ClusterError>> {
    static SHARED: OnceLock<Mutex<Result<Cluster, ClusterError>>> = OnceLock::new();
    SHARED
        .get_or_init(|| Mutex::new(Cluster::start(Flush::Off)))
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

/// The error with everything behind it, on one line.
fn report(error: &ClusterError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
