//! The control API, call by call.

use rusqlite::Connection;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use wharf_sandbox::{Sandbox, SandboxConfig, StoreConfig};

use crate::http::{call, call_as};
use crate::raw_client::{Keys, PATIENCE, show_code, show_code_as, sign_link};

async fn start() -> (Sandbox, String) {
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let base = sandbox.control_url().unwrap();
    (sandbox, base)
}

#[tokio::test]
async fn phones_are_made_shown_and_talk() {
    let (sandbox, base) = start().await;
    let made = call(&base, "POST", "/sandbox/api/phones", Some(json!({"name": "Alice"}))).await;
    assert_eq!(made.status, 201);
    let alice = made.body["phone"].as_str().unwrap().to_owned();
    let bob = call(
        &base,
        "POST",
        "/sandbox/api/phones",
        Some(json!({"phone": "4915112345678"})),
    )
    .await
    .body;
    assert_eq!(bob["name"], "4915112345678");
    let send = format!("/sandbox/api/phones/{alice}/send");
    let sent = call(&base, "POST", &send, Some(json!({"to": "4915112345678", "text": "hi"}))).await;
    assert_eq!(sent.status, 202);
    sandbox
        .wait_for_message("4915112345678", |message| message.text == "hi", PATIENCE)
        .await
        .unwrap();
    let chats = call(&base, "GET", "/sandbox/api/phones/4915112345678/chats", None)
        .await
        .body;
    assert_eq!(chats["data"][0]["messages"][0]["id"], sent.body["id"]);
    assert_eq!(chats["data"][0]["messages"][0]["type"], "text");
    // RFC 3339 with milliseconds, as everywhere else: 2026-01-31T23:59:59.000Z.
    let at = chats["data"][0]["messages"][0]["at"].as_str().unwrap();
    assert!(at.len() == 24 && at.as_bytes()[10] == b'T' && at.ends_with('Z'), "{at}");
    let read = call(
        &base,
        "POST",
        "/sandbox/api/phones/4915112345678/read",
        Some(json!({"chat": alice})),
    )
    .await;
    assert_eq!(read.status, 202);
    let listed = call(&base, "GET", "/sandbox/api/phones", None).await.body;
    assert_eq!(listed["data"].as_array().unwrap().len(), 2);
    let off = call(
        &base,
        "POST",
        &format!("/sandbox/api/phones/{alice}/online"),
        Some(json!({"online": false})),
    )
    .await;
    assert_eq!((off.status, off.body["online"].as_bool()), (200, Some(false)));
}

#[tokio::test]
async fn a_code_is_scanned_and_the_device_unlinked() {
    let (sandbox, base) = start().await;
    let phone = call(&base, "POST", "/sandbox/api/phones", Some(json!({}))).await.body["phone"]
        .as_str()
        .unwrap()
        .to_owned();
    let keys = Keys::new();
    let (mut client, reference) = show_code(&sandbox, &keys).await;
    let scan = format!("/sandbox/api/phones/{phone}/scan");
    let body = json!({"qr": keys.qr(&reference)});
    let (scanned, ()) = tokio::join!(
        call(&base, "POST", &scan, Some(body.clone())),
        sign_link(&mut client, &keys)
    );
    assert_eq!((scanned.status, scanned.body["device"].as_u64()), (200, Some(1)));
    let again = call(&base, "POST", &scan, Some(body)).await;
    assert_eq!((again.status, again.body["code"].as_str()), (409, Some("unknown_qr")));
    let device = format!("/sandbox/api/phones/{phone}/devices/1");
    assert_eq!(call(&base, "DELETE", &device, None).await.status, 204);
    assert_eq!(call(&base, "DELETE", &device, None).await.status, 404);
}

#[tokio::test]
async fn errors_are_problems_with_codes() {
    let (_sandbox, base) = start().await;
    let cases = [
        (
            "POST",
            "/sandbox/api/phones",
            Some(json!({"nonsense": 1})),
            422,
            "invalid_body",
        ),
        (
            "POST",
            "/sandbox/api/phones",
            Some(json!({"phone": "abc"})),
            422,
            "invalid_phone",
        ),
        ("GET", "/sandbox/api/phones/1234567", None, 404, "unknown_phone"),
        (
            "POST",
            "/sandbox/api/phones/1234567/scan",
            Some(json!({"qr": "x"})),
            404,
            "unknown_phone",
        ),
        (
            "DELETE",
            "/sandbox/api/phones/1234567/devices/abc",
            None,
            404,
            "not_found",
        ),
        ("GET", "/nowhere", None, 404, "not_found"),
        ("PUT", "/sandbox/api/phones", None, 405, "method_not_allowed"),
    ];
    for (method, path, body, status, code) in cases {
        let answer = call(&base, method, path, body).await;
        assert_eq!(
            (answer.status, answer.body["code"].as_str()),
            (status, Some(code)),
            "{method} {path}"
        );
        assert!(answer.head.contains("application/problem+json"));
    }
    let host = base.strip_prefix("http://").unwrap();
    let malformed = call_as(&base, host, "POST", "/sandbox/api/phones", Some("{".to_owned())).await;
    assert_eq!(
        (malformed.status, malformed.body["code"].as_str()),
        (400, Some("malformed_body"))
    );
    let large = call_as(
        &base,
        host,
        "POST",
        "/sandbox/api/phones",
        Some(format!("{{\"name\":\"{}\"}}", "x".repeat(600_000))),
    )
    .await;
    assert_eq!(large.status, 413);
}

