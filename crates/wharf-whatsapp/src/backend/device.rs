//! The device itself: one sealed row with a version byte in front.

use async_trait::async_trait;
use wacore::store::Device;
use wacore::store::error::{Result, StoreError};
use wacore::store::traits::DeviceStore;
use wharf_storage::wa_state::{self, StateRow};
use wharf_storage::{Queue, SessionKeys};

use super::WaBackend;
use super::kinds::DEVICE;
use super::rows::{Extras, blind, from_json, seal, sealing, to_json};

/// The form of the value: JSON as the engine of this release writes it.
const VERSION: u8 = 1;

/// There is one device in a session.
const ONLY: &[u8] = b"device";

pub(super) fn device_row(keys: &SessionKeys, device: &Device) -> Result<StateRow> {
    let (key, value) = (blind(keys, DEVICE, &[ONLY]), write_device(device)?);
    seal(keys, DEVICE, key, Extras::default(), &value).map_err(sealing)
}

pub(super) fn write_device(device: &Device) -> Result<Vec<u8>> {
    let mut value = vec![VERSION];
    value.extend_from_slice(&to_json(device)?);
    Ok(value)
}

pub(super) fn read_device(value: &[u8]) -> Result<Device> {
    match value.split_first() {
        Some((&VERSION, json)) => from_json(json),
        _ => Err(StoreError::Validation(
            "the stored device is of an unknown version".to_owned(),
        )),
    }
}

#[async_trait]
impl DeviceStore for WaBackend {
    async fn save(&self, device: &Device) -> Result<()> {
        self.put(Queue::SignalState, device_row(&self.keys, device)?).await
    }

    async fn load(&self) -> Result<Option<Device>> {
        let value = self.get(DEVICE, self.blind(DEVICE, &[ONLY])).await?;
        value.map(|value| read_device(&value)).transpose()
    }

    async fn exists(&self) -> Result<bool> {
        Ok(!self
            .get_many(DEVICE, vec![self.blind(DEVICE, &[ONLY])])
            .await?
            .is_empty())
    }

    /// A session has one device; its number means nothing here.
    async fn create(&self) -> Result<i32> {
        let (fence, row) = (self.fence, device_row(&self.keys, &Device::new())?);
        self.write(Queue::SignalState, move |tx| {
            Box::pin(async move {
                wa_state::alone(tx, &fence).await?;
                if wa_state::get(tx, fence.session, DEVICE, &row.key).await?.is_none() {
                    wa_state::put(tx, &fence, &row).await?;
                }
                Ok(1)
            })
        })
        .await
    }
}
