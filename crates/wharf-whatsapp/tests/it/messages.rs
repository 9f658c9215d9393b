//! Messages both ways.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use wharf_model::{CloseReason, Content};
use wharf_sandbox::{Direction, Observed};
use wharf_session::port::{ClientEvent, ReceiptKind, SendError};

use crate::fixture::{PATIENCE, TestClient, World, text};

pub async fn acknowledged(client: &mut TestClient, id: &str) -> Option<u16> {
    client
        .until("the server's ack", |event| match event {
            ClientEvent::Ack { whatsapp_id, error, .. } if whatsapp_id == id => Some(*error),
            _ => None,
        })
        .await
}

async fn receipt(client: &mut TestClient, id: &str, wanted: ReceiptKind) -> wharf_model::Jid {
    client
        .until("a receipt", |event| match event {
            ClientEvent::Receipt {
                chat,
                whatsapp_ids,
                kind,
                ..
            } if *kind == wanted && whatsapp_ids.iter().any(|other| other == id) => Some(chat.clone()),
            _ => None,
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_arrives_under_its_chosen_id_and_the_ticks_come_back() {
    let world = World::new().await;
    let (ann, bob, lease) = (
        world.phone("Ann").await,
        world.phone("Bob").await,
        world.session().await,
    );
    let mut client = world.linked(lease, &ann).await;
    client
        .client
        .send(text("3EB0000000000000A1", &bob.phone, "hello Bob"))
        .await
        .unwrap();
    assert_eq!(acknowledged(&mut client, "3EB0000000000000A1").await, None);
    let shown = world
        .sandbox
        .wait_for_message(&bob.phone, |message| message.text == "hello Bob", PATIENCE)
        .await;
    assert_eq!(shown.unwrap().id, "3EB0000000000000A1");
    receipt(&mut client, "3EB0000000000000A1", ReceiptKind::Delivered).await;
    world.sandbox.mark_read(&bob.phone, &ann.phone).await.unwrap();
    receipt(&mut client, "3EB0000000000000A1", ReceiptKind::Read).await;
    client.client.shutdown().await;
    client.closed(CloseReason::Shutdown).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_try_with_the_same_id_is_one_message_on_the_phone() {
    let world = World::new().await;
    let (ann, bob, lease) = (
        world.phone("Ann").await,
        world.phone("Bob").await,
        world.session().await,
    );
    let mut client = world.linked(lease, &ann).await;
    for _ in 0..2 {
        client
            .client
            .send(text("3EB0000000000000A2", &bob.phone, "only once"))
            .await
            .unwrap();
        acknowledged(&mut client, "3EB0000000000000A2").await;
    }
    client
        .client
        .send(text("3EB0000000000000A3", &bob.phone, "the end"))
        .await
        .unwrap();
    world
        .sandbox
        .wait_for_message(&bob.phone, |message| message.text == "the end", PATIENCE)
        .await
        .unwrap();
    let chats = world.sandbox.chats(&bob.phone).await.unwrap();
    let copies = chats
        .iter()
        .flat_map(|chat| &chat.messages)
        .filter(|message| message.text == "only once")
        .count();
    assert_eq!(copies, 1);
    client.client.shutdown().await;
    client.closed(CloseReason::Shutdown).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_comes_in_and_so_does_what_our_own_phone_says() {
    let world = World::new().await;
    let (ann, bob, lease) = (
        world.phone("Ann").await,
        world.phone("Bob").await,
        world.session().await,
    );
    let mut client = world.linked(lease, &ann).await;
    let id = world
        .sandbox
        .send_text(&bob.phone, &ann.phone, "hello Ann")
        .await
        .unwrap();
    let message = client.next_message().await;
    assert_eq!((message.whatsapp_id, message.content), (id, Content::text("hello Ann")));
    assert!(!message.from_me);
    assert_eq!(message.push_name.as_deref(), Some("Bob"));
    world
        .sandbox
        .send_text(&ann.phone, &bob.phone, "from my phone")
        .await
        .unwrap();
    let own = client.next_message().await;
    assert_eq!(own.content, Content::text("from my phone"));
    assert!(own.from_me);
    assert_eq!(own.chat, message.chat);
    client.client.shutdown().await;
    client.closed(CloseReason::Shutdown).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_not_committed_comes_again() {
    let world = World::new().await;
    let (ann, bob, lease) = (
        world.phone("Ann").await,
        world.phone("Bob").await,
        world.session().await,
    );
    let mut client = world.linked(lease, &ann).await;
    client.refusing.store(true, Ordering::SeqCst);
    let id = world
        .sandbox
        .send_text(&bob.phone, &ann.phone, "do not lose me")
        .await
        .unwrap();
    // It comes again on another connection only, so this one ends.
    client.closed(CloseReason::StorageFailed).await;
    assert!(client.heard_nothing());
    client.refusing.store(false, Ordering::SeqCst);
    client.open().await;
    expect(&mut client, &id, "do not lose me").await;
    client.client.shutdown().await;
    client.closed(CloseReason::Shutdown).await;
    world.finish().await;
}

/// Wherever the message is when the client ends: in the socket, in the ratchet, on its way to its row.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_meets_the_end_of_its_client_comes_again() {
    let world = World::new().await;
    let (ann, bob, lease) = (
        world.phone("Ann").await,
        world.phone("Bob").await,
        world.session().await,
    );
    let mut client = world.linked(lease, &ann).await;
    client.refusing.store(true, Ordering::SeqCst);
    let id = world
        .sandbox
        .send_text(&bob.phone, &ann.phone, "do not lose me")
        .await
        .unwrap();
    client.client.shutdown().await;
    let (reason, _) = client.ended().await;
    assert!(matches!(reason, CloseReason::Shutdown | CloseReason::StorageFailed));
    let mut next = world.client(world.claim(lease.session).await).await;
    next.open().await;
    expect(&mut next, &id, "do not lose me").await;
    next.client.shutdown().await;
    next.closed(CloseReason::Shutdown).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_ratchet_was_stored_without_it_is_asked_for_again() {
    let mut world = World::new().await;
    let (ann, bob, lease) = (
        world.phone("Ann").await,
        world.phone("Bob").await,
        world.session().await,
    );
    let mut client = world.linked(lease, &ann).await;
    client.refusing.store(true, Ordering::SeqCst);
    let id = world
        .sandbox
        .send_text(&bob.phone, &ann.phone, "do not lose me")
        .await
        .unwrap();
    client.closed(CloseReason::StorageFailed).await;
    client.client.shutdown().await;
    let lease = world.claim(lease.session).await;
    world.forget_uncommitted(lease).await;
    world.restart();
    let mut next = world.client(lease).await;
    next.start();
    next.closed(CloseReason::ConnectionLost).await;
    assert!(next.heard_nothing());
    next.open().await;
    expect(&mut next, &id, "do not lose me").await;
    world.sandbox.send_text(&bob.phone, &ann.phone, "and me").await.unwrap();
    assert_eq!(next.next_message().await.content, Content::text("and me"));
    next.client.shutdown().await;
    next.closed(CloseReason::Shutdown).await;
    world.finish().await;
}

/// What comes in gives what goes out a new chain. Sealed with one that is in memory alone, a message would be the last that
/// the other side understands.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_out_on_a_chain_that_could_not_be_stored() {
    let world = World::new().await;
    let (ann, bob, lease) = (
        world.phone("Ann").await,
        world.phone("Bob").await,
        world.session().await,
    );
    let mut client = world.linked(lease, &ann).await;
    // Ends with a message of ours: one that came in last would leave a chain that is stored and was not seen yet.
    for number in 0..3 {
        if number > 0 {
            world.sandbox.send_text(&bob.phone, &ann.phone, "hello").await.unwrap();
            client.next_message().await;
        }
        let id = format!("3EB00000000000C{number}");
        client.client.send(text(&id, &bob.phone, "hello")).await.unwrap();
        acknowledged(&mut client, &id).await;
    }
    let stored = chains(&world, &ann.phone);
    // Another owner: every write of this one is refused from now on.
    world.claim(lease.session).await;
    world
        .sandbox
        .send_text(&bob.phone, &ann.phone, "a new chain")
        .await
        .unwrap();
    let sends = (0..40).map(|number| {
        let (client, bob) = (&client.client, &bob.phone);
        async move {
            tokio::time::sleep(Duration::from_millis(5 * number)).await;
            client
                .send(text(&format!("3EB0000000000D{number:02}"), bob, "on which?"))
                .await
        }
    });
    futures::future::join_all(sends).await;
    client.closed(CloseReason::StorageFailed).await;
    assert_eq!(chains(&world, &ann.phone), stored);
    world.finish().await;
}

/// The ratchet keys that a phone's companion sealed messages with.
fn chains(world: &World, phone: &str) -> BTreeSet<String> {
    let seen = world.sandbox.stanza_log(0, usize::MAX).unwrap();
    let sealed = seen.observations.iter().filter_map(|line| match &line.what {
        Observed::Stanza(stanza)
            if stanza.direction == Direction::FromClient && stanza.phone.as_deref() == Some(phone) =>
        {
            Some(&stanza.enc)
        }
        _ => None,
    });
    sealed.flatten().filter_map(|copy| copy.ratchet_key.clone()).collect()
}

async fn expect(client: &mut TestClient, id: &str, body: &str) {
    let message = client.next_message().await;
    assert_eq!(
        (message.whatsapp_id.as_str(), message.content),
        (id, Content::text(body))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_without_an_account_is_named_as_such() {
    let world = World::new().await;
    let (ann, lease) = (world.phone("Ann").await, world.session().await);
    let mut client = world.linked(lease, &ann).await;
    let refused = client
        .client
        .send(text("3EB0000000000000A4", "+15550009999", "anybody?"))
        .await;
    assert!(matches!(refused, Err(SendError::NotOnWhatsApp)), "{refused:?}");
    client.client.shutdown().await;
    client.closed(CloseReason::Shutdown).await;
    let late = client.client.send(text("3EB0000000000000A5", &ann.phone, "late")).await;
    assert!(matches!(late, Err(SendError::NotConnected)), "{late:?}");
    world.finish().await;
}
