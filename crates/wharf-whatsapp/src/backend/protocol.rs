//! Everything else that the engine remembers: key holders of groups, LIDs and phones, base keys, device lists, group
//! metadata, tokens of trusted contacts, sent messages, messages that wait for their commit.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use wacore::store::error::Result;
use wacore::store::traits::{
    DeviceListRecord, LidPnMappingEntry, PendingInboundKey, PendingInboundRow, ProtocolStore, TcTokenEntry,
};
use wharf_model::Timestamp;
use wharf_storage::wa_state::{self, StateRow};
use wharf_storage::{Queue, SessionKeys, StorageError, Tx};

use super::kinds::{
    BASE_KEY, COMMITTED, DEVICE_LIST, GROUP, HELD_GROUP, KEY_HOLDER, LID_MAPPING, PENDING_INBOUND, SENT_MESSAGE,
    TC_TOKEN,
};
use super::rows::{Extras, blind, failed, from_json, open, seal, to_json};
use super::{PENDING_INBOUND_TTL, WaBackend};

type Stored<T> = std::result::Result<T, StorageError>;

/// A device that has our sender key of a group, or should get it.
#[derive(Serialize, Deserialize)]
struct KeyHolder {
    device: String,
    has_key: bool,
}

/// A token beside the jid that must be given back.
#[derive(Serialize, Deserialize)]
struct StoredToken {
    jid: String,
    entry: TcTokenEntry,
}

impl StoredToken {
    /// The younger of its two times: while that one is alive, so is the row.
    fn rank(&self) -> i64 {
        let token = if self.entry.token.is_empty() {
            i64::MIN
        } else {
            self.entry.token_timestamp
        };
        token.max(self.entry.sender_timestamp.unwrap_or(i64::MIN))
    }

    fn is_live(&self, token_cutoff: i64, sender_cutoff: i64) -> bool {
        let token = !self.entry.token.is_empty() && self.entry.token_timestamp >= token_cutoff;
        token || self.entry.sender_timestamp.is_some_and(|at| at >= sender_cutoff)
    }

    fn row(&self, keys: &SessionKeys) -> Stored<StateRow> {
        let key = blind(keys, TC_TOKEN, &[self.jid.as_bytes()]);
        Ok(seal(keys, TC_TOKEN, key, Extras::rank(self.rank()), &json(self)?)?)
    }
}

fn json<T: Serialize>(value: &T) -> Stored<Vec<u8>> {
    serde_json::to_vec(value).map_err(StorageError::rejected)
}

fn parse<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Stored<T> {
    serde_json::from_slice(bytes).map_err(StorageError::rejected)
}

impl WaBackend {
    fn holder_key(keys: &SessionKeys, group: &str, device: &str) -> Vec<u8> {
        blind(keys, KEY_HOLDER, &[group.as_bytes(), device.as_bytes()])
    }

    fn held_key(keys: &SessionKeys, device: &str, group: &str) -> Vec<u8> {
        blind(keys, HELD_GROUP, &[device.as_bytes(), group.as_bytes()])
    }

    /// Two rows each: one found by the group, one by the device.
    fn holder_rows(&self, group: &str, device: &str, has_key: bool) -> Result<[StateRow; 2]> {
        let holder_key = Self::holder_key(&self.keys, group, device);
        let holder = KeyHolder {
            device: device.to_owned(),
            has_key,
        };
        let by_group = Extras::owner(self.blind("group", &[group.as_bytes()]));
        let by_device = Extras::owner(self.blind("device", &[device.as_bytes()]));
        let held_key = Self::held_key(&self.keys, device, group);
        Ok([
            self.seal(KEY_HOLDER, holder_key.clone(), by_group, &to_json(&holder)?)?,
            self.seal(HELD_GROUP, held_key, by_device, &holder_key)?,
        ])
    }

