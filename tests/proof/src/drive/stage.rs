//! Everything that a run needs before its first message: the sandbox, phones, the Baileys companion, a database, and
//! sessions that are linked.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use wharf_testkit::postgres::{Cluster, Flush};
use wharf_testkit::process::{Node, NodeInput, Sandbox, SandboxOptions, Wharf, WharfOptions, until};

use super::{Callers, Company, Follower, Load, NetworkLog, Recorder, Visitors, now};
use crate::recording::{About, Device, Floors, InboundLine, SessionAbout};

const SESSIONS: usize = 4;
const FRIENDS: usize = 12;
/// How long visitors pause between two things they do.
const VISITS: Duration = Duration::from_millis(25);
/// How long Baileys may take to start and to link.
const LINKING: Duration = Duration::from_secs(60);
/// Any key does; a PostgreSQL database wants one that is not made up by Wharf.
const MASTER_KEY: &str = "7b1f0e9a5c3d4826b7e1f0a9d8c7b6a5948372615f4e3d2c1b0a998877665544";
/// What is read between two looks at the sandbox's log is far less.
const STANZA_LOG: &str = "1000000";

/// The database under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Dialect {
    /// The file in the data directory.
    Sqlite,
    /// A server of our own.
    Postgres,
}

impl Dialect {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// How a stage is set.
#[derive(Clone, Debug)]
pub struct StageOptions {
    /// The binary under test.
    pub wharf: PathBuf,
    /// The sandbox's binary.
    pub sandbox: PathBuf,
    /// Node.
    pub node: PathBuf,
    /// The folder of the Baileys companion.
    pub baileys: PathBuf,
    /// The database.
    pub dialect: Dialect,
    /// The seed.
    pub seed: u64,
    /// Where everything is put.
    pub folder: PathBuf,
    /// The data directory, where it is not to be in the folder.
    pub data_dir: Option<PathBuf>,
    /// The program.
    pub program: &'static str,
    /// More settings of Wharf.
    pub environment: Vec<(String, String)>,
    /// A program that starts Wharf.
    pub prefix: Vec<std::ffi::OsString>,
}

/// The database under test, while it runs.
#[derive(Debug)]
pub enum Database {
    /// The file in the data directory.
    Sqlite,
    /// A server of our own, and the address of its database.
    Postgres {
        /// The server.
        cluster: Cluster,
        /// The address.
        url: String,
    },
}

impl Database {
    /// Starts an empty one.
    pub(crate) fn start(dialect: Dialect) -> Result<Self> {
        Ok(match dialect {
            Dialect::Sqlite => Self::Sqlite,
            Dialect::Postgres => {
                let cluster = Cluster::start(Flush::Real)?;
                let url = cluster.fresh_database()?;
                Self::Postgres { cluster, url }
            }
        })
    }
}

/// A stage that is set: sessions are linked, visitors visit, and no message was asked for yet.
#[derive(Debug)]
pub struct Stage {
    /// The simulated network.
    pub sandbox: Sandbox,
    /// The database.
    pub database: Database,
    /// How the next process of Wharf is started.
    pub wharf: WharfOptions,
    /// Who writes down.
    pub recorder: Arc<Recorder>,
    /// The sessions.
    pub sessions: Vec<SessionAbout>,
    /// Whom to write to.
    pub recipients: Vec<String>,
    /// Phones that write and read.
    pub friends: Vec<String>,
    /// The reader of the raw log.
    pub network: NetworkLog,
    /// The number that the Baileys companion belongs to.
    companion: String,
    visitors: Option<Visitors>,
    /// Closing it would end the companion.
    peer_input: NodeInput,
    peer: JoinHandle<Node>,
    stop_peer: tokio::sync::watch::Sender<bool>,
}

impl Stage {
    /// Sets it. Returns it with the running process, and where a follower of its feed stands.
    ///
    /// # Errors
    /// One of the programs does not do what it should.
    pub async fn set(options: &StageOptions, floors: Floors) -> Result<(Self, Wharf, Option<String>)> {
        let recorder = Arc::new(Recorder::new(&options.folder)?);
        let sandbox = start_sandbox(options).await?;
        let network = NetworkLog::start(sandbox.control().clone(), Arc::clone(&recorder));
        let mut friends = Vec::new();
        for number in 1..=FRIENDS {
            friends.push(sandbox.create_phone(&format!("Friend {number}")).await?);
        }
        let (node, input, device) = link_peer(options, &sandbox).await?;
        let database = Database::start(options.dialect)?;
        let mut wharf_options = wharf_options(options, &sandbox, &database);
        let wharf = Wharf::start(&wharf_options).await?;
        wharf_options.api_key = Some(wharf.api_key.clone());
        let sessions = link_sessions(&wharf, &sandbox).await?;
        recorder.about(About {
            program: options.program.to_owned(),
            seed: options.seed,
            dialect: options.dialect.as_str().to_owned(),
            sessions: sessions.clone(),
            peer: Some(device.clone()),
            floors,
        });
        let company = Company {
            control: sandbox.control().clone(),
            phones: friends.clone(),
            sessions: sessions.iter().map(|session| session.device.phone.clone()).collect(),
            seed: options.seed,
        };
        let (stop_peer, stopped) = tokio::sync::watch::channel(false);
        let mut stage = Self {
            recipients: recipients(&friends, &device.phone, &sessions),
            visitors: None,
            peer_input: input,
            companion: device.phone.clone(),
            peer: tokio::spawn(listen(node, device.phone, Arc::clone(&recorder), stopped)),
            stop_peer,
            sandbox,
            database,
            wharf: wharf_options,
            recorder,
            sessions,
            friends,
            network,
        };
        let follower = Follower::start(wharf.api().clone(), Arc::clone(&stage.recorder), None);
        stage.greet(&wharf).await?;
        let cursor = follower.stop().await?;
        stage.visitors = Some(Visitors::start(company, Arc::clone(&stage.recorder), VISITS));
        Ok((stage, wharf, cursor))
    }

