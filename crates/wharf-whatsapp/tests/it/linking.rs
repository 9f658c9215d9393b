//! Linking and logging in.

use wharf_model::{CloseReason, Phone};
use wharf_session::port::{ClientEvent, PairingError, WhatsAppNetwork};

use crate::fixture::{World, jid};

#[tokio::test(flavor = "multi_thread")]
async fn a_scanned_qr_links_the_account_and_the_restart_opens_it() {
    let world = World::new().await;
    let (ann, lease) = (world.phone("Ann").await, world.session().await);
    assert!(!world.network.is_linked(lease).await.unwrap());
    let mut client = world.client(lease).await;
    client.start();
    let (qr, valid_for) = client
        .until("a QR", |event| match event {
            ClientEvent::Qr { text, valid_for } => Some((text.clone(), *valid_for)),
            _ => None,
        })
        .await;
    assert!(valid_for.as_secs() > 30);
    world.sandbox.scan(&ann.phone, &qr).await.unwrap();
    let profile = client
        .until("the link", |event| match event {
            ClientEvent::Linked(profile) => Some(profile.clone()),
            _ => None,
        })
        .await;
    assert_eq!(profile.phone, jid(&ann.phone));
    assert_eq!(profile.lid.map(|lid| lid.to_string()), Some(format!("{}@lid", ann.lid)));
    assert_eq!(profile.platform.as_deref(), Some("android"));
    client.closed(CloseReason::RestartRequired).await;
    client.open().await;
    assert!(world.network.is_linked(lease).await.unwrap());
    assert!(client.client.last_frame_age().is_some());
    client.client.shutdown().await;
    client.closed(CloseReason::Shutdown).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_is_typed_links_the_account_too() {
    let world = World::new().await;
    let (ann, lease) = (world.phone("Ann").await, world.session().await);
    let number = ann.phone.parse::<Phone>().unwrap();
    let mut client = world.client(lease).await;
    let early = client.client.request_pairing_code(&number).await;
    assert!(matches!(early, Err(PairingError::NotConnected)), "{early:?}");
    client.start();
    client
        .until("a QR", |event| matches!(event, ClientEvent::Qr { .. }).then_some(()))
        .await;
    let nobody = client
        .client
        .request_pairing_code(&"15559990000".parse().unwrap())
        .await;
    assert!(matches!(nobody, Err(PairingError::Refused)), "{nobody:?}");
    let mut codes = Vec::new();
    // The second one takes the first one's place.
    for _ in 0..2 {
        client.client.request_pairing_code(&number).await.unwrap();
        let shown = client.until("a code", |event| match event {
            ClientEvent::PairingCode { code, valid_for } => Some((code.clone(), *valid_for)),
            _ => None,
        });
        let (code, valid_for) = shown.await;
        assert!((code.len(), valid_for.as_secs() > 120) == (8, true));
        codes.push(code);
    }
    assert!(world.sandbox.enter_code(&ann.phone, &codes[0]).await.is_err());
    world.sandbox.enter_code(&ann.phone, &codes[1]).await.unwrap();
    client.closed(CloseReason::RestartRequired).await;
    client.open().await;
    assert!(world.network.is_linked(lease).await.unwrap());
    client.client.shutdown().await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_client_logs_in_with_stored_keys_and_gets_what_waited() {
    let world = World::new().await;
    let (ann, bob, lease) = (
        world.phone("Ann").await,
        world.phone("Bob").await,
        world.session().await,
    );
    let mut first = world.linked(lease, &ann).await;
    first.client.shutdown().await;
    first.closed(CloseReason::Shutdown).await;
    drop(first);
    world
        .sandbox
        .send_text(&bob.phone, &ann.phone, "while you were away")
        .await
        .unwrap();
    let mut second = world.client(world.claim(lease.session).await).await;
    second.open().await;
    let message = second.next_message().await;
    assert_eq!(message.content, wharf_model::Content::text("while you were away"));
    second.client.shutdown().await;
    second.closed(CloseReason::Shutdown).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_was_shut_down_does_not_start_again() {
    let world = World::new().await;
    let lease = world.session().await;
    let mut client = world.client(lease).await;
    client.client.shutdown().await;
    client.start();
    client.closed(CloseReason::Shutdown).await;
    world.finish().await;
}
