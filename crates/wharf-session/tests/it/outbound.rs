//! Messages on their way out.

use std::collections::HashSet;
use std::time::Duration;

use wharf_model::{ApiKeyId, CloseReason, Content, Lane, MessageStatus, SessionStatus};
use wharf_session::port::{ClientEvent, ReceiptKind};
use wharf_session::{AcceptError, IdempotencyError, Idempotent, MessageQuery, MessageView, NewMessage, Outcome};
use wharf_storage::PageRequest;
use wharf_storage::idempotency::{IdempotencyKey, fingerprint};
use wharf_storage::plans::PlanLimits;
use wharf_storage::usage::{self, Allowance};

use crate::script::Sending;
use crate::world::World;

const ADA: &str = "+15550000001";
const BOB: &str = "+15550000002";

fn receipt(ids: &[&str], kind: ReceiptKind, world: &World) -> ClientEvent {
    ClientEvent::Receipt {
        chat: "100000000000009@lid".parse().unwrap(),
        whatsapp_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        kind,
        at: wharf_model::Clock::now(&*world.clock),
    }
}

fn body(content: &Content) -> &str {
    match content {
        Content::Text(text) => &text.body,
        Content::Unsupported(_) => panic!("not a text"),
    }
}

#[tokio::test]
async fn a_message_goes_out_and_its_ticks_come_back() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    let accepted = world.send(id, ADA, "hello").await;
    assert_eq!(accepted.status, MessageStatus::Queued);
    let sent = client.next_send().await;
    assert_eq!(sent.whatsapp_id, accepted.whatsapp_id);
    assert_eq!(sent.to.to_string(), "15550000001@s.whatsapp.net");
    assert_eq!(body(&sent.content), "hello");
    client.ack(&sent.whatsapp_id);
    world.until_sent(accepted.id, MessageStatus::Sent).await;
    client.emit(receipt(&[&sent.whatsapp_id], ReceiptKind::Delivered, &world));
    client.emit(receipt(&[&sent.whatsapp_id], ReceiptKind::Read, &world));
    let view = world.until_sent(accepted.id, MessageStatus::Read).await;
    assert!(view.sent_at.is_some() && view.delivered_at.is_some() && view.read_at.is_some());
    let steps: Vec<_> = view.timeline.iter().map(|entry| entry.status.as_str()).collect();
    assert_eq!(steps, ["queued", "sending", "sent", "delivered", "read"]);
    let kinds = world.kinds().await;
    let message_kinds: Vec<_> = kinds.into_iter().filter(|kind| kind.starts_with("message.")).collect();
    assert_eq!(
        message_kinds,
        ["message.queued", "message.sent", "message.delivered", "message.read"]
    );
}

#[tokio::test]
async fn receipts_in_any_order_never_take_a_status_back() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    let message = world.send(id, ADA, "hello").await;
    let sent = client.next_send().await;
    // The read receipt overtakes the ack.
    client.emit(receipt(&[&sent.whatsapp_id, "unknown"], ReceiptKind::Read, &world));
    client.emit(receipt(&[&sent.whatsapp_id], ReceiptKind::Delivered, &world));
    client.ack(&sent.whatsapp_id);
    world.until_sent(message.id, MessageStatus::Read).await;
    // The chat is free again: what follows proves that everything before it was handled.
    let next = world.send(id, ADA, "again").await;
    client.ack(&client.next_send().await.whatsapp_id);
    world.until_sent(next.id, MessageStatus::Sent).await;
    let view = world.message(message.id).await;
    assert_eq!(view.status, MessageStatus::Read);
    // The receipt proves what the ack would have said.
    let steps: Vec<_> = view.timeline.iter().map(|entry| entry.status.as_str()).collect();
    assert_eq!(steps, ["queued", "sending", "sent", "read"]);
    let kinds = world.kinds().await;
    let first_kinds: Vec<_> = kinds
        .into_iter()
        .filter(|kind| kind.starts_with("message."))
        .take(3)
        .collect();
    assert_eq!(first_kinds, ["message.queued", "message.sent", "message.read"]);
}

#[tokio::test]
async fn one_message_at_a_time_in_each_chat_and_in_order() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    for text in ["one", "two", "three"] {
        world.send(id, ADA, text).await;
    }
    let other = world.send(id, BOB, "to somebody else").await;
    let mut first = client.next_send().await;
    let second = client.next_send().await;
    assert_eq!((body(&first.content), &second.whatsapp_id), ("one", &other.whatsapp_id));
    for text in ["two", "three"] {
        world.looked(id).await;
        assert!(!client.has_send().await);
        client.ack(&first.whatsapp_id);
        first = client.next_send().await;
        assert_eq!(body(&first.content), text);
    }
}

