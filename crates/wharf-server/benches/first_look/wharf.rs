//! The server under measurement: the real binary in its own process, driven through its HTTP API.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use wharf_sandbox::{NewPhone, Sandbox};

use crate::Failure;

/// How long to wait for a state before giving up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `wharf serve`; ends with this value.
pub struct Wharf {
    child: Child,
    url: String,
    key: String,
    http: reqwest::Client,
}

impl Wharf {
    /// Starts on an empty data directory, with pacing opened.
    pub async fn start(folder: &Path, chat_url: &str) -> Result<Self, Failure> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wharf"))
            .args(["serve", "--json", "--port", "0", "--data-dir"])
            .arg(folder.join("data"))
            .env("WHARF_WHATSAPP__CHAT_URL", chat_url)
            .env("WHARF_PACING__UNSAFE_OPEN", "true")
            .env("WHARF_API__RATE_PER_KEY", "0")
            .env("WHARF_API__RATE_PER_ADDRESS", "0")
            .env("WHARF_LOG__FILTER", "error")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = child.stdout.take().ok_or("the server has no output")?;
        let line = BufReader::new(output)
            .lines()
            .next_line()
            .await?
            .ok_or("the server ended before it was ready")?;
        let ready: Value = serde_json::from_str(&line)?;
        let text = |name: &str| {
            ready[name]
                .as_str()
                .map(str::to_owned)
                .ok_or(format!("no `{name}` in {line}"))
        };
        Ok(Self {
            child,
            url: text("url")?,
            key: text("api_key")?,
            http: reqwest::Client::new(),
        })
    }

    /// Resident memory of the server's process, in bytes.
    pub fn resident_bytes(&self) -> Result<u64, Failure> {
        let id = self.child.id().ok_or("the server has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .ok_or("no VmRSS line")?;
        let kib: u64 = line.split_whitespace().nth(1).ok_or("no number")?.parse()?;
        Ok(kib * 1024)
    }

    /// Links a new session to a new virtual phone and returns its id once it is ready.
    pub async fn link(&self, sandbox: &Sandbox) -> Result<String, Failure> {
        let phone = sandbox.create_phone(NewPhone::default()).await?.phone;
        let created = self.post("/api/sessions", &json!({ "name": phone })).await?;
        let session = created["id"].as_str().ok_or("no session id")?.to_owned();
        self.post(&format!("/api/sessions/{session}/connect"), &json!({}))
            .await?;
        self.until(&session, "pending", "scan_qr").await?;
        let qr = self.get(&format!("/api/sessions/{session}/qr")).await?;
        sandbox.scan(&phone, qr["qr"].as_str().ok_or("no QR")?).await?;
        self.until(&session, "ready", "").await?;
        Ok(session)
    }

    /// Takes a session offline and waits until it is.
    pub async fn disconnect(&self, session: &str) -> Result<(), Failure> {
        self.post(&format!("/api/sessions/{session}/disconnect"), &json!({}))
            .await?;
        self.until(session, "disconnected", "").await
    }

    /// Asks again every few milliseconds until the session is in a state.
    async fn until(&self, session: &str, status: &str, step: &str) -> Result<(), Failure> {
        let wanted = async {
            loop {
                let body = self.get(&format!("/api/sessions/{session}")).await?;
                if body["status"] == status && (step.is_empty() || body["connection_step"] == step) {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wanted)
            .await
            .map_err(|_| format!("{session} never became {status}"))?
    }

    /// A GET with JSON in the answer.
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        let answer = self
            .http
            .get(format!("{}{path}", self.url))
            .bearer_auth(&self.key)
            .send()
            .await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    /// A POST with JSON both ways.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let call = self
            .http
            .post(format!("{}{path}", self.url))
            .bearer_auth(&self.key)
            .json(body);
        Ok(call.send().await?.error_for_status()?.json().await?)
    }
}