    fn base_key_key(&self, address: &str, message_id: &str) -> Vec<u8> {
        self.blind(BASE_KEY, &[address.as_bytes(), message_id.as_bytes()])
    }

    fn device_list_row(&self, record: &DeviceListRecord) -> Result<StateRow> {
        let key = self.blind(DEVICE_LIST, &[record.user.as_bytes()]);
        self.seal(DEVICE_LIST, key, Extras::default(), &to_json(record)?)
    }

    /// Reads a token, changes it and stores it, in one unit of work.
    async fn change_token<F>(&self, jid: &str, change: F) -> Result<()>
    where
        F: FnOnce(Option<TcTokenEntry>) -> Option<TcTokenEntry> + Send + 'static,
    {
        let (fence, keys, jid) = (self.fence, self.shared_keys(), jid.to_owned());
        self.write(Queue::Normal, move |tx| {
            Box::pin(async move {
                wa_state::alone(tx, &fence).await?;
                let key = blind(&keys, TC_TOKEN, &[jid.as_bytes()]);
                let row = wa_state::get(tx, fence.session, TC_TOKEN, &key).await?;
                let present = match row {
                    Some(row) => Some(parse::<StoredToken>(&open(&keys, &row)?)?.entry),
                    None => None,
                };
                match change(present) {
                    Some(entry) => wa_state::put(tx, &fence, &StoredToken { jid, entry }.row(&keys)?).await,
                    None => Ok(()),
                }
            })
        })
        .await
    }
}

/// What expires `ttl` after it was stored was stored before `cutoff` when it expires before `cutoff + ttl`.
fn stored_before(cutoff: i64, ttl: Duration) -> Timestamp {
    Timestamp::from_millis(Timestamp::from_secs(cutoff).as_millis().saturating_sub(1)) + ttl
}

/// Stores mappings; the phone's latest one gets the highest rank among its own.
async fn put_mappings(
    tx: &mut Tx,
    fence: &wharf_storage::sessions::Fence,
    keys: &SessionKeys,
    entries: &[LidPnMappingEntry],
) -> Stored<()> {
    wa_state::alone(tx, fence).await?;
    for entry in entries {
        let owner = mapping_owner(keys, &entry.phone_number);
        let newest = wa_state::list_by_owner(tx, fence.session, LID_MAPPING, &owner).await?;
        let rank = newest.first().and_then(|row| row.rank).unwrap_or(0) + 1;
        wa_state::put(tx, fence, &mapping_row(keys, entry, rank)?).await?;
    }
    Ok(())
}

/// The row of a mapping that is the `rank`-th of its phone.
pub(super) fn mapping_row(keys: &SessionKeys, entry: &LidPnMappingEntry, rank: i64) -> Stored<StateRow> {
    let key = blind(keys, LID_MAPPING, &[entry.lid.as_bytes()]);
    let extras = Extras {
        owner: Some(mapping_owner(keys, &entry.phone_number)),
        rank: Some(rank),
        expires_at: None,
    };
    Ok(seal(keys, LID_MAPPING, key, extras, &json(entry)?)?)
}

fn mapping_owner(keys: &SessionKeys, phone: &str) -> Vec<u8> {
    blind(keys, "phone", &[phone.as_bytes()])
}

/// What [`token_row`] keeps.
pub(super) fn token_of(value: &[u8]) -> Stored<(String, TcTokenEntry)> {
    let StoredToken { jid, entry } = parse(value)?;
    Ok((jid, entry))
}

pub(super) fn token_row(keys: &SessionKeys, jid: String, entry: TcTokenEntry) -> Stored<StateRow> {
    StoredToken { jid, entry }.row(keys)
}

#[async_trait]
impl ProtocolStore for WaBackend {
    async fn get_sender_key_devices(&self, group_jid: &str) -> Result<Vec<(String, bool)>> {
        let values = self
            .list_by_owner(KEY_HOLDER, self.blind("group", &[group_jid.as_bytes()]))
            .await?;
        values
            .iter()
            .map(|value| from_json::<KeyHolder>(value).map(|holder| (holder.device, holder.has_key)))
            .collect()
    }