#[tokio::test]
async fn sixteen_messages_are_on_the_wire_at_most() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    for number in 0..20 {
        world.send(id, &format!("+155500001{number:02}"), "hello").await;
    }
    let mut on_wire = Vec::new();
    for _ in 0..16 {
        on_wire.push(client.next_send().await.whatsapp_id);
    }
    world.looked(id).await;
    assert!(!client.has_send().await);
    for id in &on_wire[..4] {
        client.ack(id);
    }
    for _ in 0..4 {
        on_wire.push(client.next_send().await.whatsapp_id);
    }
    assert_eq!(on_wire.iter().collect::<HashSet<_>>().len(), 20);
}

#[tokio::test]
async fn lanes_go_in_their_order() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    client.close(CloseReason::ConnectionLost);
    world.until_status(id, SessionStatus::Disconnected).await;
    for (number, lane) in [(1, Lane::Campaign), (2, Lane::Interactive), (3, Lane::Otp)] {
        let mut new = world.text(id, &format!("+1555000020{number}"), lane.as_str());
        new.lane = lane;
        world.accept(new).await;
    }
    world.advance(Duration::from_secs(1)).await;
    client.open(2).await;
    for lane in ["otp", "interactive", "campaign"] {
        assert_eq!(body(&client.next_send().await.content), lane);
    }
}

#[tokio::test]
async fn without_an_ack_it_is_sent_again_under_the_same_id_and_secret() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    let message = world.send(id, ADA, "hello").await;
    let first = client.next_send().await;
    world.looked(id).await;
    world.advance(Duration::from_secs(29)).await;
    world.looked(id).await;
    assert!(!client.has_send().await);
    world.advance(Duration::from_secs(1)).await;
    let again = client.next_send().await;
    assert_eq!(
        (again.whatsapp_id, again.secret),
        (first.whatsapp_id.clone(), first.secret)
    );
    client.ack(&first.whatsapp_id);
    client.ack(&first.whatsapp_id);
    world.until_sent(message.id, MessageStatus::Sent).await;
    let kinds = world.kinds().await;
    assert_eq!(kinds.iter().filter(|kind| **kind == "message.sent").count(), 1);
}

#[tokio::test]
async fn a_server_that_acknowledges_nothing_is_dialled_anew() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    world.send(id, ADA, "hello").await;
    let first = client.next_send().await;
    world.looked(id).await;
    world.advance(Duration::from_secs(30)).await;
    client.next_send().await;
    world.looked(id).await;
    world.advance(Duration::from_secs(60)).await;
    let view = world.until_status(id, SessionStatus::Disconnected).await;
    assert_eq!(view.state.reason(), Some(CloseReason::KeepaliveTimeout));
    world.advance(Duration::from_secs(1)).await;
    let client = world.network.next_client().await;
    client.open(1).await;
    assert_eq!(client.next_send().await.whatsapp_id, first.whatsapp_id);
}

#[tokio::test]
async fn what_was_on_the_wire_is_sent_again_after_a_reconnect() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    let message = world.send(id, ADA, "hello").await;
    let first = client.next_send().await;
    client.close(CloseReason::ConnectionLost);
    world.until_status(id, SessionStatus::Disconnected).await;
    world.advance(Duration::from_secs(1)).await;
    client.open(2).await;
    let again = client.next_send().await;
    assert_eq!((&again.whatsapp_id, again.secret), (&first.whatsapp_id, first.secret));
    client.ack(&first.whatsapp_id);
    world.until_sent(message.id, MessageStatus::Sent).await;
}