    /// Every session and the companion say one thing to each other, one after the other: Baileys answers only when it
    /// has read. It loses messages when both sides open a session to each other at the same moment, killed or not; from
    /// here on it listens.
    async fn greet(&mut self, wharf: &Wharf) -> Result<()> {
        let callers = self.callers(wharf, 0, 1);
        for session in &self.sessions {
            let read = self.recorder.read_count();
            Load::say(&callers, session, &self.companion).await;
            until("the companion reads its greeting", LINKING, || async {
                Ok((self.recorder.read_count() > read).then_some(()))
            })
            .await?;
            self.quiet("the feed tells the greeting").await?;
            let line =
                json!({ "send": { "to": session.device.phone, "text": format!("greetings to {}", session.id) } });
            let before = self.recorder.inbound_count();
            self.peer_input.tell(&line).await?;
            until("the companion says that it answered", LINKING, || async {
                Ok((self.recorder.inbound_count() > before).then_some(()))
            })
            .await?;
            self.quiet("the companion's answer is heard").await?;
        }
        Ok(())
    }

    async fn quiet(&self, what: &str) -> Result<()> {
        until(what, LINKING, || async {
            Ok((self.recorder.waiting() == (0, 0)).then_some(()))
        })
        .await?;
        self.recorder.healthy()
    }

    /// Callers of this process.
    pub fn callers(&self, wharf: &Wharf, seed: u64, count: usize) -> Callers {
        Callers {
            recorder: Arc::clone(&self.recorder),
            api: wharf.api().clone(),
            sessions: self.sessions.clone(),
            recipients: self.recipients.clone(),
            seed,
            count,
        }
    }

    /// How long visitors pause between two things they do; `None` for as usual.
    pub fn visit_every(&self, gap: Option<Duration>) {
        if let Some(visitors) = &self.visitors {
            visitors.set_gap(gap.unwrap_or(VISITS));
        }
    }

    /// Nobody writes to the sessions any more.
    ///
    /// # Errors
    /// A visitor could not do what it wanted.
    pub async fn send_visitors_home(&mut self) -> Result<()> {
        if let Some(visitors) = self.visitors.take() {
            visitors.finish().await?;
        }
        Ok(())
    }

