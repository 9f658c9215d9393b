//! Starts that must not happen, and what is said about them.

use std::fs;
use std::path::Path;

use http::Method;
use serde_json::json;

use crate::process::{Finished, Wharf, finish, on_file, serve_command, wharf};
use crate::remote::Remote;

/// One line, no panic, no debug output.
fn is_one_sentence(finished: &Finished) -> bool {
    let told: Vec<_> = finished
        .stderr
        .lines()
        .filter(|line| line.starts_with("wharf: "))
        .collect();
    told.len() == 1 && !finished.stderr.contains("panicked") && !finished.stderr.contains("Error {")
}

fn assert_refused(finished: &Finished, words: &str) {
    assert_eq!(finished.status.code(), Some(1), "{}", finished.stderr);
    assert!(is_one_sentence(finished), "{}", finished.stderr);
    assert!(
        finished.stderr.contains(words),
        "{words} is missing in:\n{}",
        finished.stderr
    );
}

/// Every file of a directory with its bytes.
fn snapshot(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                fs::read(&path).unwrap(),
            )
        })
        .collect();
    files.sort();
    files
}

/// A data directory with a database file in it, not in use.
async fn used_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let server = Wharf::start(on_file(serve_command(dir.path()))).await;
    server.signal("TERM").await;
    assert!(server.ended().await.status.success());
    dir
}

#[tokio::test]
async fn every_fault_of_the_configuration_is_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("wharf.toml");
    fs::write(
        &file,
        "[server]\nlisten = \"here\"\n[storage]\nreaders = 0\nshiny = true\n",
    )
    .unwrap();
    let mut command = wharf(&["serve", "--config", file.to_str().unwrap()]);
    command
        .env("WHARF_PACING__GAP_MIN", "quickly")
        .env("WHARF_LOG__FORMAT", "pictures");
    let finished = finish(command).await;
    assert_eq!(finished.status.code(), Some(1));
    for path in [
        "server.listen",
        "storage.readers",
        "storage.shiny: unknown key",
        "pacing.gap_min",
        "log.format",
    ] {
        assert!(
            finished.stderr.contains(path),
            "{path} is missing in:\n{}",
            finished.stderr
        );
    }
    assert_eq!(finished.stdout, "");
}

#[tokio::test]
async fn the_port_of_a_platform_is_honoured() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = wharf(&["serve", "--json", "--data-dir", dir.path().to_str().unwrap()]);
    // Below the ports that the system hands out by itself: no other test gets it in the meantime.
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let port = (20_000..30_000).find(is_free).unwrap();
    command.env("PORT", port.to_string());
    let server = Wharf::start(command).await;
    assert_eq!(server.url, format!("http://127.0.0.1:{port}"));
    assert!(Remote::api(&server).text("/").await.contains("Wharf"));
}

#[tokio::test]
async fn a_second_server_on_the_same_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Wharf::serve(dir.path()).await;
    assert_refused(&finish(serve_command(dir.path())).await, "another wharf is using");
}