#[tokio::test]
async fn deliberate_delays_are_told() {
    let (sandbox, base) = start().await;
    let told = call(&base, "GET", "/sandbox/api/timing", None).await.body;
    assert_eq!(told["scan_to_logged_in_ms"], 380);
    assert_eq!(sandbox.timing().scan_to_logged_in().as_millis(), 380);
}

#[tokio::test]
async fn another_host_name_is_refused() {
    let (_sandbox, base) = start().await;
    let answer = call_as(&base, "evil.example", "GET", "/sandbox/api/phones", None).await;
    assert_eq!(
        (answer.status, answer.body["code"].as_str()),
        (403, Some("foreign_host"))
    );
    assert_eq!(
        call_as(&base, "localhost:1", "GET", "/sandbox/api/phones", None)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn the_feed_tells_of_changes() {
    let (_sandbox, base) = start().await;
    let mut stream = TcpStream::connect(base.strip_prefix("http://").unwrap()).await.unwrap();
    stream
        .write_all(b"GET /sandbox/api/events HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut lines = BufReader::new(stream).lines();
    while !lines.next_line().await.unwrap().unwrap().is_empty() {}
    let made = call(&base, "POST", "/sandbox/api/phones", Some(json!({}))).await.body;
    let data = async {
        loop {
            let line = lines.next_line().await.unwrap().unwrap();
            if let Some(data) = line.strip_prefix("data: ") {
                return serde_json::from_str::<serde_json::Value>(data).unwrap();
            }
        }
    };
    let event = tokio::time::timeout(PATIENCE, data).await.unwrap();
    assert_eq!(
        (&event["phone"], event["change"].as_str()),
        (&made["phone"], Some("phone"))
    );
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sandbox.db");
    let config = SandboxConfig {
        store: StoreConfig::File(path.clone()),
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::start(config).await.unwrap();
    let base = sandbox.control_url().unwrap();
    let made = call(&base, "POST", "/sandbox/api/phones", Some(json!({"name": "Alice"}))).await;
    assert_eq!(made.status, 201);
    // The disk under it goes: the next commit fails.
    Connection::open(&path)
        .unwrap()
        .execute_batch("drop table records")
        .unwrap();
    let refused = call(&base, "POST", "/sandbox/api/phones", Some(json!({"name": "Bob"}))).await;
    assert_eq!((refused.status, &refused.body["code"]), (503, &json!("store_failed")));
    let alice = made.body["phone"].as_str().unwrap();
    let offline = format!("/sandbox/api/phones/{alice}/online");
    let refused = call(&base, "POST", &offline, Some(json!({"online": false}))).await;
    assert_eq!((refused.status, &refused.body["code"]), (503, &json!("store_failed")));
    tokio::time::timeout(PATIENCE, sandbox.stop()).await.unwrap();
}

/// Test suites of others scan like this; a name stands for an account.
#[tokio::test]
async fn clients_of_one_name_become_companions_of_one_account() {
    let (sandbox, _) = start().await;
    // On the port of the clients, as those suites expect.
    let chat = sandbox.chat_url().replace("ws://", "http://").replace("/ws/chat", "");
    let mut phones = Vec::new();
    let long = "a name as long as a sentence ".repeat(5);
    for name in [Some(long.as_str()), Some(long.as_str()), Some("Bob"), None] {
        let keys = Keys::new();
        let payload = waproto::whatsapp::ClientPayload {
            push_name: name.map(str::to_owned),
            ..keys.registration()
        };
        let (mut client, reference) = show_code_as(&sandbox, &keys, &payload).await;
        let qr = keys.qr(&reference);
        let (scanned, ()) = tokio::join!(
            call_as(&chat, "127.0.0.1", "POST", "/admin/mock-phone/scan-qr", Some(qr)),
            sign_link(&mut client, &keys)
        );
        assert_eq!(scanned.status, 200);
        phones.push((scanned.body["phone"].clone(), scanned.body["device"].as_u64()));
    }
    assert_eq!(phones[0].0, phones[1].0);
    assert_eq!((phones[0].1, phones[1].1), (Some(1), Some(2)));
    assert!(phones[0].0 != phones[2].0 && phones[2].0 != phones[3].0);
}
