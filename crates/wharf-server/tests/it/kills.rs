//! SIGKILL in the middle of sending, again and again. After each start the same phones, links and bubbles; every
//! message that was answered with 202 reaches its phone; nobody has to scan anything again.

use std::collections::BTreeSet;
use std::path::Path;

use http::Method;
use reqwest::StatusCode;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::process::Wharf;
use crate::remote::{Remote, bubbles, link, phones, ready, session_id, text_message, until};

const KILLS: usize = 20;
const SENDERS: usize = 4;

/// Texts that were answered with 202, and those whose answer the kill cut off.
#[derive(Default)]
struct Sent {
    accepted: BTreeSet<String>,
    unknown: BTreeSet<String>,
}

#[tokio::test]
async fn twenty_kills_during_sends_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (session, both) = link_first(dir.path()).await;
    let mut sent = Sent::default();
    let mut seen = BTreeSet::new();
    for round in 0..KILLS {
        let demo = Wharf::demo(dir.path()).await;
        let (api, sandbox) = (Remote::api(&demo), Remote::sandbox(&demo));
        assert_eq!(phones(&sandbox).await, both, "round {round}: the phones changed");
        let shown: BTreeSet<String> = bubbles(&sandbox, &both[1]).await.into_iter().collect();
        assert!(shown.is_superset(&seen), "round {round}: bubbles are gone");
        seen = shown;
        // Some kills come while the session is still connecting, some while it sends.
        if round % 3 != 0 {
            ready(&api, &session).await;
        }
        send_until_killed(demo, round, &session, &both[1], &mut sent).await;
    }
    let demo = Wharf::demo(dir.path()).await;
    let (api, sandbox) = (Remote::api(&demo), Remote::sandbox(&demo));
    everything_arrives(&sandbox, &both[1], &sent).await;
    nobody_was_refused(&api, &session).await;
    assert_eq!(
        sandbox.get("/sandbox/api/unhandled").await["data"],
        serde_json::json!([])
    );
}

async fn link_first(dir: &Path) -> (String, Vec<String>) {
    let demo = Wharf::demo(dir).await;
    let (api, sandbox) = (Remote::api(&demo), Remote::sandbox(&demo));
    let session = session_id(&api).await;
    let both = phones(&sandbox).await;
    link(&api, &sandbox, &session, &both[0]).await;
    demo.kill().await;
    (session, both)
}

/// Several senders at once; the process is killed after so many answers, wherever the others are then.
async fn send_until_killed(demo: Wharf, round: usize, session: &str, to: &str, sent: &mut Sent) {
    let api = Remote::api(&demo);
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        spawn_send(
            &mut senders,
            &api,
            session,
            to,
            format!("round {round} sender {sender} message 0"),
        );
    }
    let mut demo = Some(demo);
    let (mut answers, mut next) = (0, 1);
    let kill_after = 3 + (round * 7) % 11;
    while let Some(joined) = senders.join_next().await {
        let (text, accepted) = joined.unwrap();
        answers += usize::from(accepted);
        if accepted {
            sent.accepted.insert(text)
        } else {
            sent.unknown.insert(text)
        };
        if answers >= kill_after
            && let Some(demo) = demo.take()
        {
            demo.kill().await;
        } else if demo.is_some() {
            spawn_send(&mut senders, &api, session, to, format!("round {round} message {next}"));
            next += 1;
        }
    }
}

fn spawn_send(senders: &mut JoinSet<(String, bool)>, api: &Remote, session: &str, to: &str, text: String) {
    let (api, body) = (api.clone(), text_message(session, to, &text));
    senders.spawn(async move {
        let answer = api.call(Method::POST, "/api/messages", Some(&body)).await;
        let accepted = match answer {
            Ok(answer) => {
                assert_eq!(answer.status(), StatusCode::ACCEPTED);
                true
            }
            Err(_gone) => false,
        };
        (text, accepted)
    });
}

async fn everything_arrives(sandbox: &Remote, phone: &str, sent: &Sent) {
    let shown = until("every accepted message is on the phone", || async {
        let shown = bubbles(sandbox, phone).await;
        let texts: BTreeSet<_> = shown.iter().cloned().collect();
        texts.is_superset(&sent.accepted).then_some(shown)
    })
    .await;
    let texts: BTreeSet<_> = shown.iter().cloned().collect();
    assert_eq!(shown.len(), texts.len(), "a message is on the screen twice");
    let strangers: Vec<_> = texts
        .iter()
        .filter(|text| !sent.accepted.contains(*text) && !sent.unknown.contains(*text))
        .collect();
    assert!(strangers.is_empty(), "texts that nobody sent: {strangers:?}");
    assert!(sent.accepted.len() >= KILLS * 3);
}

/// After the link the session never asked for a scan and was never refused.
async fn nobody_was_refused(api: &Remote, session: &str) {
    let history = api.all(&format!("/api/sessions/{session}/history")).await;
    let statuses: Vec<&str> = history.iter().filter_map(|entry| entry["status"].as_str()).collect();
    assert!(!statuses.contains(&"auth_failed"), "{statuses:?}");
    let links = history
        .iter()
        .filter(|entry: &&Value| entry["status"] == "pending")
        .count();
    assert!(links <= 3, "the session asked for a scan again: {statuses:?}");
}