#[tokio::test]
async fn a_graceful_stop_waits_for_acks_and_loses_nothing() {
    let mut world = World::new().await;
    let (id, client) = world.ready().await;
    let acked = world.send(id, ADA, "acknowledged in time").await;
    let parked = world.send(id, BOB, "never acknowledged").await;
    let behind = world.send(id, BOB, "not even sent").await;
    for _ in 0..2 {
        client.next_send().await;
    }
    let sessions = world.sessions.clone();
    let drained = tokio::spawn(async move { sessions.drained().await });
    client.ack(&acked.whatsapp_id);
    world.until_sent(acked.id, MessageStatus::Sent).await;
    world.advance(Duration::from_secs(5)).await;
    drained.await.unwrap();
    client.shut_down().await;
    assert_eq!(world.message(parked.id).await.status, MessageStatus::Sending);
    assert_eq!(world.message(behind.id).await.status, MessageStatus::Queued);
    world.restart().await;
    let client = world.network.next_client().await;
    client.open(1).await;
    let again = client.next_send().await;
    assert_eq!(again.whatsapp_id, parked.whatsapp_id);
    client.ack(&again.whatsapp_id);
    assert_eq!(client.next_send().await.whatsapp_id, behind.whatsapp_id);
}

#[tokio::test]
async fn time_runs_out_for_a_session_that_is_off() {
    let mut world = World::new().await;
    let (id, client) = world.ready().await;
    client.close(CloseReason::Replaced);
    world.until_status(id, SessionStatus::Disconnected).await;
    let mut new = world.text(id, ADA, "hurry");
    new.expires_in = Some(Duration::from_secs(10));
    let attended = world.accept(new.clone()).await;
    world.looked(id).await;
    world.advance(Duration::from_secs(10)).await;
    world.until_sent(attended.id, MessageStatus::Expired).await;
    world.restart().await;
    let unattended = world.accept(new).await;
    // The supervisor looks every 30 seconds.
    while world.message(unattended.id).await.status != MessageStatus::Expired {
        world.advance(Duration::from_secs(30)).await;
    }
    let events = world.events().await;
    let (_, last) = events.last().unwrap();
    assert_eq!(
        (last["code"].as_str(), last["status"].as_str()),
        (Some("expired"), Some("expired"))
    );
}

#[tokio::test]
async fn time_runs_out_for_what_was_on_the_wire_of_a_session_that_is_off() {
    let mut world = World::new().await;
    let (id, client) = world.ready().await;
    let mut new = world.text(id, ADA, "hurry");
    new.expires_in = Some(Duration::from_secs(10));
    let attended = world.accept(new.clone()).await;
    client.next_send().await;
    client.close(CloseReason::Replaced);
    world.until_status(id, SessionStatus::Disconnected).await;
    world.advance(Duration::from_secs(10)).await;
    world.until_sent(attended.id, MessageStatus::Expired).await;

    world.sessions.connect(world.workspace, id).await.unwrap();
    let client = world.network.next_client().await;
    client.open(1).await;
    let unattended = world.accept(new).await;
    client.next_send().await;
    client.close(CloseReason::Replaced);
    world.until_status(id, SessionStatus::Disconnected).await;
    world.restart().await;
    // The supervisor looks every 30 seconds.
    while world.message(unattended.id).await.status != MessageStatus::Expired {
        world.advance(Duration::from_secs(30)).await;
    }
}

#[tokio::test]
async fn a_message_is_never_sent_again_past_its_time() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    let mut new = world.text(id, ADA, "hurry");
    new.expires_in = Some(Duration::from_secs(20));
    let message = world.accept(new).await;
    client.next_send().await;
    world.looked(id).await;
    world.advance(Duration::from_secs(30)).await;
    world.until_sent(message.id, MessageStatus::Expired).await;
    assert!(!client.has_send().await);
}

#[tokio::test]
async fn what_cannot_go_fails_with_a_stable_code_or_waits() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    let locked = world.send(id, ADA, "cold contact").await;
    client.refuse(&client.next_send().await.whatsapp_id, Some(463));
    let view = world.until_message(locked.id, |view| view.retry_at.is_some()).await;
    assert_eq!(
        (view.status, view.code.as_deref()),
        (MessageStatus::Queued, Some("time_locked"))
    );

    let mut new = world.text(id, BOB, "cold contact in a hurry");
    new.expires_in = Some(Duration::from_secs(60));
    let hurried = world.accept(new).await;
    client.refuse(&client.next_send().await.whatsapp_id, Some(463));
    let view = world.until_sent(hurried.id, MessageStatus::Failed).await;
    assert_eq!(view.code.as_deref(), Some("time_locked"));

    let rejected = world.send(id, BOB, "odd").await;
    client.refuse(&client.next_send().await.whatsapp_id, Some(479));
    let view = world.until_sent(rejected.id, MessageStatus::Failed).await;
    assert_eq!(view.code.as_deref(), Some("rejected_479"));

    *client.sending.lock().unwrap() = Sending::NotOnWhatsApp;
    let unknown = world.send(id, BOB, "nobody there").await;
    let view = world.until_sent(unknown.id, MessageStatus::Failed).await;
    assert_eq!(view.code.as_deref(), Some("not_on_whatsapp"));
}

