//! What a restore carries over, row by row.

use wacore::store::Device;
use wacore::store::traits::{DeviceStore, SignalStore};
use wharf_model::SystemEdges;
use wharf_storage::wa_state::{self, StateRow};

use super::super::WaBackend;
use super::super::carry::{CarryError, carry_over};
use super::super::kinds::{DEVICE, IDENTITY, PRE_KEY, SENDER_KEY, SESSION, SIGNED_PRE_KEY};
use super::super::rows::{Extras, seal};
use super::House;

const PEER: &str = "15557654321.0";

async fn rows(house: &House, backend: &WaBackend, kind: &'static str) -> Vec<StateRow> {
    let session = backend.session();
    house
        .storage
        .read(move |tx| Box::pin(wa_state::list(tx, session, kind)))
        .await
        .unwrap()
}

#[tokio::test]
async fn what_counts_goes_and_what_links_stays() {
    let house = House::new().await;
    let backend = house.backend().await;
    let mut device = Device::new();
    (device.next_pre_key_id, device.server_has_prekeys) = (813, true);
    backend.save(&device).await.unwrap();
    backend.put_session(PEER, b"ratchet").await.unwrap();
    backend.put_identity(PEER, [1; 32]).await.unwrap();
    backend.store_prekey(7, b"key", true).await.unwrap();
    backend.store_signed_prekey(1, b"signed").await.unwrap();
    backend.put_sender_key("group::me", b"chain").await.unwrap();
    for (kind, stays) in [
        (SESSION, false),
        (PRE_KEY, false),
        (SENDER_KEY, false),
        (IDENTITY, true),
        (SIGNED_PRE_KEY, true),
        (DEVICE, true),
    ] {
        let found = rows(&house, &backend, kind).await;
        assert_eq!(found.len(), 1, "{kind}");
        for row in found {
            let carried = carry_over(&backend.keys, row.clone(), &SystemEdges).unwrap();
            assert_eq!(carried.is_some(), stays, "{kind}");
            if let Some(carried) = carried.filter(|_| kind != DEVICE) {
                assert_eq!(format!("{carried:?}"), format!("{row:?}"));
            }
        }
    }
}

#[tokio::test]
async fn the_device_stays_itself_and_uploads_new_pre_keys() {
    let house = House::new().await;
    let backend = house.backend().await;
    let mut device = Device::new();
    (device.next_pre_key_id, device.first_unupload_pre_key_id) = (813, 813);
    device.server_has_prekeys = true;
    backend.save(&device).await.unwrap();
    let row = rows(&house, &backend, DEVICE).await.remove(0);
    let carried = carry_over(&backend.keys, row, &SystemEdges).unwrap().unwrap();
    backend.put(wharf_storage::Queue::SignalState, carried).await.unwrap();
    let after = backend.load().await.unwrap().unwrap();
    assert!(!after.server_has_prekeys);
    assert!(after.next_pre_key_id > 1_000_000);
    assert_eq!(after.registration_id, device.registration_id);
    assert_eq!(
        after.identity_key.public_key.serialize(),
        device.identity_key.public_key.serialize()
    );
    assert_eq!(
        after.noise_key.public_key.serialize(),
        device.noise_key.public_key.serialize()
    );
    assert_eq!(after.signed_pre_key_id, device.signed_pre_key_id);
}

/// A new kind must choose: the list is read from the source, so that nobody can forget it.
#[tokio::test]
async fn every_kind_has_chosen() {
    let house = House::new().await;
    let backend = house.backend().await;
    let source = include_str!("../kinds.rs");
    let kinds: Vec<_> = source
        .lines()
        .filter(|line| line.contains("const "))
        .filter_map(|line| line.split('"').nth(1))
        .collect();
    assert_eq!(kinds.len(), 20, "{kinds:?}");
    for kind in kinds.into_iter().chain(["other"]) {
        let row = seal(&backend.keys, kind, vec![1], Extras::default(), b"").unwrap();
        let unknown = matches!(
            carry_over(&backend.keys, row, &SystemEdges),
            Err(CarryError::UnknownKind(_))
        );
        assert_eq!(unknown, kind == "other", "{kind}");
    }
}
