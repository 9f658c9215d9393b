//! The commands that talk to a running server, and those that work without one.

use std::path::Path;
use std::process::Stdio;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use wharf_sandbox::{Sandbox, SandboxConfig};

use crate::process::{Finished, Wharf, finish, wharf};
use crate::remote::{Remote, link, message_is, phones, session_id};

#[tokio::test]
async fn sessions_and_send_find_the_server_by_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    let demo = Wharf::demo(dir.path()).await;
    let (api, sandbox) = (Remote::api(&demo), Remote::sandbox(&demo));
    let session = session_id(&api).await;
    let both = phones(&sandbox).await;
    link(&api, &sandbox, &session, &both[0]).await;
    let dir = dir.path().to_str().unwrap();

    let listed = finish(wharf(&["sessions", "--data-dir", dir])).await;
    assert!(listed.status.success(), "{}", listed.stderr);
    assert!(
        listed.stdout.contains(&session) && listed.stdout.contains("ready"),
        "{}",
        listed.stdout
    );

    let to = format!("+{}", both[1]);
    let sent = finish(wharf(&[
        "send",
        "--data-dir",
        dir,
        "--session",
        "demo",
        "--to",
        &to,
        "from a terminal",
    ]))
    .await;
    assert!(sent.status.success(), "{}", sent.stderr);
    message_is(&api, sent.stdout.trim(), "delivered").await;

    let refused = finish(wharf(&[
        "send",
        "--data-dir",
        dir,
        "--session",
        "nobody",
        "--to",
        &to,
        "x",
    ]))
    .await;
    assert_eq!(refused.status.code(), Some(4), "{}", refused.stderr);
    let wrong = finish(wharf(&[
        "send",
        "--data-dir",
        dir,
        "--session",
        "demo",
        "--to",
        "12",
        "x",
    ]))
    .await;
    assert_eq!(wrong.status.code(), Some(4), "{}", wrong.stderr);
}

#[tokio::test]
async fn no_server_is_a_plain_sentence_with_a_code_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().to_str().unwrap();
    let unknown = finish(wharf(&["sessions", "--data-dir", dir])).await;
    assert_eq!(unknown.status.code(), Some(3), "{}", unknown.stderr);
    let gone = finish(wharf(&[
        "sessions",
        "--data-dir",
        dir,
        "--url",
        "http://127.0.0.1:9",
        "--key",
        "k",
    ]))
    .await;
    assert_eq!(gone.status.code(), Some(3), "{}", gone.stderr);
    assert!(gone.stderr.contains("does not answer"), "{}", gone.stderr);
}

#[tokio::test]
async fn keys_work_with_a_server_and_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let made = finish(wharf(&[
        "keys",
        "create",
        "shop",
        "--scope",
        "messages:send",
        "--data-dir",
        path,
    ]))
    .await;
    assert!(
        made.status.success() && made.stdout.starts_with("wharf_test_"),
        "{}",
        made.stderr
    );

    let server = Wharf::serve(dir.path()).await;
    assert_eq!(server.api_key, None, "a directory with keys gets no first key");
    let key = finish(wharf(&[
        "keys",
        "list",
        "--data-dir",
        path,
        "--key",
        made.stdout.trim(),
    ]))
    .await;
    assert_eq!(
        key.status.code(),
        Some(4),
        "a key that may only send cannot list keys: {}",
        key.stderr
    );
    server.signal("TERM").await;
    server.ended().await;

    let admin = finish(wharf(&["keys", "create", "admin", "--data-dir", path])).await;
    let _server = Wharf::serve(dir.path()).await;
    let with_admin = |arguments: &[&str]| {
        let mut command = wharf(arguments);
        command.args(["--data-dir", path, "--key", admin.stdout.trim()]);
        finish(command)
    };
    let listed = with_admin(&["keys", "list"]).await;
    let id = listed
        .stdout
        .lines()
        .find(|line| line.contains("shop"))
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned();
    assert!(with_admin(&["keys", "revoke", &id]).await.status.success());
    let listed = with_admin(&["keys", "list"]).await;
    let line = listed
        .stdout
        .lines()
        .find(|line| line.contains(&id))
        .unwrap()
        .to_owned();
    assert!(line.contains("revoked"), "{line}");
}

