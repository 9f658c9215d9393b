//! App state: its keys, versions and MACs.

use std::collections::HashMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use wacore::appstate::hash::HashState;
use wacore::store::error::Result;
use wacore::store::traits::{AppStateSyncKey, AppSyncStore};
use wacore_appstate::processor::AppStateMutationMAC;
use wharf_storage::wa_state::{self, StateRow};
use wharf_storage::{Queue, SessionKeys, StorageError};

use super::WaBackend;
use super::kinds::{APP_VERSION, MUTATION_MAC, SYNC_KEY};
use super::rows::{Extras, blind, failed, from_json, seal, sealing, to_json};

/// A key beside its id, which must be given back.
#[derive(Serialize, Deserialize)]
struct StoredSyncKey {
    id: Vec<u8>,
    key: AppStateSyncKey,
}

/// The row of a key that arrived as the `rank`-th.
pub(super) fn sync_key_row(keys: &SessionKeys, id: &[u8], key: AppStateSyncKey, rank: i64) -> Result<StateRow> {
    let value = to_json(&StoredSyncKey { id: id.to_vec(), key })?;
    seal(keys, SYNC_KEY, blind(keys, SYNC_KEY, &[id]), Extras::rank(rank), &value).map_err(sealing)
}

/// What [`sync_key_row`] keeps.
pub(super) fn sync_key_of(value: &[u8]) -> Result<(Vec<u8>, AppStateSyncKey)> {
    let StoredSyncKey { id, key } = from_json(value)?;
    Ok((id, key))
}

impl WaBackend {
    fn mac_key(&self, name: &str, index_mac: &[u8]) -> Vec<u8> {
        self.blind(MUTATION_MAC, &[name.as_bytes(), index_mac])
    }

    fn mac_row(&self, name: &str, mac: &AppStateMutationMAC) -> Result<StateRow> {
        let owner = self.blind("collection", &[name.as_bytes()]);
        self.seal(
            MUTATION_MAC,
            self.mac_key(name, &mac.index_mac),
            Extras::owner(owner),
            &mac.value_mac,
        )
    }
}

#[async_trait]
impl AppSyncStore for WaBackend {
    async fn get_sync_key(&self, key_id: &[u8]) -> Result<Option<AppStateSyncKey>> {
        let value = self.get(SYNC_KEY, self.blind(SYNC_KEY, &[key_id])).await?;
        value
            .map(|value| from_json::<StoredSyncKey>(&value).map(|stored| stored.key))
            .transpose()
    }

    async fn set_sync_key(&self, key_id: &[u8], key: AppStateSyncKey) -> Result<()> {
        let (fence, keys, id) = (self.fence, self.shared_keys(), key_id.to_vec());
        self.write(Queue::Normal, move |tx| {
            Box::pin(async move {
                wa_state::alone(tx, &fence).await?;
                let newest = wa_state::max_rank(tx, fence.session, SYNC_KEY).await?.unwrap_or(0);
                let row = sync_key_row(&keys, &id, key, newest + 1).map_err(StorageError::rejected)?;
                wa_state::put(tx, &fence, &row).await
            })
        })
        .await
    }

    async fn get_version(&self, name: &str) -> Result<HashState> {
        let value = self
            .get(APP_VERSION, self.blind(APP_VERSION, &[name.as_bytes()]))
            .await?;
        value.map_or_else(|| Ok(HashState::default()), |value| from_json(&value))
    }

    async fn set_version(&self, name: &str, state: HashState) -> Result<()> {
        let key = self.blind(APP_VERSION, &[name.as_bytes()]);
        self.put(
            Queue::Normal,
            self.seal(APP_VERSION, key, Extras::default(), &to_json(&state)?)?,
        )
        .await
    }

    async fn put_mutation_macs(&self, name: &str, _version: u64, mutations: &[AppStateMutationMAC]) -> Result<()> {
        let rows = mutations.iter().map(|mac| self.mac_row(name, mac));
        self.put_many(Queue::Normal, rows.collect::<Result<_>>()?).await
    }

    async fn get_mutation_mac(&self, name: &str, index_mac: &[u8]) -> Result<Option<Vec<u8>>> {
        self.get(MUTATION_MAC, self.mac_key(name, index_mac)).await
    }

    async fn get_mutation_macs(&self, name: &str, index_macs: &[[u8; 32]]) -> Result<HashMap<[u8; 32], Vec<u8>>> {
        let asked: HashMap<_, _> = index_macs.iter().map(|mac| (self.mac_key(name, mac), *mac)).collect();
        let rows = self.get_many(MUTATION_MAC, asked.keys().cloned().collect()).await?;
        let mut found = HashMap::with_capacity(rows.len());
        for row in rows {
            if let Some(index_mac) = asked.get(&row.key) {
                found.insert(*index_mac, self.open(&row)?);
            }
        }
        Ok(found)
    }

    async fn delete_mutation_macs(&self, name: &str, index_macs: &[Vec<u8>]) -> Result<()> {
        let keys = index_macs.iter().map(|mac| self.mac_key(name, mac)).collect();
        self.delete_many(Queue::Normal, MUTATION_MAC, keys).await
    }

    async fn clear_mutation_macs(&self, name: &str) -> Result<()> {
        let (fence, owner) = (self.fence, self.blind("collection", &[name.as_bytes()]));
        self.write(Queue::Normal, move |tx| {
            Box::pin(async move {
                wa_state::delete_owner(tx, &fence, MUTATION_MAC, &owner).await?;
                Ok::<(), StorageError>(())
            })
        })
        .await
    }

    async fn get_latest_sync_key_id(&self) -> Result<Option<Vec<u8>>> {
        let session = self.fence.session;
        let row = self
            .storage
            .read(move |tx| Box::pin(wa_state::newest(tx, session, SYNC_KEY)))
            .await
            .map_err(failed)?;
        row.map(|row| from_json::<StoredSyncKey>(&self.open(&row)?).map(|stored| stored.id))
            .transpose()
    }
}
