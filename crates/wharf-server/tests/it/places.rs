//! Session strings that are kept elsewhere: a folder, a server that speaks S3, and MEGA, where `megajs` reads what Wharf kept
//! and Wharf reads what `megajs` kept.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use wharf_testkit::process::Node;

use crate::process::{Wharf, demo_command, finish};
use crate::remote::{Remote, link, phones, session_id};

const EMAIL: &str = "operator@example.com";
const PASSWORD: &str = "correct horse battery staple";

/// A linked session on a server with these settings.
struct Linked {
    _wharf: Wharf,
    api: Remote,
    session: String,
}

impl Linked {
    async fn with(dir: &Path, settings: &[(&str, &str)]) -> Self {
        let mut command = demo_command(dir);
        command.envs(settings.iter().copied());
        let wharf = Wharf::start(command).await;
        let (api, sandbox) = (Remote::api(&wharf), Remote::sandbox(&wharf));
        let session = session_id(&api).await;
        let own = phones(&sandbox).await.remove(0);
        link(&api, &sandbox, &session, &own).await;
        Self {
            _wharf: wharf,
            api,
            session,
        }
    }

    /// The reference behind the brand, and the fingerprint.
    async fn keep(&self, place: &str) -> (String, Value) {
        let request = json!({ "format": "session_string", "prefix": "BRAND~", "destination": { "type": place } });
        let kept = self.api.post(&self.export(), request).await;
        let short = kept["data"].as_str().unwrap();
        assert_eq!(kept.get("expires_at"), None);
        (
            short.strip_prefix("BRAND~").unwrap().to_owned(),
            kept["fingerprint"].clone(),
        )
    }

    fn export(&self) -> String {
        format!("/api/sessions/{}/export", self.session)
    }

    async fn creds(&self) -> String {
        let request = json!({ "format": "baileys_creds" });
        let exported = self.api.post(&self.export(), request).await;
        exported["data"].as_str().unwrap().to_owned()
    }

    async fn validate(&self, data: &str, fetch: bool) -> (u16, Value) {
        let request = json!({ "data": data, "fetch": fetch });
        let answer = self
            .api
            .call(http::Method::POST, "/api/sessions/validate", Some(&request))
            .await;
        let answer = answer.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// What the reference leads to is these credentials; and nobody looks for them unasked.
    async fn leads_back(&self, short: &str, fingerprint: &Value) {
        let (status, report) = self.validate(short, true).await;
        assert_eq!(
            (status, &report["valid"], &report["fingerprint"]),
            (200, &json!(true), fingerprint),
            "{report}"
        );
        let (status, problem) = self.validate(short, false).await;
        assert_eq!(
            (status, &problem["errors"][0]["code"]),
            (422, &json!("credentials_elsewhere")),
            "{problem}"
        );
    }
}

/// Both are `creds.json` of one device; how far it has counted its pre-keys may differ.
fn same_device(one: &[u8], other: &[u8]) {
    let [one, other]: [Value; 2] = [one, other].map(|creds| serde_json::from_slice(creds).unwrap());
    for field in [
        "noiseKey",
        "signedIdentityKey",
        "signedPreKey",
        "registrationId",
        "advSecretKey",
        "me",
    ] {
        assert!(!one[field].is_null(), "{field}");
        assert_eq!(one[field], other[field], "{field}");
    }
}

#[tokio::test]
async fn a_folder_keeps_strings_for_its_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("strings");
    let linked = Linked::with(dir.path(), &[("WHARF_VAULT__FOLDER", folder.to_str().unwrap())]).await;
    let (id, fingerprint) = linked.keep("folder").await;
    assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let kept = std::fs::read(folder.join(format!("{id}.json"))).unwrap();
    same_device(&kept, linked.creds().await.as_bytes());
    linked.leads_back(&format!("BRAND~{id}"), &fingerprint).await;

    let request = json!({ "format": "session_string", "destination": { "type": "mega" } });
    let refused = linked
        .api
        .call(http::Method::POST, &linked.export(), Some(&request))
        .await
        .unwrap();
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["errors"][0]["code"], "not_configured", "{problem}");
}

#[tokio::test]
async fn a_folder_that_others_can_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("strings");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = demo_command(dir.path());
    command.env("WHARF_VAULT__FOLDER", &folder);
    let ended = finish(command).await;
    assert!(!ended.status.success());
    assert!(ended.stderr.contains("chmod 700"), "{}", ended.stderr);
}

/// A server that speaks S3 over a folder, and checks signatures.
async fn s3(folder: &Path) -> String {
    let mut service = S3ServiceBuilder::new(FileSystem::new(folder).unwrap());
    service.set_auth(SimpleAuth::from_single("key-id", "the secret"));
    let service = service.build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let serving =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
            tokio::spawn(serving);
        }
    });
    url
}