    async fn set_sender_key_status(&self, group_jid: &str, entries: &[(&str, bool)]) -> Result<()> {
        let rows = entries
            .iter()
            .map(|(device, has_key)| self.holder_rows(group_jid, device, *has_key));
        let rows: Vec<_> = rows.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
        self.put_many(Queue::Normal, rows).await
    }

    async fn clear_sender_key_devices(&self, group_jid: &str) -> Result<()> {
        let (fence, keys, group) = (self.fence, self.shared_keys(), group_jid.to_owned());
        self.write(Queue::Normal, move |tx| {
            Box::pin(async move {
                wa_state::alone(tx, &fence).await?;
                let owner = blind(&keys, "group", &[group.as_bytes()]);
                let mut held = Vec::new();
                for row in wa_state::list_by_owner(tx, fence.session, KEY_HOLDER, &owner).await? {
                    let holder: KeyHolder = parse(&open(&keys, &row)?)?;
                    held.push(Self::held_key(&keys, &holder.device, &group));
                }
                wa_state::delete_many(tx, &fence, HELD_GROUP, &held).await?;
                wa_state::delete_owner(tx, &fence, KEY_HOLDER, &owner).await.map(drop)
            })
        })
        .await
    }

    async fn delete_sender_key_device_rows(&self, device_jids: &[&str]) -> Result<()> {
        if device_jids.is_empty() {
            return Ok(());
        }
        let (fence, keys) = (self.fence, self.shared_keys());
        let owners: Vec<_> = device_jids
            .iter()
            .map(|device| self.blind("device", &[device.as_bytes()]))
            .collect();
        self.write(Queue::Normal, move |tx| {
            Box::pin(async move {
                wa_state::alone(tx, &fence).await?;
                for owner in &owners {
                    let mut holders = Vec::new();
                    for row in wa_state::list_by_owner(tx, fence.session, HELD_GROUP, owner).await? {
                        holders.push(open(&keys, &row)?);
                    }
                    wa_state::delete_many(tx, &fence, KEY_HOLDER, &holders).await?;
                    wa_state::delete_owner(tx, &fence, HELD_GROUP, owner).await?;
                }
                Ok(())
            })
        })
        .await
    }

    async fn clear_all_sender_key_devices(&self) -> Result<()> {
        let fence = self.fence;
        self.write(Queue::Normal, move |tx| {
            Box::pin(async move {
                wa_state::alone(tx, &fence).await?;
                wa_state::delete_kind(tx, &fence, HELD_GROUP).await?;
                wa_state::delete_kind(tx, &fence, KEY_HOLDER).await.map(drop)
            })
        })
        .await
    }

    async fn get_lid_mapping(&self, lid: &str) -> Result<Option<LidPnMappingEntry>> {
        let value = self
            .get(LID_MAPPING, self.blind(LID_MAPPING, &[lid.as_bytes()]))
            .await?;
        value.map(|value| from_json(&value)).transpose()
    }

    async fn get_pn_mapping(&self, phone: &str) -> Result<Option<LidPnMappingEntry>> {
        let values = self
            .list_by_owner(LID_MAPPING, self.blind("phone", &[phone.as_bytes()]))
            .await?;
        values.first().map(|value| from_json(value)).transpose()
    }

    async fn put_lid_mapping(&self, entry: &LidPnMappingEntry) -> Result<()> {
        self.put_lid_mappings(std::slice::from_ref(entry)).await
    }

