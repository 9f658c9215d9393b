//! One child process: started with a clean environment, its lines read, its stderr kept in a file.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;

use super::error::ProcessError;
use super::{PATIENCE, usage::Usage};

/// How much of what a program said an error quotes.
const QUOTED: u64 = 4096;

/// How a program is to be started.
#[derive(Clone, Debug)]
pub struct Launch {
    /// What errors call it.
    pub name: String,
    /// The binary; with `keeps_environment` it may be a bare name that is looked up in `PATH`.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Variables that are set.
    pub environment: Vec<(String, OsString)>,
    /// Whether it also gets the environment of this process: `PATH`, `HOME` and whatever could be a setting.
    pub keeps_environment: bool,
    /// Where its stderr goes, appended; without it to a file that vanishes with the process.
    pub log: Option<PathBuf>,
}

impl Launch {
    /// A program without arguments and without any environment.
    pub fn new(name: &str, program: impl Into<PathBuf>) -> Self {
        Self {
            name: name.to_owned(),
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            keeps_environment: false,
            log: None,
        }
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    fn start_error(&self, source: io::Error) -> ProcessError {
        ProcessError::Start {
            program: self.name.clone(),
            source,
        }
    }

    fn errors_file(&self) -> io::Result<File> {
        match &self.log {
            Some(path) => OpenOptions::new().create(true).read(true).append(true).open(path),
            None => tempfile::tempfile(),
        }
    }
}

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    id: u32,
    errors: File,
    input: Option<ChildStdin>,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Program {
    /// Starts it.
    ///
    /// # Errors
    /// The system refuses.
    pub fn start(launch: &Launch) -> Result<Self, ProcessError> {
        let errors = launch.errors_file().map_err(|source| launch.start_error(source))?;
        let heard = errors.try_clone().map_err(|source| launch.start_error(source))?;
        let mut command = Command::new(&launch.program);
        if !launch.keeps_environment {
            command.env_clear();
        }
        command
            .args(&launch.arguments)
            .envs(launch.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(heard))
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|source| launch.start_error(source))?;
        let missing = || launch.start_error(io::Error::other("it has no id or no pipes"));
        let id = child.id().ok_or_else(missing)?;
        let output = child.stdout.take().ok_or_else(missing)?;
        Ok(Self {
            name: launch.name.clone(),
            id,
            input: child.stdin.take(),
            lines: read_lines(output),
            child,
            errors,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id; it stays the same from the start to the end.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// What it said on stderr, the last `most` bytes. A log that is appended to holds earlier starts as well.
    pub fn said(&self, most: u64) -> String {
        let length = self.errors.metadata().map(|meta| meta.len()).unwrap_or_default();
        let start = length.saturating_sub(most);
        let mut buffer = vec![0; usize::try_from(length - start).unwrap_or_default()];
        let count = self.errors.read_at(&mut buffer, start).unwrap_or_default();
        buffer.truncate(count);
        String::from_utf8_lossy(&buffer).into_owned()
    }

    /// The next line of its stdout; an error when it ended or stays silent.
    ///
    /// # Errors
    /// It ended, or `patience` passed.
    pub async fn line(&mut self, patience: Duration) -> Result<String, ProcessError> {
        match tokio::time::timeout(patience, self.lines.recv()).await {
            Ok(Some(line)) => Ok(line),
            Ok(None) => Err(ProcessError::Ended {
                program: self.name.clone(),
                said: self.said(QUOTED),
            }),
            Err(_) => Err(ProcessError::Silent {
                program: self.name.clone(),
                waited: patience,
                said: self.said(QUOTED),
            }),
        }
    }

    /// The next line as JSON.
    ///
    /// # Errors
    /// As [`Self::line`], and when the line is something else.
    pub async fn json_line(&mut self, patience: Duration) -> Result<Value, ProcessError> {
        let line = self.line(patience).await?;
        serde_json::from_str(&line).map_err(|_| ProcessError::Unexpected {
            program: self.name.clone(),
            line,
        })
    }

    /// The pipe into it, once.
    pub const fn take_input(&mut self) -> Option<ChildStdin> {
        self.input.take()
    }

    /// SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// The system refuses.
    pub async fn kill(&mut self) -> Result<(), ProcessError> {
        self.child
            .kill()
            .await
            .map_err(|source| self.control_error("killed", source))
    }

    /// SIGTERM, and waits for its end.
    ///
    /// # Errors
    /// It does not end within [`PATIENCE`].
    pub async fn terminate(&mut self) -> Result<ExitStatus, ProcessError> {
        self.signal("TERM").await?;
        self.ended(PATIENCE).await
    }

    /// Sends a signal by its name: `STOP`, `CONT`, `TERM`.
    ///
    /// # Errors
    /// The process is gone, or the name is none.
    pub async fn signal(&self, name: &str) -> Result<(), ProcessError> {
        let id = self.id.to_string();
        // `kill` of the shell: no program needs to be installed, and this project has no unsafe code.
        let sent = Command::new("/bin/sh")
            .args(["-c", "kill -s \"$0\" \"$1\"", name, &id])
            .stderr(Stdio::null())
            .status()
            .await;
        match sent {
            Ok(status) if status.success() => Ok(()),
            Ok(_) => Err(self.control_error("signalled", io::Error::from(io::ErrorKind::NotFound))),
            Err(source) => Err(self.control_error("signalled", source)),
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It does not end in time.
    pub async fn ended(&mut self, patience: Duration) -> Result<ExitStatus, ProcessError> {
        match tokio::time::timeout(patience, self.child.wait()).await {
            Ok(Ok(status)) => Ok(status),
            Ok(Err(source)) => Err(self.control_error("awaited", source)),
            Err(_) => Err(ProcessError::Silent {
                program: self.name.clone(),
                waited: patience,
                said: self.said(QUOTED),
            }),
        }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// How it ended, where it has: `exit status 1`, `signal 9`.
    pub fn end(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok()??;
        Some(match status.signal() {
            Some(signal) => format!("signal {signal}"),
            None => format!("exit status {}", status.code().unwrap_or_default()),
        })
    }

    /// Its memory and processor time.
    ///
    /// # Errors
    /// It is gone.
    pub fn usage(&self) -> Result<Usage, ProcessError> {
        Usage::of(self.id).map_err(|source| self.control_error("measured", source))
    }

    fn control_error(&self, action: &'static str, source: io::Error) -> ProcessError {
        ProcessError::Control {
            program: self.name.clone(),
            action,
            source,
        }
    }
}

/// Reads on to the end, so that the program never waits for a reader.
fn read_lines(output: ChildStdout) -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            // Nobody listens any more; the pipe is drained all the same.
            let _ = sender.send(line);
        }
    });
    receiver
}
