//! What the oracle has no word for.

use std::sync::Arc;

use bytes::Bytes;
use wacore::store::Device;
use wacore::store::traits::{
    DeviceStore, LidPnMappingEntry, MsgSecretEntry, MsgSecretStore, PendingInboundKey, ProtocolStore, SignalStore,
};
use wacore_binary::Jid;
use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp as wa;
use wharf_model::{Content, ContentKind, Lane, MessageId, SystemEdges};
use wharf_session::content;
use wharf_storage::messages::{self, OutboundDraft};
use wharf_storage::{Queue, wa_state};

use super::super::WaBackend;
use super::super::kinds::{MSG_SECRET, SENT_MESSAGE};
use super::House;
use crate::intake::Intake;

const PHONE: &str = "15557654321";

fn mapping(lid: &str) -> LidPnMappingEntry {
    LidPnMappingEntry {
        lid: lid.to_owned(),
        phone_number: PHONE.to_owned(),
        created_at: 1,
        updated_at: 1,
        learning_source: "usync".to_owned(),
    }
}

/// A message row as the session's actor would make it.
async fn accept(house: &House, backend: &WaBackend, whatsapp_id: &str) {
    let now = house.storage.clock().now();
    let draft = OutboundDraft {
        id: MessageId::generate(&SystemEdges, &SystemEdges),
        workspace_id: house.workspace,
        session_id: backend.fence.session,
        lane: Lane::Interactive,
        kind: ContentKind::Text,
        chat: "15557654321@s.whatsapp.net",
        to: PHONE,
        body: &content::encode(&Content::text("the words of the message")),
        secret: &[9; 32],
        metadata: None,
        whatsapp_id,
        due_at: now,
        expires_at: None,
        created_at: now,
        wording: None,
    };
    let row = draft.seal(&backend.keys).unwrap();
    house
        .storage
        .write(Queue::Normal, move |tx| {
            Box::pin(async move { messages::insert_outbound(tx, &row).await })
        })
        .await
        .unwrap();
}

async fn stored_copies(house: &House, backend: &WaBackend) -> u64 {
    stored(house, backend, SENT_MESSAGE).await
}

