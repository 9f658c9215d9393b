//! Storage on SQLite: the conformance suite, and what only a file on disk can show.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod on_disk;
mod opening;

use wharf_model::Network;
use wharf_storage::StorageConfig;
use wharf_storage::conformance::Subject;

async fn on_sqlite() -> Subject {
    let dir = tempfile::tempdir().unwrap();
    Subject::open(StorageConfig::new(dir.path(), Network::Sandbox), dir).await
}

wharf_storage::conformance!(on_sqlite);