/// With a key file as standard input, as `wharf keys revoke --leaked < FILE` has it.
fn reading(mut command: Command, file: &Path) -> Command {
    command.stdin(std::fs::File::open(file).unwrap());
    command
}

/// KEY-5 and KEY-4 from a terminal: without a server first, then with one.
#[tokio::test]
async fn keys_are_limited_rotated_and_ended_with_a_server_and_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let (path, found) = (dir.path().to_str().unwrap(), dir.path().join("found"));
    let here = |arguments: &[&str]| wharf(&[arguments, &["--data-dir", path][..]].concat());
    let id_of = |made: &Finished| {
        let id = made.stderr.split("Its id is ").nth(1).unwrap();
        id.split('.').next().unwrap().to_owned()
    };
    let admin = finish(here(&["keys", "create", "admin"])).await;
    let limits = ["--ip", "198.51.100.0/24", "--expires-at", "2100-01-01T00:00:00Z"];
    let create = [&["keys", "create", "shop", "--scope", "messages:send"][..], &limits[..]].concat();
    for wrong in [["--ip", "nowhere"], ["--expires-at", "soon"], ["--session", "ses_1"]] {
        let refused = finish(here(&[&["keys", "create", "shop"][..], &wrong[..]].concat())).await;
        assert_eq!(refused.status.code(), Some(1), "{}", refused.stderr);
        assert!(refused.stderr.contains(wrong[1]), "{}", refused.stderr);
    }
    let nobody = "ses_06bkrxzq3sx4h7e0p9c2d5t8vw";
    let unknown = (["--session", nobody], format!("there is no session {nobody}"));
    let expired = (
        ["--expires-at", "2001-01-01T00:00:00Z"],
        "have expired already".to_owned(),
    );
    for (useless, reason) in [unknown, expired] {
        let refused = finish(here(&[&["keys", "create", "shop"][..], &useless[..]].concat())).await;
        assert_eq!(refused.status.code(), Some(1), "{}", refused.stderr);
        assert!(refused.stderr.contains(&reason), "{}", refused.stderr);
    }
    for is_served in [false, true] {
        let server = if is_served {
            Some(Wharf::serve(dir.path()).await)
        } else {
            None
        };
        let with_admin = |arguments: &[&str]| {
            let mut command = here(arguments);
            command.args(["--key", admin.stdout.trim()]);
            finish(command)
        };
        let made = with_admin(&create).await;
        let id = id_of(&made);
        let rotated = with_admin(&["keys", "rotate", &id, "--overlap", "60"]).await;
        assert!(rotated.status.success(), "{}", rotated.stderr);
        assert!(
            rotated.stderr.contains("The one before works until 2"),
            "{}",
            rotated.stderr
        );
        assert_ne!(made.stdout, rotated.stdout);
        let replaced = with_admin(&["keys", "rotate", &id, "--replace-latest"]).await;
        assert!(replaced.status.success(), "{}", replaced.stderr);
        assert_eq!(
            replaced.stderr, rotated.stderr,
            "the text that programs use works for as long as was said"
        );
        assert_ne!(replaced.stdout, rotated.stdout);
        let both = with_admin(&["keys", "rotate", &id, "--replace-latest", "--overlap", "60"]).await;
        assert_eq!(both.status.code(), Some(2), "{}", both.stderr);
        let unused = with_admin(&["keys", "list", "--unused-for-days", "1"]).await;
        assert!(
            unused.status.success() && !unused.stdout.contains(&id),
            "{}",
            unused.stderr
        );
        // The text before the last rotation was found, where the key may not even be used from.
        std::fs::write(&found, &made.stdout).unwrap();
        let ended = finish(reading(here(&["keys", "revoke", "--leaked"]), &found)).await;
        assert!(ended.status.success(), "{}", ended.stderr);
        let again = finish(reading(here(&["keys", "revoke", "--leaked"]), &found)).await;
        assert!(!again.status.success(), "a key that works no more was revoked again");
        let listed = with_admin(&["keys", "list"]).await;
        let line = listed
            .stdout
            .lines()
            .find(|line| line.contains(&id))
            .unwrap()
            .to_owned();
        assert!(line.contains("revoked"), "{line}");
        let again = with_admin(&["keys", "rotate", &id]).await;
        assert!(!again.status.success(), "{}", again.stdout);
        if let Some(server) = server {
            server.signal("TERM").await;
            server.ended().await;
        }
    }
    let nothing = finish(here(&["keys", "revoke", "--leaked"])).await;
    assert_eq!(nothing.status.code(), Some(1), "{}", nothing.stderr);
    let both = finish(here(&["keys", "revoke", "key_1", "--leaked"])).await;
    assert_eq!(both.status.code(), Some(2), "{}", both.stderr);
}

