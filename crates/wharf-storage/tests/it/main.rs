//! Storage: the conformance suite on both dialects, and what only a file on disk or a server can show.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod backup_across;
mod backup_files;
mod on_disk;
mod opening;
mod server;

use wharf_model::Network;
use wharf_storage::conformance::Subject;
use wharf_storage::{MasterKey, StorageConfig};

async fn fresh_sqlite() -> Subject {
    let dir = tempfile::tempdir().unwrap();
    Subject::open(StorageConfig::new(dir.path(), Network::Sandbox), dir).await
}

async fn fresh_memory() -> Subject {
    Subject::open(StorageConfig::in_memory(Network::Sandbox), ()).await
}

async fn fresh_postgres() -> Subject {
    let (config, dir) = postgres_config();
    let spare = StorageConfig {
        dir: dir.path().join("spare"),
        ..config.clone()
    };
    Subject::open(config, dir).await.with_spare(move || StorageConfig {
        url: Some(wharf_testkit::postgres::fresh_shared_database()),
        ..spare
    })
}

/// A database of its own on the server of this process, with few connections: what waits for one is part of the cases.
fn postgres_config() -> (StorageConfig, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let config = StorageConfig {
        url: Some(wharf_testkit::postgres::fresh_shared_database()),
        connections: 6,
        master_key: Some(MasterKey::from_bytes([3; 32])),
        ..StorageConfig::new(dir.path(), Network::Sandbox)
    };
    (config, dir)
}

mod sqlite {
    use super::fresh_sqlite;

    wharf_storage::conformance!(fresh_sqlite);
}

mod memory {
    use super::fresh_memory;

    wharf_storage::conformance!(in memory: fresh_memory);
}

mod postgres {
    use super::fresh_postgres;

    wharf_storage::conformance!(fresh_postgres);
}