#[tokio::test]
async fn a_port_in_use_is_said_plainly() {
    let (first_dir, second_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = Wharf::serve(first_dir.path()).await;
    let port = first.url.rsplit(':').next().unwrap();
    let command = wharf(&[
        "serve",
        "--port",
        port,
        "--data-dir",
        second_dir.path().to_str().unwrap(),
    ]);
    assert_refused(&finish(command).await, "cannot listen on");
}

#[tokio::test]
async fn a_missing_master_key_of_a_file_stops_the_start_and_touches_nothing() {
    let dir = used_dir().await;
    fs::remove_file(dir.path().join("master.key")).unwrap();
    let before = snapshot(dir.path());
    assert_refused(&finish(on_file(serve_command(dir.path()))).await, "master key");
    assert_eq!(before, snapshot(dir.path()));
}

#[tokio::test]
async fn a_wrong_master_key_of_a_file_stops_the_start_and_touches_nothing() {
    let dir = used_dir().await;
    let key_file = dir.path().join("other.key");
    fs::write(&key_file, "22".repeat(32)).unwrap();
    let before = snapshot(dir.path());
    let mut command = on_file(serve_command(dir.path()));
    command.env("WHARF_STORAGE__MASTER_KEY_FILE", &key_file);
    assert_refused(&finish(command).await, "the master key does not open the database");
    assert_eq!(before, snapshot(dir.path()));
}

#[tokio::test]
async fn a_damaged_database_file_is_refused_and_left_as_it_is() {
    let dir = used_dir().await;
    fs::write(
        dir.path().join("wharf.db"),
        "this is not a database, and it is long enough to look at".repeat(100),
    )
    .unwrap();
    let before = snapshot(dir.path());
    assert_refused(&finish(on_file(serve_command(dir.path()))).await, "damaged");
    assert_eq!(before, snapshot(dir.path()));
}

#[tokio::test]
async fn the_first_key_goes_to_a_private_file_where_no_terminal_is_and_never_to_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = wharf(&["serve", "--port", "0", "--data-dir", dir.path().to_str().unwrap()]);
    let mut child = command.spawn().unwrap();
    let file = dir.path().join("bootstrap-key");
    let key = crate::remote::until("the key file is there", || async { fs::read_to_string(&file).ok() }).await;
    crate::remote::until("cli.json is there", || async {
        fs::read(dir.path().join("cli.json")).ok()
    })
    .await;
    child.start_kill().unwrap();
    let output = child.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(key.starts_with("wharf_test_"));
    assert!(!said.contains(key.trim()));
    for private in ["bootstrap-key", "cli.json"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(dir.path().join(private)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{private}");
    }
}

#[tokio::test]
async fn a_supplied_first_key_is_taken_and_works() {
    let (first_dir, second_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let key = Wharf::serve(first_dir.path()).await.api_key.unwrap();
    let file = second_dir.path().join("given");
    fs::write(&file, &key).unwrap();
    let mut command = serve_command(second_dir.path());
    command.env("WHARF_BOOTSTRAP_KEY_FILE", &file);
    let server = Wharf::start(command).await;
    assert_eq!(server.api_key, None);
    let sessions = Remote::new(&server.url, Some(&key)).get("/api/sessions").await;
    assert_eq!(sessions["data"].as_array().unwrap().len(), 0);
}

/// The file may lie there for years, and its text may have leaked: what was rotated away stays away.
#[tokio::test]
async fn a_supplied_key_that_was_rotated_away_does_not_come_back() {
    let (first_dir, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let supplied = Wharf::serve(first_dir.path()).await.api_key.unwrap();
    let file = dir.path().join("given");
    fs::write(&file, &supplied).unwrap();
    let start = || {
        let mut command = serve_command(dir.path());
        command.env("WHARF_BOOTSTRAP_KEY_FILE", &file);
        Wharf::start(command)
    };
    let server = start().await;
    let mut key = supplied.clone();
    for _ in 0..2 {
        let remote = Remote::new(&server.url, Some(&key));
        let keys = remote.get("/api/api-keys").await;
        let id = keys["data"][0]["id"].as_str().unwrap().to_owned();
        let rotated = remote.post(&format!("/api/api-keys/{id}/rotate"), json!({})).await;
        key = rotated["key"].as_str().unwrap().to_owned();
    }
    server.signal("TERM").await;
    assert!(server.ended().await.status.success());

    let server = start().await;
    let with = |key: &str| Remote::new(&server.url, Some(key));
    let refused = with(&supplied).call(Method::GET, "/api/sessions", None).await.unwrap();
    assert_eq!(refused.status(), 401);
    let keys = with(&key).get("/api/api-keys").await;
    assert_eq!(keys["data"].as_array().unwrap().len(), 1, "{keys}");
    server.signal("TERM").await;
    let said = server.ended().await.stderr;
    assert!(
        said.contains("it is not adopted") && !said.contains(&supplied),
        "{said}"
    );
}