#[tokio::test]
async fn a_chat_keeps_its_order_while_a_message_waits() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    let first = world.send(id, ADA, "first").await;
    client.refuse(&client.next_send().await.whatsapp_id, Some(463));
    let waiting = world.until_message(first.id, |view| view.retry_at.is_some()).await;
    let second = world.send(id, ADA, "second").await;
    world.looked(id).await;
    assert!(!client.has_send().await, "the second message overtook the first");
    let now = wharf_model::Clock::now(&*world.clock);
    world.advance(waiting.retry_at.unwrap().since(now)).await;
    for message in [&first, &second] {
        let sent = client.next_send().await;
        assert_eq!(sent.whatsapp_id, message.whatsapp_id);
        client.ack(&sent.whatsapp_id);
    }
}

#[tokio::test]
async fn an_engine_that_panics_costs_a_try_and_not_the_session() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    *client.sending.lock().unwrap() = Sending::Panics;
    let message = world.send(id, ADA, "hello").await;
    let view = world.until_message(message.id, |view| view.retry_at.is_some()).await;
    assert_eq!(view.code.as_deref(), Some("engine_failed"));
    *client.sending.lock().unwrap() = Sending::Acked;
    let wait = view.retry_at.unwrap().since(wharf_model::Clock::now(&*world.clock));
    world.looked(id).await;
    world.advance(wait).await;
    world.until_sent(message.id, MessageStatus::Sent).await;
}

#[tokio::test]
async fn a_client_that_is_not_connected_keeps_the_message() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    *client.sending.lock().unwrap() = Sending::NotConnected;
    let message = world.send(id, ADA, "hello").await;
    world.until_sent(message.id, MessageStatus::Sending).await;
    world.looked(id).await;
    *client.sending.lock().unwrap() = Sending::Acked;
    world.advance(Duration::from_secs(1)).await;
    world.until_sent(message.id, MessageStatus::Sent).await;
}

#[tokio::test]
async fn a_scheduled_message_waits_for_its_time() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    let mut new = world.text(id, ADA, "later");
    new.send_at = Some(wharf_model::Clock::now(&*world.clock) + Duration::from_secs(3600));
    world.accept(new).await;
    world.looked(id).await;
    world.advance(Duration::from_secs(3599)).await;
    world.looked(id).await;
    assert!(!client.has_send().await);
    world.advance(Duration::from_secs(1)).await;
    assert_eq!(body(&client.next_send().await.content), "later");
}

#[tokio::test]
async fn a_clock_that_is_set_back_holds_back_only_what_has_a_time_of_its_own() {
    after_the_clock_was_set_back(false).await;
}

#[tokio::test]
async fn also_when_it_is_set_back_before_the_start() {
    after_the_clock_was_set_back(true).await;
}

async fn after_the_clock_was_set_back(restart: bool) {
    let mut world = World::new().await;
    let (id, client) = world.ready().await;
    world.looked(id).await;
    client.close(CloseReason::Replaced);
    world.until_status(id, SessionStatus::Disconnected).await;
    world.send(id, ADA, "at once").await;
    let mut later = world.text(id, BOB, "later");
    later.send_at = Some(wharf_model::Clock::now(&*world.clock) + Duration::from_secs(3600));
    world.accept(later).await;
    world.set_clock_back(Duration::from_secs(24 * 60 * 60));
    if restart {
        world.restart().await;
    }
    world.sessions.connect(world.workspace, id).await.unwrap();
    let client = world.network.next_client().await;
    client.open(1).await;
    world.until_status(id, SessionStatus::Ready).await;
    world.looked(id).await;
    // Not to wait for it: the clock of these tests stands still, and would never end the wait.
    assert!(client.has_send().await);
    assert_eq!(body(&client.next_send().await.content), "at once");
    world.looked(id).await;
    assert!(!client.has_send().await);
}

