//! A backup that is restored links, sends and receives without a new QR, although the other side is ahead of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use reqwest::StatusCode;
use serde_json::{Value, json};
use wharf_sandbox::{NewPhone, Sandbox, SandboxConfig};

use crate::process::{Finished, Wharf, finish, on_file, serve_command, wharf};
use crate::remote::{Remote, bubbles, link, message_is, ready, text_message, until};

/// A network that outlives the server, with the phone to link and a friend's.
struct World {
    dir: tempfile::TempDir,
    network: Sandbox,
    control: Remote,
    own: String,
    friend: String,
}

impl World {
    async fn new() -> Self {
        let network = Sandbox::start(SandboxConfig::default()).await.unwrap();
        let own = network.create_phone(NewPhone::default()).await.unwrap().phone;
        let friend = network.create_phone(NewPhone::default()).await.unwrap().phone;
        Self {
            dir: tempfile::tempdir().unwrap(),
            control: Remote::new(&network.control_url().unwrap(), None),
            network,
            own,
            friend,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    async fn serve(&self, data: &str) -> Wharf {
        let mut command = serve_command(&self.path(data));
        command
            .env("WHARF_WHATSAPP__CHAT_URL", self.network.chat_url())
            .env("WHARF_PACING__UNSAFE_OPEN", "true");
        Wharf::start(command).await
    }

    /// A first start with a linked session; the key works on every later one.
    async fn first(&self, data: &str) -> (Wharf, String, String) {
        let server = self.serve(data).await;
        let key = server.api_key.clone().unwrap();
        let api = Remote::api(&server);
        let made = api.post("/api/sessions", json!({ "name": "main" })).await;
        let session = made["id"].as_str().unwrap().to_owned();
        link(&api, &self.control, &session, &self.own).await;
        (server, key, session)
    }

    async fn back_up(&self, data: &str, name: &str) -> Finished {
        let file = self.path(name);
        let data = self.path(data);
        finish(wharf(&[
            "backup",
            file.to_str().unwrap(),
            "--data-dir",
            data.to_str().unwrap(),
        ]))
        .await
    }

    /// Restores into a new directory that holds the key alone.
    async fn restore(&self, name: &str, from: &str, to: &str) -> Finished {
        let to = self.path(to);
        std::fs::create_dir(&to).unwrap();
        let key = self.path(from).join("master.key");
        // A database on a server has its key from the environment.
        if key.exists() {
            std::fs::copy(key, to.join("master.key")).unwrap();
        }
        restore_command(&self.path(name), &to).await
    }

    async fn friend_says(&self, text: &str) {
        self.network.send_text(&self.friend, &self.own, text).await.unwrap();
    }

    /// The account's own phone writes to the friend; its companions get a copy.
    async fn own_phone_says(&self, text: &str) {
        self.network.send_text(&self.own, &self.friend, text).await.unwrap();
    }

    /// Each text is on the friend's phone, and none of them twice.
    async fn friend_shows(&self, texts: &[&str]) {
        let shown = until("every text is on the friend's phone", || async {
            let shown = bubbles(&self.control, &self.friend).await;
            texts
                .iter()
                .all(|text| shown.iter().any(|own| own == text))
                .then_some(shown)
        })
        .await;
        let once: BTreeSet<_> = shown.iter().collect();
        assert_eq!(once.len(), shown.len(), "a message is on the screen twice: {shown:?}");
    }
}

async fn restore_command(file: &Path, to: &Path) -> Finished {
    finish(wharf(&[
        "restore",
        file.to_str().unwrap(),
        "--data-dir",
        to.to_str().unwrap(),
    ]))
    .await
}

async fn send(api: &Remote, session: &str, to: &str, text: &str) -> String {
    let message = api.post("/api/messages", text_message(session, to, text)).await;
    message["id"].as_str().unwrap().to_owned()
}

async fn deliver(api: &Remote, session: &str, to: &str, text: &str) {
    let id = send(api, session, to, text).await;
    message_is(api, &id, "delivered").await;
}

async fn received(api: &Remote, texts: &[&str]) {
    until("every text is received", || async {
        let inbound = api.all("/api/messages?direction=inbound").await;
        let has = |text: &&str| inbound.iter().any(|message| message["text"]["body"] == **text);
        texts.iter().all(has).then_some(())
    })
    .await;
}

async fn feed(api: &Remote) -> Vec<Value> {
    let mut events = Vec::new();
    let mut path = "/api/events?limit=100".to_owned();
    loop {
        let page = api.get(&path).await;
        let data = page["data"].as_array().unwrap().clone();
        if data.is_empty() {
            return events;
        }
        events.extend(data);
        path = format!("/api/events?limit=100&after={}", page["next_cursor"].as_str().unwrap());
    }
}

fn said(finished: &Finished) -> String {
    assert!(finished.status.success(), "{}", finished.stderr);
    finished.stderr.replace('\n', " ")
}

#[tokio::test]
async fn a_restored_backup_sends_and_receives_without_a_new_qr() {
    let world = World::new().await;
    let (server, key, session) = world.first("data").await;
    let api = Remote::api(&server);
    deliver(&api, &session, &world.friend, "before").await;
    world.friend_says("answer before").await;
    received(&api, &["answer before"]).await;

    let told = said(&world.back_up("data", "backup").await);
    assert!(
        told.contains("is complete") && told.contains("master key is not in it"),
        "{told}"
    );
    let again = world.back_up("data", "backup").await;
    assert_eq!(again.status.code(), Some(1));
    assert!(again.stderr.contains("--force replaces it"), "{}", again.stderr);

    // From here on the phones know more than the backup: ratchets move, pre-keys are used.
    for round in 0..3 {
        deliver(&api, &session, &world.friend, &format!("after {round}")).await;
        world.friend_says(&format!("answer after {round}")).await;
        received(&api, &[&format!("answer after {round}")]).await;
    }
    let cursor = feed(&api).await.last().unwrap()["seq"].as_str().unwrap().to_owned();
    let busy = restore_command(&world.path("backup"), &world.path("data")).await;
    assert_eq!(busy.status.code(), Some(1));
    assert!(busy.stderr.contains("another wharf is using"), "{}", busy.stderr);
    server.kill().await;
    world.friend_says("nobody is at home").await;
    world.friend_says("still nobody").await;
    world.own_phone_says("said elsewhere").await;

    let told = said(&world.restore("backup", "data", "restored").await);
    for word in [
        "Restored 1 sessions, 2 messages",
        "without a QR",
        "one-time pre-keys were dropped",
        "official apps show each of them     once",
        "cursor_expired",
    ] {
        assert!(told.contains(word), "{word}: {told}");
    }
    let server = world.serve("restored").await;
    assert_eq!(server.api_key, None);
    let api = Remote::new(&server.url, Some(&key));
    ready(&api, &session).await;
    received(
        &api,
        &["answer before", "nobody is at home", "still nobody", "said elsewhere"],
    )
    .await;
    world.own_phone_says("said elsewhere later").await;
    received(&api, &["said elsewhere later"]).await;
    for round in 0..2 {
        let (out, back) = (format!("restored {round}"), format!("answer restored {round}"));
        deliver(&api, &session, &world.friend, &out).await;
        world.friend_says(&back).await;
        received(&api, &[&back]).await;
    }
    // Somebody new is handed a pre-key that the restored server no longer has, and one more round helps.
    let stranger = world.network.create_phone(NewPhone::default()).await.unwrap().phone;
    world
        .network
        .send_text(&stranger, &world.own, "we have never met")
        .await
        .unwrap();
    received(&api, &["we have never met"]).await;
    world
        .friend_shows(&["before", "after 0", "after 1", "after 2", "restored 0", "restored 1"])
        .await;
    no_scan_was_asked_for(&api, &session).await;
    the_feed_began_anew(&api, &cursor).await;
    assert_eq!(
        world.control.get("/sandbox/api/unhandled").await["data"],
        json!([]),
        "questions that the sandbox does not imitate"
    );
}

/// The history holds the link before the backup, and no other.
async fn no_scan_was_asked_for(api: &Remote, session: &str) {
    let history = api.all(&format!("/api/sessions/{session}/history")).await;
    let statuses: Vec<_> = history.iter().filter_map(|entry| entry["status"].as_str()).collect();
    assert!(!statuses.contains(&"auth_failed"), "{statuses:?}");
    // Newest first; the restored server's own entries stand before the `ready` of the link.
    let scans = statuses.iter().rposition(|status| *status == "ready").unwrap();
    assert!(!statuses[..scans].contains(&"pending"), "{statuses:?}");
}

async fn the_feed_began_anew(api: &Remote, old: &str) {
    for accept in ["application/json", "text/event-stream"] {
        let answer = api.get_as(&format!("/api/events?after={old}"), accept).await;
        assert_eq!(answer.status(), StatusCode::GONE, "{accept}");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["code"], "cursor_expired");
    }
    let events = feed(api).await;
    let ids: BTreeSet<_> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), events.len(), "an event is in the feed twice");
    let texts: Vec<_> = events
        .iter()
        .filter(|event| event["type"] == "message.received")
        .collect();
    assert!(texts.len() >= 5, "{} messages in the feed", texts.len());
    assert_eq!(events[0]["type"], "session.status");
}

