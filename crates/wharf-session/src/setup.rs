//! A session's proxy and device, as its row keeps them: the proxy sealed, because it may hold a password.

use serde_json::{Value, json};
use wharf_model::{Device, Proxy, SessionId};
use wharf_storage::sessions::Session;
use wharf_storage::{Place, Sealed, SessionKeys, StorageError};

use crate::port::ClientSetup;

/// Both, opened.
pub(crate) fn setup(row: &Session, keys: &SessionKeys) -> Result<ClientSetup, StorageError> {
    let proxy = row.proxy.as_ref().map(|sealed| open_proxy(row.id, keys, sealed));
    Ok(ClientSetup {
        proxy: proxy.transpose()?,
        device: row.device.as_deref().map(read_device).transpose()?,
    })
}

fn open_proxy(session: SessionId, keys: &SessionKeys, sealed: &Sealed) -> Result<Proxy, StorageError> {
    const UNREADABLE: StorageError = StorageError::Unreadable("proxy");
    let text = String::from_utf8(keys.open(&Place::session(session, "proxy"), sealed)?).map_err(|_| UNREADABLE)?;
    text.parse().map_err(|_| UNREADABLE)
}

/// Seals a proxy for its row.
pub(crate) fn seal_proxy(
    session: SessionId,
    keys: &SessionKeys,
    proxy: Option<&Proxy>,
) -> Result<Option<Sealed>, StorageError> {
    let seal = |proxy: &Proxy| keys.seal(&Place::session(session, "proxy"), proxy.secret_url().as_bytes());
    Ok(proxy.map(seal).transpose()?)
}

/// A device as its row keeps it.
pub(crate) fn written_device(device: &Device) -> String {
    json!({ "os": device.os(), "browser": device.browser().as_str() }).to_string()
}

fn read_device(text: &str) -> Result<Device, StorageError> {
    let read = || {
        let value: Value = serde_json::from_str(text).ok()?;
        let browser = value["browser"].as_str()?.parse().ok()?;
        Device::new(value["os"].as_str()?, browser).ok()
    };
    read().ok_or(StorageError::Unreadable("device"))
}