/// Whoever accepts a message reads the clock before he stores it: rows from before the jump come after it.
#[tokio::test]
async fn also_what_was_accepted_before_and_stored_after_it_was_set_back() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let world = World::new().await;
    let (id, client) = world.ready().await;
    *client.sending.lock().unwrap() = Sending::Acked;
    for (text, clock_is_set_back) in [("before", false), ("after", true)] {
        if clock_is_set_back {
            world.set_clock_back(DAY);
        }
        world.send(id, ADA, text).await;
        assert_eq!(body(&client.next_send().await.content), text);
        world.looked(id).await;
    }
    world.set_clock_ahead(DAY);
    let late = world.send(id, ADA, "late").await;
    // The actor has not run yet: it is told when the row is stored, and this task goes on.
    world.set_clock_back(DAY);
    // Else it waits for tomorrow. The ack of the one before is perhaps still being stored.
    world.until_sent(late.id, MessageStatus::Sent).await;
    assert_eq!(body(&client.next_send().await.content), "late");
}

#[tokio::test]
async fn the_pacer_is_asked() {
    let world = World::with(|config| config.pacing = wharf_model::PacingPolicy::default()).await;
    let (id, client) = world.ready().await;
    *client.sending.lock().unwrap() = Sending::Acked;
    world.send(id, ADA, "one").await;
    world.send(id, BOB, "two").await;
    client.next_send().await;
    world.looked(id).await;
    assert!(!client.has_send().await);
    world.advance(Duration::from_secs(5)).await;
    assert_eq!(body(&client.next_send().await.content), "two");
    // The same recipient waits for six seconds after the first message to him.
    world.send(id, BOB, "three").await;
    world.looked(id).await;
    world.advance(Duration::from_secs(5)).await;
    world.looked(id).await;
    assert!(!client.has_send().await);
    world.advance(Duration::from_secs(1)).await;
    assert_eq!(body(&client.next_send().await.content), "three");
}

#[tokio::test]
async fn the_daily_cap_of_new_chats_parks_a_message_and_lets_a_password_go() {
    let world = World::with(|config| {
        config.pacing = wharf_model::PacingPolicy {
            new_chats_per_day: 1,
            gap_min: Duration::ZERO,
            gap_max: Duration::ZERO,
            ..wharf_model::PacingPolicy::default()
        };
    })
    .await;
    let (id, client) = world.ready().await;
    *client.sending.lock().unwrap() = Sending::Acked;
    let first = world.send(id, ADA, "the one chat of today").await;
    world.until_sent(first.id, MessageStatus::Sent).await;
    let parked = world.send(id, BOB, "tomorrow").await;
    let view = world.until_message(parked.id, |view| view.retry_at.is_some()).await;
    assert_eq!(view.code.as_deref(), Some("new_chat_cap"));
    let mut password = world.text(id, "+15550000003", "123456");
    password.lane = Lane::Otp;
    let password = world.accept(password).await;
    world.until_sent(password.id, MessageStatus::Sent).await;
    world.looked(id).await;
    world.advance(Duration::from_secs(24 * 3600)).await;
    world.until_sent(parked.id, MessageStatus::Sent).await;
}

#[tokio::test]
async fn a_password_is_shown_to_nobody_and_wiped_once_it_arrived() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    let mut new = world.text(id, ADA, "314159");
    new.lane = Lane::Otp;
    let message = world.accept(new).await;
    assert_eq!(message.content, None);
    let sent = client.next_send().await;
    assert_eq!(body(&sent.content), "314159");
    client.emit(receipt(&[&sent.whatsapp_id], ReceiptKind::Delivered, &world));
    world.until_sent(message.id, MessageStatus::Delivered).await;
    let (workspace, id) = (world.workspace, message.id);
    let row = world
        .storage
        .read(move |tx| Box::pin(wharf_storage::messages::get(tx, workspace, id)))
        .await
        .unwrap();
    assert_eq!(row.unwrap().body, None);
    assert!(!format!("{:?}", world.events().await).contains("314159"));
}

#[tokio::test]
async fn only_what_is_queued_can_be_taken_back() {
    let world = World::new().await;
    let (id, client) = world.ready().await;
    let on_wire = world.send(id, ADA, "gone").await;
    let queued = world.send(id, ADA, "not gone").await;
    let sent = client.next_send().await;
    assert_eq!(
        world.sessions.cancel(world.workspace, queued.id).await.unwrap().status,
        MessageStatus::Cancelled
    );
    assert_eq!(
        world.sessions.cancel(world.workspace, on_wire.id).await.unwrap().status,
        MessageStatus::Sending
    );
    client.ack(&sent.whatsapp_id);
    world.until_sent(on_wire.id, MessageStatus::Sent).await;
    world.looked(id).await;
    assert!(!client.has_send().await);
}

