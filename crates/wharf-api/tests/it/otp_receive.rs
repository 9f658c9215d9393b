//! Texts that people send to prove their numbers.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use wharf_api::Scope;
use wharf_session::port::InboundMessage;

use crate::app::{App, json_of, problem, text};
use crate::script::{ScriptedClient, text_from};

const SENDER: &str = "15550100000@s.whatsapp.net";
const PHONE: &str = "+15550100000";
const OTHER: &str = "15550100001@s.whatsapp.net";

/// A server with one session that is connected, and a clock that only the test moves.
struct Desk {
    app: App,
    session: String,
    client: Arc<ScriptedClient>,
}

impl Desk {
    async fn new() -> Self {
        let app = App::new().await;
        let (session, client) = app.ready().await;
        app.clock.stop();
        Self { app, session, client }
    }

    async fn ask(&self, body: &Value) -> Response {
        self.app.post("/api/otp/receive", body).send().await.unwrap()
    }

    async fn receive(&self, body: &Value) -> Value {
        json_of(self.ask(body).await, 202).await
    }

    async fn bring(&self, sender: &str, whatsapp_id: &str, body: &str) {
        self.client.take_in(text_from(sender, whatsapp_id, body)).await;
    }

    async fn find(&self, asked: &Value) -> Value {
        json_of(self.app.get(&path_of(asked)).send().await.unwrap(), 200).await
    }

    async fn cancel(&self, asked: &Value) -> Response {
        let path = format!("{}/cancel", path_of(asked));
        self.app.request(Method::POST, &path).send().await.unwrap()
    }

    async fn status(&self, asked: &Value) -> String {
        text(&self.find(asked).await["status"])
    }

    /// The types of the events about a reception, in their order, once the last of them is `until`.
    async fn told(&self, asked: &Value, until: &str) -> Vec<String> {
        let mut changes = self.app.storage.changes();
        let waiting = async {
            loop {
                changes.borrow_and_update();
                let page = self.app.get("/api/events?types=otp.*&limit=100").send().await.unwrap();
                let page = json_of(page, 200).await;
                assert!(!page.to_string().contains("WHARF-"), "{page}");
                let events = page["data"].as_array().unwrap().iter();
                let own = events.filter(|event| event["data"]["otp_id"] == asked["id"]);
                let kinds: Vec<String> = own.map(|event| text(&event["type"])).collect();
                if kinds.last().is_some_and(|kind| kind == until) {
                    return kinds;
                }
                changes.changed().await.unwrap();
            }
        };
        let told = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        told.unwrap_or_else(|_| panic!("{until} was never told"))
    }

    async fn call_as(&self, key: &str, path: &str, body: &Value) -> Response {
        let request = self.app.anonymous(Method::POST, path).bearer_auth(key);
        request.json(body).send().await.unwrap()
    }
}

fn path_of(asked: &Value) -> String {
    format!("/api/otp/{}", text(&asked["id"]))
}

#[tokio::test]
async fn whoever_sends_the_text_proves_his_number() {
    let desk = Desk::new().await;
    let asked = desk
        .receive(&json!({"purpose": "login", "metadata": {"user": 7}}))
        .await;
    assert_eq!(
        (
            &asked["status"],
            &asked["session_id"],
            &asked["purpose"],
            &asked["expires_in"]
        ),
        (&json!("pending"), &json!(desk.session), &json!("login"), &json!(300)),
        "{asked}"
    );
    assert!(asked.get("phone").is_none(), "{asked}");
    let code = text(&asked["text"]);
    assert_eq!(asked["link"], format!("https://wa.me/15550001111?text={code}"));
    assert!(text(&asked["qr_svg"]).starts_with("<svg "), "{asked}");
    let waiting = desk.find(&asked).await;
    assert_eq!((&waiting["kind"], &waiting["phone"]), (&json!("receive"), &Value::Null));
    assert!(waiting.get("attempts_remaining").is_none(), "{waiting}");

    let said = format!("Hello, my code is {}.", code.to_lowercase().replace('-', " "));
    desk.bring(SENDER, "A1", &said).await;
    let approved = desk.find(&asked).await;
    assert_eq!(
        (&approved["status"], &approved["phone"], &approved["metadata"]),
        (&json!("approved"), &json!(PHONE), &json!({"user": 7})),
        "{approved}"
    );
    assert_eq!(approved["approved_at"], approved["finished_at"]);
    assert!(!approved.to_string().contains(&code), "{approved}");
    assert_eq!(desk.told(&asked, "otp.approved").await, ["otp.created", "otp.approved"]);

    desk.bring(OTHER, "B1", &code).await;
    assert_eq!(desk.find(&asked).await, approved, "it proves nothing twice");
    problem(desk.cancel(&asked).await, 409, "otp_already_used").await;
}

