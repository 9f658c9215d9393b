//! Credentials move between Baileys and Wharf in the middle of a conversation, both ways.

use std::collections::HashSet;
use std::io::{Cursor, Read as _};
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use flate2::read::GzDecoder;
use serde_json::{Map, Value, json};
use tokio::process::Command;
use wharf_sandbox::{Direction, NewGroup, NewPhone, Observation, Observed, Sandbox, SandboxConfig, SeenStanza};
use wharf_testkit::process::{self as testkit, Baileys, KeptFile};
use zip::ZipArchive;

use crate::process::{PATIENCE, Wharf, serve_command};
use crate::remote::{Remote, bubbles, text_message, until};

/// A network in which Baileys is linked to a phone and talks with a friend's.
pub struct World {
    pub dir: tempfile::TempDir,
    pub network: Sandbox,
    pub control: Remote,
    pub own: String,
    pub friend: String,
}

impl World {
    pub async fn new() -> Self {
        let network = Sandbox::start(SandboxConfig {
            stanza_log: 100_000,
            ..SandboxConfig::default()
        });
        let network = network.await.unwrap();
        Self {
            dir: tempfile::tempdir().unwrap(),
            control: Remote::new(&network.control_url().unwrap(), None),
            own: network.create_phone(NewPhone::default()).await.unwrap().phone,
            friend: network.create_phone(NewPhone::default()).await.unwrap().phone,
            network,
        }
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn baileys(&self, folder: &str) -> Baileys {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/baileys/peer.mjs");
        let (url, root) = (self.network.chat_url(), self.network.root_public_key());
        Baileys::start(&script, &url, root, &self.folder(folder)).unwrap()
    }

    /// Links Baileys, has it talk with the friend in both directions and in a group, and takes what it keeps.
    pub async fn talked(&self) -> (String, Vec<KeptFile>) {
        let mut baileys = self.baileys("first");
        let shown = baileys.event("ready_for_qr").await.unwrap();
        self.network
            .scan(&self.own, shown["qr"].as_str().unwrap())
            .await
            .unwrap();
        baileys.event("open").await.unwrap();
        self.past_is_told().await;
        self.friend_says("one").await;
        baileys.hears("one").await.unwrap();
        baileys.says(&self.friend, "two").await.unwrap();
        self.friend_shows(&["one", "two"]).await;
        self.friend_says("three").await;
        self.heard_by(&mut baileys, "three").await;
        self.network.send_text(&self.own, &self.friend, "four").await.unwrap();
        self.heard_by(&mut baileys, "four").await;
        let new = NewGroup {
            subject: "Friends".to_owned(),
            members: vec![self.own.clone()],
        };
        let group = self.network.create_group(&self.friend, new).await.unwrap().group;
        self.group_talks(&group, "to the group").await;
        (group, self.stop(baileys, "first").await)
    }

    /// Ends Baileys and takes what it keeps.
    async fn stop(&self, baileys: Baileys, folder: &str) -> Vec<KeptFile> {
        self.settled().await;
        baileys.stop(&self.folder(folder)).await.unwrap()
    }

    /// Waits until clients answered for all that they were given. What was decrypted and not acknowledged (a piece of the
    /// history, while a connection ends) comes again to whoever goes on, who has no key for it any more.
    pub async fn settled(&self) {
        until("everything that was delivered is answered", || async {
            let seen = self.network.stanza_log(0, usize::MAX).unwrap();
            let stanzas = || seen.observations.iter().filter_map(|line| stanza_of(&line.what));
            let given = |stanza: &&SeenStanza| stanza.direction == Direction::ToClient && stanza.tag == "message";
            let answered: HashSet<_> = stanzas()
                .filter(|stanza| is_answer(stanza))
                .map(|stanza| &stanza.id)
                .collect();
            let all = stanzas().filter(given).all(|stanza| answered.contains(&stanza.id));
            all.then_some(())
        })
        .await;
    }

    /// Waits until a new companion has taken its account's past. Both begin a conversation otherwise, each by himself, and
    /// Baileys goes on with one that the phone has given up.
    async fn past_is_told(&self) {
        let is_told = |line: &Observation| {
            stanza_of(&line.what).is_some_and(|stanza| is_answer(stanza) && stanza.kind.as_deref() == Some("hist_sync"))
        };
        self.network.wait_for_observation(is_told, PATIENCE).await.unwrap();
        self.settled().await;
    }

    /// Waits until Baileys decrypted the text and told the network.
    async fn heard_by(&self, baileys: &mut Baileys, text: &str) {
        let message = baileys.hears(text).await.unwrap();
        self.taken(message["id"].as_str().unwrap()).await;
    }

    /// Waits until somebody told the network that he has the message.
    async fn taken(&self, id: &str) {
        let is_receipt = |line: &Observation| {
            stanza_of(&line.what)
                .is_some_and(|stanza| is_answer(stanza) && stanza.tag == "receipt" && stanza.id.as_deref() == Some(id))
        };
        self.network.wait_for_observation(is_receipt, PATIENCE).await.unwrap();
    }

    /// The friend writes to the group, and Baileys takes it.
    async fn group_talks(&self, group: &str, text: &str) {
        let id = self.network.send_text(&self.friend, group, text).await.unwrap();
        self.taken(&id).await;
    }

    /// A server of its own.
    async fn serve(&self, data: &str) -> (Wharf, Remote) {
        self.serve_by(serve_command(&self.dir.path().join(data))).await
    }

    /// The same, by a command that says where its database is.
    pub async fn serve_by(&self, mut command: Command) -> (Wharf, Remote) {
        command
            .env("WHARF_WHATSAPP__CHAT_URL", self.network.chat_url())
            .env("WHARF_SESSION__IMPORT_QUIET", "0s")
            .env("WHARF_PACING__UNSAFE_OPEN", "true");
        let wharf = Wharf::start(command).await;
        let api = Remote::api(&wharf);
        (wharf, api)
    }

    pub async fn friend_says(&self, text: &str) {
        self.network.send_text(&self.friend, &self.own, text).await.unwrap();
    }

    pub async fn friend_shows(&self, texts: &[&str]) {
        until(&format!("the friend's phone shows {texts:?}"), || async {
            let shown = bubbles(&self.control, &self.friend).await;
            texts
                .iter()
                .all(|text| shown.iter().any(|own| own == text))
                .then_some(())
        })
        .await;
    }

    /// Who asked whom for a message again, each with all that the network saw of that message.
    pub fn retries(&self) -> Vec<Vec<String>> {
        let seen = self.network.stanza_log(0, usize::MAX).unwrap();
        assert!(!seen.missed);
        let stanzas: Vec<_> = seen
            .observations
            .iter()
            .filter_map(|line| stanza_of(&line.what))
            .collect();
        let of_message = |retry: &SeenStanza| {
            let same = stanzas.iter().filter(|stanza| stanza.id == retry.id);
            same.map(|stanza| format!("{stanza:?}")).collect()
        };
        let retries = stanzas.iter().filter(|stanza| is_retry(stanza));
        retries.map(|retry| of_message(retry)).collect()
    }
}

fn stanza_of(what: &Observed) -> Option<&SeenStanza> {
    match what {
        Observed::Stanza(stanza) => Some(stanza),
        _ => None,
    }
}

/// Whether a client says that it is done with a message.
fn is_answer(stanza: &SeenStanza) -> bool {
    let tag = stanza.tag.as_str();
    stanza.direction == Direction::FromClient && (tag == "ack" || tag == "receipt") && !is_retry(stanza)
}

fn is_retry(stanza: &SeenStanza) -> bool {
    stanza.tag == "receipt" && stanza.kind.as_deref() == Some("retry")
}

/// Imports, connects without a QR, and waits until the session is ready.
pub async fn ready(api: &Remote, data: &str) -> String {
    let made = api
        .post("/api/sessions/import", json!({"data": data, "name": "moved"}))
        .await;
    let session = made["id"].as_str().unwrap().to_owned();
    assert_eq!(
        (&made["status"], &made["name"]),
        (&json!("not_started"), &json!("moved"))
    );
    connect(api, &session).await;
    session
}

/// Without a QR.
pub async fn connect(api: &Remote, session: &str) {
    api.post(&format!("/api/sessions/{session}/connect"), json!({})).await;
    until("the session is ready", || async {
        let shown = api.get(&format!("/api/sessions/{session}")).await;
        assert_ne!(shown["status"], "pending", "an imported session asks for no QR");
        (shown["status"] == "ready").then_some(())
    })
    .await;
}

pub async fn hears(api: &Remote, session: &str, text: &str) {
    until(&format!("{text:?} comes in"), || async {
        let inbound = api
            .all(&format!("/api/messages?session_id={session}&direction=inbound"))
            .await;
        inbound
            .iter()
            .any(|message| message["text"]["body"] == text)
            .then_some(())
    })
    .await;
}

pub fn as_object(files: &[KeptFile]) -> String {
    let entry = |(name, content): &KeptFile| (name.clone(), serde_json::from_slice(content).unwrap());
    Value::Object(files.iter().map(entry).collect::<Map<_, _>>()).to_string()
}

pub fn creds_of(files: &[KeptFile]) -> String {
    let creds = files.iter().find(|(name, _)| name == "creds.json").unwrap();
    String::from_utf8(creds.1.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_of_baileys_goes_on_where_it_was() {
    let world = World::new().await;
    let (group, files) = world.talked().await;
    world.friend_says("while nobody was there").await;
    let before = world.retries();
    let (_wharf, api) = world.serve("first").await;
    let session = ready(&api, &as_object(&files)).await;
    hears(&api, &session, "while nobody was there").await;
    api.post("/api/messages", text_message(&session, &world.friend, "five"))
        .await;
    world.friend_shows(&["five"]).await;
    world.friend_says("six").await;
    hears(&api, &session, "six").await;
    world
        .network
        .send_text(&world.own, &world.friend, "seven")
        .await
        .unwrap();
    hears(&api, &session, "seven").await;
    world
        .network
        .send_text(&world.friend, &group, "to the group again")
        .await
        .unwrap();
    hears(&api, &session, "to the group again").await;
    assert_eq!(world.retries(), before, "a message had to be asked for again");
    assert_eq!(world.network.unhandled().await, vec![]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_alone_negotiate_their_conversations_anew() {
    let world = World::new().await;
    let creds = creds_of(&world.talked().await.1);
    let (wharf, api) = world.serve("first").await;
    let remote = testkit::Remote::new(&wharf.url, wharf.api_key.as_deref()).unwrap();
    let body = json!({ "data": creds });
    let import = |key| remote.call(http::Method::POST, "/api/sessions/import", Some(&body), key);
    let made = import(Some("import-1")).await.unwrap();
    let again = import(Some("import-1")).await.unwrap();
    assert_eq!((made.status, again.status, again.replayed), (201, 201, true));
    assert_eq!(made.body["id"], again.body["id"]);
    let session = made.body["id"].as_str().unwrap().to_owned();
    connect(&api, &session).await;
    world.friend_says("under an old key").await;
    hears(&api, &session, "under an old key").await;
    api.post("/api/messages", text_message(&session, &world.friend, "five"))
        .await;
    world.friend_shows(&["five"]).await;
    let second = import(None).await.unwrap();
    assert_eq!(
        (second.status, &second.body["code"]),
        (409, &json!("credentials_in_use"))
    );
    assert!(second.body["detail"].as_str().unwrap().contains(&session), "{second:?}");
}

async fn disconnect(api: &Remote, session: &str) {
    let stopped = api
        .post(&format!("/api/sessions/{session}/disconnect"), json!({}))
        .await;
    assert_eq!(stopped["status"], "disconnected");
}

pub async fn export(api: &Remote, session: &str, request: Value) -> Value {
    api.post(&format!("/api/sessions/{session}/export"), request).await
}

fn unpack(zip: &str, into: &Path) {
    let packed = BASE64.decode(zip.as_bytes()).unwrap();
    ZipArchive::new(Cursor::new(packed)).unwrap().extract(into).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_goes_to_baileys_and_comes_back() {
    let world = World::new().await;
    let (group, files) = world.talked().await;
    let (_first, api) = world.serve("first").await;
    let session = ready(&api, &as_object(&files)).await;
    api.post("/api/messages", text_message(&session, &world.friend, "from Wharf"))
        .await;
    world.friend_shows(&["from Wharf"]).await;
    let path = format!("/api/sessions/{session}/export");
    let refused = api
        .call(http::Method::POST, &path, Some(&json!({"format": "baileys_folder"})))
        .await
        .unwrap();
    assert_eq!(refused.status(), 409, "its keys go on moving");
    disconnect(&api, &session).await;
    let before = world.retries();

    let folder = export(&api, &session, json!({"format": "baileys_folder"})).await;
    assert_eq!(folder["left_behind"], 0);
    unpack(folder["data"].as_str().unwrap(), &world.folder("second"));
    world.friend_says("while it moved").await;
    let mut baileys = world.baileys("second");
    baileys.event("open").await.unwrap();
    baileys.hears("while it moved").await.unwrap();
    baileys.says(&world.friend, "from Baileys").await.unwrap();
    world.friend_shows(&["from Baileys"]).await;
    world.friend_says("once more").await;
    world.heard_by(&mut baileys, "once more").await;
    world.group_talks(&group, "to the group as well").await;
    let files = world.stop(baileys, "second").await;

    let (_second, api) = world.serve("second").await;
    let session = ready(&api, &as_object(&files)).await;
    world.friend_says("home again").await;
    hears(&api, &session, "home again").await;
    api.post("/api/messages", text_message(&session, &world.friend, "at home"))
        .await;
    world.friend_shows(&["at home"]).await;
    assert_eq!(world.retries(), before, "a message had to be asked for again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_string_is_enough_for_baileys() {
    let world = World::new().await;
    let creds = creds_of(&world.talked().await.1);
    let (wharf, api) = world.serve("first").await;
    let session = ready(&api, &creds).await;
    disconnect(&api, &session).await;
    let remote = testkit::Remote::new(&wharf.url, wharf.api_key.as_deref()).unwrap();
    let path = format!("/api/sessions/{session}/export");
    let body = json!({"format": "session_string", "prefix": "BRAND~"});
    let export = || remote.call(http::Method::POST, &path, Some(&body), Some("export-1"));
    let (exported, again) = (export().await.unwrap(), export().await.unwrap());
    assert_eq!(
        (again.status, &again.body["code"]),
        (409, &json!("secret_already_shown"))
    );
    let string = exported.body["data"].as_str().unwrap();
    assert!(string.starts_with("BRAND~H4sI"), "{string}");
    let checked = api.post("/api/sessions/validate", json!({"data": string})).await;
    assert_eq!(checked["valid"], true, "{checked}");
    let audit = about_sessions(&api).await;
    let done: Vec<_> = audit
        .iter()
        .rev()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    assert_eq!(done, ["session.imported", "session.exported", "credentials.validated"]);
    let mut creds = String::new();
    let packed = BASE64.decode(&string.as_bytes()["BRAND~".len()..]).unwrap();
    GzDecoder::new(&*packed).read_to_string(&mut creds).unwrap();
    let folder = world.folder("second");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("creds.json"), creds).unwrap();
    let mut baileys = world.baileys("second");
    baileys.event("open").await.unwrap();
    baileys.says(&world.friend, "anew").await.unwrap();
    world.friend_shows(&["anew"]).await;
    world.friend_says("heard anew").await;
    world.heard_by(&mut baileys, "heard anew").await;
    baileys.stop(&folder).await.unwrap();
}

/// The audit log without what it tells of API keys: the first one was made at the start.
async fn about_sessions(api: &Remote) -> Vec<Value> {
    let mut audit = api.all("/api/audit").await;
    audit.retain(|entry| entry["api_key_id"].is_null());
    audit
}

/// What an order on the session is answered with, where it is refused.
async fn refusal(api: &Remote, session: &str, order: &str, body: Value) -> String {
    let path = format!("/api/sessions/{session}/{order}");
    let answer = api.call(http::Method::POST, &path, Some(&body)).await.unwrap();
    assert_eq!(answer.status(), 409, "{order}");
    let problem: Value = answer.json().await.unwrap();
    problem["code"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_moved_away_leaves_no_keys_and_its_device_stays_linked() {
    let world = World::new().await;
    let (_, files) = world.talked().await;
    let (_wharf, api) = world.serve("first").await;
    let session = ready(&api, &as_object(&files)).await;
    let copy = json!({"format": "baileys_creds"});
    assert_eq!(refusal(&api, &session, "export/confirm", json!({})).await, "not_moving");
    let moved = json!({"format": "baileys_folder", "move": true});
    // Connected as it is: the move takes it off the network.
    let exported = export(&api, &session, moved).await;
    let path = format!("/api/sessions/{session}");
    let shown = api.get(&path).await;
    assert_eq!(shown["status"], "disconnected");
    assert!(shown["moving_since"].is_string(), "{shown}");
    for order in ["connect", "restart", "logout"] {
        assert_eq!(refusal(&api, &session, order, json!({})).await, "session_moving");
    }
    assert_eq!(refusal(&api, &session, "export", copy.clone()).await, "session_moving");

    unpack(exported["data"].as_str().unwrap(), &world.folder("second"));
    let mut baileys = world.baileys("second");
    baileys.event("open").await.unwrap();
    let done = api.post(&format!("{path}/export/confirm"), json!({})).await;
    assert_eq!(done["status"], "not_started");
    assert_eq!(
        (&done["moving_since"], &done["phone_number"]),
        (&Value::Null, &Value::Null)
    );
    let again = api.post(&format!("{path}/export/confirm"), json!({})).await;
    assert_eq!(again["status"], "not_started", "who lost the answer asks again");
    assert_eq!(refusal(&api, &session, "export/cancel", json!({})).await, "not_moving");
    assert_eq!(refusal(&api, &session, "export", copy).await, "not_linked");
    let deleted = api.call(http::Method::DELETE, &path, None).await.unwrap();
    assert_eq!(deleted.status(), 204);
    let audit = about_sessions(&api).await;
    let done: Vec<_> = audit
        .iter()
        .rev()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    let moved = [
        "session.imported",
        "session.move_begun",
        "session.move_confirmed",
        "session.deleted",
    ];
    assert_eq!(done, moved);
    for entry in &audit {
        assert_eq!(
            (&entry["session_id"], &entry["address"]),
            (&json!(session), &json!("127.0.0.1"))
        );
        assert!(entry["who"].as_str().unwrap().starts_with("key_"), "{entry}");
    }
    baileys.says(&world.friend, "still linked").await.unwrap();
    world.friend_shows(&["still linked"]).await;
    baileys.stop(&world.folder("second")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_deleted_on_its_way_does_not_unlink_the_device() {
    let world = World::new().await;
    let (_, files) = world.talked().await;
    let (_wharf, api) = world.serve("first").await;
    let session = ready(&api, &as_object(&files)).await;
    let exported = export(&api, &session, json!({"format": "baileys_folder", "move": true})).await;
    let deleted = api
        .call(http::Method::DELETE, &format!("/api/sessions/{session}"), None)
        .await;
    assert_eq!(deleted.unwrap().status(), 204);
    unpack(exported["data"].as_str().unwrap(), &world.folder("second"));
    let mut baileys = world.baileys("second");
    baileys.event("open").await.unwrap();
    baileys.stop(&world.folder("second")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_is_taken_back_changes_nothing() {
    let world = World::new().await;
    let (_, files) = world.talked().await;
    let (wharf, api) = world.serve("first").await;
    let session = ready(&api, &as_object(&files)).await;
    let before = world.retries();
    export(&api, &session, json!({"format": "baileys_folder", "move": true})).await;
    // It stays off across a restart of the server, too.
    let key = wharf.api_key.clone();
    wharf.signal("TERM").await;
    assert_eq!(wharf.ended().await.status.code(), Some(0));
    let (wharf, _) = world.serve("first").await;
    let api = Remote::new(&wharf.url, key.as_deref());
    assert_eq!(refusal(&api, &session, "connect", json!({})).await, "session_moving");
    let back = api
        .post(&format!("/api/sessions/{session}/export/cancel"), json!({}))
        .await;
    assert_eq!(
        (&back["status"], &back["moving_since"]),
        (&json!("disconnected"), &Value::Null)
    );
    connect(&api, &session).await;
    world.friend_says("back again").await;
    hears(&api, &session, "back again").await;
    assert_eq!(world.retries(), before, "a message had to be asked for again");
}
