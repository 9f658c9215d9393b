//! Wharf's own database: a sealed row under a random id. The row cannot be found without the id, which only who keeps the
//! string is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use moka::sync::Cache;
use wharf_model::{Clock, Random, SessionId, Timestamp, WorkspaceId};
use wharf_storage::audit::{self, Action, AuditEntry, Requester};
use wharf_storage::vault::{self, Kept, NewKept, VaultHash};
use wharf_storage::{Queue, Storage, StorageError};
use zeroize::Zeroizing;

use super::places::Origin;
use super::{RANDOM, random_id};

/// How many rows are kept in memory, sealed; a string is some kilobytes.
const CACHED: u64 = 1000;
/// For how long: another node that forgets a string is heeded after that.
const CACHED_FOR: Duration = Duration::from_secs(30);

/// What a string is fetched with.
#[derive(Clone)]
pub struct Ticket {
    /// Its id: 22 characters of base64url.
    pub id: String,
    /// The token of the link that works once, where one was asked for.
    pub link: Option<String>,
    /// When the string goes.
    pub expires_at: Timestamp,
}

/// Logs are written with `Debug`: who has an id has the string.
impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// A string that was kept.
pub struct KeptString {
    /// The string.
    pub string: Zeroizing<String>,
    /// The session that it was taken from.
    pub session: Option<SessionId>,
    /// When it goes.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for KeptString {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeptString")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Keeps session strings in the database, those that were fetched lately in memory, too. A clone shares them.
#[derive(Clone, Debug)]
pub struct Database {
    storage: Storage,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    /// Rows by their hash, still sealed.
    cache: Cache<[u8; 32], Kept>,
    /// How many strings were forgotten here: who read one before must not put it back.
    forgotten: Arc<AtomicU64>,
}

impl Database {
    /// On an open database.
    pub fn new(storage: Storage, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self {
            storage,
            clock,
            random,
            cache: Cache::builder().max_capacity(CACHED).time_to_live(CACHED_FOR).build(),
            forgotten: Arc::default(),
        }
    }

    /// Keeps a string for so long; with a link that works once, or without.
    ///
    /// # Errors
    /// The database failed.
    pub async fn keep(
        &self,
        origin: Origin,
        string: &str,
        lasts: Duration,
        with_link: bool,
    ) -> Result<Ticket, StorageError> {
        let keys = self.storage.workspace_keys(origin.workspace).await?;
        let now = self.clock.now();
        let ticket = Ticket {
            id: random_id(&*self.random),
            link: with_link.then(|| random_id(&*self.random)),
            expires_at: now + lasts,
        };
        let hash = VaultHash::of(&ticket.id);
        let new = NewKept {
            hash,
            workspace: origin.workspace,
            session: origin.session,
            content: vault::seal(&keys, hash, string.as_bytes())?,
            link: ticket.link.as_deref().map(VaultHash::of),
            expires_at: ticket.expires_at,
            created_at: now,
        };
        let keeping = self.storage.write(Queue::Normal, move |tx| {
            Box::pin(async move { vault::insert(tx, &new).await })
        });
        keeping.await?;
        Ok(ticket)
    }

    /// The string of an id. `None` when the workspace keeps none under it, or not any more.
    ///
    /// # Errors
    /// The database failed.
    pub async fn fetch(&self, workspace: WorkspaceId, id: &str) -> Result<Option<KeptString>, StorageError> {
        let (hash, now) = (VaultHash::of(id), self.clock.now());
        let cached = self.cache.get(hash.as_bytes());
        if let Some(kept) = cached.filter(|kept| kept.workspace == workspace && kept.expires_at > now) {
            return self.opened(Some(kept)).await;
        }
        let forgotten = self.forgotten.load(Ordering::SeqCst);
        let found = self
            .storage
            .glance(move |tx| Box::pin(vault::find(tx, workspace, hash, now)));
        let found = found.await?;
        if let Some(kept) = &found {
            self.cache.insert(*hash.as_bytes(), kept.clone());
            if self.forgotten.load(Ordering::SeqCst) != forgotten {
                self.cache.invalidate(hash.as_bytes());
            }
        }
        self.opened(found).await
    }

