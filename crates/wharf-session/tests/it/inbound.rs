//! Messages on their way in.

use wharf_model::{Content, Direction, MessageStatus};
use wharf_session::MessageQuery;
use wharf_session::port::InboundMessage;
use wharf_storage::PageRequest;

use crate::world::World;

fn message(whatsapp_id: &str, sender: &str, text: &str) -> InboundMessage {
    InboundMessage {
        whatsapp_id: whatsapp_id.to_owned(),
        chat: "120363021033254949@g.us".parse().unwrap(),
        sender: sender.parse().unwrap(),
        sender_phone: None,
        from_me: false,
        push_name: Some("Bob".to_owned()),
        at: wharf_model::Timestamp::from_secs(1_799_999_000),
        content: Content::text(text),
        raw: vec![1, 2, 3],
    }
}

#[tokio::test]
async fn a_message_that_is_delivered_twice_is_one_row_and_one_event() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    let first = message("ABC", "15550000007@s.whatsapp.net", "hi");
    // The id is the sender's own choice: another sender may use the same one.
    let same_id = message("ABC", "15550000008@s.whatsapp.net", "hi too");
    client.inbound.commit(vec![first.clone(), same_id]).await.unwrap();
    client
        .inbound
        .commit(vec![first, message("DEF", "15550000007@s.whatsapp.net", "more")])
        .await
        .unwrap();
    let query = MessageQuery {
        session: Some(id),
        direction: Some(Direction::Inbound),
        ..MessageQuery::default()
    };
    let page = world
        .sessions
        .messages(world.workspace, query, PageRequest::first(10))
        .await
        .unwrap();
    assert_eq!(page.rows.len(), 3);
    assert!(page.rows.iter().all(|view| view.status == MessageStatus::Received));
    let kinds = world.kinds().await;
    assert_eq!(kinds.iter().filter(|kind| **kind == "message.received").count(), 3);
    let (_, data) = world.events().await.pop().unwrap();
    assert_eq!(data["text"]["body"], "more");
    assert_eq!(data["from"], "15550000007@s.whatsapp.net");
}

#[tokio::test]
async fn an_answer_makes_a_chat_known() {
    let world = World::with(|config| {
        config.pacing = wharf_model::PacingPolicy {
            new_chats_per_day: 0,
            ..wharf_model::PacingPolicy::default()
        };
    })
    .await;
    let (id, client) = world.ready().await;
    let mut hello = message("ABC", "15550000007@s.whatsapp.net", "hi");
    hello.chat = hello.sender.clone();
    client.inbound.commit(vec![hello]).await.unwrap();
    world.send(id, "+15550000007", "hi, how can we help?").await;
    client.next_send().await;
}

/// WhatsApp holds back first words only; it may write the answer under the hidden id.
#[tokio::test]
async fn an_answer_ends_the_waiting_of_a_time_lock() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    let locked = world.send(id, "+15550000007", "hello?").await;
    client.refuse(&client.next_send().await.whatsapp_id, Some(463));
    world.until_message(locked.id, |view| view.retry_at.is_some()).await;
    let mut own = message("ABC", "100000000000007@lid", "from our other phone");
    own.chat = own.sender.clone();
    own.sender_phone = Some("15550000007@s.whatsapp.net".parse().unwrap());
    let answer = InboundMessage {
        whatsapp_id: "DEF".to_owned(),
        ..own.clone()
    };
    own.from_me = true;
    client.inbound.commit(vec![own]).await.unwrap();
    world.looked(id).await;
    assert!(!client.has_send().await, "our own word is no answer");
    client.inbound.commit(vec![answer]).await.unwrap();
    assert_eq!(client.next_send().await.whatsapp_id, locked.whatsapp_id);
}
