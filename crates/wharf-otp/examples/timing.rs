//! Whether the time of a check tells an id that nobody made from one that another workspace made (OTP-15): both in random
//! order, and Welch's t over the times without the largest hundredth of them, as dudect crops. Prints t.
//!
//! `cargo run --release --example timing -p wharf-otp`
#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wharf_model::{Clock as _, Network, Random as _, SessionId, SystemEdges, VerificationId, WorkspaceId};
use wharf_otp::{CheckCode, Deliveries, OtpConfig, OtpDeps, OtpError, Verifications, Which};
use wharf_session::port::{
    ClientError, ClientEvent, ClientSetup, InboundSink, SessionLease, WhatsAppClient, WhatsAppNetwork,
};
use wharf_session::{SessionConfig, SessionDeps, Sessions};
use wharf_storage::verifications::{self, NewVerification};
use wharf_storage::workspaces::{self, Workspace};
use wharf_storage::{Queue, Storage, StorageConfig, StorageError, WorkspaceKeys};

const CALLS: usize = 100_000;
/// Calls before the first that counts.
const WARM_UP: usize = 1000;
/// Ids of each kind.
const IDS: u64 = 1000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Ids of both kinds, made by turns, so that they lie among each other in the index.
struct Ids([Vec<VerificationId>; 2]);

/// A call: the kind of its id, and its seconds.
type Timed = (usize, f64);

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(compare())
}

async fn compare() -> Result<(), Box<dyn Error>> {
    let storage = Storage::open(StorageConfig::in_memory(Network::Sandbox)).await?;
    let asking = storage.ensure_default_workspace().await?.id;
    let ids = prepare(&storage, another_workspace(&storage).await?).await?;
    let sessions = sessions(&storage);
    let verifications = Verifications::new(OtpDeps {
        config: OtpConfig::default(),
        sessions: sessions.clone(),
        storage: storage.clone(),
        deliveries: Deliveries::new(Arc::new(SystemEdges), Arc::new(SystemEdges)),
        clock: Arc::new(SystemEdges),
        random: Arc::new(SystemEdges),
    });
    for _ in 0..WARM_UP {
        call(&verifications, asking, &ids).await?;
    }
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        times.push(call(&verifications, asking, &ids).await?);
    }
    println!(
        "t = {:.2} over {CALLS} calls (|t| < 4.5 means that nothing can be told apart)",
        welch(times)
    );
    sessions.drained().await;
    storage.close().await;
    Ok(())
}

/// A check of an id of either kind, by chance.
async fn call(verifications: &Verifications, asking: WorkspaceId, ids: &Ids) -> Result<Timed, Box<dyn Error>> {
    let kind = SystemEdges.below(2) as usize;
    let check = CheckCode {
        which: Which::Id(ids.0[kind][SystemEdges.below(IDS) as usize]),
        code: "004217".to_owned(),
        allowed: None,
        key: None,
    };
    let asked = Instant::now();
    let answer = verifications.check(asking, check, None).await;
    let took = asked.elapsed().as_secs_f64();
    match answer {
        Err(OtpError::NotFound) => Ok((kind, took)),
        other => Err(format!("the workspace has no such verification, but: {other:?}").into()),
    }
}

/// Welch's t between the times of the two kinds, without the largest hundredth of all.
fn welch(mut times: Vec<Timed>) -> f64 {
    times.sort_by(|one, other| one.1.total_cmp(&other.1));
    times.truncate(times.len() * 99 / 100);
    let [first, second] = [0, 1].map(|kind| {
        let own: Vec<_> = times
            .iter()
            .filter(|(of, _)| *of == kind)
            .map(|(_, time)| *time)
            .collect();
        Moments::of(&own)
    });
    (first.mean - second.mean) / (first.variance / first.count + second.variance / second.count).sqrt()
}

struct Moments {
    count: f64,
    mean: f64,
    variance: f64,
}

impl Moments {
    fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Self {
            count,
            mean,
            variance: squares / (count - 1.0),
        }
    }
}

async fn another_workspace(storage: &Storage) -> Result<WorkspaceId, StorageError> {
    let id = WorkspaceId::generate(&SystemEdges, &SystemEdges);
    let key = storage.new_workspace_key(id)?;
    let workspace = Workspace {
        id,
        name: "another".to_owned(),
        created_at: SystemEdges.now(),
    };
    storage
        .write(Queue::Normal, move |tx| {
            Box::pin(async move { workspaces::create(tx, &workspace, &key).await })
        })
        .await?;
    Ok(id)
}

/// Ids that nobody made, and ids of verifications that are pending in a workspace.
async fn prepare(storage: &Storage, workspace: WorkspaceId) -> Result<Ids, StorageError> {
    let keys = storage.workspace_keys(workspace).await?;
    let session = SessionId::generate(&SystemEdges, &SystemEdges);
    let (mut unknown, mut theirs, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..IDS {
        unknown.push(VerificationId::generate(&SystemEdges, &SystemEdges));
        let row = pending(&keys, session, format!("check-{number}"))?;
        theirs.push(row.id);
        rows.push(row);
    }
    storage
        .write(Queue::Normal, move |tx| {
            Box::pin(async move {
                for row in &rows {
                    verifications::insert(tx, row).await?;
                }
                Ok(())
            })
        })
        .await?;
    Ok(Ids([unknown, theirs]))
}

fn pending(keys: &WorkspaceKeys, session: SessionId, purpose: String) -> Result<NewVerification, StorageError> {
    let (id, now) = (VerificationId::generate(&SystemEdges, &SystemEdges), SystemEdges.now());
    let phone = keys.blind("phone", "15551234567");
    Ok(NewVerification {
        id,
        workspace_id: keys.workspace(),
        session_id: Some(session),
        phone_index: phone,
        mac: verifications::mac_of(keys, id, phone, &purpose, "712400"),
        purpose,
        phone: verifications::seal_phone(keys, id, "+15551234567")?,
        metadata: None,
        template: "default".to_owned(),
        locale: "en".to_owned(),
        length: 6,
        max_attempts: 5,
        max_sends: 5,
        next_send_at: now + DAY,
        expires_at: now + DAY,
        undelivered_at: Some(now + DAY),
        keep_until: now + DAY,
        created_at: now,
        country: None,
        key_id: None,
    })
}

fn sessions(storage: &Storage) -> Sessions {
    Sessions::new(SessionDeps {
        config: SessionConfig::default(),
        storage: storage.clone(),
        network: Arc::new(Nobody),
        network_kind: Network::Sandbox,
        codes: None,
        clock: Arc::new(SystemEdges),
        random: Arc::new(SystemEdges),
        shutdown: CancellationToken::new(),
        tasks: TaskTracker::new(),
    })
}

/// A network that is never asked: there is no session.
#[derive(Debug)]
struct Nobody;

#[async_trait]
impl WhatsAppNetwork for Nobody {
    async fn client(
        &self,
        _lease: SessionLease,
        _setup: ClientSetup,
        _events: mpsc::UnboundedSender<ClientEvent>,
        _inbound: Arc<dyn InboundSink>,
    ) -> Result<Arc<dyn WhatsAppClient>, ClientError> {
        Err(ClientError::Engine("nobody is there".into()))
    }

    async fn is_linked(&self, _lease: SessionLease) -> Result<bool, ClientError> {
        Ok(false)
    }
}