    /// The same for somebody: it stands in the audit log before he has the string.
    ///
    /// # Errors
    /// The database failed.
    pub async fn hand_out(
        &self,
        workspace: WorkspaceId,
        id: &str,
        by: Requester,
    ) -> Result<Option<KeptString>, StorageError> {
        let kept = self.fetch(workspace, id).await?;
        if let Some(kept) = &kept {
            let entry = self.entry(workspace, Action::StringFetched, kept.session, by);
            let noting = self.storage.write(Queue::Normal, move |tx| {
                Box::pin(async move { audit::append(tx, Some(&entry)).await })
            });
            noting.await?;
        }
        Ok(kept)
    }

    /// The string that a link leads to, once.
    ///
    /// # Errors
    /// The database failed.
    pub async fn take_link(&self, token: &str, by: Requester) -> Result<Option<KeptString>, StorageError> {
        let (link, now, this) = (VaultHash::of(token), self.clock.now(), self.clone());
        let taken = self.storage.write(Queue::Normal, move |tx| {
            Box::pin(async move {
                let taken = vault::take_link(tx, link, now).await?;
                if let Some(kept) = &taken {
                    let entry = this.entry(kept.workspace, Action::StringFetched, kept.session, by);
                    audit::append(tx, Some(&entry)).await?;
                }
                Ok(taken)
            })
        });
        self.opened(taken.await?).await
    }

    /// Forgets a string. `false`: there was none.
    ///
    /// # Errors
    /// The database failed.
    pub async fn forget(&self, workspace: WorkspaceId, id: &str, by: Requester) -> Result<bool, StorageError> {
        let hash = VaultHash::of(id);
        let entry = self.entry(workspace, Action::StringForgotten, None, by);
        let deleting = self.storage.write(Queue::Normal, move |tx| {
            Box::pin(async move {
                let deleted = vault::delete(tx, workspace, hash).await?;
                audit::append(tx, Some(&entry).filter(|_| deleted)).await?;
                Ok(deleted)
            })
        });
        let deleted = deleting.await;
        // After the row: who reads from here on finds none, and who read before sees that something was forgotten.
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.cache.invalidate(hash.as_bytes());
        deleted
    }

    fn entry(&self, workspace: WorkspaceId, action: Action, session: Option<SessionId>, by: Requester) -> AuditEntry {
        AuditEntry {
            workspace,
            at: self.clock.now(),
            by,
            action,
            session,
            api_key: None,
            plan: None,
        }
    }

    async fn opened(&self, kept: Option<Kept>) -> Result<Option<KeptString>, StorageError> {
        let Some(kept) = kept else { return Ok(None) };
        let keys = self.storage.workspace_keys(kept.workspace).await?;
        let bytes = Zeroizing::new(kept.open(&keys)?);
        let string = std::str::from_utf8(&bytes).map_err(|_| StorageError::Unreadable("session string"))?;
        Ok(Some(KeptString {
            string: Zeroizing::new(string.to_owned()),
            session: kept.session,
            expires_at: kept.expires_at,
        }))
    }
}

/// The id in a text such as `BRAND~id`, if it may be one of ours; a bare id is one, too.
pub(super) fn id_in(text: &str) -> Option<&str> {
    let id = text.trim().rsplit(['~', ';']).next().unwrap_or_default();
    let is_ours = BASE64URL_NOPAD
        .decode(id.as_bytes())
        .is_ok_and(|bytes| bytes.len() == RANDOM);
    is_ours.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_recognised_behind_any_brand() {
        let id = "AAECAwQFBgcICQoLDA0ODw";
        for text in [id.to_owned(), format!("BRAND~{id}"), format!("  My;bot~{id}\n")] {
            assert_eq!(id_in(&text), Some(id));
        }
        for text in [
            "",
            "BRAND~",
            "BRAND~short",
            "BRAND~AAECAwQFBgcICQoLDA0ODw==",
            "H4sIAAAAAAAA",
        ] {
            assert_eq!(id_in(text), None, "{text}");
        }
    }
}