#[tokio::test]
async fn plans_work_with_a_server_and_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let here = |arguments: &[&str]| finish(wharf(&[arguments, &["--data-dir", path]].concat()));
    let made = here(&["plans", "create", "starter", "--messages-per-day", "1000"]).await;
    assert!(made.status.success(), "{}", made.stderr);
    let plan = made.stdout.trim().to_owned();
    assert!(plan.starts_with("pln_"), "{plan}");
    let admin = here(&["keys", "create", "admin"]).await;
    let key = here(&["keys", "create", "shop", "--scope", "messages:send", "--plan", &plan]).await;
    assert!(key.status.success(), "{}", key.stderr);
    let id_of = |listed: &str| listed.split_whitespace().next().unwrap().to_owned();
    let shop = |listed: &str| listed.lines().find(|line| line.contains("shop")).unwrap().to_owned();
    let listed = here(&["keys", "list"]).await;
    let line = shop(&listed.stdout);
    assert!(line.contains("starter"), "{line}");
    let used = here(&["usage", &id_of(&line)]).await;
    assert!(used.stderr.contains("starter"), "{}", used.stderr);
    assert!(used.stdout.contains("1000"), "{}", used.stdout);
    assert_eq!(here(&["usage"]).await.status.code(), Some(1), "nobody asks");
    let refused = here(&["plans", "delete", &plan]).await;
    assert_eq!(refused.status.code(), Some(1), "{}", refused.stderr);
    for name in ["", &"x".repeat(101)] {
        let refused = here(&["plans", "create", name]).await;
        assert_eq!(refused.status.code(), Some(1), "{}", refused.stdout);
        assert!(refused.stderr.contains("1 to 100 characters"), "{}", refused.stderr);
    }
    let brief = here(&["plans", "create", "brief"]).await;
    let brief = brief.stdout.trim();
    let deleted = here(&["plans", "delete", brief]).await;
    assert!(deleted.status.success(), "{}", deleted.stderr);

    let server = Wharf::serve(dir.path()).await;
    let audit = Remote::new(&server.url, Some(admin.stdout.trim()))
        .get("/api/audit")
        .await;
    let done = audit["data"].as_array().unwrap().iter();
    let done: Vec<_> = done
        .map(|entry| (&entry["action"], &entry["who"], &entry["plan_id"]))
        .collect();
    for (action, plan) in [
        ("plan.created", plan.as_str()),
        ("plan.created", brief),
        ("plan.deleted", brief),
    ] {
        let expected = (&json!(action), &json!("wharf"), &json!(plan));
        assert!(done.contains(&expected), "{audit}");
    }
    let with = |key: &str, arguments: &[&str]| here(&[arguments, &["--key", key]].concat());
    let (admin, own) = (admin.stdout.trim(), key.stdout.trim());
    let line = shop(&with(admin, &["keys", "list"]).await.stdout);
    assert!(line.contains("starter"), "{line}");
    let used = with(own, &["usage"]).await;
    assert!(used.stdout.contains("1000"), "{} {}", used.stdout, used.stderr);
    let other = with(admin, &["plans", "create", "large", "--sessions", "77777"]).await;
    let listed = with(admin, &["plans", "list"]).await;
    for text in ["starter", "1000", "large", "77777"] {
        assert!(listed.stdout.contains(text), "{}", listed.stdout);
    }
    let refused = with(admin, &["plans", "delete", &plan]).await;
    assert_eq!(refused.status.code(), Some(4), "{}", refused.stderr);
    assert!(refused.stderr.contains("plan_in_use"), "{}", refused.stderr);
    let deleted = with(admin, &["plans", "delete", other.stdout.trim()]).await;
    assert!(deleted.status.success(), "{}", deleted.stderr);
    for wrong in [&["plans", "delete", "../api-keys/self"][..], &["usage", "self"]] {
        let refused = with(admin, wrong).await;
        assert_eq!(
            refused.status.code(),
            Some(1),
            "it went to the server: {}",
            refused.stderr
        );
    }
    let wrong = with(admin, &["plans", "create", "none", "--requests-per-second", "0"]).await;
    assert_eq!(wrong.status.code(), Some(2), "{}", wrong.stderr);
}

