//! Wharf, with its pacing opened, unless the pacing is what is looked at, and its rate limits off: what is measured is the machinery.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use wharf_testkit::process::{EventStream, Usage, Wharf as Process, WharfOptions};

use super::{Chats, Gateway, Shown, Watched};
use crate::TEXT;
use crate::load::acks::{Acks, TYPES};
use crate::load::caller::{Acknowledged, Caller};
use crate::load::connection::Connection;
use crate::load::request::Request;

/// How long a start may take with many sessions and another program on the cores.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Wharf {
    process: Process,
    options: WharfOptions,
}

impl Wharf {
    /// Starts it on an empty folder, its pacing opened; `chat_url` is the sandbox's or that of something in front of it.
    pub async fn start(binary: &Path, folder: &Path, chat_url: &str, database: Option<String>) -> Result<Self> {
        let mut options = Self::options(binary, folder, chat_url).set("WHARF_PACING__UNSAFE_OPEN", "true");
        if database.is_some() {
            // With a database of its own there is no folder that a key could be made in.
            options = options.set("WHARF_STORAGE__MASTER_KEY", &"5a".repeat(32));
        }
        options.database_url = database;
        Self::start_with(options).await
    }

    /// What it is started with, its pacing as it is by default.
    pub fn options(binary: &Path, folder: &Path, chat_url: &str) -> WharfOptions {
        let mut options = WharfOptions::new(binary, folder)
            // As many as the largest load has callers: its numbers are to show the gateway, not this limit.
            .set("WHARF_SESSION__IN_FLIGHT", "64")
            .set("WHARF_API__RATE_PER_KEY", "0")
            .set("WHARF_API__RATE_PER_ADDRESS", "0")
            .set("WHARF_LOG__FILTER", "error");
        options.chat_url = Some(chat_url.to_owned());
        options.patience = PATIENCE;
        options
    }

    /// Starts it with these.
    pub async fn start_with(mut options: WharfOptions) -> Result<Self> {
        let process = Process::start(&options).await?;
        options.api_key = Some(process.api_key.clone());
        Ok(Self { process, options })
    }

    /// Ends it as an operator does; what it takes to start it again.
    pub async fn end(self) -> Result<WharfOptions> {
        self.process.terminate().await?;
        Ok(self.options)
    }

    /// Starts it on what an earlier process left.
    pub async fn start_again(options: WharfOptions) -> Result<Self> {
        Self::start_with(options).await
    }

    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Takes a session offline and waits until it is.
    pub async fn disconnect(&self, session: &str) -> Result<()> {
        let api = self.process.api();
        let mut stream = api.follow(&format!("/api/sessions/{session}/events"), None).await?;
        api.post(&format!("/api/sessions/{session}/disconnect"), &json!({}))
            .await?;
        until(&mut stream, "status", |data| data["status"] == "disconnected")
            .await
            .map(drop)
    }

    /// Where it serves, as `host:port`.
    pub fn address(&self) -> &str {
        let url = self.process.url();
        url.strip_prefix("http://").unwrap_or(url)
    }

    pub fn authorization(&self) -> String {
        format!("Bearer {}", self.process.api_key)
    }

    /// The body of a message.
    pub fn message(session: &str, phone: &str) -> String {
        json!({ "session_id": session, "to": phone, "type": "text", "text": { "body": TEXT } }).to_string()
    }

    async fn acks(&self) -> Result<Acks> {
        let (address, authorization) = (self.address(), self.authorization());
        let request = format!(
            "GET /api/events?types={TYPES} HTTP/1.1\r\nhost: {address}\r\n\
             authorization: {authorization}\r\naccept: text/event-stream\r\n\r\n"
        );
        let stream = Connection::open(address).await?.stream(request.as_bytes()).await?;
        Ok(Acks::read(stream))
    }
}

impl Gateway for Wharf {
    const NAME: &'static str = "Wharf";
    const LINK_TRIES: u32 = 1;
    type Watch = EventStream;

    async fn show_qr(&self, name: &str) -> Result<Watched<Self>> {
        let (process, api) = (&self.process, self.process.api());
        let session = process.create_session(name).await?;
        let mut watch = api.follow(&format!("/api/sessions/{session}/events"), None).await?;
        api.post(&format!("/api/sessions/{session}/connect"), &json!({}))
            .await?;
        let data = until(&mut watch, "qr", |data| data["qr"].is_string()).await?;
        let at = Instant::now();
        let qr = data["qr"].as_str().context("a QR event without a QR")?.to_owned();
        Ok(Watched {
            shown: Shown { session, qr, at },
            watch,
        })
    }

    async fn until_ready(&self, mut watch: EventStream) -> Result<()> {
        until(&mut watch, "status", |data| data["status"] == "ready")
            .await
            .map(drop)
    }

    async fn callers(&self, lists: &[Chats<'_>]) -> Result<Vec<Caller>> {
        let (acks, authorization) = (self.acks().await?, self.authorization());
        let mut callers = Vec::with_capacity(lists.len());
        for chats in lists {
            let bodies = chats.phones.iter().map(|phone| Self::message(chats.session, phone));
            let post = |body: String| Request::post(self.address(), "/api/messages", Some(&authorization), &body);
            callers.push(Caller {
                connection: Connection::open(self.address()).await?,
                requests: bodies.map(post).collect(),
                acknowledged: Acknowledged::ByEvent(acks.clone()),
                wire_id: "whatsapp_message_id",
            });
        }
        Ok(callers)
    }

    async fn tidy(&self) -> Result<()> {
        Ok(())
    }

    fn usage(&self) -> Result<Usage> {
        Ok(self.process.usage()?)
    }

    fn last_words(&mut self) -> String {
        super::cause(&self.process.program().said(super::LAST_WORDS))
    }

    async fn stop(self) -> Result<()> {
        self.end().await.map(drop)
    }
}

/// Reads on until an event of this kind satisfies the condition.
async fn until(stream: &mut EventStream, kind: &str, condition: impl Fn(&Value) -> bool) -> Result<Value> {
    let reading = async {
        while let Some(event) = stream.next().await? {
            let data = event.json();
            if event.event.as_deref() == Some(kind) && condition(&data) {
                return Ok(data);
            }
        }
        bail!("the session's stream ended before its {kind}")
    };
    let in_time = tokio::time::timeout(PATIENCE, reading).await;
    in_time.with_context(|| format!("no {kind} within {PATIENCE:?}"))?
}