fn once(world: &World, body: &str) -> Option<Idempotent<MessageView>> {
    let fingerprint = fingerprint("POST", "/api/messages", body.as_bytes());
    let claim = IdempotencyKey {
        workspace_id: world.workspace,
        key: "order-7".to_owned(),
        fingerprint,
    };
    Some(Idempotent {
        claim,
        render: Box::new(|view| Ok(view.id.to_string().into_bytes())),
    })
}

#[tokio::test]
async fn one_key_has_one_effect() {
    let world = World::new().await;
    let id = world.create().await;
    let new = world.text(id, ADA, "hello");
    let (first, second) = tokio::join!(
        world.sessions.accept(world.workspace, new.clone(), once(&world, "a")),
        world.sessions.accept(world.workspace, new.clone(), once(&world, "a")),
    );
    let (view, stored) = match (first.unwrap(), second.unwrap()) {
        (Outcome::New(view), Outcome::Replayed(stored)) | (Outcome::Replayed(stored), Outcome::New(view)) => {
            (view, stored)
        }
        both => panic!("{both:?}"),
    };
    assert_eq!(stored, view.id.to_string().into_bytes());
    let other = world.sessions.accept(world.workspace, new, once(&world, "b")).await;
    assert!(matches!(
        other,
        Err(AcceptError::Idempotency(IdempotencyError::Mismatch))
    ));
    let all = world
        .sessions
        .messages(world.workspace, MessageQuery::default(), PageRequest::first(10))
        .await
        .unwrap();
    assert_eq!(all.rows.len(), 1);
    assert_eq!(world.kinds().await, ["message.queued"]);
}

#[tokio::test]
async fn a_batch_answers_each_for_itself() {
    let world = World::new().await;
    let id = world.create().await;
    let stranger = wharf_model::SessionId::generate(&wharf_model::SystemEdges, &wharf_model::SystemEdges);
    let batch = vec![
        world.text(id, ADA, "good"),
        world.text(stranger, ADA, "no session"),
        world.text(id, BOB, ""),
    ];
    let Outcome::New(answers) = world.sessions.accept_batch(world.workspace, batch, None).await.unwrap() else {
        panic!("no key was given")
    };
    assert!(answers[0].is_ok());
    assert!(matches!(answers[1], Err(AcceptError::NoSession)));
    assert!(matches!(answers[2], Err(AcceptError::EmptyText)));
    assert_eq!(world.kinds().await, ["message.queued"]);
}

#[tokio::test]
async fn a_batch_takes_all_of_its_quota_or_nothing() {
    let world = World::new().await;
    let id = world.create().await;
    let limits = PlanLimits {
        messages_per_day: Some(5),
        ..PlanLimits::NONE
    };
    let key = ApiKeyId::generate(&wharf_model::SystemEdges, &wharf_model::SystemEdges);
    let allowance = Allowance::new(world.workspace, key, limits);
    let batch = |size: usize| {
        let message = |_| NewMessage {
            allowance: Some(allowance),
            ..world.text(id, ADA, "hi")
        };
        world
            .sessions
            .accept_batch(world.workspace, (0..size).map(message).collect(), None)
    };
    assert!(matches!(batch(3).await, Ok(Outcome::New(answers)) if answers.len() == 3));
    assert!(matches!(batch(3).await, Err(AcceptError::Quota(_))));
    assert!(matches!(batch(2).await, Ok(Outcome::New(_))));
    let (workspace, now) = (world.workspace, wharf_model::Clock::now(&*world.clock));
    let used = world
        .storage
        .read(move |tx| Box::pin(usage::of_day(tx, workspace, key, now)));
    assert_eq!(used.await.unwrap().messages, 5);
    assert_eq!(world.kinds().await, ["message.queued"; 5]);
}

#[tokio::test]
async fn a_chat_can_be_listed() {
    let world = World::new().await;
    let id = world.create().await;
    world.send(id, ADA, "to Ada").await;
    world.send(id, BOB, "to Bob").await;
    let query = MessageQuery {
        session: Some(id),
        chat: Some(BOB.parse().unwrap()),
        ..MessageQuery::default()
    };
    let page = world
        .sessions
        .messages(world.workspace, query, PageRequest::first(10))
        .await
        .unwrap();
    let bodies: Vec<_> = page
        .rows
        .iter()
        .map(|view| body(view.content.as_ref().unwrap()))
        .collect();
    assert_eq!(bodies, ["to Bob"]);
}