    /// Ends everything but the recording.
    ///
    /// # Errors
    /// The recording is not whole.
    pub async fn strike(mut self) -> Result<Recorder> {
        self.send_visitors_home().await?;
        self.network.finish().await?;
        self.stop_peer.send_replace(true);
        let mut node = self.peer.await?;
        drop(self.peer_input);
        node.program().kill().await?;
        self.sandbox.stop().await?;
        drop(self.database);
        Arc::into_inner(self.recorder).context("somebody still records")
    }
}

/// A sandbox that logs every stanza.
pub(crate) async fn start_sandbox(options: &StageOptions) -> Result<Sandbox> {
    let arguments = ["--stanza-log", STANZA_LOG, "--seed", &options.seed.to_string()].map(str::to_owned);
    let sandbox = SandboxOptions {
        arguments: arguments.to_vec(),
        log: Some(options.folder.join("sandbox.log")),
        log_filter: None,
    };
    Ok(Sandbox::start(&options.sandbox, &sandbox).await?)
}

/// How Wharf is started: without limits on its callers.
pub(crate) fn wharf_options(options: &StageOptions, sandbox: &Sandbox, database: &Database) -> WharfOptions {
    let dir = options.data_dir.clone().unwrap_or_else(|| options.folder.join("data"));
    let mut wharf = WharfOptions::new(&options.wharf, dir)
        .against(sandbox)
        .set("WHARF_PACING__UNSAFE_OPEN", "true")
        .set("WHARF_API__RATE_PER_KEY", "0")
        .set("WHARF_API__RATE_PER_ADDRESS", "0")
        .set("WHARF_STORAGE__MASTER_KEY", MASTER_KEY)
        .set("WHARF_LOG__FORMAT", "json");
    if let Database::Postgres { url, .. } = database {
        wharf.database_url = Some(url.clone());
    }
    wharf.environment.extend(options.environment.iter().cloned());
    wharf.prefix.clone_from(&options.prefix);
    wharf.log = Some(options.folder.join("wharf.log"));
    wharf
}

async fn link_sessions(wharf: &Wharf, sandbox: &Sandbox) -> Result<Vec<SessionAbout>> {
    let mut sessions = Vec::new();
    for number in 1..=SESSIONS {
        let phone = sandbox.create_phone(&format!("Account {number}")).await?;
        let id = wharf.create_session(&format!("session {number}")).await?;
        let device = wharf.link(&id, sandbox, &phone).await?;
        sessions.push(SessionAbout {
            id,
            device: Device { phone, device },
        });
    }
    Ok(sessions)
}

/// A phone of its own, and Baileys as its companion.
async fn link_peer(options: &StageOptions, sandbox: &Sandbox) -> Result<(Node, NodeInput, Device)> {
    let script = options.baileys.join("peer.mjs");
    if !options.baileys.join("node_modules").is_dir() {
        bail!(
            "the Baileys companion is not installed: run `npm ci` in {}",
            options.baileys.display()
        );
    }
    let phone = sandbox.create_phone("Companion").await?;
    let arguments = [
        sandbox.chat_url.clone(),
        sandbox.root_public_key.clone(),
        path_text(&options.folder.join("baileys"))?,
    ];
    let mut node = Node::start(
        &options.node,
        &script,
        &arguments,
        Some(options.folder.join("baileys.log")),
    )?;
    let shown = until_event(&mut node, "ready_for_qr").await?;
    let qr = shown["qr"].as_str().context("the companion shows no QR")?;
    let device = sandbox.scan(&phone, qr).await?;
    until_event(&mut node, "open").await?;
    // It is closed once more for its first login.
    let input = node.take_input().context("the companion has no input")?;
    Ok((node, input, Device { phone, device }))
}

async fn until_event(node: &mut Node, event: &str) -> Result<Value> {
    loop {
        let line = node.next(LINKING).await?;
        if line["event"] == event {
            return Ok(line);
        }
    }
}

/// Every friend, the companion as often as five of them, and the other sessions' accounts.
fn recipients(friends: &[String], peer: &str, sessions: &[SessionAbout]) -> Vec<String> {
    let accounts = sessions.iter().map(|session| session.device.phone.clone());
    let companion = std::iter::repeat_n(peer.to_owned(), 5);
    friends.iter().cloned().chain(companion).chain(accounts).collect()
}

/// Writes down what the companion says, until it is told to stop.
async fn listen(
    mut node: Node,
    phone: String,
    recorder: Arc<Recorder>,
    mut stopped: tokio::sync::watch::Receiver<bool>,
) -> Node {
    loop {
        let line = tokio::select! {
            line = node.next(Duration::MAX) => line,
            _ = stopped.changed() => return node,
        };
        match line {
            Ok(line) => hear(&line, &phone, &recorder),
            Err(error) => {
                recorder.break_off(format!("the companion: {error}"));
                return node;
            }
        }
    }
}

fn hear(line: &Value, phone: &str, recorder: &Recorder) {
    recorder.peer(line);
    let text = |field: &str| line[field].as_str().map(str::to_owned);
    if line["event"] == "sent"
        && let (Some(id), Some(to), Some(text)) = (text("id"), text("to"), text("text"))
    {
        recorder.inbound(InboundLine {
            id,
            from: phone.to_owned(),
            to,
            text,
            at: now(),
        });
    }
}

fn path_text(path: &Path) -> Result<String> {
    let text = path.to_str().context("the folder's name is not text")?;
    Ok(text.to_owned())
}
