//! How many messages a second are accepted durably: 64 callers, each unit a whole acceptance (idempotency key, message,
//! event, stored answer), sealing included. Prints the rate with the latency of one lone commit, without which rates of
//! different disks cannot be compared.
//!
//! `cargo run --profile demo --example accept_rate -p wharf-storage -- [callers] [seconds] [dir] [postgres://...]`
#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wharf_model::{
    ContentKind, EventId, EventKind, Lane, MessageId, Network, SessionId, SystemEdges, Timestamp, WorkspaceId,
};
use wharf_storage::idempotency::{self, Answer, IdempotencyKey};
use wharf_storage::messages::{self, OutboundDraft};
use wharf_storage::{
    MasterKey, Queue, SessionKeys, Storage, StorageConfig, StorageError, WorkspaceKeys, events, sessions,
};

#[derive(Clone)]
struct Target {
    storage: Storage,
    workspace: WorkspaceId,
    session: SessionId,
    keys: Arc<SessionKeys>,
    workspace_keys: Arc<WorkspaceKeys>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let callers = arguments.next().map_or(Ok(64), |text| text.parse())?;
    let seconds = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let dir = arguments
        .next()
        .map_or_else(|| std::env::temp_dir().join("wharf-accept-rate"), PathBuf::from);
    let url = arguments.next();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    runtime.block_on(measure(callers, Duration::from_secs(seconds), dir, url))
}

async fn measure(callers: usize, time: Duration, dir: PathBuf, url: Option<String>) -> Result<(), Box<dyn Error>> {
    let _ = std::fs::remove_dir_all(&dir);
    let target = prepare(&dir, url).await?;
    let lone = lone_commits(&target).await?;
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..callers {
        let target = target.clone();
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            while started.elapsed() < time {
                let begun = Instant::now();
                accept(&target).await?;
                latencies.push(begun.elapsed());
            }
            Ok::<_, StorageError>(latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(done) = tasks.join_next().await {
        latencies.extend(done??);
    }
    let elapsed = started.elapsed();
    latencies.sort_unstable();
    let at = |share: f64| {
        latencies
            .get((latencies.len() as f64 * share) as usize)
            .copied()
            .unwrap_or_default()
    };
    println!(
        "{callers} callers: {:.0} accepted messages/s, p50 {:?}, p99 {:?}; one alone: {lone:?} each",
        latencies.len() as f64 / elapsed.as_secs_f64(),
        at(0.5),
        at(0.99)
    );
    target.storage.close().await;
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

async fn lone_commits(target: &Target) -> Result<Duration, StorageError> {
    let started = Instant::now();
    for _ in 0..200 {
        accept(target).await?;
    }
    Ok(started.elapsed() / 200)
}

async fn prepare(dir: &std::path::Path, url: Option<String>) -> Result<Target, Box<dyn Error>> {
    let config = StorageConfig {
        master_key: url.as_ref().map(|_| MasterKey::from_bytes([1; 32])),
        url,
        ..StorageConfig::new(dir, Network::Sandbox)
    };
    let storage = Storage::open(config).await?;
    let workspace = storage.ensure_default_workspace().await?.id;
    let id = SessionId::generate(&SystemEdges, &SystemEdges);
    let (keys, rows) = storage.new_session_keys(id)?;
    let session = sessions::NewSession {
        id,
        workspace_id: workspace,
        name: "rate".to_owned(),
        network: Network::Sandbox,
        device: None,
        pacing: None,
        metadata: None,
        proxy: None,
        keys: rows,
        fingerprint: None,
        epoch: 0,
        created_by: None,
        created_at: storage.clock().now(),
    };
    storage
        .write(Queue::Normal, move |tx| {
            Box::pin(async move { sessions::create(tx, &session).await })
        })
        .await?;
    let workspace_keys = storage.workspace_keys(workspace).await?;
    Ok(Target {
        storage,
        workspace,
        session: id,
        keys: Arc::new(keys),
        workspace_keys,
    })
}

/// One `POST /api/messages`, from sealing to the durable answer.
async fn accept(target: &Target) -> Result<(), StorageError> {
    let now = target.storage.clock().now();
    let message_id = MessageId::generate(&SystemEdges, &SystemEdges);
    let event_id = EventId::generate(&SystemEdges, &SystemEdges);
    let text = message_id.to_string();
    let message = draft(target, message_id, &text, now).seal(&target.keys)?;
    let event = events::Event {
        id: event_id,
        workspace_id: target.workspace,
        session_id: Some(target.session),
        kind: EventKind::MessageQueued,
        data: target.keys.seal_event(event_id, &[b'x'; 200])?,
        created_at: now,
    };
    let key = IdempotencyKey {
        workspace_id: target.workspace,
        fingerprint: [1; 32],
        key: text,
    };
    let answer = Answer::Sealed(idempotency::seal_answer(
        &target.workspace_keys,
        &key.key,
        &[b'x'; 300],
    )?);
    target
        .storage
        .write(Queue::Normal, move |tx| {
            Box::pin(async move {
                idempotency::claim_answered(tx, &key, &answer, now, now + Duration::from_secs(86_400)).await?;
                messages::insert_outbound(tx, &message).await?;
                events::append(tx, &event).await
            })
        })
        .await
}

fn draft<'a>(target: &Target, id: MessageId, text: &'a str, now: Timestamp) -> OutboundDraft<'a> {
    OutboundDraft {
        id,
        workspace_id: target.workspace,
        session_id: target.session,
        lane: Lane::Interactive,
        kind: ContentKind::Text,
        chat: text,
        to: "+15551234567",
        body: b"Your order has left our warehouse and will be with you tomorrow.",
        secret: &[7; 32],
        metadata: None,
        whatsapp_id: text,
        due_at: now,
        expires_at: None,
        created_at: now,
        wording: None,
    }
}
