//! What WhatsApp does to an account: it waits for people, and nothing is lost that they can still use.

use std::time::Duration;

use wharf_model::{CloseReason, SessionStatus};
use wharf_sandbox::Action;

use crate::day::Day;

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_for_a_time() {
    let day = Day::new().await;
    day.network
        .ban(&day.own, 402, Some(Duration::from_secs(3600)))
        .await
        .unwrap();
    day.ends(SessionStatus::AuthFailed, CloseReason::TemporaryBan).await;
    day.network.lift_ban(&day.own).await.unwrap();
    let heard = day.friend_writes().await;
    day.connect().await;
    day.goes_on().await;
    day.has(&heard).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_account() {
    let day = Day::new().await;
    day.network.ban(&day.own, 403, None).await.unwrap();
    day.ends(SessionStatus::AuthFailed, CloseReason::AccountLocked).await;
    day.network.lift_ban(&day.own).await.unwrap();
    day.connect().await;
    day.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_without_a_reason() {
    let day = Day::new().await;
    let refused = day.fault(Action::RefuseLogin { code: 406 });
    day.strike(Action::DropConnection);
    day.ends(SessionStatus::AuthFailed, CloseReason::LoggedOutUnknown).await;
    drop(refused);
    day.connect().await;
    day.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_too_old() {
    let day = Day::new().await;
    let refused = day.fault(Action::RefuseLogin { code: 405 });
    day.strike(Action::DropConnection);
    day.ends(SessionStatus::Disconnected, CloseReason::ClientOutdated).await;
    drop(refused);
    day.connect().await;
    day.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_the_network_takes_away() {
    let day = Day::new().await;
    let error = Action::StreamError {
        code: Some(516),
        conflict: None,
    };
    day.strike(error);
    day.ends(SessionStatus::AuthFailed, CloseReason::DeviceDeregistered)
        .await;
}
