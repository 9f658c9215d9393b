//! What must not lie about: after an end-to-end run, Wharf's own files, logs and metrics are searched byte for byte.

use std::fs;
use std::path::Path;

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde_json::json;

use crate::process::{MASTER_KEY, Wharf, database_of, demo_command};
use crate::remote::{Remote, link, message_is, phones, session_id, text_message, until};

const OUT: &str = "plaintext-going-out-4711";
const IN: &str = "plaintext-coming-in-0815";

/// Where a byte string was found.
fn finds(haystack: &[u8], needle: impl AsRef<[u8]>) -> bool {
    let needle = needle.as_ref();
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// The keys behind what a QR says (reference, noise key, identity key, link secret), and the master key: as bytes.
fn key_material(qr: &str, dir: &Path) -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> = qr
        .split(',')
        .filter_map(|part| BASE64.decode(part.as_bytes()).ok())
        .filter(|bytes| bytes.len() == 32)
        .collect();
    assert!(keys.len() >= 3, "the QR holds three keys");
    let master = match database_of(dir.to_str().unwrap()) {
        Some(_) => MASTER_KEY.to_owned(),
        None => fs::read_to_string(dir.join("master.key")).unwrap(),
    };
    keys.push(HEXLOWER_PERMISSIVE.decode(master.trim().as_bytes()).unwrap());
    keys.push(master.trim().as_bytes().to_vec());
    keys
}

/// Wharf's own database, a file's log included. Not the sandbox's file, which is the phones' memory.
fn database_bytes(dir: &Path) -> Vec<u8> {
    if let Some(url) = database_of(dir.to_str().unwrap()) {
        let tables = wharf_testkit::postgres::contents(&url).unwrap();
        return tables.into_iter().flat_map(|(_, rows)| rows).collect();
    }
    let files = ["wharf.db", "wharf.db-wal", "wharf.db-shm"];
    files
        .iter()
        .filter_map(|name| fs::read(dir.join(name)).ok())
        .flatten()
        .collect()
}

#[tokio::test]
async fn nothing_readable_is_left_in_database_log_or_metrics() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = demo_command(dir.path());
    command.env("WHARF_LOG__FILTER", "trace");
    let demo = Wharf::start(command).await;
    let (api, sandbox) = (Remote::api(&demo), Remote::sandbox(&demo));
    let session = session_id(&api).await;
    let both = phones(&sandbox).await;
    let qr = link(&api, &sandbox, &session, &both[0]).await;
    let message = api.post("/api/messages", text_message(&session, &both[1], OUT)).await;
    message_is(&api, message["id"].as_str().unwrap(), "delivered").await;
    sandbox
        .post(
            &format!("/sandbox/api/phones/{}/send", both[1]),
            json!({ "to": both[0], "text": IN }),
        )
        .await;
    until("the answer is received", || async {
        let inbound = api.all("/api/messages?direction=inbound").await;
        (!inbound.is_empty()).then_some(())
    })
    .await;
    let metrics = api.text("/metrics").await;
    let key = demo.api_key.clone().unwrap();
    let log = demo.kill().await;

    let database = database_bytes(dir.path());
    assert!(finds(&database, "session.status"), "these are not the rows of Wharf");
    // The password of a database server.
    let password = "loopback-secret".to_owned();
    let mut secrets = vec![OUT.to_owned(), IN.to_owned(), key, qr.clone(), password];
    secrets.extend(qr.split(',').map(str::to_owned).filter(|part| part.len() > 20));
    for secret in &secrets {
        assert!(!finds(&database, secret), "the database holds {secret}");
        assert!(!finds(log.as_bytes(), secret), "the log holds {secret}");
        assert!(!finds(metrics.as_bytes(), secret), "the metrics hold {secret}");
    }
    for bytes in key_material(&qr, dir.path()) {
        assert!(!finds(&database, &bytes), "the database holds a key");
        assert!(!finds(log.as_bytes(), &bytes), "the log holds a key");
        assert!(!finds(metrics.as_bytes(), &bytes), "the metrics hold a key");
    }
    for phone in &both {
        assert!(
            !finds(log.as_bytes(), phone),
            "the log holds a phone number:\n{}",
            line_with(&log, phone)
        );
        assert!(!finds(metrics.as_bytes(), phone), "the metrics hold a phone number");
        assert!(!finds(&database, phone), "the database file holds a phone number");
    }
    match database_of(dir.path().to_str().unwrap()) {
        // Columns stand one after the other in what was searched above, each as it is.
        Some(_) => {}
        None => no_column_holds(&dir.path().join("wharf.db"), &both),
    }
}

fn line_with<'a>(log: &'a str, needle: &str) -> &'a str {
    log.lines().find(|line| line.contains(needle)).unwrap_or_default()
}

/// Asks every column of every table, whatever its type.
fn no_column_holds(path: &Path, needles: &[String]) {
    let database = Connection::open(path).unwrap();
    let mut names = database
        .prepare("select name from sqlite_schema where type = 'table'")
        .unwrap();
    let tables: Vec<String> = names
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(tables.iter().any(|table| table == "messages"));
    for table in tables {
        let mut statement = database.prepare(&format!("select * from \"{table}\"")).unwrap();
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for (at, column) in columns.iter().enumerate() {
                let bytes = match row.get_ref(at).unwrap() {
                    ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.to_vec(),
                    ValueRef::Integer(number) => number.to_string().into_bytes(),
                    ValueRef::Null | ValueRef::Real(_) => Vec::new(),
                };
                for needle in needles {
                    assert!(!finds(&bytes, needle), "{table}.{column} holds a phone number");
                }
            }
        }
    }
}