async fn stored(house: &House, backend: &WaBackend, kind: &'static str) -> u64 {
    let session = backend.fence.session;
    house
        .storage
        .read(move |tx| Box::pin(wa_state::count(tx, session, kind)))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_message_of_our_own_is_answered_from_its_row_as_often_as_it_is_asked_for() {
    let house = House::new().await;
    let backend = house.backend().await;
    accept(&house, &backend, "3EB0AA").await;
    // The engine stores under the LID, whatever the row says.
    backend
        .store_sent_message("100000000000001@lid", "3EB0AA", b"plaintext")
        .await
        .unwrap();
    assert_eq!(stored_copies(&house, &backend).await, 0);
    for _ in 0..2 {
        let bytes = backend
            .take_sent_message("100000000000001@lid", "3EB0AA")
            .await
            .unwrap()
            .unwrap();
        let message: wa::Message = waproto::codec::message_decode(&bytes).unwrap();
        assert_eq!(message.conversation.as_deref(), Some("the words of the message"));
        assert_eq!(
            wacore::reporting_token::extract_message_secret(&message),
            Some([9; 32].as_slice())
        );
    }
}

#[tokio::test]
async fn a_message_on_its_way_is_not_stored_again() {
    let house = House::new().await;
    let backend = house.backend().await;
    let note = backend.note_outbound("3EB0BB");
    backend
        .store_sent_message("15557654321@s.whatsapp.net", "3EB0BB", b"plaintext")
        .await
        .unwrap();
    assert_eq!(stored_copies(&house, &backend).await, 0);
    drop(note);
    backend
        .store_sent_message("15557654321@s.whatsapp.net", "3EB0BB", b"plaintext")
        .await
        .unwrap();
    assert_eq!(stored_copies(&house, &backend).await, 1);
}

#[tokio::test]
async fn the_secret_of_a_message_of_our_own_is_in_its_row_and_nowhere_else() {
    let house = House::new().await;
    let backend = house.backend().await;
    accept(&house, &backend, "3EB0DD").await;
    let (chat, me) = ("100000000000001@lid", "100000000000009@lid");
    let (their_chat, own): (Jid, Jid) = (chat.parse().unwrap(), me.parse().unwrap());
    let entry = |id, secret| MsgSecretEntry::new(&their_chat, &own, id, secret, 0, 1_700_000_000);
    let entries = vec![entry("3EB0DD", [9; 32]), entry("3EB0EE", [8; 32])];
    assert_eq!(backend.put_msg_secrets(entries).await.unwrap(), 2);

    assert_eq!(stored(&house, &backend, MSG_SECRET).await, 1);
    for (id, secret) in [("3EB0DD", [9; 32]), ("3EB0EE", [8; 32])] {
        let found = backend.get_msg_secret(chat, me, id).await.unwrap();
        assert_eq!(found.as_deref(), Some(&secret[..]), "{id}");
    }
}

#[tokio::test]
async fn a_wiped_message_is_not_sent_again() {
    let house = House::new().await;
    let backend = house.backend().await;
    accept(&house, &backend, "3EB0CC").await;
    let session = backend.fence.session;
    let since = house.storage.clock().now() - super::SENT_TTL;
    house
        .storage
        .write(Queue::Normal, move |tx| {
            Box::pin(async move {
                let row = messages::find_by_whatsapp_id(tx, session, "3EB0CC", since)
                    .await?
                    .unwrap();
                messages::wipe_body(tx, session, row.id).await
            })
        })
        .await
        .unwrap();
    assert_eq!(
        backend
            .take_sent_message("15557654321@s.whatsapp.net", "3EB0CC")
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn after_a_failed_write_nothing_more_is_written() {
    let house = House::new().await;
    let backend = house.backend().await;
    backend.put_session("15557654321@s.whatsapp.net", b"one").await.unwrap();
    house.claim(backend.fence.session).await;
    assert!(!backend.is_poisoned());
    backend
        .put_session("15557654321@s.whatsapp.net", b"two")
        .await
        .unwrap_err();
    // Resolves: a client that waits for this ends.
    backend.poisoning().await;
    assert!(backend.is_poisoned());
    let refused = backend.store_pending_inbound("a", "b", "c", b"d").await.unwrap_err();
    let cause = std::error::Error::source(&refused).unwrap().to_string();
    assert!(cause.contains("an earlier write"), "{cause}");
    let stored = backend.get_session("15557654321@s.whatsapp.net").await.unwrap();
    assert_eq!(stored, Some(Bytes::from_static(b"one")));
}

#[tokio::test]
async fn a_message_that_was_decrypted_and_never_stored_is_found_out() {
    let house = House::new().await;
    let backend = house.backend().await;
    let (chat, sender) = ("15557654321@s.whatsapp.net", "15557654321:2@s.whatsapp.net");
    let key = |id| PendingInboundKey { chat, sender, id };
    for id in ["A", "B"] {
        backend.store_pending_inbound(chat, sender, id, b"words").await.unwrap();
    }
    backend.delete_pending_inbound_batch(&[key("A")]).await.unwrap();
    // Committed: the engine may acknowledge it. Waiting: it is committed now. Unknown: neither.
    assert_eq!(backend.get_pending_inbound(chat, sender, "A").await.unwrap(), None);
    assert!(backend.get_pending_inbound(chat, sender, "B").await.unwrap().is_some());
    for _ in 0..2 {
        backend.get_pending_inbound(chat, sender, "C").await.unwrap_err();
    }
    backend.lossy().await;
    let losses = backend.take_losses();
    assert_eq!(losses.len(), 1);
    assert_eq!((losses[0].chat.as_str(), losses[0].sender.as_str()), (chat, sender));
    assert!(!backend.is_poisoned());
    // Asked for and not readable again: the queue must not hold it for ever.
    backend.note_asked(&losses[0]).await.unwrap();
    assert_eq!(backend.get_pending_inbound(chat, sender, "C").await.unwrap(), None);
}

#[tokio::test]
async fn no_ratchet_is_stored_over_the_head_of_its_message() {
    let house = House::new().await;
    let intake = Arc::new(Intake::default());
    let backend = house.backend().await.counting(Arc::clone(&intake));
    let sender = "15557654321@s.whatsapp.net";
    let message = NodeBuilder::new("message")
        .attr("from", sender)
        .attr("id", "3EB0EE")
        .children([NodeBuilder::new("enc").build()])
        .build();
    intake.live();
    intake.arrived(&message.as_node_ref());
    intake.close();
    let ratchet = [(Arc::from(sender), Bytes::from_static(b"moved on"))];
    backend.put_sessions_batch(&ratchet).await.unwrap_err();
    assert_eq!(backend.get_session(sender).await.unwrap(), None);
    assert!(!backend.is_poisoned());
    backend
        .store_pending_inbound(sender, sender, "3EB0EE", b"words")
        .await
        .unwrap();
    backend.put_sessions_batch(&ratchet).await.unwrap();
    assert!(backend.get_session(sender).await.unwrap().is_some());
}

#[tokio::test]
async fn a_new_owner_continues_from_what_is_stored() {
    let house = House::new().await;
    let backend = house.backend().await;
    let device = Device {
        push_name: "Ann".to_owned(),
        ..Device::new()
    };
    backend.save(&device).await.unwrap();
    let session = backend.fence.session;
    let epoch = house.claim(session).await;
    let next = house.lease(session, epoch).await;
    let loaded = next.load().await.unwrap().unwrap();
    assert_eq!(
        serde_json::to_value(&loaded).unwrap(),
        serde_json::to_value(&device).unwrap()
    );
    next.put_session("15557654321@s.whatsapp.net", b"three").await.unwrap();
}

/// The oracle forgets a phone's other LIDs when one of them moves to another phone; the trait promises the latest.
#[tokio::test]
async fn the_latest_lid_of_a_phone_is_found() {
    let house = House::new().await;
    let backend = house.backend().await;
    for lid in ["100000000000002", "100000000000001"] {
        backend.put_lid_mapping(&mapping(lid)).await.unwrap();
    }
    let latest = async || backend.get_pn_mapping(PHONE).await.unwrap().map(|entry| entry.lid);
    assert_eq!(latest().await.as_deref(), Some("100000000000001"));
    let moved = LidPnMappingEntry {
        phone_number: "15550000009".to_owned(),
        ..mapping("100000000000001")
    };
    backend.put_lid_mapping(&moved).await.unwrap();
    assert_eq!(latest().await.as_deref(), Some("100000000000002"));
}

#[tokio::test]
async fn a_used_pre_key_is_not_brought_back_by_the_upload() {
    let house = House::new().await;
    let backend = house.backend().await;
    backend
        .store_prekeys_batch(&[(1, Bytes::from_static(b"a")), (2, Bytes::from_static(b"b"))], false)
        .await
        .unwrap();
    backend.remove_prekey(1).await.unwrap();
    backend.mark_prekeys_uploaded(&[1, 2]).await.unwrap();
    assert_eq!(backend.load_prekey(1).await.unwrap(), None);
    assert_eq!(backend.load_prekey(2).await.unwrap(), Some(Bytes::from_static(b"b")));
}

#[tokio::test]
async fn no_address_and_no_plaintext_stands_in_the_database() {
    let house = House::new().await;
    let backend = house.backend().await;
    backend.put_lid_mapping(&mapping("123123123123123")).await.unwrap();
    backend
        .put_session("15557654321:7@s.whatsapp.net", b"a ratchet in the clear")
        .await
        .unwrap();
    backend
        .store_pending_inbound("15557654321@s.whatsapp.net", "x", "3EB0DD", b"words in the clear")
        .await
        .unwrap();
    backend
        .set_sender_key_status("120363000000000001@g.us", &[("15557654321:7@lid", true)])
        .await
        .unwrap();
    backend
        .store_received_tc_token("123123123123123@lid", b"a token in the clear", 7)
        .await
        .unwrap();
    let needles: [&[u8]; 6] = [
        PHONE.as_bytes(),
        b"123123123123123",
        b"120363000000000001",
        b"a ratchet in",
        b"words in the",
        b"a token in",
    ];
    let places = match &house.url {
        Some(url) => wharf_testkit::postgres::contents(url).unwrap(),
        None => files(house.dir.path()),
    };
    assert!(places.iter().any(|(_, bytes)| bytes.len() > 1000));
    for (name, bytes) in places {
        for needle in needles {
            let found = bytes.windows(needle.len()).any(|window| window == needle);
            assert!(!found, "{} in {name}", String::from_utf8_lossy(needle));
        }
    }
}

fn files(dir: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let paths = std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    paths
        .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap_or_default()))
        .collect()
}
