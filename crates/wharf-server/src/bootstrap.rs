//! Owns the first API key, and keys that the command line works on where no server runs. Promises that the first one
//! reaches one person once and no log: a terminal, the JSON line, or a file that only its owner may read.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
#[cfg(feature = "sandbox")]
use secrecy::{ExposeSecret, SecretString};
use wharf_api::Scope;
use wharf_api::keys::ApiKey;
use wharf_model::{ApiKeyId, Clock, Network, PlanId, Random, SessionId, Timestamp, WorkspaceId};
use wharf_storage::api_keys::changes::{self, KeyChange, NotIssued};
use wharf_storage::api_keys::{self, FoundKey, NewApiKey, NotRotated, Replaces, Rotation, Unused};
use wharf_storage::audit::Requester;
use wharf_storage::{PageRequest, Queue, Storage, StorageError};

use crate::cli_file::write_private;
use crate::output;

/// The file that holds the first key where no terminal could show it.
const KEY_FILE: &str = "bootstrap-key";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A key that is to be made.
#[derive(Clone, Debug, Default)]
pub struct KeyDraft {
    /// What it is for.
    pub label: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// Addresses and ranges that it works from; each can be read as one.
    pub ips: Option<Vec<String>>,
    /// Sessions that it may touch.
    pub sessions: Option<Vec<SessionId>>,
    /// The plan that it carries.
    pub plan: Option<PlanId>,
}

