//! Owns the first API key. Promises that it reaches one person once and no log: a terminal, the JSON line, or a file
//! that only its owner may read.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
#[cfg(feature = "sandbox")]
use secrecy::{ExposeSecret, SecretString};
use wharf_api::Scope;
use wharf_api::keys::ApiKey;
use wharf_model::{ApiKeyId, Clock, Network, Random, WorkspaceId};
use wharf_storage::api_keys::{self, NewApiKey};
use wharf_storage::{PageRequest, Queue, Storage};

use crate::cli_file::write_private;
use crate::output;

/// The file that holds the first key where no terminal could show it.
const KEY_FILE: &str = "bootstrap-key";

/// Makes and finds keys in the default workspace.
#[derive(Clone, Debug)]
pub struct KeyMaker {
    storage: Storage,
    network: Network,
    workspace: WorkspaceId,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl KeyMaker {
    /// A key maker for the default workspace.
    ///
    /// # Errors
    /// The database failed.
    pub async fn new(storage: &Storage, network: Network) -> Result<Self> {
        let workspace = storage.ensure_default_workspace().await?.id;
        let (clock, random) = (Arc::clone(storage.clock()), Arc::clone(storage.random()));
        Ok(Self {
            storage: storage.clone(),
            network,
            workspace,
            clock,
            random,
        })
    }

    /// Makes a key.
    ///
    /// # Errors
    /// The database failed.
    pub async fn make(&self, label: &str, scopes: &[Scope]) -> Result<(ApiKeyId, ApiKey)> {
        let key = ApiKey::generate(self.network, &*self.random);
        let id = self.store(label, scopes, &key).await?;
        Ok((id, key))
    }

    /// Revokes a key.
    ///
    /// # Errors
    /// The database failed, or there is no such key.
    pub async fn revoke(&self, id: ApiKeyId) -> Result<()> {
        let (workspace, now) = (self.workspace, self.clock.now());
        let revoked = self.storage.write(Queue::Normal, move |tx| {
            Box::pin(api_keys::revoke(tx, workspace, id, now))
        });
        Ok(revoked.await?)
    }

    /// Every key, newest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list(&self, page: PageRequest) -> Result<wharf_storage::Page<api_keys::ApiKey>> {
        let workspace = self.workspace;
        let listed = self
            .storage
            .read(move |tx| Box::pin(async move { api_keys::list(tx, workspace, &page).await }));
        Ok(listed.await?)
    }

    /// Makes the very first key: from the file that the operator supplied, or a new one when there is none at all.
    /// `None` when keys exist already.
    ///
    /// # Errors
    /// The file does not hold a key of this build, or the database failed.
    pub async fn first(&self, supplied: Option<&Path>) -> Result<Option<ApiKey>> {
        if let Some(file) = supplied {
            self.adopt(file).await?;
            return Ok(None);
        }
        let some = self.list(PageRequest::first(1)).await?;
        if !some.rows.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.make("bootstrap", &[Scope::Admin]).await?.1))
    }

    async fn adopt(&self, file: &Path) -> Result<()> {
        let place = file.display();
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read the key file {place}"))?;
        let key = ApiKey::parse(text.trim(), self.network).with_context(|| format!("{place} cannot be used"))?;
        if self.find(&key).await?.is_none() {
            self.store("bootstrap", &[Scope::Admin], &key).await?;
        }
        Ok(())
    }

    async fn find(&self, key: &ApiKey) -> Result<Option<api_keys::ApiKey>> {
        let hash = key.hash();
        let found = self
            .storage
            .read(move |tx| Box::pin(async move { api_keys::find_by_hash(tx, &hash).await }));
        Ok(found.await?)
    }

    async fn store(&self, label: &str, scopes: &[Scope], key: &ApiKey) -> Result<ApiKeyId> {
        let id = ApiKeyId::generate(&*self.clock, &*self.random);
        let row = NewApiKey {
            id,
            workspace_id: self.workspace,
            label: label.to_owned(),
            prefix: key.prefix(),
            hash: key.hash(),
            scopes: scopes.iter().map(ToString::to_string).collect(),
            expires_at: None,
            ips: None,
            sessions: None,
            created_by: None,
            created_at: self.clock.now(),
        };
        let stored = self.storage.write(Queue::Normal, move |tx| {
            Box::pin(async move { api_keys::insert(tx, &row).await })
        });
        stored.await?;
        Ok(id)
    }
}

/// What the demo needs beside.
#[cfg(feature = "sandbox")]
impl KeyMaker {
    /// The default workspace.
    pub const fn workspace(&self) -> WorkspaceId {
        self.workspace
    }

    /// Whether a remembered key still works.
    ///
    /// # Errors
    /// The database failed.
    pub async fn works(&self, text: &SecretString) -> Result<bool> {
        let Ok(key) = ApiKey::parse(text.expose_secret(), self.network) else {
            return Ok(false);
        };
        let found = self.find(&key).await?;
        Ok(found.is_some_and(|found| found.revoked_at.is_none() && found.expires_at.is_none()))
    }
}

/// Hands a new first key to a person; `json` means that the JSON line carries it.
///
/// # Errors
/// The directory cannot be written.
pub fn hand_over(key: &ApiKey, dir: &Path, json: bool) -> Result<()> {
    if json {
        return Ok(());
    }
    if output::stderr_is_terminal() {
        output::tell(&format!(
            "\nYour first API key, shown this once:\n\n  {}\n",
            key.reveal()
        ));
        return Ok(());
    }
    let file = dir.join(KEY_FILE);
    write_private(&file, key.reveal())?;
    tracing::info!(file = %file.display(), "the first API key is in a file that only its owner may read");
    Ok(())
}
