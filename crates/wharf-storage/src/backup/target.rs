//! The empty place that a backup is restored into. Nothing of it is seen before it is whole.

use std::path::{Path, PathBuf};

use super::BackupError;
use super::file::{Draft, io};
use super::server::Server;
use crate::config::StorageConfig;
use crate::driver::Connection;
use crate::lock::OwnerLock;
use crate::open;

/// A database that is being filled.
pub(super) enum Target {
    /// A file, beside its name.
    File {
        /// What is filled.
        draft: Draft,
        /// The name.
        path: PathBuf,
        /// Nobody starts here meanwhile.
        _lock: OwnerLock,
    },
    /// A transaction.
    Server(Server),
}

/// A place that is empty. Nothing was written there.
pub(super) enum Empty {
    Directory,
    /// Locked already: a lock that is given back there is free a little later only.
    Server(Server),
}

impl Empty {
    /// Says no where a database is, or somebody who uses it.
    pub(super) async fn find(config: &StorageConfig) -> Result<Self, BackupError> {
        if let Some(url) = &config.url {
            return Ok(Self::Server(Server::take(url).await?));
        }
        if config.dir.join("wharf.lock").exists() {
            drop(OwnerLock::take(&config.dir)?);
        }
        refuse_files(&config.dir).map(|()| Self::Directory)
    }
}

impl Target {
    /// Takes the place.
    pub(super) async fn take(empty: Empty, config: &StorageConfig) -> Result<Self, BackupError> {
        if let Empty::Server(mut server) = empty {
            server.begin(config).await?;
            return Ok(Self::Server(server));
        }
        open::make_dir(&config.dir)?;
        let lock = OwnerLock::take(&config.dir)?;
        refuse_files(&config.dir)?;
        let path = std::path::absolute(config.dir.join("wharf.db")).map_err(|source| io(&config.dir, source))?;
        // The name that a first start uses as well: whichever comes next clears it away.
        let unfinished = path.with_extension("db.new");
        Ok(Self::File {
            draft: Draft::create(unfinished, open::APPLICATION_ID, config.clock.now()).await?,
            path,
            _lock: lock,
        })
    }

    pub(super) fn connection(&mut self) -> &mut Connection {
        match self {
            Self::File { draft, .. } => &mut draft.connection,
            Self::Server(server) => &mut server.connection,
        }
    }

    /// Commits, and gives a file its name.
    pub(super) async fn finish(self) -> Result<(), BackupError> {
        match self {
            Self::File { mut draft, path, _lock } => {
                draft.commit().await?;
                draft.rename(&path)
            }
            Self::Server(server) => Ok(server.finish().await?),
        }
    }
}

fn refuse_files(dir: &Path) -> Result<(), BackupError> {
    for name in ["wharf.db", "wharf.db-wal"] {
        if dir.join(name).exists() {
            return Err(BackupError::NotEmpty(dir.display().to_string()));
        }
    }
    Ok(())
}
