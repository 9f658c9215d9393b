//! Linking an account that has a passkey.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use wharf_model::{CloseReason, PendingStep, SessionId, SessionState, SessionStatus};
use wharf_session::port::{ClientEvent, PasskeyAssertion, PasskeyError};
use wharf_session::{PasskeyStep, SessionError};

use crate::script::{ScriptedClient, WRONG};
use crate::world::World;

const OPTIONS: &str = r#"{"challenge":"c3ludGhldGlj"}"#;

fn assertion(json: &str) -> PasskeyAssertion {
    PasskeyAssertion {
        credential_id: vec![1, 2, 3],
        json: json.to_owned(),
    }
}

/// The QR was scanned, and the account's passkey is asked for.
async fn asked(world: &World) -> (SessionId, Arc<ScriptedClient>) {
    let id = world.create().await;
    world.sessions.connect(world.workspace, id).await.unwrap();
    let client = world.network.next_client().await;
    client.running(1).await;
    client.show_qr("2@secret");
    client.emit(ClientEvent::PasskeyAsked {
        options: OPTIONS.to_owned(),
    });
    until(world, id, PendingStep::SignWithPasskey).await;
    (id, client)
}

async fn until(world: &World, id: SessionId, step: PendingStep) {
    let mut live = world.sessions.watch(world.workspace, id).await.unwrap();
    let pending = SessionState::Pending(step);
    live.wait_for(|live| live.state == pending).await.unwrap();
}

#[tokio::test]
async fn it_signs_shows_a_code_and_is_linked_once_that_is_confirmed() {
    let world = World::new().await;
    let (id, client) = asked(&world).await;
    let step = world.sessions.passkey(world.workspace, id).await.unwrap();
    assert_eq!(step, PasskeyStep::Sign(OPTIONS.to_owned()));
    // The QR was used.
    assert!(world.sessions.qr(world.workspace, id).await.is_err());

    let answered = world
        .sessions
        .answer_passkey(world.workspace, id, assertion("{}"))
        .await;
    assert_eq!(answered.unwrap(), "PASS-CODE");
    until(&world, id, PendingStep::ConfirmPasskey).await;
    assert!(!client.confirmed.load(Ordering::SeqCst), "a person compares first");
    world.sessions.confirm_passkey(world.workspace, id).await.unwrap();
    assert!(client.confirmed.load(Ordering::SeqCst));

    client.emit(ClientEvent::Linked(ScriptedClient::account()));
    world.network.link(id);
    client.close(CloseReason::RestartRequired);
    client.open(2).await;
    world.until_status(id, SessionStatus::Ready).await;
    let over = world.sessions.passkey(world.workspace, id).await;
    assert!(matches!(over, Err(SessionError::Passkey(PasskeyError::NotAsked))));
    let events = format!("{:?}", world.events().await);
    assert!(world.kinds().await.contains(&"session.passkey"), "{events}");
    assert!(!events.contains("PASS-CODE") && !events.contains("c3lud"), "{events}");
}

#[tokio::test]
async fn a_companion_that_the_account_knows_is_confirmed_by_itself() {
    let world = World::new().await;
    let (id, client) = asked(&world).await;
    client.emit(ClientEvent::PasskeyShown {
        code: "PASS-CODE".to_owned(),
        is_known: true,
    });
    until(&world, id, PendingStep::ConfirmPasskey).await;
    while !client.confirmed.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_another_passkey_signed_is_refused() {
    let world = World::new().await;
    let (id, _client) = asked(&world).await;
    let refused = world
        .sessions
        .answer_passkey(world.workspace, id, assertion(WRONG))
        .await;
    assert!(
        matches!(refused, Err(SessionError::Passkey(PasskeyError::Refused(_)))),
        "{refused:?}"
    );
    // It waits for the right one.
    until(&world, id, PendingStep::SignWithPasskey).await;
}

#[tokio::test]
async fn a_link_by_passkey_that_fails_ends() {
    let world = World::new().await;
    let (id, client) = asked(&world).await;
    client.emit(ClientEvent::PasskeyFailed);
    let view = world.until_status(id, SessionStatus::Disconnected).await;
    assert_eq!(view.state.reason(), Some(CloseReason::LinkFailed));
    client.shut_down().await;
}

#[tokio::test]
async fn nothing_is_confirmed_that_nobody_asked_for() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    let confirmed = world.sessions.confirm_passkey(world.workspace, id).await;
    assert!(matches!(confirmed, Err(SessionError::Passkey(PasskeyError::NotAsked))));
    let answered = world
        .sessions
        .answer_passkey(world.workspace, id, assertion("{}"))
        .await;
    assert!(matches!(answered, Err(SessionError::Passkey(PasskeyError::NotAsked))));
    assert!(!client.confirmed.load(Ordering::SeqCst));
}
