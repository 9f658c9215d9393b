//! What only a server can show: being refused, being lost, being taken.

use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::sync::watch;
use tokio_postgres::NoTls;
use wharf_model::{Network, SessionId, SystemEdges};
use wharf_storage::events::{self, EventFilter};
use wharf_storage::{MasterKey, OpenError, Ownership, Queue, Storage, StorageConfig, StorageError, workspaces};
use wharf_testkit::postgres::{Cluster, Flush, fresh_shared_database};

/// The key of the owner's lock, as operators find it in `pg_locks`.
const OWNER: i64 = 0x5748_4152_0000_0001;

fn config(url: &str) -> (StorageConfig, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let config = StorageConfig {
        url: Some(url.to_owned()),
        master_key: Some(MasterKey::from_bytes([3; 32])),
        connections: 4,
        ..StorageConfig::new(dir.path(), Network::Sandbox)
    };
    (config, dir)
}

async fn raw(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Ends the connection that holds the owner's lock, as a network that breaks does. The server's other databases are other
/// tests'.
async fn end_owner(client: &tokio_postgres::Client) {
    let sql = "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and mode = 'ExclusiveLock'
                   and granted and objid = 1
                   and database = (select oid from pg_database where datname = current_database())";
    assert_eq!(client.query(sql, &[]).await.unwrap().len(), 1);
}

async fn until(ownership: &mut watch::Receiver<Ownership>, wanted: Ownership) {
    ownership.wait_for(|now| *now == wanted).await.unwrap();
}

async fn write(storage: &Storage) -> Result<(), StorageError> {
    storage.probe().await
}

async fn read(storage: &Storage) -> Result<bool, StorageError> {
    let found = storage.read(|tx| Box::pin(workspaces::oldest(tx))).await;
    found.map(|workspace| workspace.is_some())
}

#[tokio::test]
async fn a_second_start_is_refused_while_the_first_lives() {
    let url = fresh_shared_database();
    let (first_config, _dir) = config(&url);
    let first = Storage::open(first_config).await.unwrap();
    let (second_config, _other_dir) = config(&url);
    let error = Storage::open(second_config.clone()).await.unwrap_err();
    let sentence = error.to_string();
    assert!(sentence.starts_with("another wharf is using 127.0.0.1:"), "{sentence}");
    assert!(!sentence.contains("secret"), "{sentence}");
    first.ensure_default_workspace().await.unwrap();
    first.close().await;
    assert!(
        Storage::open(second_config)
            .await
            .unwrap()
            .ensure_default_workspace()
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_missing_master_key_stops_the_start() {
    let url = fresh_shared_database();
    let (mut config, dir) = config(&url);
    config.master_key = None;
    let error = Storage::open(config).await.unwrap_err();
    assert!(matches!(error, OpenError::MasterKeyRequired), "{error:?}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let tables = raw(&url)
        .await
        .query("select 1 from pg_tables where schemaname = 'public'", &[])
        .await;
    assert!(tables.unwrap().is_empty());
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_left_as_it_is() {
    let url = fresh_shared_database();
    let (mut config, _dir) = config(&url);
    let storage = Storage::open(config.clone()).await.unwrap();
    storage.ensure_default_workspace().await.unwrap();
    storage.close().await;
    let client = raw(&url).await;
    config.master_key = Some(MasterKey::from_bytes([4; 32]));
    let error = Storage::open(config.clone()).await.unwrap_err();
    assert!(matches!(error, OpenError::WrongMasterKey(_)), "{error:?}");
    config.master_key = Some(MasterKey::from_bytes([3; 32]));
    config.network = Network::Live;
    let error = Storage::open(config.clone()).await.unwrap_err();
    assert!(matches!(error, OpenError::OtherNetwork { .. }), "{error:?}");
    config.network = Network::Sandbox;
    let newer = "insert into schema_migrations values (999, 'newer', '\\x00', 0)";
    client.batch_execute(newer).await.unwrap();
    let error = Storage::open(config.clone()).await.unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::Foreign(_) | OpenError::FromTheFuture { found: 999, .. }
        ),
        "{error:?}"
    );
    let whole = "update schema_migrations set checksum = decode(repeat('00', 32), 'hex') where version = 999";
    client.batch_execute(whole).await.unwrap();
    let error = Storage::open(config.clone()).await.unwrap_err();
    assert!(
        matches!(error, OpenError::FromTheFuture { found: 999, .. }),
        "{error:?}"
    );
    let changed = "delete from schema_migrations where version = 999;
                   update schema_migrations set checksum = decode(repeat('00', 32), 'hex')";
    client.batch_execute(changed).await.unwrap();
    let error = Storage::open(config).await.unwrap_err();
    assert!(matches!(error, OpenError::MigrationChanged(1)), "{error:?}");
}

#[tokio::test]
async fn tables_of_another_program_are_left_alone() {
    let url = fresh_shared_database();
    let client = raw(&url).await;
    client.batch_execute("create table sessions (id int)").await.unwrap();
    let (config, _dir) = config(&url);
    let error = Storage::open(config).await.unwrap_err();
    assert!(matches!(error, OpenError::Foreign(_)), "{error:?}");
    let tables = client
        .query("select 1 from pg_tables where schemaname = 'public'", &[])
        .await;
    assert_eq!(tables.unwrap().len(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_one_sentence_without_the_password() {
    let (config, _dir) = config("postgres://wharf:hidden@127.0.0.1:1/wharf");
    let error = Storage::open(config.clone()).await.unwrap_err();
    assert!(matches!(error, OpenError::Unreachable(_)), "{error:?}");
    let mut shown = format!("{error} {error:?} {config:?}");
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        shown.push_str(&cause.to_string());
        source = cause.source();
    }
    assert!(!shown.contains("hidden"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_server_is_served_again_without_a_restart_of_ours() {
    let cluster = Cluster::start(Flush::Off).unwrap();
    for end in [Cluster::stop, Cluster::crash] {
        let (config, _dir) = config(&cluster.fresh_database().unwrap());
        let storage = Storage::open(config).await.unwrap();
        storage.ensure_default_workspace().await.unwrap();
        let mut ownership = storage.ownership();
        assert_eq!(*ownership.borrow(), Ownership::Held);
        end(&cluster).unwrap();
        until(&mut ownership, Ownership::Lost).await;
        let asked = Instant::now();
        let (failed, unread) = (write(&storage).await, read(&storage).await);
        assert!(matches!(failed, Err(StorageError::Unavailable(_))), "{failed:?}");
        assert!(matches!(unread, Err(StorageError::Unavailable(_))), "{unread:?}");
        assert!(asked.elapsed() < Duration::from_secs(10));
        cluster.start_again().unwrap();
        until(&mut ownership, Ownership::Held).await;
        write(&storage).await.unwrap();
        assert!(read(&storage).await.unwrap());
        storage.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_waits_over_a_short_absence() {
    let cluster = Cluster::start(Flush::Off).unwrap();
    let (config, _dir) = config(&cluster.fresh_database().unwrap());
    let storage = Storage::open(config).await.unwrap();
    storage.ensure_default_workspace().await.unwrap();
    let mut ownership = storage.ownership();
    cluster.stop().unwrap();
    until(&mut ownership, Ownership::Lost).await;
    let caller = storage.clone();
    let waiting = tokio::spawn(async move { read(&caller).await });
    cluster.start_again().unwrap();
    until(&mut ownership, Ownership::Held).await;
    // Long before its two seconds are over, unless the machine took that long to start a server.
    let read = waiting.await.unwrap();
    assert!(matches!(read, Ok(true) | Err(StorageError::Unavailable(_))), "{read:?}");
    write(&storage).await.unwrap();
}

#[tokio::test]
async fn another_process_wakes_readers_and_senders() {
    let url = fresh_shared_database();
    let (config, _dir) = config(&url);
    let storage = Storage::open(config).await.unwrap();
    let client = raw(&url).await;
    let session = SessionId::generate(&SystemEdges, &SystemEdges);
    let mut nudges = storage.outbound_nudges();
    // What is said before the first notification is heard is lost, as notifications may be.
    while nudges.is_empty() {
        let word = format!("outbound {session}");
        client.query("select pg_notify('wharf', $1)", &[&word]).await.unwrap();
    }
    assert_eq!(nudges.recv().await.unwrap(), session);
}

#[tokio::test]
async fn an_event_that_nobody_told_of_is_found_by_looking() {
    let url = fresh_shared_database();
    let (config, _dir) = config(&url);
    let storage = Storage::open(config).await.unwrap();
    let workspace = storage.ensure_default_workspace().await.unwrap().id;
    let client = raw(&url).await;
    let insert = "insert into events (id, workspace_id, kind, data, created_at) values ($1, $2, 'message.sent', '', 0)";
    client
        .execute(insert, &[&&[1_u8; 16][..], &&workspace.as_bytes()[..]])
        .await
        .unwrap();
    let mut changes = storage.changes();
    loop {
        changes.borrow_and_update();
        let page = storage.read(move |tx| {
            Box::pin(async move { events::read(tx, workspace, None, &EventFilter::default(), 10).await })
        });
        if !page.await.unwrap().events.is_empty() {
            break;
        }
        changes.changed().await.unwrap();
    }
}

/// A certificate for the loopback address, and a server that has it.
fn encrypted_cluster() -> (Cluster, std::path::PathBuf) {
    let cluster = Cluster::start(Flush::Off).unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let certificate = cluster.folder().join("certificate.pem");
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    cluster
        .encrypt(&made.cert.pem(), &made.signing_key.serialize_pem())
        .unwrap();
    (cluster, certificate)
}

#[tokio::test]
async fn connections_are_encrypted_and_checked_as_the_address_says() {
    let (cluster, certificate) = encrypted_cluster();
    let root = certificate.to_str().unwrap().replace('/', "%2F");
    for (mode, encrypted) in [
        ("disable".to_owned(), Some(false)),
        ("prefer".to_owned(), Some(true)),
        ("require".to_owned(), Some(true)),
        (format!("verify-full&sslrootcert={root}"), Some(true)),
        ("verify-full".to_owned(), None),
    ] {
        let url = cluster.fresh_database().unwrap();
        let (config, _dir) = config(&format!("{url}?sslmode={mode}"));
        let opened = Storage::open(config).await;
        let Some(encrypted) = encrypted else {
            assert!(matches!(opened, Err(OpenError::Unreachable(_))), "{mode}: {opened:?}");
            continue;
        };
        let storage = opened.unwrap();
        write(&storage).await.unwrap();
        let sql =
            "select count(*), count(*) filter (where s.ssl) from pg_stat_ssl s join pg_stat_activity a on a.pid = s.pid
                       where a.datname = current_database() and a.application_name = 'wharf'";
        let row = raw(&url).await.query_one(sql, &[]).await.unwrap();
        let (all, with): (i64, i64) = (row.get(0), row.get(1));
        assert!(
            all >= 3 && with == if encrypted { all } else { 0 },
            "{mode}: {with} of {all}"
        );
        storage.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_lock_is_taken_again() {
    let url = fresh_shared_database();
    let (config, _dir) = config(&url);
    let storage = Storage::open(config).await.unwrap();
    let mut ownership = storage.ownership();
    ownership.borrow_and_update();
    end_owner(&raw(&url).await).await;
    // It is taken again within milliseconds: that it was lost may be over before anybody looks.
    ownership.changed().await.unwrap();
    until(&mut ownership, Ownership::Held).await;
    write(&storage).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lost_the_database_to_another_writes_nothing_more() {
    let url = fresh_shared_database();
    let (config, _dir) = config(&url);
    let storage = Storage::open(config).await.unwrap();
    write(&storage).await.unwrap();
    let mut ownership = storage.ownership();
    let (rival, client) = (raw(&url).await, raw(&url).await);
    let lock = async { rival.query("select pg_advisory_lock($1)", &[&OWNER]).await.unwrap() };
    let lose = async {
        let waits = "select 1 from pg_locks where locktype = 'advisory' and not granted
                         and database = (select oid from pg_database where datname = current_database())";
        while client.query(waits, &[]).await.unwrap().is_empty() {}
        end_owner(&client).await;
    };
    tokio::join!(lock, lose);
    until(&mut ownership, Ownership::Taken).await;
    let refused = write(&storage).await;
    assert!(matches!(refused, Err(StorageError::Unavailable(_))), "{refused:?}");
    drop(rival);
    let (next_config, _next_dir) = self::config(&url);
    let next = Storage::open(next_config).await.unwrap();
    write(&next).await.unwrap();
    // Not one connection of the first is left.
    let sql = "select 1 from pg_locks where locktype = 'advisory' and granted and objid = 2
                   and database = (select oid from pg_database where datname = current_database()) and pid not in
                   (select pid from pg_stat_activity where backend_start > now() - interval '1 minute')";
    assert!(client.query(sql, &[]).await.unwrap().is_empty());
    let refused = storage
        .write(Queue::Normal, |_| Box::pin(std::future::ready(Ok(()))))
        .await;
    assert!(matches!(refused, Err(StorageError::Unavailable(_))), "{refused:?}");
}

/// Stops, or lets go on, the server's processes of the pool, which hold the writers' lock.
async fn signal_pool(client: &tokio_postgres::Client, signal: &str) -> usize {
    let sql = "select pid from pg_locks where locktype = 'advisory' and mode = 'ShareLock' and granted and objid = 2
                   and database = (select oid from pg_database where datname = current_database())";
    let rows = client.query(sql, &[]).await.unwrap();
    for row in &rows {
        let pid: i32 = row.get(0);
        let sent = std::process::Command::new("kill")
            .args([format!("-{signal}"), pid.to_string()])
            .status();
        assert!(sent.unwrap().success());
    }
    rows.len()
}

#[tokio::test]
async fn a_connection_that_says_nothing_costs_a_unit_and_not_more() {
    let url = fresh_shared_database();
    let (mut config, _dir) = config(&url);
    config.answer_within = Duration::from_secs(4);
    let storage = Storage::open(config).await.unwrap();
    storage.ensure_default_workspace().await.unwrap();
    let client = raw(&url).await;
    let silent = signal_pool(&client, "STOP").await;
    assert_ne!(silent, 0);
    for _ in 0..silent {
        let failed = write(&storage).await;
        assert!(matches!(failed, Err(StorageError::Unavailable(_))), "{failed:?}");
    }
    write(&storage).await.unwrap();
    assert!(read(&storage).await.unwrap());
    signal_pool(&client, "CONT").await;
    storage.close().await;
}
