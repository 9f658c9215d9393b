//! One `wharf` process: how it is started, what it said, how it ended.

use std::collections::HashMap;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// Nothing that these tests wait for takes this long on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
pub struct Wharf {
    child: Child,
    stderr: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
    pub url: String,
    pub api_key: Option<String>,
    pub sandbox_url: Option<String>,
}

/// A finished command.
pub struct Finished {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// The key of every database on a server; a file has a key file beside it.
pub const MASTER_KEY: &str = "3333333333333333333333333333333333333333333333333333333333333333";

/// The database that goes with a data directory, when the tests run on a server: the same one for every command on it.
pub fn database_of(dir: &str) -> Option<String> {
    static DATABASES: Mutex<Option<HashMap<String, Option<String>>>> = Mutex::new(None);
    let mut databases = DATABASES.lock().unwrap();
    let known = databases.get_or_insert_default();
    known
        .entry(dir.to_owned())
        .or_insert_with(wharf_testkit::postgres::database_url_for_tests)
        .clone()
}

/// The same command on a file in its data directory, whatever the tests run on: for what is about that file.
pub fn on_file(mut command: Command) -> Command {
    command
        .env_remove("WHARF_STORAGE__URL")
        .env_remove("WHARF_STORAGE__MASTER_KEY");
    command
}

/// A command of the binary under test, with nothing of the caller's environment that could be a setting, on the
/// database that goes with its data directory.
pub fn wharf(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
    command
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let dir = arguments.iter().position(|argument| *argument == "--data-dir");
    let dir = dir.and_then(|at| arguments.get(at + 1));
    if let Some(url) = dir.and_then(|dir| database_of(dir)) {
        command
            .env("WHARF_STORAGE__URL", url)
            .env("WHARF_STORAGE__MASTER_KEY", MASTER_KEY);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs a command to its end.
pub async fn finish(mut command: Command) -> Finished {
    let output = tokio::time::timeout(PATIENCE, command.output())
        .await
        .expect("the command did not end")
        .unwrap();
    Finished {
        status: output.status,
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// `wharf demo` without limits on sending, on a free port.
pub fn demo_command(dir: &Path) -> Command {
    let mut command = wharf(&["demo", "--json", "--port", "0", "--data-dir", dir.to_str().unwrap()]);
    command.env("WHARF_PACING__UNSAFE_OPEN", "true");
    command
}

/// `wharf serve` on a free port.
pub fn serve_command(dir: &Path) -> Command {
    wharf(&["serve", "--json", "--port", "0", "--data-dir", dir.to_str().unwrap()])
}

impl Wharf {
    pub async fn demo(dir: &Path) -> Self {
        Self::start(demo_command(dir)).await
    }

    pub async fn serve(dir: &Path) -> Self {
        Self::start(serve_command(dir)).await
    }

    /// Starts a server and waits for its line of JSON.
    pub async fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stderr = Arc::new(Mutex::new(String::new()));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut errors = child.stderr.take().unwrap();
        let heard = Arc::clone(&stderr);
        let reader = tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = errors.read(&mut buffer).await {
                heard
                    .lock()
                    .unwrap()
                    .push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        });
        let line = tokio::time::timeout(PATIENCE, lines.next_line())
            .await
            .expect("no line of JSON in time")
            .unwrap();
        let line = line.unwrap_or_else(|| panic!("it ended instead of starting:\n{}", stderr.lock().unwrap()));
        let ready: Value = serde_json::from_str(&line).unwrap();
        let text = |name: &str| ready[name].as_str().map(str::to_owned);
        let (url, api_key, sandbox_url) = (text("url").unwrap(), text("api_key"), text("sandbox_url"));
        Self {
            child,
            stderr,
            reader,
            url,
            api_key,
            sandbox_url,
        }
    }

    /// What it said so far on stderr.
    pub fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// SIGKILL; returns what it had said.
    pub async fn kill(mut self) -> String {
        self.child.kill().await.unwrap();
        self.reader.await.unwrap();
        self.stderr.lock().unwrap().clone()
    }

    /// Sends a signal by name.
    pub async fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &id])
            .status()
            .await
            .unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> Finished {
        let status = tokio::time::timeout(PATIENCE, self.child.wait())
            .await
            .expect("it did not end")
            .unwrap();
        self.reader.await.unwrap();
        let stderr = self.stderr.lock().unwrap().clone();
        Finished {
            status,
            stdout: String::new(),
            stderr,
        }
    }
}