#[tokio::test]
async fn a_number_that_is_named_is_the_only_one() {
    let desk = Desk::new().await;
    let asked = desk.receive(&json!({"phone": PHONE})).await;
    assert_eq!(asked["phone"], PHONE);
    let code = text(&asked["text"]);
    desk.bring(OTHER, "B1", &code).await;
    assert_eq!(desk.status(&asked).await, "pending");
    desk.bring(SENDER, "A1", &code).await;
    assert_eq!(desk.status(&asked).await, "approved");
}

/// A number in its other spelling is the same account.
#[tokio::test]
async fn a_number_that_is_written_in_two_ways_is_one() {
    let desk = Desk::new().await;
    let asked = desk.receive(&json!({"phone": "+5511987654321"})).await;
    desk.bring("551187654321@s.whatsapp.net", "A1", &text(&asked["text"]))
        .await;
    let found = desk.find(&asked).await;
    assert_eq!(
        (&found["status"], &found["phone"]),
        (&json!("approved"), &json!("+5511987654321"))
    );
}

/// Only what one person says to us alone, by a number that WhatsApp tells.
#[tokio::test]
async fn what_tells_no_number_of_its_sender_proves_nothing() {
    let desk = Desk::new().await;
    let asked = desk.receive(&json!({})).await;
    let code = text(&asked["text"]);
    let hidden = text_from("100000000000007@lid", "A1", &code);
    let in_a_group = InboundMessage {
        chat: "120363021033254949@g.us".parse().unwrap(),
        ..text_from(SENDER, "A2", &code)
    };
    let our_own = InboundMessage {
        from_me: true,
        ..text_from(SENDER, "A3", &code)
    };
    for message in [hidden.clone(), in_a_group, our_own] {
        desk.client.take_in(message).await;
        assert_eq!(desk.status(&asked).await, "pending");
    }
    // It was stored before: what WhatsApp delivers again is passed over, whatever stands in it.
    let told_late = InboundMessage {
        sender_phone: Some(SENDER.parse().unwrap()),
        ..hidden
    };
    desk.client.take_in(told_late.clone()).await;
    assert_eq!(desk.status(&asked).await, "pending");
    desk.client
        .take_in(InboundMessage {
            whatsapp_id: "A4".to_owned(),
            ..told_late
        })
        .await;
    let found = desk.find(&asked).await;
    assert_eq!((&found["status"], &found["phone"]), (&json!("approved"), &json!(PHONE)));
}

#[tokio::test]
async fn a_text_ends_with_its_time_and_is_told_of() {
    let desk = Desk::new().await;
    let asked = desk.receive(&json!({"ttl": 60})).await;
    desk.app.clock.advance(Duration::from_secs(60));
    desk.bring(SENDER, "A1", &text(&asked["text"])).await;
    let over = desk.find(&asked).await;
    assert_eq!(
        (&over["status"], &over["expires_in"], &over["phone"]),
        (&json!("expired"), &json!(0), &Value::Null)
    );
    problem(desk.cancel(&asked).await, 410, "otp_expired").await;
    desk.app.verifications.sweep_now().await.unwrap();
    assert_eq!(desk.told(&asked, "otp.expired").await, ["otp.created", "otp.expired"]);
    desk.app.clock.advance(Duration::from_secs(24 * 60 * 60));
    desk.app.verifications.sweep_now().await.unwrap();
    let gone = desk.app.get(&path_of(&asked)).send().await.unwrap();
    problem(gone, 404, "otp_not_found").await;
}

