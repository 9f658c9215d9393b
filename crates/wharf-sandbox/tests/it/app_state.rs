//! Collections of app state that grew long.

use buffa::{Message as _, MessageField};
use wacore::download::{DownloadUtils, MediaType};
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp::{
    ExternalBlobReference, KeyId, SyncdIndex, SyncdMutation, SyncdPatch, SyncdRecord, SyncdSnapshot, SyncdValue,
};
use wharf_sandbox::{NewPhone, Sandbox, SandboxConfig};

use crate::companion::Companion;
use crate::http::bytes;
use crate::raw_client::*;

/// Sealed bytes are opaque to the server, so any will do.
fn patch(index: u8, value: u8) -> Vec<u8> {
    let record = SyncdRecord {
        index: MessageField::some(SyncdIndex {
            blob: Some(vec![index; 32]),
        }),
        value: MessageField::some(SyncdValue {
            blob: Some(vec![value; 80]),
        }),
        key_id: MessageField::some(KeyId { id: Some(vec![1; 6]) }),
    };
    let patch = SyncdPatch {
        mutations: vec![SyncdMutation {
            record: MessageField::some(record),
            ..Default::default()
        }],
        ..Default::default()
    };
    patch.encode_to_vec()
}

async fn sync(client: &mut RawClient, version: usize, patch: Option<Vec<u8>>) -> Node {
    let collection = NodeBuilder::new("collection")
        .attr("name", "regular")
        .attr("version", version.to_string())
        .attr("return_snapshot", if version == 0 { "true" } else { "false" })
        .children(patch.map(|patch| NodeBuilder::new("patch").bytes(patch).build()));
    let sync = NodeBuilder::new("sync").children([collection.build()]).build();
    let answer = client.ask("set", "w:sync:app:state", Some(sync)).await;
    let sync = answer.get_optional_child("sync").unwrap();
    sync.get_optional_child("collection").unwrap().clone()
}

#[tokio::test]
async fn who_is_new_gets_a_snapshot_of_a_long_collection() {
    let config = SandboxConfig {
        snapshot_from: 3,
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::start(config).await.unwrap();
    let alice = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    let mut hers = Companion::linked(&sandbox, &alice).await.client;
    for (version, (index, value)) in [(1, 10), (2, 20), (1, 30)].into_iter().enumerate() {
        let whole = sync(&mut hers, 0, None).await;
        assert!(whole.get_optional_child("snapshot").is_none());
        let taken = sync(&mut hers, version, Some(patch(index, value))).await;
        assert_eq!(attr(&taken, "version"), (version + 1).to_string());
    }
    let whole = sync(&mut hers, 0, None).await;
    assert_eq!(attr(&whole, "version"), "3");
    assert!(whole.get_optional_child("patches").is_none());
    let reference = bytes_of(whole.get_optional_child("snapshot").unwrap());
    let reference = ExternalBlobReference::decode_from_slice(&reference).unwrap();
    let sealed = bytes(&sandbox.chat_url(), reference.direct_path.as_deref().unwrap()).await;
    let key = reference.media_key.unwrap();
    let opened = DownloadUtils::verify_and_decrypt(&sealed, &key, MediaType::AppState).unwrap();
    let snapshot = SyncdSnapshot::decode_from_slice(&opened).unwrap();
    let values: Vec<_> = snapshot
        .records
        .iter()
        .map(|record| record.value.blob.as_deref().unwrap()[0])
        .collect();
    assert_eq!((snapshot.version.version, values), (Some(3), vec![30, 20]));
    // Who has some of it gets the rest as patches.
    let rest = sync(&mut hers, 2, None).await;
    assert!(rest.get_optional_child("patches").is_some() && rest.get_optional_child("snapshot").is_none());
}
