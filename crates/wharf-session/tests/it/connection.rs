//! Linking, losing and getting back connections.

use std::sync::atomic::Ordering;
use std::time::Duration;

use wharf_model::{Clock, CloseReason, SessionState, SessionStatus};
use wharf_session::SessionError;
use wharf_session::port::ClientEvent;
use wharf_storage::sessions::{self, Wanted};
use wharf_storage::{PageRequest, Queue};

use crate::script::ScriptedClient;
use crate::world::{World, is_pending};

#[tokio::test]
async fn a_session_links_by_qr_and_restarts_once() {
    let world = World::new().await;
    let id = world.create().await;
    assert!(matches!(
        world.sessions.qr(world.workspace, id).await,
        Err(SessionError::NotPending)
    ));
    let view = world.sessions.connect(world.workspace, id).await.unwrap();
    assert_eq!(view.status(), SessionStatus::Pending);
    let client = world.network.next_client().await;
    client.running(1).await;
    client.show_qr("2@secret,first");
    client.show_qr("2@secret,second");
    let mut live = world.sessions.watch(world.workspace, id).await.unwrap();
    live.wait_for(|live| live.qr.as_ref().is_some_and(|qr| qr.text == "2@secret,second"))
        .await
        .unwrap();
    assert_eq!(
        world.sessions.qr(world.workspace, id).await.unwrap().text,
        "2@secret,second"
    );
    client.emit(ClientEvent::Linked(ScriptedClient::account()));
    world.network.link(id);
    client.close(CloseReason::RestartRequired);
    client.open(2).await;
    let view = world.until_status(id, SessionStatus::Ready).await;
    assert_eq!(view.profile.phone_number.as_deref(), Some("+15550001111"));
    assert!(matches!(
        world.sessions.qr(world.workspace, id).await,
        Err(SessionError::NotPending)
    ));
    let history = world
        .sessions
        .history(world.workspace, id, PageRequest::first(10))
        .await
        .unwrap();
    let states: Vec<_> = history.rows.iter().rev().map(|entry| entry.status.as_str()).collect();
    assert_eq!(states, ["pending", "authenticated", "ready"]);
    let kinds = [
        "session.status",
        "session.qr",
        "session.qr",
        "session.status",
        "session.status",
    ];
    assert_eq!(world.kinds().await, kinds);
    assert!(!format!("{:?}", world.events().await).contains("secret"));
}

#[tokio::test]
async fn a_link_that_nobody_makes_is_given_up() {
    let mut world = World::new().await;
    let id = world.create().await;
    world.sessions.connect(world.workspace, id).await.unwrap();
    let client = world.network.next_client().await;
    client.running(1).await;
    client.show_qr("2@secret");
    client.close(CloseReason::LinkTimedOut);
    let view = world.until_status(id, SessionStatus::Disconnected).await;
    assert_eq!(view.state.reason(), Some(CloseReason::LinkTimedOut));
    client.shut_down().await;
    world.advance(Duration::from_secs(3600)).await;
    world.restart().await;
    world.looked(id).await;
    assert!(!world.network.has_client().await);
}

#[tokio::test]
async fn a_lost_connection_comes_back_with_growing_pauses() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    for attempt in 1..=4_u32 {
        client.close(CloseReason::ConnectionLost);
        let mut live = world.sessions.watch(world.workspace, id).await.unwrap();
        let planned = |live: &wharf_session::Live| live.state.next_attempt_at().is_some();
        let state = live.wait_for(planned).await.unwrap().state;
        let SessionState::Disconnected {
            attempt: counted,
            next_attempt_at: Some(at),
            ..
        } = state
        else {
            panic!("{state:?}")
        };
        assert_eq!(counted, attempt);
        let whole = Duration::from_secs(1 << (attempt - 1));
        let wait = at.since(wharf_model::Clock::now(&*world.clock));
        assert!(wait >= whole / 2 && wait <= whole, "{wait:?}");
        assert!(is_pending(client.running(attempt as usize + 1)).await);
        world.advance(wait).await;
        // The server accepts and drops at once: that must not reset the count.
        client.open(attempt as usize + 1).await;
        world.until_status(id, SessionStatus::Ready).await;
    }
    world.advance(Duration::from_secs(31)).await;
    world.looked(id).await;
    client.close(CloseReason::ConnectionLost);
    let view = world.until_status(id, SessionStatus::Disconnected).await;
    assert!(
        matches!(view.state, SessionState::Disconnected { attempt: 1, .. }),
        "{:?}",
        view.state
    );
}

