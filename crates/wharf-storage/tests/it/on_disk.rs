//! What stands in the files, and what a kill leaves in them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use wharf_model::{
    Clock, ContentKind, EventId, EventKind, Lane, MessageId, Network, SessionId, SystemEdges, WorkspaceId,
};
use wharf_storage::messages::{self, OutboundDraft};
use wharf_storage::sessions::{self, NewSession, SessionProfile};
use wharf_storage::{Place, Queue, Storage, StorageConfig, events};

const PHONE: &str = "15558675309";
const BODY: &str = "the code is 042917";

async fn open(dir: &Path) -> (Storage, WorkspaceId) {
    let storage = Storage::open(StorageConfig::new(dir, Network::Sandbox)).await.unwrap();
    let workspace = storage.ensure_default_workspace().await.unwrap().id;
    (storage, workspace)
}

/// Stores a session and a message that hold a phone number and a body, and says which.
async fn fill(storage: &Storage, workspace: WorkspaceId) -> (SessionId, MessageId) {
    let (now, id) = (SystemEdges.now(), SessionId::generate(&SystemEdges, &SystemEdges));
    let (keys, rows) = storage.new_session_keys(id).unwrap();
    let session = NewSession {
        id,
        workspace_id: workspace,
        name: "s".to_owned(),
        network: Network::Sandbox,
        device: None,
        pacing: None,
        metadata: Some(keys.seal(&Place::session(id, "metadata"), BODY.as_bytes()).unwrap()),
        proxy: None,
        keys: rows,
        fingerprint: None,
        epoch: 0,
        created_by: None,
        created_at: now,
    };
    let profile = SessionProfile {
        phone_number: Some(PHONE.to_owned()),
        ..SessionProfile::default()
    };
    let profile = profile.seal(&keys).unwrap();
    let message = OutboundDraft {
        id: MessageId::generate(&SystemEdges, &SystemEdges),
        workspace_id: workspace,
        session_id: id,
        lane: Lane::Otp,
        kind: ContentKind::Text,
        chat: &format!("{PHONE}@s.whatsapp.net"),
        to: PHONE,
        body: BODY.as_bytes(),
        secret: &[7; 32],
        metadata: Some(BODY.as_bytes()),
        whatsapp_id: "3EB0",
        due_at: now,
        expires_at: None,
        created_at: now,
        wording: None,
    };
    let (message_id, message) = (message.id, message.seal(&keys).unwrap());
    let event_id = EventId::generate(&SystemEdges, &SystemEdges);
    let event = events::Event {
        id: event_id,
        workspace_id: workspace,
        session_id: Some(id),
        kind: EventKind::MessageQueued,
        data: keys.seal_event(event_id, BODY.as_bytes()).unwrap(),
        created_at: now,
    };
    storage
        .write(Queue::Normal, move |tx| {
            Box::pin(async move {
                sessions::create(tx, &session).await?;
                let fence = sessions::claim(tx, id, "node", None).await?;
                sessions::set_profile(tx, &fence, Some(&profile), now).await?;
                messages::insert_outbound(tx, &message).await?;
                events::append(tx, &event).await
            })
        })
        .await
        .unwrap();
    (id, message_id)
}

fn holds(dir: &Path, needle: &[u8]) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    let found = entries.filter(|entry| {
        let bytes = fs::read(entry.path()).unwrap();
        bytes.windows(needle.len()).any(|window| window == needle)
    });
    found.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn no_file_holds_a_phone_number_or_a_body() {
    let dir = tempfile::tempdir().unwrap();
    let (storage, workspace) = open(dir.path()).await;
    fill(&storage, workspace).await;
    for needle in [PHONE, BODY] {
        assert!(holds(dir.path(), needle.as_bytes()).is_empty(), "{needle} in the log");
    }
    storage.close().await;
    for needle in [PHONE, BODY] {
        assert!(
            holds(dir.path(), needle.as_bytes()).is_empty(),
            "{needle} in the database"
        );
    }
}

#[tokio::test]
async fn a_shredded_key_is_in_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let (storage, workspace) = open(dir.path()).await;
    let (session, _) = fill(&storage, workspace).await;
    let database = rusqlite::Connection::open(dir.path().join("wharf.db")).unwrap();
    let wrapped: Vec<Vec<u8>> = database
        .prepare("select wrapped from data_keys where owner_id = ?1")
        .unwrap()
        .query_map([session.as_bytes()], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    drop(database);
    assert_eq!(wrapped.len(), 2);
    assert!(
        wrapped.iter().all(|key| !holds(dir.path(), &key[40..]).is_empty()),
        "the search finds what is there"
    );
    storage.delete_session(workspace, session).await.unwrap();
    for key in wrapped {
        // Behind the header of the envelope every byte is the key's own.
        assert!(holds(dir.path(), &key[40..]).is_empty());
    }
}

/// The victim of the next test, in a process of its own: accepts messages and prints the id of each that was
/// acknowledged, until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by acknowledged_messages_survive_a_kill"]
async fn victim() {
    let Some(dir) = std::env::var_os("WHARF_STORAGE_VICTIM_DIR") else {
        return;
    };
    let (storage, workspace) = open(Path::new(&dir)).await;
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let storage = storage.clone();
        writers.spawn(async move {
            loop {
                let (_, message) = fill(&storage, workspace).await;
                println!("acknowledged {message}");
            }
        });
    }
    writers.join_all().await;
}

#[tokio::test]
async fn acknowledged_messages_survive_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    for round in 1..=3 {
        let acknowledged = kill_after(dir.path(), 50 * round);
        let (storage, workspace) = open(dir.path()).await;
        for id in acknowledged {
            let found = storage
                .read(move |tx| Box::pin(messages::get(tx, workspace, id)))
                .await
                .unwrap();
            let message = found.unwrap_or_else(|| panic!("{id} was acknowledged and is gone"));
            let keys = storage.session_keys(message.session_id).await.unwrap();
            assert_eq!(message.open(&keys).unwrap().body.as_deref(), Some(BODY.as_bytes()));
        }
        storage.close().await;
    }
}

/// Runs the victim, kills it (SIGKILL) at that many acknowledgements, and says every one that it got out.
fn kill_after(dir: &Path, count: usize) -> Vec<MessageId> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "on_disk::victim", "--nocapture"])
        .env("WHARF_STORAGE_VICTIM_DIR", dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = Vec::new();
    let mut killed = false;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some((_, id)) = line.split_once("acknowledged ") {
            acknowledged.push(id.trim().parse().unwrap());
        }
        if acknowledged.len() >= count && !killed {
            child.kill().unwrap();
            killed = true;
        }
    }
    child.wait().unwrap();
    assert!(acknowledged.len() >= count, "the victim ended by itself");
    acknowledged
}
