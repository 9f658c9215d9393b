//! A Wharf in a process of its own.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::error::ProcessError;
use super::http::{Remote, until};
use super::program::{Launch, Program};
use super::stream::EventStream;
use super::usage::Usage;
use super::{PATIENCE, Sandbox};

/// How a Wharf is started. It listens on a free loopback port and hears nothing of the environment around it.
#[derive(Clone, Debug)]
pub struct WharfOptions {
    /// The binary.
    pub binary: PathBuf,
    /// Its data directory.
    pub dir: PathBuf,
    /// The chat server that its sessions dial.
    pub chat_url: Option<String>,
    /// A PostgreSQL database; without it the SQLite file in `dir`.
    pub database_url: Option<String>,
    /// The key of an earlier start: only the first one of a database prints it.
    pub api_key: Option<String>,
    /// More settings, such as `WHARF_PACING__UNSAFE_OPEN`; they win over the ones made from the fields above.
    pub environment: Vec<(String, String)>,
    /// A program and its arguments that the binary is started by, such as `nsenter … --`. It has to replace itself by
    /// the binary.
    pub prefix: Vec<OsString>,
    /// Where its stderr goes.
    pub log: Option<PathBuf>,
    /// How long it may take until it serves.
    pub patience: Duration,
}

impl WharfOptions {
    /// A Wharf on SQLite.
    pub fn new(binary: impl Into<PathBuf>, dir: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            dir: dir.into(),
            chat_url: None,
            database_url: None,
            api_key: None,
            environment: Vec::new(),
            prefix: Vec::new(),
            log: None,
            patience: PATIENCE,
        }
    }

    /// Against this sandbox.
    #[must_use]
    pub fn against(mut self, sandbox: &Sandbox) -> Self {
        self.chat_url = Some(sandbox.chat_url.clone());
        self
    }

    /// One more setting.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the process and waits for nothing, to end it while it starts.
    ///
    /// # Errors
    /// The system refuses.
    pub fn spawn(&self) -> Result<Program, ProcessError> {
        Program::start(&self.launch())
    }

    fn launch(&self) -> Launch {
        let mut words = self.prefix.clone();
        words.push(self.binary.clone().into_os_string());
        words.extend(["serve", "--json", "--port", "0", "--data-dir"].map(OsString::from));
        words.push(self.dir.clone().into_os_string());
        let mut launch = Launch::new("wharf", words.remove(0));
        launch.arguments = words;
        let mut set = |name: &str, value: &str| launch.environment.push((name.to_owned(), value.into()));
        // Nothing here may leave the machine, not even the question for the current version.
        set("WHARF_WHATSAPP__VERSION_PAGE", "");
        for (name, value) in [
            ("WHARF_WHATSAPP__CHAT_URL", &self.chat_url),
            ("WHARF_STORAGE__URL", &self.database_url),
        ] {
            if let Some(value) = value {
                set(name, value);
            }
        }
        for (name, value) in &self.environment {
            set(name, value);
        }
        launch.log.clone_from(&self.log);
        launch
    }
}

/// A running `wharf serve`.
#[derive(Debug)]
pub struct Wharf {
    program: Program,
    /// Its API key.
    pub api_key: String,
    api: Remote,
}

impl Wharf {
    /// Starts it and waits for its line of JSON.
    ///
    /// # Errors
    /// It does not start; the error holds what it said.
    pub async fn start(options: &WharfOptions) -> Result<Self, ProcessError> {
        let mut program = options.spawn()?;
        let ready = program.json_line(options.patience).await?;
        let url = ready["url"].as_str();
        let key = ready["api_key"].as_str().or(options.api_key.as_deref());
        let (Some(url), Some(key)) = (url, key) else {
            return Err(ProcessError::Unexpected {
                program: program.name().to_owned(),
                line: ready.to_string(),
            });
        };
        Ok(Self {
            api: Remote::new(url, Some(key))?,
            api_key: key.to_owned(),
            program,
        })
    }