#[tokio::test]
async fn a_replaced_connection_is_not_fought() {
    let mut world = World::new().await;
    let (id, client) = world.ready().await;
    client.close(CloseReason::Replaced);
    world.until_status(id, SessionStatus::Disconnected).await;
    client.shut_down().await;
    world.advance(Duration::from_secs(7200)).await;
    world.restart().await;
    world.looked(id).await;
    assert_eq!(client.runs(), 1);
    assert!(!world.network.has_client().await);
    world.sessions.connect(world.workspace, id).await.unwrap();
    world.network.next_client().await.open(1).await;
    world.until_status(id, SessionStatus::Ready).await;
}

#[tokio::test]
async fn a_failed_write_of_signal_state_brings_a_new_client() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    client.close(CloseReason::StorageFailed);
    world.until_status(id, SessionStatus::Disconnected).await;
    client.shut_down().await;
    world.advance(Duration::from_secs(1)).await;
    world.network.next_client().await.open(1).await;
    world.until_status(id, SessionStatus::Ready).await;
}

#[tokio::test]
async fn a_deaf_connection_is_replaced() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    client.silent_for(Duration::from_secs(20));
    world.advance(Duration::from_secs(60)).await;
    world.looked(id).await;
    assert_eq!(world.session(id).await.status(), SessionStatus::Ready);
    client.silent_for(Duration::from_secs(60));
    world.advance(Duration::from_secs(40)).await;
    let view = world.until_status(id, SessionStatus::Disconnected).await;
    assert_eq!(view.state.reason(), Some(CloseReason::KeepaliveTimeout));
    client.shut_down().await;
    world.advance(Duration::from_secs(1)).await;
    world.network.next_client().await.open(1).await;
    world.until_status(id, SessionStatus::Ready).await;
}

#[tokio::test]
async fn keys_are_shredded_a_day_after_the_account_unlinked_us() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    client.close(CloseReason::DeviceRemoved);
    world.until_status(id, SessionStatus::AuthFailed).await;
    let row = row(&world, id).await;
    let day = Duration::from_secs(24 * 3600);
    assert_eq!(row.keys_shred_at, Some(row.unlinked_at.unwrap() + day));
    assert_eq!(row.wanted, Wanted::Stopped);
    world.advance(day - Duration::from_secs(60)).await;
    assert!(self::row(&world, id).await.keys_shred_at.is_some());
    world.advance(Duration::from_secs(91)).await;
    while self::row(&world, id).await.keys_shred_at.is_some() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_device_that_was_unlinked_starts_afresh() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    client.close(CloseReason::LoggedOut);
    world.until_status(id, SessionStatus::AuthFailed).await;
    world.network.unlink(id);
    world.sessions.connect(world.workspace, id).await.unwrap();
    let fresh = world.network.next_client().await;
    assert!(fresh.lease.epoch > client.lease.epoch);
    let row = row(&world, id).await;
    assert_eq!((row.unlinked_at, row.keys_shred_at), (None, None));
    assert_eq!(world.session(id).await.status(), SessionStatus::Pending);
}

