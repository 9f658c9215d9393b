//! What a client is built with: the session's proxy and device.

use std::time::Duration;

use wharf_model::{Browser, CloseReason, Device, Proxy, SessionStatus};
use wharf_session::port::ClientSetup;
use wharf_session::{NewSession, Outcome, SessionPatch};

use crate::world::World;

/// Longer than the pause before a second connection.
const A_WHILE: Duration = Duration::from_secs(60);

fn proxy(url: &str) -> Proxy {
    url.parse().unwrap()
}

#[tokio::test]
async fn a_client_is_built_with_what_its_session_says_also_after_a_restart() {
    let mut world = World::new().await;
    let setup = ClientSetup {
        proxy: Some(proxy("socks5://ann:secret@proxy.example:1080")),
        device: Some(Device::new("Windows", Browser::Edge).unwrap()),
    };
    let new = NewSession {
        name: "support".to_owned(),
        proxy: setup.proxy.clone(),
        device: setup.device.clone(),
        ..NewSession::default()
    };
    let Outcome::New(view) = world.sessions.create(world.workspace, new, None).await.unwrap() else {
        panic!("no key was given");
    };
    assert_eq!((&view.proxy, &view.device), (&setup.proxy, &setup.device));
    assert!(!format!("{view:?}").contains("secret"));
    world.network.link(view.id);
    world.sessions.connect(world.workspace, view.id).await.unwrap();
    assert_eq!(world.network.next_client().await.setup, setup);
    world.restart().await;
    let view = world.session(view.id).await;
    assert_eq!((&view.proxy, &view.device), (&setup.proxy, &setup.device));
    world.sessions.connect(world.workspace, view.id).await.unwrap();
    assert_eq!(world.network.next_client().await.setup, setup);
}

#[tokio::test]
async fn another_proxy_serves_the_next_connection() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    assert_eq!(client.setup, ClientSetup::default());
    let other = proxy("http://other.example:3128");
    let patch = SessionPatch {
        proxy: Some(Some(other.clone())),
        ..SessionPatch::default()
    };
    let view = world.sessions.patch(world.workspace, id, patch).await.unwrap();
    // The connection that works goes on.
    assert_eq!(
        (view.status(), view.proxy.as_ref()),
        (SessionStatus::Ready, Some(&other))
    );
    client.close(CloseReason::ConnectionLost);
    world.until_status(id, SessionStatus::Disconnected).await;
    world.advance(A_WHILE).await;
    let second = world.network.next_client().await;
    assert_eq!(second.setup.proxy, Some(other));
    second.open(1).await;
    world.until_status(id, SessionStatus::Ready).await;
}

/// The client that would be started again is replaced at once; without a change it would not be.
#[tokio::test]
async fn a_proxy_that_is_taken_away_between_connections_is_not_used_again() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    client.close(CloseReason::ConnectionLost);
    world.until_status(id, SessionStatus::Disconnected).await;
    let patch = SessionPatch {
        proxy: Some(Some(proxy("http://other.example:3128"))),
        ..SessionPatch::default()
    };
    world.sessions.patch(world.workspace, id, patch).await.unwrap();
    client.shut_down().await;
    let patch = SessionPatch {
        proxy: Some(None),
        ..SessionPatch::default()
    };
    world.sessions.patch(world.workspace, id, patch).await.unwrap();
    world.advance(A_WHILE).await;
    assert_eq!(world.network.next_client().await.setup, ClientSetup::default());
}
