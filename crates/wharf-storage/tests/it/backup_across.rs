//! Backups from one dialect into the other: the same cases as within one.

use wharf_model::Network;
use wharf_storage::StorageConfig;
use wharf_storage::conformance::{Subject, backup};

use super::postgres_config;

/// A file, to be restored into a server.
async fn from_a_file() -> Subject {
    let (spare, spare_dir) = postgres_config();
    let dir = tempfile::tempdir().unwrap();
    let config = StorageConfig::new(dir.path(), Network::Sandbox);
    Subject::open(config, (dir, spare_dir)).await.with_spare(|| spare)
}

/// A server, to be restored into a file.
async fn from_a_server() -> Subject {
    let (config, dir) = postgres_config();
    Subject::open(config, dir).await
}

macro_rules! across {
    ($($case:ident),+ $(,)?) => {
        mod into_a_server {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::backup::$case(&super::from_a_file().await).await;
            })+
        }

        mod into_a_file {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::backup::$case(&super::from_a_server().await).await;
            })+
        }
    };
}

across!(
    a_backup_holds_one_moment,
    a_restored_feed_is_read_from_its_start_to_a_new_event,
    protocol_state_is_carried_by_its_owner,
);
