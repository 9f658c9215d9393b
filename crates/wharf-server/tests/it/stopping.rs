//! How a server ends.

use http::Method;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::process::{Wharf, serve_command};
use crate::remote::{Remote, link, phones, session_id, until};

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

/// A server with a request in progress that will never end, and that request's connection.
async fn held_up(dir: &std::path::Path, deadline: &str) -> (Wharf, TcpStream) {
    let mut command = serve_command(dir);
    command.env("WHARF_SERVER__DRAIN_DEADLINE", deadline);
    let server = Wharf::start(command).await;
    let mut slow = TcpStream::connect(server.url.trim_start_matches("http://"))
        .await
        .unwrap();
    let head = format!(
        "POST /api/sessions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\nexpect: 100-continue\r\n\r\n",
        server.api_key.as_deref().unwrap()
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body once the handler waits for it.
    slow.readable().await.unwrap();
    (server, slow)
}

#[tokio::test]
async fn a_stop_that_takes_too_long_is_cut_off_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (server, _slow) = held_up(dir.path(), "300ms").await;
    server.signal("TERM").await;
    let finished = server.ended().await;
    assert_eq!(finished.status.code(), Some(1), "{}", finished.stderr);
    assert!(finished.stderr.contains("drain_deadline"), "{}", finished.stderr);
}

#[tokio::test]
async fn a_second_signal_stops_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (server, _slow) = held_up(dir.path(), "600s").await;
    server.signal("TERM").await;
    until("the stop has begun", || async {
        server.stderr().contains("stopping").then_some(())
    })
    .await;
    server.signal("TERM").await;
    assert_eq!(server.ended().await.status.code(), Some(130));
}