#[tokio::test]
async fn a_crashed_actor_is_started_again() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    world.network.panic_once.store(true, Ordering::SeqCst);
    client.close(CloseReason::ConnectionLost);
    world.until_status(id, SessionStatus::Disconnected).await;
    // The dial panics; the next actor needs a pause of its own before it dials.
    world.advance(Duration::from_secs(1)).await;
    while world.network.panic_once.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    client.shut_down().await;
    world.advance(Duration::from_secs(1)).await;
    let next = world.network.next_client().await;
    assert!(next.lease.epoch > client.lease.epoch);
    next.open(1).await;
    world.until_status(id, SessionStatus::Ready).await;
}

#[tokio::test]
async fn sessions_that_were_connected_come_back_with_the_process() {
    let mut world = World::new().await;
    let (on, first) = world.ready().await;
    let (off, _) = world.ready().await;
    world.sessions.disconnect(world.workspace, off).await.unwrap();
    world.restart().await;
    first.shut_down().await;
    let client = world.network.next_client().await;
    assert_eq!(client.lease.session, on);
    assert!(client.lease.epoch > first.lease.epoch);
    client.open(1).await;
    world.until_status(on, SessionStatus::Ready).await;
    assert!(!world.network.has_client().await);
    assert_eq!(world.session(off).await.state.reason(), Some(CloseReason::Requested));
}

#[tokio::test]
async fn a_mass_start_keeps_its_cap() {
    let mut world = World::with(|config| config.start_concurrency = 2).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(world.ready().await.0);
    }
    world.restart().await;
    let mut clients = vec![world.network.next_client().await, world.network.next_client().await];
    world.looked(ids[3]).await;
    assert!(!world.network.has_client().await);
    for _ in 0..2 {
        clients.remove(0).open(1).await;
        clients.push(world.network.next_client().await);
    }
    for client in clients {
        client.open(1).await;
    }
    for id in ids {
        world.until_status(id, SessionStatus::Ready).await;
    }
}

#[tokio::test]
async fn a_logout_unlinks_and_forgets() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    let view = world.sessions.logout(world.workspace, id).await.unwrap();
    assert_eq!(view.state, SessionState::NotStarted);
    assert_eq!(view.profile.phone_number, None);
    assert!(client.logged_out.load(Ordering::SeqCst));
    client.shut_down().await;
    assert_eq!(row(&world, id).await.wanted, Wanted::Stopped);
}

#[tokio::test]
async fn a_deletion_logs_out_a_session_that_was_off() {
    let world = World::new().await;
    let (id, _) = world.ready().await;
    world.sessions.disconnect(world.workspace, id).await.unwrap();
    let sessions = world.sessions.clone();
    let workspace = world.workspace;
    let mut live = world.sessions.watch(workspace, id).await.unwrap();
    let deletion = tokio::spawn(async move { sessions.delete(workspace, id).await });
    let client = world.network.next_client().await;
    client.open(1).await;
    deletion.await.unwrap().unwrap();
    assert!(client.logged_out.load(Ordering::SeqCst));
    live.wait_for(|live| live.deleted).await.unwrap();
    assert!(matches!(
        world.sessions.get(workspace, id).await,
        Err(SessionError::NotFound)
    ));
}

/// What a process leaves behind that died while it logged out or deleted.
async fn dies_at(world: &mut World, id: wharf_model::SessionId, wanted: Wanted) {
    let (workspace, now) = (world.workspace, world.clock.now());
    world.sessions.drained().await;
    world
        .storage
        .write(Queue::Normal, move |tx| {
            Box::pin(sessions::set_wanted(tx, workspace, id, wanted, now))
        })
        .await
        .unwrap();
    world.restart().await;
}

#[tokio::test]
async fn a_logout_that_a_crash_cut_short_is_finished_by_the_next_start() {
    let mut world = World::new().await;
    let (id, _) = world.ready().await;
    dies_at(&mut world, id, Wanted::LoggedOut).await;
    let client = world.network.next_client().await;
    client.open(1).await;
    world.until_status(id, SessionStatus::NotStarted).await;
    assert!(client.logged_out.load(Ordering::SeqCst));
    client.shut_down().await;
    // The order after it finds the logout done and stored.
    world.looked(id).await;
    assert_eq!(row(&world, id).await.wanted, Wanted::Stopped);
}

