//! Signal state: identities, sessions, pre-keys, sender keys. All of it goes through the writer's first queue: the
//! engine holds its session map while it waits.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use wacore::store::error::{Result, StoreError};
use wacore::store::traits::SignalStore;
use wharf_storage::wa_state::{self, StateRow};
use wharf_storage::{Queue, SessionKeys, StorageError};

use super::WaBackend;
use super::kinds::{IDENTITY, PRE_KEY, SENDER_KEY, SESSION, SIGNED_PRE_KEY};
use super::rows::{Extras, blind, failed, open, seal, sealing};

const SIGNAL: Queue = Queue::SignalState;

/// Whether WhatsApp has the public half of a pre-key; the first byte of its value.
const UPLOADED: u8 = 1;

/// Begins a value that names its address: a row's key is blind, and whoever takes conversations elsewhere must know whom
/// they are with. Values of before have no address and no mark: no record of libsignal begins with 0, and an identity is
/// told by its length.
const ADDRESSED: u8 = 0;
/// Bytes of an identity.
const IDENTITY_LEN: usize = 32;

fn addressed(address: &str, value: &[u8]) -> Result<Vec<u8>> {
    let length = u16::try_from(address.len());
    let length = length.map_err(|_| StoreError::Validation("an address is too long".to_owned()))?;
    let mut whole = Vec::with_capacity(3 + address.len() + value.len());
    whole.push(ADDRESSED);
    whole.extend_from_slice(&length.to_be_bytes());
    whole.extend_from_slice(address.as_bytes());
    whole.extend_from_slice(value);
    Ok(whole)
}

/// The address of a value and where what it is about begins.
pub(super) fn address_of(value: &[u8]) -> (Option<&str>, usize) {
    let split = || {
        let [ADDRESSED, high, low, rest @ ..] = value else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        Some((std::str::from_utf8(rest.get(..length)?).ok()?, 3 + length))
    };
    match split() {
        Some((address, start)) => (Some(address), start),
        None => (None, 0),
    }
}

/// The address of an identity, and where it begins.
pub(super) fn address_of_identity(value: &[u8]) -> (Option<&str>, usize) {
    if value.len() == IDENTITY_LEN {
        (None, 0)
    } else {
        address_of(value)
    }
}

/// A value without its address.
fn bare(value: Vec<u8>) -> Bytes {
    let (_, start) = address_of(&value);
    Bytes::from(value).slice(start..)
}

/// A row that belongs to an address of the form `user@server` or `user:device@server`.
pub(super) fn address_row(keys: &SessionKeys, kind: &str, address: &str, value: &[u8]) -> Result<StateRow> {
    let user = address.split([':', '@']).next().unwrap_or(address);
    let owner = blind(keys, "user", &[user.as_bytes()]);
    let key = blind(keys, kind, &[address.as_bytes()]);
    seal(keys, kind, key, Extras::owner(owner), &addressed(address, value)?).map_err(sealing)
}

pub(super) fn pre_key_row(keys: &SessionKeys, id: u32, record: &[u8], uploaded: bool) -> Result<StateRow> {
    let mut value = Vec::with_capacity(record.len() + 1);
    value.push(if uploaded { UPLOADED } else { 0 });
    value.extend_from_slice(record);
    seal(keys, PRE_KEY, number(id), Extras::rank(i64::from(id)), &value).map_err(sealing)
}

pub(super) fn sender_key_row(keys: &SessionKeys, address: &str, record: &[u8]) -> Result<StateRow> {
    let key = blind(keys, SENDER_KEY, &[address.as_bytes()]);
    seal(keys, SENDER_KEY, key, Extras::default(), &addressed(address, record)?).map_err(sealing)
}

impl WaBackend {
    async fn may_flush(&self) -> Result<()> {
        if self.intake.may_flush().await {
            Ok(())
        } else {
            Err(StoreError::Database(Box::new(MessageInBetween)))
        }
    }
}

/// Ratchets stay unwritten: a message that they have passed has no row yet. WhatsApp delivers it again, and ratchets move
/// on again from where they are stored.
#[derive(Debug, thiserror::Error)]
#[error("the connection ends while a message is on its way to its row: the ratchets are not written")]
struct MessageInBetween;

/// A number as a key: it says nothing about anybody.
fn number(id: u32) -> Vec<u8> {
    id.to_be_bytes().to_vec()
}

