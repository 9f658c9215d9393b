//! What people do with their account: on the phone, with other programs, with the server.

use std::time::Duration;

use wharf_model::{CloseReason, SessionStatus};
use wharf_sandbox::{Action, Conflict};

use crate::day::Day;

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_who_removes_the_device() {
    let day = Day::new().await;
    day.network.unlink(&day.own, day.device).await.unwrap();
    day.ends(SessionStatus::AuthFailed, CloseReason::DeviceRemoved).await;
    assert!(day.devices().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_who_removes_the_device_while_it_is_away() {
    let mut day = Day::new().await;
    day.stop().await;
    day.network.unlink(&day.own, day.device).await.unwrap();
    day.start();
    day.ends(SessionStatus::AuthFailed, CloseReason::LoggedOut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_program_with_the_same_keys() {
    let day = Day::new().await;
    day.strike(Action::StreamError {
        code: None,
        conflict: Some(Conflict::Replaced),
    });
    day.ends(SessionStatus::Disconnected, CloseReason::Replaced).await;
    let heard = day.friend_writes().await;
    day.connect().await;
    day.goes_on().await;
    day.has(&heard).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_is_off_all_day() {
    let day = Day::new().await;
    day.network.set_online(&day.own, false).await.unwrap();
    day.strike(Action::DropConnection);
    day.loses(CloseReason::ServerRecycle).await;
    day.goes_on().await;
    day.network.set_online(&day.own, true).await.unwrap();
    day.goes_on().await;
}

/// What was accepted before a stop goes out after it, and what was written meanwhile comes in.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_restarted_all_day() {
    let mut day = Day::new().await;
    for round in 0..6 {
        let (message, heard) = (day.accept().await, day.friend_writes().await);
        day.restart(Duration::from_millis(200 * round)).await;
        day.arrives(message).await;
        day.has(&heard).await;
    }
    day.goes_on().await;
}