#[tokio::test]
async fn a_deletion_that_a_crash_cut_short_is_finished_by_the_next_start() {
    let mut world = World::new().await;
    let (id, _) = world.ready().await;
    dies_at(&mut world, id, Wanted::Deleted).await;
    let client = world.network.next_client().await;
    client.open(1).await;
    client.shut_down().await;
    assert!(client.logged_out.load(Ordering::SeqCst));
    while world.sessions.get(world.workspace, id).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_stop_in_the_middle_of_a_deletion_leaves_it_to_the_next_start() {
    let mut world = World::new().await;
    let (id, _) = world.ready().await;
    world.sessions.disconnect(world.workspace, id).await.unwrap();
    let (sessions, workspace) = (world.sessions.clone(), world.workspace);
    let deletion = tokio::spawn(async move { sessions.delete(workspace, id).await });
    // It dials to log out; nobody answers, and the process is stopped.
    let silent = world.network.next_client().await;
    silent.running(1).await;
    world.restart().await;
    assert!(matches!(deletion.await.unwrap(), Err(SessionError::Stopping)));
    assert!(!silent.logged_out.load(Ordering::SeqCst));
    let client = world.network.next_client().await;
    client.open(1).await;
    client.shut_down().await;
    assert!(client.logged_out.load(Ordering::SeqCst));
}

#[tokio::test]
async fn an_order_behind_a_deletion_finds_no_session() {
    let world = World::new().await;
    let (id, _) = world.ready().await;
    world.sessions.disconnect(world.workspace, id).await.unwrap();
    let (sessions, workspace) = (world.sessions.clone(), world.workspace);
    let deletion = tokio::spawn(async move { sessions.delete(workspace, id).await });
    // The actor dials to log out; what is ordered now waits behind that.
    let client = world.network.next_client().await;
    let mut behind = std::pin::pin!(world.sessions.connect(workspace, id));
    assert!(is_pending(behind.as_mut()).await);
    client.open(1).await;
    deletion.await.unwrap().unwrap();
    assert!(matches!(behind.await, Err(SessionError::NotFound)));
}

#[tokio::test]
async fn a_restart_takes_a_new_client() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    world.sessions.restart(world.workspace, id).await.unwrap();
    client.shut_down().await;
    world.network.next_client().await.open(1).await;
    world.until_status(id, SessionStatus::Ready).await;
    assert_eq!(row(&world, id).await.wanted, Wanted::Connected);
}

#[tokio::test]
async fn another_workspace_sees_nothing() {
    let world = World::new().await;
    let id = world.create().await;
    let other = wharf_model::WorkspaceId::generate(&wharf_model::SystemEdges, &wharf_model::SystemEdges);
    assert!(matches!(
        world.sessions.get(other, id).await,
        Err(SessionError::NotFound)
    ));
    assert!(matches!(
        world.sessions.connect(other, id).await,
        Err(SessionError::NotFound)
    ));
    assert!(matches!(
        world.sessions.delete(other, id).await,
        Err(SessionError::NotFound)
    ));
    assert!(matches!(
        world.sessions.watch(other, id).await,
        Err(SessionError::NotFound)
    ));
}

async fn row(world: &World, id: wharf_model::SessionId) -> sessions::Session {
    world
        .storage
        .read(move |tx| Box::pin(sessions::load(tx, id)))
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn a_client_that_ends_without_a_word_is_started_again() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    client.stop_dead();
    let view = world.until_status(id, SessionStatus::Disconnected).await;
    assert_eq!(view.state.reason(), Some(CloseReason::EngineStopped));
    assert!(view.state.next_attempt_at().is_some());
    world.advance(Duration::from_secs(3600)).await;
    client.open(2).await;
    world.until_status(id, SessionStatus::Ready).await;
}