/// Makes and finds keys in the default workspace. What it does stands in the audit log as the server's own doing.
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

    /// Makes a key without limits.
    ///
    /// # Errors
    /// The database failed.
    pub async fn make(&self, label: &str, scopes: &[Scope]) -> Result<(ApiKeyId, ApiKey)> {
        self.make_limited(draft(label, scopes)).await
    }

    /// Makes a key.
    ///
    /// # Errors
    /// The key would work never or nowhere, or the database failed.
    pub async fn make_limited(&self, draft: KeyDraft) -> Result<(ApiKeyId, ApiKey)> {
        let key = ApiKey::generate(self.network, &*self.random);
        let id = self.store(draft, &key).await?;
        Ok((id, key))
    }

    /// Gives a key a new text; the one before works for `overlap`, until the time that stands beside it. Without an overlap
    /// the text of the last rotation is replaced, and the one before it works for as long as it was to work anyway.
    ///
    /// # Errors
    /// The database failed, there is no such key, it was revoked or has expired, or no text works any more that it had
    /// before its last rotation.
    pub async fn rotate(&self, id: ApiKeyId, overlap: Option<Duration>) -> Result<(ApiKey, Timestamp)> {
        let (key, at) = (ApiKey::generate(self.network, &*self.random), self.clock.now());
        let rotation = Rotation {
            prefix: key.prefix(),
            hash: key.hash(),
            replaces: overlap.map_or(Replaces::Latest, |overlap| Replaces::InUse { until: at + overlap }),
            at,
        };
        let change = self.change(id);
        let rotated = self.storage.write(Queue::Normal, move |tx| {
            Box::pin(async move { changes::rotate(tx, change, &rotation).await })
        });
        let rotated = rotated.await.map_err(why::<NotRotated>)?;
        Ok((key, rotated.previous_until.unwrap_or(at)))
    }

    /// Revokes a key.
    ///
    /// # Errors
    /// The database failed, or there is no such key.
    pub async fn revoke(&self, id: ApiKeyId) -> Result<()> {
        let (change, now) = (self.change(id), self.clock.now());
        let revoked = self.storage.write(Queue::Normal, move |tx| {
            Box::pin(async move { changes::revoke(tx, change, now).await })
        });
        Ok(revoked.await?)
    }

    /// Revokes the key that has this text.
    ///
    /// # Errors
    /// The database failed, or no key that works has the text.
    pub async fn revoke_leaked(&self, text: &str) -> Result<()> {
        let key = ApiKey::parse(text, self.network)?;
        let found = self.find(&key).await?.context("this database does not know the key")?;
        let now = self.clock.now();
        ensure!(found.key.revoked_at.is_none(), "the key was revoked already");
        ensure!(
            found.key.expires_at.is_none_or(|until| now < until),
            "the key has expired, and works no more"
        );
        ensure!(
            found.text_until.is_none_or(|until| now < until),
            "the key was rotated, and this text of it works no more"
        );
        self.revoke(found.key.id).await
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

    /// Those that work and were not used in so many days, newest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list_unused(&self, days: u32, page: PageRequest) -> Result<wharf_storage::Page<api_keys::ApiKey>> {
        let (workspace, now) = (self.workspace, self.clock.now());
        let unused = Unused {
            since: now - DAY.saturating_mul(days),
            now,
        };
        let listed = self
            .storage
            .read(move |tx| Box::pin(async move { api_keys::list_unused(tx, workspace, unused, &page).await }));
        Ok(listed.await?)
    }

    /// Makes the very first key where there is none at all: the one in the file that the operator supplied, or a new one,
    /// which alone is given back.
    ///
    /// # Errors
    /// The file does not hold a key of this build, or the database failed.
    pub async fn first(&self, supplied: Option<&Path>) -> Result<Option<ApiKey>> {
        if let Some(file) = supplied {
            self.adopt(file).await?;
            return Ok(None);
        }
        if self.has_keys().await? {
            return Ok(None);
        }
        Ok(Some(self.make("bootstrap", &[Scope::Admin]).await?.1))
    }

    async fn adopt(&self, file: &Path) -> Result<()> {
        let place = file.display();
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read the key file {place}"))?;
        let key = ApiKey::parse(text.trim(), self.network).with_context(|| format!("{place} cannot be used"))?;
        if self.find(&key).await?.is_some() {
            return Ok(());
        }
        // A text that was rotated away may have leaked; of texts before the last two nothing is kept to know them by.
        if self.has_keys().await? {
            tracing::warn!(
                file = %place,
                prefix = %key.prefix(),
                "the key in the file was rotated or revoked since, or never was a key of this database, which has others: \
                 it is not adopted"
            );
            return Ok(());
        }
        self.store(draft("bootstrap", &[Scope::Admin]), &key).await?;
        Ok(())
    }

    async fn has_keys(&self) -> Result<bool> {
        Ok(!self.list(PageRequest::first(1)).await?.rows.is_empty())
    }

    async fn find(&self, key: &ApiKey) -> Result<Option<FoundKey>> {
        let hash = key.hash();
        let found = self
            .storage
            .read(move |tx| Box::pin(async move { api_keys::find_by_hash(tx, &hash).await }));
        Ok(found.await?)
    }

    async fn store(&self, draft: KeyDraft, key: &ApiKey) -> Result<ApiKeyId> {
        let id = ApiKeyId::generate(&*self.clock, &*self.random);
        let row = NewApiKey {
            id,
            workspace_id: self.workspace,
            label: draft.label,
            prefix: key.prefix(),
            hash: key.hash(),
            scopes: draft.scopes.iter().map(ToString::to_string).collect(),
            expires_at: draft.expires_at,
            ips: draft.ips,
            sessions: draft.sessions,
            plan: draft.plan,
            created_by: None,
            created_at: self.clock.now(),
        };
        let issued = self.storage.write(Queue::Normal, move |tx| {
            Box::pin(async move { changes::issue(tx, &row, &Requester::server()).await })
        });
        issued.await.map_err(why::<NotIssued>)?;
        Ok(id)
    }

    fn change(&self, key: ApiKeyId) -> KeyChange {
        KeyChange {
            workspace: self.workspace,
            key,
            by: Requester::server(),
        }
    }
}

/// The reason that a unit was given up for, which says more than that it was.
fn why<E: Error + Copy + Send + Sync + 'static>(error: StorageError) -> anyhow::Error {
    match error.rejection::<E>() {
        Some(reason) => anyhow::Error::new(*reason),
        None => error.into(),
    }
}

fn draft(label: &str, scopes: &[Scope]) -> KeyDraft {
    KeyDraft {
        label: label.to_owned(),
        scopes: scopes.to_vec(),
        ..KeyDraft::default()
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
        let lasts = |found: FoundKey| {
            found.text_until.is_none() && found.key.revoked_at.is_none() && found.key.expires_at.is_none()
        };
        Ok(found.is_some_and(lasts))
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