#[tokio::test]
async fn link_draws_a_qr_and_ends_when_the_session_is_ready() {
    let dir = tempfile::tempdir().unwrap();
    let demo = Wharf::demo(dir.path()).await;
    let (api, sandbox) = (Remote::api(&demo), Remote::sandbox(&demo));
    let phone = phones(&sandbox).await.remove(0);
    let mut command = wharf(&["link", "--name", "shop", "--data-dir", dir.path().to_str().unwrap()]);
    let mut child = command.stderr(Stdio::inherit()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let drawn = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("no QR was drawn");
            if line.contains('█') {
                return;
            }
        }
    };
    tokio::time::timeout(crate::process::PATIENCE, drawn).await.unwrap();
    let sessions = api.all("/api/sessions").await;
    let shop = sessions.iter().find(|session| session["name"] == "shop").unwrap();
    let id = shop["id"].as_str().unwrap().to_owned();
    let qr = api.get(&format!("/api/sessions/{id}/qr")).await;
    sandbox
        .post(
            &format!("/sandbox/api/phones/{phone}/scan"),
            serde_json::json!({ "qr": qr["qr"] }),
        )
        .await;
    let mut last = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        if !line.is_empty() {
            last = line;
        }
    }
    assert!(child.wait().await.unwrap().success());
    assert_eq!(last, id);
}

#[tokio::test]
async fn link_tells_a_code_for_a_number() {
    let dir = tempfile::tempdir().unwrap();
    let demo = Wharf::demo(dir.path()).await;
    let sandbox = Remote::sandbox(&demo);
    let phone = phones(&sandbox).await.remove(0);
    let mut command = wharf(&[
        "link",
        "--name",
        "shop",
        "--phone",
        &phone,
        "--data-dir",
        dir.path().to_str().unwrap(),
    ]);
    let mut child = command.stderr(Stdio::inherit()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = tokio::time::timeout(crate::process::PATIENCE, lines.next_line());
    let code = told.await.unwrap().unwrap().unwrap();
    assert_eq!((code.len(), &code[4..5]), (9, "-"), "{code}");
    let typed = serde_json::json!({ "code": code });
    sandbox
        .post(&format!("/sandbox/api/phones/{phone}/enter-code"), typed)
        .await;
    let session = lines.next_line().await.unwrap().unwrap();
    assert!(child.wait().await.unwrap().success());
    assert!(session.starts_with("ses_"), "{session}");
}

#[tokio::test]
async fn link_runs_without_a_server_and_says_when_nobody_scanned() {
    let dir = tempfile::tempdir().unwrap();
    let network = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let mut command = wharf(&["link", "--timeout", "3", "--data-dir", dir.path().to_str().unwrap()]);
    command.env("WHARF_WHATSAPP__CHAT_URL", network.chat_url());
    let finished = finish(command).await;
    assert_eq!(finished.status.code(), Some(5), "{}", finished.stderr);
    assert!(finished.stderr.contains("not ready within 3 s"), "{}", finished.stderr);
}
