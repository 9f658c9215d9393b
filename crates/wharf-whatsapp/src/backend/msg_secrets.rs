//! Message secrets: what reactions, votes and edits are decrypted with. That of a message of Wharf's own is in its row
//! and nowhere else.

use async_trait::async_trait;
use wacore::store::error::{Result, StoreError};
use wacore::store::traits::{MsgSecretEntry, MsgSecretStore, merge_msg_secret_expiry, merge_msg_secret_message_ts};
use wharf_model::Timestamp;
use wharf_storage::wa_state;
use wharf_storage::{Queue, SealError, SessionKeys, StorageError};

use super::WaBackend;
use super::kinds::MSG_SECRET;
use super::rows::{Extras, blind, failed, open, seal};

/// Secret, deadline, time of the message; the two numbers in seconds, big-endian.
const LEN: usize = 32 + 8 + 8;

/// More secrets than this at once are of a history.
const LIVE: usize = 64;

#[derive(Clone, Copy)]
struct Stored {
    secret: [u8; 32],
    /// 0 is never.
    expires_at: i64,
    /// 0 is unknown.
    message_ts: i64,
}

impl Stored {
    fn to_bytes(self) -> Vec<u8> {
        [
            &self.secret[..],
            &self.expires_at.to_be_bytes(),
            &self.message_ts.to_be_bytes(),
        ]
        .concat()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != LEN {
            return None;
        }
        Some(Self {
            secret: bytes[..32].try_into().ok()?,
            expires_at: i64::from_be_bytes(bytes[32..40].try_into().ok()?),
            message_ts: i64::from_be_bytes(bytes[40..].try_into().ok()?),
        })
    }

    /// Deadlines and times only ever grow.
    fn merge(self, entry: &MsgSecretEntry) -> Self {
        Self {
            secret: entry.secret,
            expires_at: merge_msg_secret_expiry(self.expires_at, entry.expires_at),
            message_ts: merge_msg_secret_message_ts(self.message_ts, entry.message_ts),
        }
    }

    fn extras(self) -> Extras {
        let expires_at = (self.expires_at != 0).then(|| Timestamp::from_secs(self.expires_at));
        Extras {
            expires_at,
            ..Extras::default()
        }
    }
}

impl From<&MsgSecretEntry> for Stored {
    fn from(entry: &MsgSecretEntry) -> Self {
        Self {
            secret: entry.secret,
            expires_at: entry.expires_at,
            message_ts: entry.message_ts,
        }
    }
}

fn key(keys: &SessionKeys, chat: &str, sender: &str, id: &str) -> Vec<u8> {
    blind(keys, MSG_SECRET, &[chat.as_bytes(), sender.as_bytes(), id.as_bytes()])
}

impl WaBackend {
    async fn secret(&self, chat: &str, sender: &str, id: &str) -> Result<Option<Stored>> {
        let value = self.get(MSG_SECRET, key(&self.keys, chat, sender, id)).await?;
        match value {
            Some(value) => Stored::read(&value)
                .ok_or_else(|| StoreError::Validation("a stored message secret is malformed".to_owned()))
                .map(Some),
            None => self.own_secret(id).await,
        }
    }

    /// The id alone tells the message: what somebody else's message under the same id is asked with fails to decrypt.
    async fn own_secret(&self, id: &str) -> Result<Option<Stored>> {
        let Some(row) = self.own_message_since(id, Timestamp::from_millis(0)).await? else {
            return Ok(None);
        };
        let secret = row.open(&self.keys).map_err(failed)?.secret;
        Ok(secret.map(|secret| Stored {
            secret,
            expires_at: 0,
            message_ts: row.created_at.as_secs(),
        }))
    }

    /// Leaves out what is in a row: the engine hands over every message that it sends. Histories come in thousands, and
    /// are not asked about one by one.
    async fn not_in_rows(&self, entries: Vec<MsgSecretEntry>) -> Result<Vec<MsgSecretEntry>> {
        if entries.len() > LIVE {
            return Ok(entries);
        }
        let mut others = Vec::with_capacity(entries.len());
        for entry in entries {
            if self.own_message(&entry.msg_id).await?.is_none() {
                others.push(entry);
            }
        }
        Ok(others)
    }
}

#[async_trait]
impl MsgSecretStore for WaBackend {
    async fn put_msg_secrets(&self, entries: Vec<MsgSecretEntry>) -> Result<usize> {
        let (fence, keys, count) = (self.fence, self.shared_keys(), entries.len());
        let entries = self.not_in_rows(entries).await?;
        if entries.is_empty() {
            return Ok(count);
        }
        self.write(Queue::Normal, move |tx| {
            Box::pin(async move {
                wa_state::alone(tx, &fence).await?;
                for entry in &entries {
                    let key = key(&keys, &entry.chat, &entry.sender, &entry.msg_id);
                    let merged = match wa_state::get(tx, fence.session, MSG_SECRET, &key).await? {
                        Some(row) => Stored::read(&open(&keys, &row)?)
                            .ok_or(SealError::Malformed)?
                            .merge(entry),
                        None => Stored::from(entry),
                    };
                    let row = seal(&keys, MSG_SECRET, key, merged.extras(), &merged.to_bytes())?;
                    wa_state::put(tx, &fence, &row).await?;
                }
                Ok::<(), StorageError>(())
            })
        })
        .await?;
        Ok(count)
    }

    async fn get_msg_secret(&self, chat: &str, sender: &str, msg_id: &str) -> Result<Option<Vec<u8>>> {
        Ok(self
            .secret(chat, sender, msg_id)
            .await?
            .map(|stored| stored.secret.to_vec()))
    }

    async fn get_msg_secret_with_ts(&self, chat: &str, sender: &str, msg_id: &str) -> Result<Option<(Vec<u8>, i64)>> {
        let stored = self.secret(chat, sender, msg_id).await?;
        Ok(stored.map(|stored| (stored.secret.to_vec(), stored.message_ts)))
    }

    async fn delete_expired_msg_secrets(&self, cutoff_timestamp: i64) -> Result<u32> {
        self.delete_expired(Queue::Normal, MSG_SECRET, Timestamp::from_secs(cutoff_timestamp))
            .await
    }
}
