//! How a server ends.

use http::Method;

use crate::process::Wharf;
use crate::remote::{Remote, link, phones, session_id};

#[tokio::test]
async fn sigterm_ends_a_server_cleanly() {
    let dir = tempfile::tempdir().unwrap();
    let server = Wharf::serve(dir.path()).await;
    server.signal("TERM").await;
    let finished = server.ended().await;
    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    assert!(finished.stderr.contains("stopped cleanly"), "{}", finished.stderr);
}

#[tokio::test]
async fn open_event_streams_and_a_linked_session_do_not_hold_up_a_stop() {
    let dir = tempfile::tempdir().unwrap();
    let demo = Wharf::demo(dir.path()).await;
    let (api, sandbox) = (Remote::api(&demo), Remote::sandbox(&demo));
    let session = session_id(&api).await;
    let phone = phones(&sandbox).await.remove(0);
    link(&api, &sandbox, &session, &phone).await;
    let stream = reqwest::Client::new()
        .get(format!("{}/api/events", demo.url))
        .bearer_auth(demo.api_key.as_deref().unwrap())
        .header("accept", "text/event-stream")
        .send()
        .await
        .unwrap();
    let phones_stream = Remote::api(&demo)
        .call(Method::GET, "/sandbox/api/events", None)
        .await
        .unwrap();
    assert!(stream.status().is_success() && phones_stream.status().is_success());
    demo.signal("INT").await;
    let finished = demo.ended().await;
    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
}
