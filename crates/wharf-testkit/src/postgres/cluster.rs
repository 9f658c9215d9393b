//! One temporary cluster.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::ClusterError;
use super::guard::Guard;
use super::install::Install;

/// Whether a commit waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// As in production: what crash proofs and benchmarks run on.
    Real,
    /// `fsync=off`: as good for tests that end their server gently, and much faster.
    Off,
}

/// The role that owns every database. The password is accepted and not asked for; it is there so that tests can look
/// for it in logs.
const ROLE: &str = "wharf";
const PASSWORD: &str = "loopback-secret";

/// How often another port is tried when somebody else took the one that was free a moment ago.
const PORTS: usize = 5;

/// A running (or, after [`Cluster::stop`], stopped) server with a folder of its own.
#[derive(Debug)]
pub struct Cluster {
    install: Install,
    folder: PathBuf,
    port: u16,
    databases: AtomicU32,
    _guard: Guard,
}

impl Cluster {
    /// Makes a cluster and starts it.
    ///
    /// # Errors
    /// PostgreSQL is not there, or does not start; see [`ClusterError`].
    pub fn start(flush: Flush) -> Result<Self, ClusterError> {
        let install = Install::find()?;
        let folder = make_folder(&install)?;
        let guard = Guard::over(&folder)?;
        let mut cluster = Self {
            install,
            folder,
            port: 0,
            databases: AtomicU32::new(0),
            _guard: guard,
        };
        cluster.initialise(flush)?;
        cluster.start_on_a_free_port()?;
        Ok(cluster)
    }

    /// Makes a database that nobody else has, and says its address.
    ///
    /// # Errors
    /// The server is stopped, or out of room.
    pub fn fresh_database(&self) -> Result<String, ClusterError> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("wharf_{number}");
        self.sql(&format!("create database {name} owner {ROLE}"))?;
        Ok(self.url(&name))
    }

    /// The address of a database of this cluster.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{ROLE}:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// The port on 127.0.0.1; it stays the same over [`Cluster::stop`] and [`Cluster::start_again`].
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the cluster: `data` and the server's `log` are in it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs statements as a superuser in the database `postgres`.
    ///
    /// # Errors
    /// The server is stopped, or refused a statement.
    pub fn sql(&self, statements: &str) -> Result<(), ClusterError> {
        self.sql_in("postgres", statements)
    }

    /// Runs statements as a superuser in a database.
    ///
    /// # Errors
    /// The server is stopped, or refused a statement.
    pub fn sql_in(&self, database: &str, statements: &str) -> Result<(), ClusterError> {
        let port = self.port.to_string();
        self.install.run(
            "psql",
            &[
                "--no-psqlrc",
                "--quiet",
                "--set=ON_ERROR_STOP=1",
                "--host=127.0.0.1",
                &format!("--port={port}"),
                "--username=postgres",
                &format!("--dbname={database}"),
                &format!("--command={statements}"),
            ],
        )?;
        Ok(())
    }

    /// Stops the server as an operator does (`fast`: open connections are ended, what they did not commit is lost).
    ///
    /// # Errors
    /// It does not run, or does not stop.
    pub fn stop(&self) -> Result<(), ClusterError> {
        self.stop_with("fast")
    }

    /// Stops the server without a checkpoint: the next start recovers from the log, as after a crash.
    ///
    /// # Errors
    /// It does not run, or does not stop.
    pub fn crash(&self) -> Result<(), ClusterError> {
        self.stop_with("immediate")
    }

    fn stop_with(&self, mode: &str) -> Result<(), ClusterError> {
        self.install
            .run("pg_ctl", &["stop", "-w", "-D", &self.data(), "-m", mode])?;
        Ok(())
    }

    /// Starts a stopped server again, on the same port and with the same databases.
    ///
    /// # Errors
    /// The port was taken meanwhile, or the server does not start.
    pub fn start_again(&self) -> Result<(), ClusterError> {
        let (log, options) = (self.path("log"), format!("-p {}", self.port));
        self.install.run(
            "pg_ctl",
            &["start", "-w", "-D", &self.data(), "-l", &log, "-o", &options],
        )?;
        Ok(())
    }

    /// From here on connections may be encrypted, under this certificate and key (both PEM).
    ///
    /// # Errors
    /// The files cannot be written, or the server refuses them.
    pub fn encrypt(&self, certificate: &str, key: &str) -> Result<(), ClusterError> {
        let data = PathBuf::from(self.data());
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            let path = data.join(name);
            fs::write(&path, text).map_err(ClusterError::Folder)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(ClusterError::Folder)?;
            if let Some(user) = self.install.user() {
                chown(&path, Some(user.uid), Some(user.gid)).map_err(ClusterError::Folder)?;
            }
        }
        self.sql("alter system set ssl = on")?;
        self.stop()?;
        self.start_again()
    }

    fn initialise(&self, flush: Flush) -> Result<(), ClusterError> {
        let data = self.data();
        self.install.run(
            "initdb",
            &[
                "-D",
                &data,
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
            ],
        )?;
        let sockets = self.path("");
        let settings = format!(
            "{}unix_socket_directories = '{sockets}'\n{}",
            SETTINGS,
            flush.settings()
        );
        let path = PathBuf::from(&data).join("postgresql.conf");
        let written = fs::read_to_string(&path).and_then(|defaults| fs::write(&path, defaults + &settings));
        written.map_err(ClusterError::Folder)
    }

    fn start_on_a_free_port(&mut self) -> Result<(), ClusterError> {
        let mut started = Err(ClusterError::NotInstalled);
        for _ in 0..PORTS {
            self.port = free_port()?;
            started = self.start_again();
            if started.is_ok() {
                break;
            }
        }
        started?;
        self.sql(&format!("create role {ROLE} login createdb password '{PASSWORD}'"))
    }

    fn data(&self) -> String {
        self.path("data")
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }
}

/// Room for many tests at once on a small machine; nothing here changes what a statement means.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
max_connections = 300
shared_buffers = 64MB
max_wal_size = 256MB
log_min_messages = warning
";

impl Flush {
    fn settings(self) -> &'static str {
        match self {
            Self::Real => "",
            Self::Off => "fsync = off\nfull_page_writes = off\n",
        }
    }
}

fn make_folder(install: &Install) -> Result<PathBuf, ClusterError> {
    let folder = tempfile::Builder::new()
        .prefix("wharf-postgres-")
        .tempdir()
        .map_err(ClusterError::Folder)?;
    if let Some(user) = install.user() {
        chown(folder.path(), Some(user.uid), Some(user.gid)).map_err(ClusterError::Folder)?;
    }
    // From here on the guard removes it, even when this process is killed.
    Ok(folder.keep())
}

fn free_port() -> Result<u16, ClusterError> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(ClusterError::Folder)
}
