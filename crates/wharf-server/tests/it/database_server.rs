//! `wharf serve` on a PostgreSQL server that goes away, comes back, or is taken by another one. These tests start their
//! own server, whatever the others run on.

use std::path::Path;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use tokio::process::Command;
use wharf_testkit::postgres::{Cluster, Flush};

use crate::process::{MASTER_KEY, Wharf, finish, on_file, serve_command};
use crate::remote::{Remote, until};

/// `wharf serve` on a database of the server.
fn command_on(url: &str, dir: &Path) -> Command {
    let mut command = on_file(serve_command(dir));
    command
        .env("WHARF_STORAGE__URL", url)
        .env("WHARF_STORAGE__MASTER_KEY", MASTER_KEY);
    command
}

async fn readiness_is(api: &Remote, status: StatusCode) {
    until("the readiness changes", || async {
        let answer = api.call(Method::GET, "/readyz", None).await.unwrap();
        (answer.status() == status).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_server_that_goes_away_is_said_to_be_and_served_again_when_it_is_back() {
    let (cluster, dir) = (Cluster::start(Flush::Off).unwrap(), tempfile::tempdir().unwrap());
    let wharf = Wharf::start(command_on(&cluster.fresh_database().unwrap(), dir.path())).await;
    let api = Remote::api(&wharf);
    readiness_is(&api, StatusCode::OK).await;
    for end in [Cluster::stop, Cluster::crash] {
        end(&cluster).unwrap();
        let gone = Instant::now();
        readiness_is(&api, StatusCode::SERVICE_UNAVAILABLE).await;
        assert!(gone.elapsed() < Duration::from_secs(15), "{:?}", gone.elapsed());
        let body = serde_json::json!({ "name": "meanwhile" });
        let refused = api.call(Method::POST, "/api/sessions", Some(&body)).await.unwrap();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        cluster.start_again().unwrap();
        readiness_is(&api, StatusCode::OK).await;
        api.post("/api/sessions", serde_json::json!({ "name": "after" })).await;
    }
    assert!(!wharf.stderr().contains("loopback-secret"));
    wharf.signal("TERM").await;
    assert_eq!(wharf.ended().await.status.code(), Some(0));
}

#[tokio::test]
async fn who_loses_the_database_to_another_ends_with_one_sentence() {
    let (cluster, dir) = (Cluster::start(Flush::Off).unwrap(), tempfile::tempdir().unwrap());
    let url = cluster.fresh_database().unwrap();
    let wharf = Wharf::start(command_on(&url, dir.path())).await;
    // Waits for the lock as another one that was started too early, and keeps it for longer than the first one needs.
    let rival = std::thread::spawn({
        let url = url.clone();
        move || {
            std::process::Command::new("psql")
                .args(["--no-psqlrc", &url])
                .arg("--command=select pg_advisory_lock(6289348700066021377)")
                .arg("--command=select pg_sleep(20)")
                .output()
        }
    });
    until("the rival waits", || async {
        let waits = "do $$ begin if not exists (select 1 from pg_locks where locktype = 'advisory' and not granted)
                     then raise 'not yet'; end if; end $$";
        cluster.sql(waits).ok()
    })
    .await;
    let end = "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted
               and mode = 'ExclusiveLock' and objid = 1";
    cluster.sql(end).unwrap();
    let finished = wharf.ended().await;
    assert_eq!(finished.status.code(), Some(1), "{}", finished.stderr);
    assert!(
        finished.stderr.contains("another wharf owns the database now"),
        "{}",
        finished.stderr
    );
    drop(cluster);
    rival.join().unwrap().unwrap();
}

#[tokio::test]
async fn starts_that_must_not_happen_on_a_server_are_one_sentence() {
    let (cluster, dir) = (Cluster::start(Flush::Off).unwrap(), tempfile::tempdir().unwrap());
    let url = cluster.fresh_database().unwrap();
    let _first = Wharf::start(command_on(&url, dir.path())).await;
    let other_dir = tempfile::tempdir().unwrap();
    let mut no_key = command_on(&url, other_dir.path());
    no_key.env_remove("WHARF_STORAGE__MASTER_KEY");
    let nowhere = command_on("postgres://wharf:loopback-secret@127.0.0.1:1/wharf", other_dir.path());
    for (command, words) in [
        (command_on(&url, other_dir.path()), "another wharf is using 127.0.0.1:"),
        (no_key, "the master key must be given"),
        (nowhere, "the database server cannot be used"),
        (
            command_on("postgres://h/d?sslmode=maybe", other_dir.path()),
            "sslmode is disable",
        ),
    ] {
        let finished = finish(command).await;
        assert_eq!(finished.status.code(), Some(1), "{}", finished.stderr);
        assert!(finished.stderr.contains(words), "{words}: {}", finished.stderr);
        assert!(!finished.stderr.contains("loopback-secret"), "{}", finished.stderr);
        assert_eq!(
            finished
                .stderr
                .lines()
                .filter(|line| line.starts_with("wharf: "))
                .count(),
            1
        );
    }
}