fn read_number(key: &[u8]) -> Result<u32> {
    let bytes = key
        .try_into()
        .map_err(|_| StoreError::Validation("a stored key id is not a number".to_owned()))?;
    Ok(u32::from_be_bytes(bytes))
}

/// A pre-key's value without the mark of its upload.
pub(super) fn pre_key_record(value: &[u8]) -> &[u8] {
    value.get(1..).unwrap_or_default()
}

#[async_trait]
impl SignalStore for WaBackend {
    async fn put_identity(&self, address: &str, key: [u8; 32]) -> Result<()> {
        self.put(SIGNAL, address_row(&self.keys, IDENTITY, address, &key)?)
            .await
    }

    async fn put_identities_batch(&self, identities: &[(Arc<str>, [u8; 32])]) -> Result<()> {
        let rows = identities
            .iter()
            .map(|(address, key)| address_row(&self.keys, IDENTITY, address, key));
        self.put_many(SIGNAL, rows.collect::<Result<_>>()?).await
    }

    async fn load_identity(&self, address: &str) -> Result<Option<[u8; 32]>> {
        let value = self.get(IDENTITY, self.blind(IDENTITY, &[address.as_bytes()])).await?;
        value
            .map(|value| {
                let (_, start) = address_of_identity(&value);
                <[u8; IDENTITY_LEN]>::try_from(&value[start..])
                    .map_err(|_| StoreError::Validation("a stored identity is not 32 bytes".to_owned()))
            })
            .transpose()
    }

    async fn delete_identity(&self, address: &str) -> Result<()> {
        self.delete(SIGNAL, IDENTITY, self.blind(IDENTITY, &[address.as_bytes()]))
            .await
    }

    async fn get_session(&self, address: &str) -> Result<Option<Bytes>> {
        Ok(self
            .get(SESSION, self.blind(SESSION, &[address.as_bytes()]))
            .await?
            .map(bare))
    }

    async fn put_session(&self, address: &str, session: &[u8]) -> Result<()> {
        self.put(SIGNAL, address_row(&self.keys, SESSION, address, session)?)
            .await
    }

    async fn put_sessions_batch(&self, sessions: &[(Arc<str>, Bytes)]) -> Result<()> {
        self.may_flush().await?;
        let rows = sessions
            .iter()
            .map(|(address, session)| address_row(&self.keys, SESSION, address, session));
        self.put_many(SIGNAL, rows.collect::<Result<_>>()?).await
    }

    async fn delete_session(&self, address: &str) -> Result<()> {
        self.delete(SIGNAL, SESSION, self.blind(SESSION, &[address.as_bytes()]))
            .await
    }

    async fn has_session(&self, address: &str) -> Result<bool> {
        let key = self.blind(SESSION, &[address.as_bytes()]);
        Ok(!self.get_many(SESSION, vec![key]).await?.is_empty())
    }

    async fn has_signal_state_for_user(&self, user: &str) -> Result<bool> {
        let (session, owner) = (self.fence.session, self.blind("user", &[user.as_bytes()]));
        self.storage
            .glance(move |tx| {
                Box::pin(async move {
                    Ok(wa_state::has_owner(tx, session, SESSION, &owner).await?
                        || wa_state::has_owner(tx, session, IDENTITY, &owner).await?)
                })
            })
            .await
            .map_err(failed)
    }

    async fn store_prekey(&self, id: u32, record: &[u8], uploaded: bool) -> Result<()> {
        self.put(SIGNAL, pre_key_row(&self.keys, id, record, uploaded)?).await
    }

    async fn store_prekeys_batch(&self, keys: &[(u32, Bytes)], uploaded: bool) -> Result<()> {
        let rows = keys
            .iter()
            .map(|(id, record)| pre_key_row(&self.keys, *id, record, uploaded));
        self.put_many(SIGNAL, rows.collect::<Result<_>>()?).await
    }

    async fn load_prekey(&self, id: u32) -> Result<Option<Bytes>> {
        let value = self.get(PRE_KEY, number(id)).await?;
        Ok(value.map(|value| Bytes::copy_from_slice(pre_key_record(&value))))
    }

    async fn load_prekeys_batch(&self, ids: &[u32]) -> Result<Vec<(u32, Bytes)>> {
        let rows = self
            .get_many(PRE_KEY, ids.iter().copied().map(number).collect())
            .await?;
        rows.iter()
            .map(|row| {
                let value = self.open(row)?;
                Ok((read_number(&row.key)?, Bytes::copy_from_slice(pre_key_record(&value))))
            })
            .collect()
    }