/// Queued at the backup, sent since: it goes out again under its id, and the phone shows it once.
#[tokio::test]
async fn what_was_queued_is_sent_again_and_shown_once() {
    let world = World::new().await;
    let (server, key, session) = world.first("data").await;
    let api = Remote::api(&server);
    deliver(&api, &session, &world.friend, "first").await;
    api.post(&format!("/api/sessions/{session}/disconnect"), json!({}))
        .await;
    until("the session is off", || async {
        let found = api.get(&format!("/api/sessions/{session}")).await;
        (found["status"] == "disconnected").then_some(())
    })
    .await;
    let id = send(&api, &session, &world.friend, "queued").await;
    said(&world.back_up("data", "backup").await);
    api.post(&format!("/api/sessions/{session}/connect"), json!({})).await;
    message_is(&api, &id, "delivered").await;
    server.signal("TERM").await;
    server.ended().await;

    // A backup of a database that nobody runs shows what was not in the first.
    said(&world.back_up("data", "later").await);
    said(&world.restore("backup", "data", "restored").await);
    let server = world.serve("restored").await;
    let api = Remote::new(&server.url, Some(&key));
    let found = api.get(&format!("/api/messages/{id}")).await;
    assert_eq!(found["status"], "queued");
    api.post(&format!("/api/sessions/{session}/connect"), json!({})).await;
    message_is(&api, &id, "delivered").await;
    deliver(&api, &session, &world.friend, "last").await;
    world.friend_shows(&["first", "queued", "last"]).await;
}

