//! When an account is asked what it shows of itself, and what is kept of the answer.

use std::sync::atomic::Ordering;
use std::time::Duration;

use wharf_model::{Clock, CloseReason, SessionId, SessionStatus};
use wharf_session::SessionView;
use wharf_session::port::{ClientEvent, ShownProfile};

use crate::script::ScriptedClient;
use crate::world::World;

const HOUR: Duration = Duration::from_secs(3600);

fn asked(client: &ScriptedClient) -> usize {
    client.asked_profile.load(Ordering::SeqCst)
}

fn shown(about: &str) -> ClientEvent {
    ClientEvent::Shown(ShownProfile {
        picture_url: Some("https://pps.example/picture".to_owned()),
        about: Some(about.to_owned()),
    })
}

async fn until_about(world: &World, id: SessionId, about: &str) -> SessionView {
    loop {
        let view = world.sessions.get(world.workspace, id).await.unwrap();
        if view.profile.status_message.as_deref() == Some(about) {
            return view;
        }
        tokio::task::yield_now().await;
    }
}

/// The connection ends and comes back.
async fn again(world: &World, id: SessionId, client: &ScriptedClient, run: usize) {
    client.close(CloseReason::ConnectionLost);
    world.until_status(id, SessionStatus::Disconnected).await;
    world.advance(HOUR).await;
    client.open(run).await;
    world.until_status(id, SessionStatus::Ready).await;
}

#[tokio::test]
async fn it_is_asked_at_a_login_a_day_later_and_when_it_changes() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    assert_eq!(asked(&client), 1);
    client.emit(shown("At work"));
    let view = until_about(&world, id, "At work").await;
    assert_eq!(
        view.profile.profile_picture_url.as_deref(),
        Some("https://pps.example/picture")
    );
    assert_eq!(view.profile.last_seen, None, "it is connected");

    let closed_at = world.clock.now();
    again(&world, id, &client, 2).await;
    let view = world.sessions.get(world.workspace, id).await.unwrap();
    assert_eq!(view.profile.last_seen, Some(closed_at));
    assert_eq!(asked(&client), 1, "what is known is an hour old");

    client.emit(ClientEvent::ShownChanged);
    client.emit(shown("At home"));
    until_about(&world, id, "At home").await;
    assert_eq!(asked(&client), 2);

    world.advance(24 * HOUR).await;
    again(&world, id, &client, 3).await;
    assert_eq!(asked(&client), 3);
}

#[tokio::test]
async fn nobody_asks_where_it_is_of_no_use() {
    let world = World::with(|config| config.profile_stands = None).await;
    let (id, client) = world.ready().await;
    client.emit(ClientEvent::ShownChanged);
    client.emit(shown("At work"));
    until_about(&world, id, "At work").await;
    assert_eq!(asked(&client), 0);
}
