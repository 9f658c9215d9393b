//! The network between the session and WhatsApp, and WhatsApp's servers, on a bad day.

use std::time::Duration;

use wharf_model::CloseReason;
use wharf_sandbox::{Action, Direction, Rule, StanzaMatch};

use crate::day::Day;

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_flaps() {
    let day = Day::new().await;
    for _ in 0..8 {
        day.writes().await;
        day.strike(Action::DropConnection);
        day.loses(CloseReason::ServerRecycle).await;
    }
    day.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_falls_silent() {
    let day = Day::new().await;
    let waiting = day.friend_writes().await;
    day.has(&waiting).await;
    day.strike(Action::HalfOpen);
    let (message, meanwhile) = (day.accept().await, day.friend_writes().await);
    day.loses(CloseReason::KeepaliveTimeout).await;
    day.arrives(message).await;
    day.has(&meanwhile).await;
    day.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_answers_nobody_for_a_while() {
    let day = Day::new().await;
    let silence = day.fault(Action::HalfOpen);
    day.strike(Action::DropConnection);
    silence.wait_fired(2, Duration::from_secs(120)).await.unwrap();
    drop(silence);
    day.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_is_slow_and_loses_words() {
    let day = Day::new().await;
    let slow = day.fault(Action::Delay(Duration::from_millis(900)));
    let lossy = day.network.fault(
        Rule::new(Action::Lose)
            .account(&day.own)
            .stanza(StanzaMatch::tag("receipt"))
            .probability(0.5, 7),
    );
    let messages = [day.accept().await, day.accept().await];
    let heard = day.friend_writes().await;
    for message in messages {
        day.arrives(message).await;
    }
    day.has(&heard).await;
    drop((slow, lossy));
    day.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acks_that_never_come() {
    let day = Day::new().await;
    let acks = Rule::new(Action::Lose).account(&day.own).direction(Direction::ToClient);
    let lost = day
        .network
        .fault(acks.stanza(StanzaMatch::tag("ack")).times(3))
        .unwrap();
    day.writes().await;
    assert!(lost.fired() > 0, "an ack was lost, and the message is there once");
    drop(lost);
    day.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_at_every_message() {
    let day = Day::new().await;
    let message = StanzaMatch::tag("message");
    let breaks = Rule::new(Action::DropConnection).account(&day.own).stanza(message);
    let breaks = day
        .network
        .fault(breaks.direction(Direction::FromClient).times(4))
        .unwrap();
    day.writes().await;
    assert_eq!(breaks.fired(), 4);
    drop(breaks);
    day.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_come_twice_and_out_of_order() {
    let day = Day::new().await;
    let account = &day.own;
    let twice = Rule::new(Action::Duplicate)
        .account(account)
        .direction(Direction::ToClient);
    let twice = day.network.fault(twice.stanza(StanzaMatch::tag("message"))).unwrap();
    let reordered = day.fault(Action::Reorder);
    for _ in 0..4 {
        let heard = day.friend_writes().await;
        day.writes().await;
        day.has(&heard).await;
    }
    drop((twice, reordered));
    day.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_arrive_damaged() {
    let day = Day::new().await;
    for direction in [Direction::ToClient, Direction::FromClient] {
        let damage = Rule::new(Action::Corrupt)
            .account(&day.own)
            .direction(direction)
            .times(1);
        let damage = day.network.fault(damage).unwrap();
        let (message, heard) = (day.accept().await, day.friend_writes().await);
        damage.wait_fired(1, Duration::from_secs(60)).await.unwrap();
        // What could not be read is not acknowledged, and told again on the next connection.
        day.strike(Action::DropConnection);
        day.arrives(message).await;
        day.has(&heard).await;
    }
    day.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_are_down() {
    let day = Day::new().await;
    let down = day.network.fault(Rule::new(Action::RefuseConnection)).unwrap();
    day.strike(Action::DropConnection);
    let (message, heard) = (day.accept().await, day.friend_writes().await);
    down.wait_fired(5, Duration::from_secs(60)).await.unwrap();
    day.loses(CloseReason::ConnectionLost).await;
    drop(down);
    day.arrives(message).await;
    day.has(&heard).await;
    day.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_are_overloaded() {
    let day = Day::new().await;
    for code in [500, 503] {
        let refused = day.fault_times(Action::RefuseLogin { code }, 3);
        day.strike(Action::DropConnection);
        day.loses(CloseReason::ServiceUnavailable).await;
        refused.wait_fired(3, Duration::from_secs(60)).await.unwrap();
        day.goes_on().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_ask_for_a_slower_pace() {
    let day = Day::new().await;
    let error = Action::StreamError {
        code: Some(429),
        conflict: None,
    };
    day.strike(error);
    day.loses(CloseReason::RateLimited).await;
    day.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_restart_one_after_the_other() {
    let day = Day::new().await;
    for code in [503, 515, 500, 515, 503] {
        let error = Action::StreamError {
            code: Some(code),
            conflict: None,
        };
        day.strike(error);
        day.goes_on().await;
    }
    assert!(day.reasons().await.contains(&"service_unavailable".to_owned()));
}

/// A server that asks for the restart that follows linking, again and again, is not believed for ever.
#[tokio::test(flavor = "multi_thread")]
async fn servers_that_ask_for_a_restart_for_ever() {
    let day = Day::new().await;
    let error = Action::StreamError {
        code: Some(515),
        conflict: None,
    };
    let storm = day.fault(error);
    day.strike(Action::DropConnection);
    storm.wait_fired(8, Duration::from_secs(60)).await.unwrap();
    drop(storm);
    day.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_that_are_refused_for_no_known_reason() {
    let day = Day::new().await;
    let refused = day.fault_times(Action::RefuseLogin { code: 499 }, 3);
    day.strike(Action::DropConnection);
    day.loses(CloseReason::ConnectFailed).await;
    refused.wait_fired(3, Duration::from_secs(60)).await.unwrap();
    day.goes_on().await;
}