#[tokio::test]
async fn a_bucket_keeps_strings() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("s3");
    std::fs::create_dir_all(store.join("strings")).unwrap();
    let endpoint = s3(&store).await;
    let settings = [
        ("WHARF_VAULT__S3_ENDPOINT", endpoint.as_str()),
        ("WHARF_VAULT__S3_BUCKET", "strings"),
        ("WHARF_VAULT__S3_PREFIX", "of/wharf"),
        ("WHARF_VAULT__S3_ACCESS_KEY_ID", "key-id"),
        ("WHARF_VAULT__S3_SECRET_ACCESS_KEY", "the secret"),
    ];
    let linked = Linked::with(&dir.path().join("one"), &settings).await;
    let (id, fingerprint) = linked.keep("s3").await;
    let kept = std::fs::read(store.join(format!("strings/of/wharf/{id}.json"))).unwrap();
    same_device(&kept, linked.creds().await.as_bytes());
    linked.leads_back(&format!("BRAND~{id}"), &fingerprint).await;

    let mut others = settings;
    others[4].1 = "another secret";
    let stranger = Linked::with(&dir.path().join("two"), &others).await;
    let request = json!({ "format": "session_string", "destination": { "type": "s3" } });
    let refused = stranger
        .api
        .call(http::Method::POST, &stranger.export(), Some(&request))
        .await
        .unwrap();
    assert_eq!(refused.status(), 502);
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["code"], "place_failed", "{problem}");
    assert!(!problem.to_string().contains("secret"), "{problem}");
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/mega")
        .join(name)
}

/// `megajs` in a process of its own; what it wrote.
fn megajs(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = std::process::Command::new("node");
    command.arg(script("peer.mjs")).args(arguments);
    let mut peer = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    peer.stdin.take().unwrap().write_all(input).unwrap();
    let output = peer.wait_with_output().unwrap();
    assert!(output.status.success());
    output.stdout
}

#[tokio::test]
async fn mega_keeps_strings_that_megajs_reads_and_the_other_way_round() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = [EMAIL.to_owned(), PASSWORD.to_owned()];
    let mut mega = Node::start(Path::new("node"), &script("server.mjs"), &arguments, None).unwrap();
    let told = mega.next(Duration::from_secs(60)).await.unwrap();
    let url = told["url"].as_str().unwrap().to_owned();
    let settings = [
        ("WHARF_VAULT__MEGA_API", url.as_str()),
        ("WHARF_VAULT__MEGA_EMAIL", EMAIL),
        ("WHARF_VAULT__MEGA_PASSWORD", PASSWORD),
    ];
    let linked = Linked::with(dir.path(), &settings).await;
    let creds = linked.creds().await;

    let (reference, fingerprint) = linked.keep("mega").await;
    let ours = format!("https://mega.nz/file/{reference}");
    let (gateway, link) = (url.clone(), ours.clone());
    let read = tokio::task::spawn_blocking(move || megajs(&[&gateway, "get", &link], b""));
    same_device(&read.await.unwrap(), creds.as_bytes());
    linked.leads_back(&format!("BRAND~{reference}"), &fingerprint).await;
    assert_eq!(linked.validate(&ours, true).await.0, 200);

    let (gateway, content) = (url.clone(), creds.clone());
    let put = tokio::task::spawn_blocking(move || megajs(&[&gateway, "put", EMAIL, PASSWORD], content.as_bytes()));
    let told: Value = serde_json::from_slice(&put.await.unwrap()).unwrap();
    let theirs = told["link"].as_str().unwrap();
    let (status, report) = linked.validate(theirs, true).await;
    assert_eq!((status, &report["fingerprint"]), (200, &fingerprint), "{report}");

    // Another key opens nothing.
    let (file, key) = theirs.rsplit_once('#').unwrap();
    let other = if &key[20..21] == "A" { "B" } else { "A" };
    let (status, problem) = linked
        .validate(&format!("{file}#{}{other}{}", &key[..20], &key[21..]), true)
        .await;
    let told = &problem["errors"][0];
    assert_eq!(
        (status, &told["code"]),
        (422, &json!("credentials_not_fetched")),
        "{problem}"
    );
    assert!(told["detail"].as_str().unwrap().contains("damaged"), "{problem}");
}

#[tokio::test]
async fn an_address_is_read_when_somebody_asks_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let linked = Linked::with(dir.path(), &[]).await;
    let creds = linked.creds().await;
    let page = axum::Router::new().route("/raw", axum::routing::get(move || async move { creds }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/raw", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, page).into_future());
    assert_eq!(linked.validate(&url, true).await.0, 200);
    assert_eq!(linked.validate(&url, false).await.0, 422);
    // What is not there, and what this build may not reach.
    for named in [&format!("{url}/none"), "http://192.0.2.1/raw"] {
        let (status, problem) = linked.validate(named, true).await;
        let told = &problem["errors"][0]["code"];
        assert_eq!((status, told), (422, &json!("credentials_not_fetched")), "{problem}");
    }
}