#[tokio::test]
async fn what_is_taken_back_proves_nothing() {
    let desk = Desk::new().await;
    let asked = desk.receive(&json!({})).await;
    for _ in 0..2 {
        let cancelled = json_of(desk.cancel(&asked).await, 200).await;
        assert_eq!(
            (&cancelled["status"], &cancelled["kind"]),
            (&json!("cancelled"), &json!("receive"))
        );
    }
    desk.bring(SENDER, "A1", &text(&asked["text"])).await;
    assert_eq!(desk.status(&asked).await, "cancelled");
    assert_eq!(
        desk.told(&asked, "otp.cancelled").await,
        ["otp.created", "otp.cancelled"]
    );
}

/// Codes that were sent say what they are, and the list shows those alone.
#[tokio::test]
async fn a_list_shows_what_was_sent() {
    let desk = Desk::new().await;
    desk.receive(&json!({})).await;
    let sent = desk.app.post("/api/otp/send", &json!({"phone": PHONE})).send().await;
    let sent = json_of(sent.unwrap(), 202).await;
    assert_eq!(sent["kind"], "send");
    let listed = json_of(desk.app.get("/api/otp").send().await.unwrap(), 200).await;
    let ids: Vec<&Value> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["id"])
        .collect();
    assert_eq!(ids, [&sent["id"]]);
}

#[tokio::test]
async fn a_text_is_shown_once() {
    let desk = Desk::new().await;
    let body = json!({"purpose": "login"});
    let request = || desk.app.post("/api/otp/receive", &body).header("idempotency-key", "r");
    json_of(request().send().await.unwrap(), 202).await;
    problem(request().send().await.unwrap(), 409, "secret_already_shown").await;
}

#[tokio::test]
async fn only_a_connected_session_of_the_caller_waits() {
    let desk = Desk::new().await;
    let off = desk.app.session().await;
    let refused = desk.ask(&json!({"session_id": off})).await;
    problem(refused, 409, "session_unavailable").await;
    let named = desk.receive(&json!({"session_id": desk.session})).await;
    assert_eq!(named["session_id"], json!(desk.session));

    let plain = desk.app.key(&[Scope::OtpSend]).await;
    let refused = desk.call_as(&plain, "/api/otp/receive", &json!({})).await;
    problem(refused, 403, "insufficient_scope").await;
    let allowed = vec![off.parse().unwrap()];
    let limited = desk
        .app
        .key_with(desk.app.workspace, |key| key.sessions = Some(allowed))
        .await;
    let refused = desk.call_as(&limited, "/api/otp/receive", &json!({})).await;
    problem(refused, 409, "session_unavailable").await;
    let own = json!({"session_id": desk.session});
    let refused = desk.call_as(&limited, "/api/otp/receive", &own).await;
    problem(refused, 404, "session_not_found").await;
    let cancel = format!("{}/cancel", path_of(&named));
    for key in [limited, desk.app.stranger().await] {
        let refused = desk.call_as(&key, &cancel, &json!({})).await;
        problem(refused, 404, "otp_not_found").await;
    }
    assert_eq!(desk.status(&named).await, "pending");
}

/// Its text is no code that could be checked.
#[tokio::test]
async fn a_reception_has_nothing_to_be_checked() {
    let desk = Desk::new().await;
    let asked = desk.receive(&json!({})).await;
    let check = json!({"id": asked["id"], "code": "123456"});
    let refused = desk.app.post("/api/otp/verify", &check).send().await.unwrap();
    problem(refused, 404, "otp_not_found").await;
}

#[tokio::test]
async fn faults_are_pointed_at() {
    let desk = Desk::new().await;
    for (body, pointer, code) in [
        (json!({"phone": "nobody"}), "/phone", "invalid_phone"),
        (json!({"ttl": 59}), "/ttl", "out_of_range"),
        (json!({"ttl": 601}), "/ttl", "out_of_range"),
        (json!({"purpose": "Log in"}), "/purpose", "invalid_character"),
        (
            json!({"metadata": {"long": "x".repeat(16 * 1024)}}),
            "/metadata",
            "too_large",
        ),
    ] {
        let refused = problem(desk.ask(&body).await, 422, "validation_failed").await;
        let fault = &refused["errors"][0];
        assert_eq!(
            (&fault["pointer"], &fault["code"]),
            (&json!(pointer), &json!(code)),
            "{refused}"
        );
    }
}