/// In files, whatever the tests run on: the key file and the name of the database are what this is about.
#[tokio::test]
async fn a_restore_says_in_one_sentence_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (data, backup, empty) = (path("data"), path("backup"), path("empty"));
    let restore = |file: &str, to: &str| finish(on_file(wharf(&["restore", file, "--data-dir", to])));
    let server = Wharf::start(on_file(serve_command(data.as_ref()))).await;
    server.signal("TERM").await;
    server.ended().await;
    said(&finish(on_file(wharf(&["backup", &backup, "--data-dir", &data]))).await);
    let no_key = restore(&backup, &empty).await;
    assert_eq!(no_key.status.code(), Some(1));
    assert!(no_key.stderr.contains("its master key only"), "{}", no_key.stderr);
    assert!(!Path::new(&empty).exists(), "a refused restore leaves no directory");
    let used = restore(&backup, &data).await;
    assert!(used.stderr.contains("empty place only"), "{}", used.stderr);
    let text = restore(&path("data/master.key"), &empty).await;
    assert!(text.stderr.contains("is not a Wharf backup"), "{}", text.stderr);
    std::fs::create_dir(&empty).unwrap();
    std::fs::copy(&backup, path("empty/wharf.db")).unwrap();
    std::fs::copy(path("data/master.key"), path("empty/master.key")).unwrap();
    let started = finish(on_file(serve_command(empty.as_ref()))).await;
    assert_eq!(started.status.code(), Some(1));
    assert!(
        started.stderr.contains("is a backup and not a database"),
        "{}",
        started.stderr
    );
}