    async fn mark_prekeys_uploaded(&self, ids: &[u32]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let (fence, keys) = (self.fence, self.shared_keys());
        let ids: Vec<_> = ids.iter().copied().map(number).collect();
        self.write(SIGNAL, move |tx| {
            Box::pin(async move {
                wa_state::alone(tx, &fence).await?;
                for row in wa_state::get_many(tx, fence.session, PRE_KEY, &ids).await? {
                    let mut value = open(&keys, &row)?;
                    let Some(flag) = value.first_mut().filter(|flag| **flag != UPLOADED) else {
                        continue;
                    };
                    *flag = UPLOADED;
                    let extras = Extras {
                        owner: None,
                        rank: row.rank,
                        expires_at: None,
                    };
                    // A key that was used up meanwhile stays deleted.
                    wa_state::replace(tx, &fence, &seal(&keys, PRE_KEY, row.key, extras, &value)?).await?;
                }
                Ok::<(), StorageError>(())
            })
        })
        .await
    }

    async fn remove_prekey(&self, id: u32) -> Result<()> {
        self.delete(SIGNAL, PRE_KEY, number(id)).await
    }

    async fn get_max_prekey_id(&self) -> Result<u32> {
        let session = self.fence.session;
        let rank = self
            .storage
            .read(move |tx| Box::pin(wa_state::max_rank(tx, session, PRE_KEY)))
            .await
            .map_err(failed)?;
        u32::try_from(rank.unwrap_or(0))
            .map_err(|_| StoreError::Validation("a stored key id is not a number".to_owned()))
    }

    async fn store_signed_prekey(&self, id: u32, record: &[u8]) -> Result<()> {
        let row = self.seal(SIGNED_PRE_KEY, number(id), Extras::rank(i64::from(id)), record)?;
        self.put(SIGNAL, row).await
    }

    async fn load_signed_prekey(&self, id: u32) -> Result<Option<Vec<u8>>> {
        self.get(SIGNED_PRE_KEY, number(id)).await
    }

    async fn load_all_signed_prekeys(&self) -> Result<Vec<(u32, Vec<u8>)>> {
        let session = self.fence.session;
        let rows = self
            .storage
            .read(move |tx| Box::pin(wa_state::list(tx, session, SIGNED_PRE_KEY)))
            .await
            .map_err(failed)?;
        rows.iter()
            .map(|row| Ok((read_number(&row.key)?, self.open(row)?)))
            .collect()
    }

    async fn remove_signed_prekey(&self, id: u32) -> Result<()> {
        self.delete(SIGNAL, SIGNED_PRE_KEY, number(id)).await
    }

    async fn put_sender_key(&self, address: &str, record: &[u8]) -> Result<()> {
        self.put(SIGNAL, sender_key_row(&self.keys, address, record)?).await
    }

    async fn put_sender_keys_batch(&self, sender_keys: &[(Arc<str>, Bytes)]) -> Result<()> {
        self.may_flush().await?;
        let rows = sender_keys
            .iter()
            .map(|(address, record)| sender_key_row(&self.keys, address, record));
        self.put_many(SIGNAL, rows.collect::<Result<_>>()?).await
    }

    async fn get_sender_key(&self, address: &str) -> Result<Option<Vec<u8>>> {
        let value = self.get(SENDER_KEY, self.blind(SENDER_KEY, &[address.as_bytes()]));
        Ok(value.await?.map(|value| bare(value).to_vec()))
    }

    async fn delete_sender_key(&self, address: &str) -> Result<()> {
        self.delete(SIGNAL, SENDER_KEY, self.blind(SENDER_KEY, &[address.as_bytes()]))
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_gives_its_address_back() {
        let address = "15557654321:12@c.us.0";
        for record in [&b"\x0a\x01record"[..], b"", &[0; IDENTITY_LEN]] {
            let value = addressed(address, record).unwrap();
            assert_eq!(address_of(&value).0, Some(address));
            assert_eq!(bare(value), record);
        }
    }

    #[test]
    fn values_of_before_are_read_as_they_are() {
        assert_eq!(address_of_identity(&[0; IDENTITY_LEN]), (None, 0));
        for value in [&b"\x0a\x01record"[..], b"", &[0], &[0, 255, 255, 1]] {
            assert_eq!(address_of(value), (None, 0));
            assert_eq!(bare(value.to_vec()), value);
        }
    }
}
