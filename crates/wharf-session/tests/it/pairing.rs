//! Linking by a code.

use std::sync::Arc;
use std::time::Duration;

use wharf_model::{CloseReason, PendingStep, Phone, SessionId, SessionState, SessionStatus};
use wharf_session::SessionError;
use wharf_session::port::ClientEvent;

use crate::script::{REFUSED, ScriptedClient};
use crate::world::World;

/// How long the scripted network's codes work.
const VALID: Duration = Duration::from_secs(180);

fn phone(digits: &str) -> Phone {
    digits.parse().unwrap()
}

/// Asks for a code while the session is off; the network shows a QR once it is connected.
async fn code(world: &World, id: SessionId, number: &str) -> (Arc<ScriptedClient>, String) {
    let (sessions, workspace, number) = (world.sessions.clone(), world.workspace, phone(number));
    let asking = tokio::spawn(async move { sessions.pairing_code(workspace, id, &number).await });
    let client = world.network.next_client().await;
    client.running(1).await;
    client.show_qr("2@secret");
    (client, asking.await.unwrap().unwrap().code)
}

#[tokio::test]
async fn a_session_that_is_off_is_connected_for_its_code() {
    let world = World::new().await;
    let id = world.create().await;
    assert_eq!(code(&world, id, "15551234567").await.1, "ABCDEFGH");
    let view = world.session(id).await;
    assert!(view.code_expires_at().is_some(), "{:?}", view.state);
    // A QR that is shown meanwhile changes nothing for who types.
    assert_eq!(world.sessions.qr(world.workspace, id).await.unwrap().text, "2@secret");
    let events = format!("{:?}", world.events().await);
    assert!(world.kinds().await.contains(&"session.pairing_code"), "{events}");
    assert!(!events.contains("ABCD") && !events.contains("2@"), "{events}");
}

#[tokio::test]
async fn a_number_that_is_written_in_two_ways_is_tried_in_both() {
    let world = World::new().await;
    let id = world.create().await;
    assert_eq!(code(&world, id, REFUSED).await.1, "ABCDEFGH");
}

#[tokio::test]
async fn a_linked_session_has_no_code() {
    let world = World::new().await;
    let (id, _client) = world.ready().await;
    let late = world
        .sessions
        .pairing_code(world.workspace, id, &phone("15551234567"))
        .await;
    assert!(matches!(late, Err(SessionError::AlreadyLinked)), "{late:?}");
}

#[tokio::test]
async fn a_connection_that_ends_says_why_there_is_no_code() {
    let world = World::new().await;
    let id = world.create().await;
    let (sessions, workspace) = (world.sessions.clone(), world.workspace);
    let asking = tokio::spawn(async move { sessions.pairing_code(workspace, id, &phone("15551234567")).await });
    let client = world.network.next_client().await;
    client.running(1).await;
    client.close(CloseReason::ConnectionLost);
    let refused = asking.await.unwrap();
    assert!(
        matches!(refused, Err(SessionError::NotLinkable(CloseReason::ConnectionLost))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_code_that_lapses_leaves_the_qr_or_nothing() {
    let world = World::new().await;
    let id = world.create().await;
    let (client, _) = code(&world, id, "15551234567").await;
    let mut live = world.sessions.watch(world.workspace, id).await.unwrap();
    client.emit(ClientEvent::PairingCodeLapsed);
    let scanning = |live: &wharf_session::Live| matches!(live.state, SessionState::Pending(PendingStep::ScanQr { .. }));
    assert!(live.wait_for(scanning).await.unwrap().pairing_code.is_none());
    world
        .sessions
        .pairing_code(world.workspace, id, &phone("15551234567"))
        .await
        .unwrap();
    world.advance(VALID).await;
    let mut live = world.sessions.watch(world.workspace, id).await.unwrap();
    let waiting = |live: &wharf_session::Live| matches!(live.state, SessionState::Pending(PendingStep::Connecting));
    live.wait_for(waiting).await.unwrap();
    // Whoever typed it in the last moment is still being linked.
    world.advance(Duration::from_secs(75)).await;
    let view = world.until_status(id, SessionStatus::Disconnected).await;
    assert_eq!(view.state.reason(), Some(CloseReason::LinkTimedOut));
    client.shut_down().await;
}

#[tokio::test]
async fn a_code_that_is_typed_links_the_account() {
    let world = World::new().await;
    let id = world.create().await;
    let (client, _) = code(&world, id, "15551234567").await;
    client.emit(ClientEvent::Linked(ScriptedClient::account()));
    world.network.link(id);
    client.close(CloseReason::RestartRequired);
    client.open(2).await;
    world.until_status(id, SessionStatus::Ready).await;
    let live = world.sessions.watch(world.workspace, id).await.unwrap();
    assert!(live.borrow().pairing_code.is_none() && live.borrow().qr.is_none());
    // Nothing is left that could lapse.
    world.advance(VALID).await;
    assert_eq!(world.session(id).await.status(), SessionStatus::Ready);
}