    /// Its API, called with its key.
    pub const fn api(&self) -> &Remote {
        &self.api
    }

    /// Where it serves.
    pub fn url(&self) -> &str {
        self.api.base()
    }

    /// The process.
    pub const fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// Its process id.
    pub const fn id(&self) -> u32 {
        self.program.id()
    }

    /// Makes a session; returns its id.
    ///
    /// # Errors
    /// It is refused.
    pub async fn create_session(&self, name: &str) -> Result<String, ProcessError> {
        let made = self.api.post("/api/sessions", &json!({ "name": name })).await?;
        let id = made["id"].as_str().map(str::to_owned);
        id.ok_or_else(|| ProcessError::Unreadable {
            call: "POST /api/sessions".to_owned(),
            body: made.to_string(),
        })
    }

    /// Connects a session and waits for the QR that it shows.
    ///
    /// # Errors
    /// None is shown in time.
    pub async fn show_qr(&self, session: &str) -> Result<String, ProcessError> {
        self.api
            .post(&format!("/api/sessions/{session}/connect"), &json!({}))
            .await?;
        let path = format!("/api/sessions/{session}/qr");
        until("a QR is shown", PATIENCE, || async {
            let answer = self.api.call(reqwest::Method::GET, &path, None, None).await?;
            Ok(answer.body["qr"].as_str().map(str::to_owned))
        })
        .await
    }

    /// Links a session with a virtual phone and waits until it is ready; returns the number of its device.
    ///
    /// # Errors
    /// It does not become ready.
    pub async fn link(&self, session: &str, sandbox: &Sandbox, phone: &str) -> Result<u64, ProcessError> {
        let qr = self.show_qr(session).await?;
        let device = sandbox.scan(phone, &qr).await?;
        self.ready(session, PATIENCE).await?;
        Ok(device)
    }

    /// Waits until a session is ready.
    ///
    /// # Errors
    /// It does not become ready in time.
    pub async fn ready(&self, session: &str, patience: Duration) -> Result<Value, ProcessError> {
        let path = format!("/api/sessions/{session}");
        until(&format!("{session} is ready"), patience, || async {
            let found = self.api.get(&path).await?;
            Ok((found["status"] == "ready").then_some(found))
        })
        .await
    }

    /// Follows the event log from behind `after`, or from now on.
    ///
    /// # Errors
    /// It is refused.
    pub async fn follow_events(&self, after: Option<&str>) -> Result<EventStream, ProcessError> {
        self.api.follow("/api/events", after).await
    }

    /// Whether `/readyz` says that it can serve. `Ok(false)` when it says no.
    ///
    /// # Errors
    /// No answer at all.
    pub async fn is_ready(&self) -> Result<bool, ProcessError> {
        let answer = self.api.call(reqwest::Method::GET, "/readyz", None, None).await?;
        Ok(answer.is_success())
    }

    /// Memory, processor time, open files.
    ///
    /// # Errors
    /// It is gone.
    pub fn usage(&self) -> Result<Usage, ProcessError> {
        self.program.usage()
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    /// It is gone.
    pub fn resident_bytes(&self) -> Result<u64, ProcessError> {
        Ok(self.usage()?.resident)
    }

    /// User and system time since the start.
    ///
    /// # Errors
    /// It is gone.
    pub fn cpu_time(&self) -> Result<Duration, ProcessError> {
        Ok(self.usage()?.cpu)
    }

    /// SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// The system refuses.
    pub async fn kill(mut self) -> Result<(), ProcessError> {
        self.program.kill().await
    }

    /// SIGTERM, and waits for a clean end.
    ///
    /// # Errors
    /// It does not end, or not with exit code 0.
    pub async fn terminate(mut self) -> Result<(), ProcessError> {
        let status = self.program.terminate().await?;
        if status.success() {
            return Ok(());
        }
        Err(ProcessError::Ended {
            program: self.program.name().to_owned(),
            said: self.program.said(4096),
        })
    }
}
