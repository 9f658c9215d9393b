//! The simulated WhatsApp network in a process of its own.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::PATIENCE;
use super::error::ProcessError;
use super::http::Remote;
use super::program::{Launch, Program};
use super::usage::Usage;

/// How a sandbox is started.
#[derive(Clone, Debug, Default)]
pub struct SandboxOptions {
    /// More arguments, such as `--stanza-log 100000`.
    pub arguments: Vec<String>,
    /// Where its stderr goes.
    pub log: Option<PathBuf>,
    /// What it logs; errors only where nothing is said.
    pub log_filter: Option<String>,
}

/// A running `wharf-sandbox`.
#[derive(Debug)]
pub struct Sandbox {
    program: Program,
    /// Where clients connect.
    pub chat_url: String,
    /// The certificates' root, in hexadecimal digits.
    pub root_public_key: String,
    control: Remote,
}

impl Sandbox {
    /// Starts the binary on free ports and waits for its line.
    ///
    /// # Errors
    /// It does not start; the error holds what it said.
    pub async fn start(binary: &Path, options: &SandboxOptions) -> Result<Self, ProcessError> {
        let mut launch = Launch::new("wharf-sandbox", binary);
        launch.arguments = options.arguments.iter().map(Into::into).collect();
        let filter = options.log_filter.as_deref().unwrap_or("error,wacore=off");
        launch.environment.push(("RUST_LOG".to_owned(), filter.into()));
        launch.log.clone_from(&options.log);
        let mut program = Program::start(&launch)?;
        let ready = program.json_line(PATIENCE).await?;
        let text = |name: &str| ready[name].as_str().map(str::to_owned);
        let (Some(chat_url), Some(control_url), Some(root_public_key)) =
            (text("chat_url"), text("control_url"), text("root_public_key"))
        else {
            return Err(ProcessError::Unexpected {
                program: launch.name,
                line: ready.to_string(),
            });
        };
        Ok(Self {
            program,
            chat_url,
            root_public_key,
            control: Remote::new(&control_url, None)?,
        })
    }

    /// The control API.
    pub const fn control(&self) -> &Remote {
        &self.control
    }

    /// The process.
    pub const fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// Makes a virtual phone; returns its number.
    ///
    /// # Errors
    /// The sandbox refuses.
    pub async fn create_phone(&self, name: &str) -> Result<String, ProcessError> {
        let made = self
            .control
            .post("/sandbox/api/phones", &json!({ "name": name }))
            .await?;
        text_of(&made, "phone", "POST /sandbox/api/phones")
    }

    /// Lets a phone scan the QR that a client shows; returns the number of the new device.
    ///
    /// # Errors
    /// The code is unknown or used.
    pub async fn scan(&self, phone: &str, qr: &str) -> Result<u64, ProcessError> {
        let path = format!("/sandbox/api/phones/{phone}/scan");
        let linked = self.control.post(&path, &json!({ "qr": qr })).await?;
        linked["device"].as_u64().ok_or_else(|| ProcessError::Unreadable {
            call: path,
            body: linked.to_string(),
        })
    }

    /// Lets a phone send a text; returns WhatsApp's id of it.
    ///
    /// # Errors
    /// The sandbox refuses.
    pub async fn send(&self, from: &str, to: &str, text: &str) -> Result<String, ProcessError> {
        let path = format!("/sandbox/api/phones/{from}/send");
        let sent = self.control.post(&path, &json!({ "to": to, "text": text })).await?;
        text_of(&sent, "id", &path)
    }

    /// Memory and processor time.
    ///
    /// # Errors
    /// It is gone.
    pub fn usage(&self) -> Result<Usage, ProcessError> {
        self.program.usage()
    }

    /// Stops it.
    ///
    /// # Errors
    /// It does not end.
    pub async fn stop(mut self) -> Result<(), ProcessError> {
        self.program.terminate().await.map(drop)
    }
}

fn text_of(answer: &Value, field: &str, call: &str) -> Result<String, ProcessError> {
    let found = answer[field].as_str().map(str::to_owned);
    found.ok_or_else(|| ProcessError::Unreadable {
        call: call.to_owned(),
        body: answer.to_string(),
    })
}