    async fn put_lid_mappings(&self, entries: &[LidPnMappingEntry]) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let (fence, keys, entries) = (self.fence, self.shared_keys(), entries.to_vec());
        self.write(Queue::Normal, move |tx| {
            Box::pin(async move { put_mappings(tx, &fence, &keys, &entries).await })
        })
        .await
    }

    async fn get_all_lid_mappings(&self) -> Result<Vec<LidPnMappingEntry>> {
        self.list(LID_MAPPING)
            .await?
            .iter()
            .map(|value| from_json(value))
            .collect()
    }

    async fn save_base_key(&self, address: &str, message_id: &str, base_key: &[u8]) -> Result<()> {
        let key = self.base_key_key(address, message_id);
        self.put(Queue::Normal, self.seal(BASE_KEY, key, Extras::default(), base_key)?)
            .await
    }

    async fn has_same_base_key(&self, address: &str, message_id: &str, current_base_key: &[u8]) -> Result<bool> {
        let stored = self.get(BASE_KEY, self.base_key_key(address, message_id)).await?;
        Ok(stored.is_some_and(|stored| stored == current_base_key))
    }

    async fn delete_base_key(&self, address: &str, message_id: &str) -> Result<()> {
        self.delete(Queue::Normal, BASE_KEY, self.base_key_key(address, message_id))
            .await
    }

    async fn update_device_list(&self, record: DeviceListRecord) -> Result<()> {
        self.put(Queue::Normal, self.device_list_row(&record)?).await
    }

    async fn update_device_lists(&self, records: Vec<DeviceListRecord>) -> Result<()> {
        let rows = records.iter().map(|record| self.device_list_row(record));
        self.put_many(Queue::Normal, rows.collect::<Result<_>>()?).await
    }

    async fn get_devices(&self, user: &str) -> Result<Option<DeviceListRecord>> {
        let value = self
            .get(DEVICE_LIST, self.blind(DEVICE_LIST, &[user.as_bytes()]))
            .await?;
        value.map(|value| from_json(&value)).transpose()
    }

    async fn delete_devices(&self, user: &str) -> Result<()> {
        self.delete(Queue::Normal, DEVICE_LIST, self.blind(DEVICE_LIST, &[user.as_bytes()]))
            .await
    }

    async fn get_group_metadata(&self, group_jid: &str) -> Result<Option<Vec<u8>>> {
        self.get(GROUP, self.blind(GROUP, &[group_jid.as_bytes()])).await
    }

    async fn put_group_metadata(&self, group_jid: &str, blob: &[u8]) -> Result<()> {
        let key = self.blind(GROUP, &[group_jid.as_bytes()]);
        self.put(Queue::Normal, self.seal(GROUP, key, Extras::default(), blob)?)
            .await
    }

    async fn delete_group_metadata(&self, group_jid: &str) -> Result<()> {
        self.delete(Queue::Normal, GROUP, self.blind(GROUP, &[group_jid.as_bytes()]))
            .await
    }

    async fn get_tc_token(&self, jid: &str) -> Result<Option<TcTokenEntry>> {
        let value = self.get(TC_TOKEN, self.blind(TC_TOKEN, &[jid.as_bytes()])).await?;
        value
            .map(|value| from_json::<StoredToken>(&value).map(|stored| stored.entry))
            .transpose()
    }

    async fn put_tc_token(&self, jid: &str, entry: &TcTokenEntry) -> Result<()> {
        let stored = StoredToken {
            jid: jid.to_owned(),
            entry: entry.clone(),
        };
        self.put(Queue::Normal, stored.row(&self.keys).map_err(failed)?).await
    }

    async fn delete_tc_token(&self, jid: &str) -> Result<()> {
        self.delete(Queue::Normal, TC_TOKEN, self.blind(TC_TOKEN, &[jid.as_bytes()]))
            .await
    }

    async fn get_all_tc_token_jids(&self) -> Result<Vec<String>> {
        let values = self.list(TC_TOKEN).await?;
        values
            .iter()
            .map(|value| from_json::<StoredToken>(value).map(|stored| stored.jid))
            .collect()
    }

    async fn delete_expired_tc_tokens(&self, token_cutoff: i64, sender_cutoff: i64) -> Result<u32> {
        let (fence, keys) = (self.fence, self.shared_keys());
        let surely_live = token_cutoff.max(sender_cutoff);
        let deleted = self.write(Queue::Normal, move |tx| {
            Box::pin(async move {
                wa_state::alone(tx, &fence).await?;
                let mut expired = Vec::new();
                for row in wa_state::list(tx, fence.session, TC_TOKEN).await? {
                    if row.rank.is_some_and(|rank| rank >= surely_live) {
                        continue;
                    }
                    if !parse::<StoredToken>(&open(&keys, &row)?)?.is_live(token_cutoff, sender_cutoff) {
                        expired.push(row.key);
                    }
                }
                wa_state::delete_many(tx, &fence, TC_TOKEN, &expired).await
            })
        });
        Ok(u32::try_from(deleted.await?).unwrap_or(u32::MAX))
    }

    async fn touch_tc_token_sender_timestamp(&self, jid: &str, sender_timestamp: i64) -> Result<()> {
        self.change_token(jid, move |present| {
            let mut entry = present.unwrap_or_else(|| TcTokenEntry {
                token: Vec::new(),
                token_timestamp: sender_timestamp,
                sender_timestamp: None,
            });
            entry.sender_timestamp = entry.sender_timestamp.max(Some(sender_timestamp));
            Some(entry)
        })
        .await
    }

    async fn store_received_tc_token(&self, jid: &str, token: &[u8], token_timestamp: i64) -> Result<()> {
        let token = token.to_vec();
        self.change_token(jid, move |present| {
            let newer = |entry: &TcTokenEntry| entry.token.is_empty() || token_timestamp >= entry.token_timestamp;
            if present.as_ref().is_some_and(|entry| !newer(entry)) {
                return None;
            }
            let sender_timestamp = present.and_then(|entry| entry.sender_timestamp);
            Some(TcTokenEntry {
                token,
                token_timestamp,
                sender_timestamp,
            })
        })
        .await
    }

    async fn store_sent_message(&self, chat_jid: &str, message_id: &str, payload: &[u8]) -> Result<()> {
        self.store_sent(chat_jid, message_id, payload).await
    }

    async fn take_sent_message(&self, chat_jid: &str, message_id: &str) -> Result<Option<Vec<u8>>> {
        self.take_sent(chat_jid, message_id).await
    }

    async fn delete_expired_sent_messages(&self, cutoff_timestamp: i64) -> Result<u32> {
        let at = stored_before(cutoff_timestamp, self.sent_ttl);
        self.delete_expired(Queue::Normal, SENT_MESSAGE, at).await
    }

    async fn store_pending_inbound(&self, chat: &str, sender: &str, id: &str, message: &[u8]) -> Result<()> {
        self.store_pending(&[PendingInboundRow {
            chat,
            sender,
            id,
            message,
        }])
        .await
    }

    async fn get_pending_inbound(&self, chat: &str, sender: &str, id: &str) -> Result<Option<Vec<u8>>> {
        self.find_pending(chat, sender, id).await
    }

    async fn delete_pending_inbound(&self, chat: &str, sender: &str, id: &str) -> Result<()> {
        self.delete_pending(chat, sender, id).await
    }

    async fn delete_expired_pending_inbound(&self, cutoff_timestamp: i64) -> Result<u32> {
        self.delete_expired(Queue::SignalState, COMMITTED, self.clock.now())
            .await?;
        let at = stored_before(cutoff_timestamp, PENDING_INBOUND_TTL);
        self.delete_expired(Queue::SignalState, PENDING_INBOUND, at).await
    }

    async fn store_pending_inbound_batch(&self, rows: &[PendingInboundRow<'_>]) -> Result<()> {
        self.store_pending(rows).await
    }

    async fn delete_pending_inbound_batch(&self, keys: &[PendingInboundKey<'_>]) -> Result<()> {
        self.commit_pending(keys).await
    }
}
