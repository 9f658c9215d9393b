//! Numbers whose codes are known beforehand (OTP-18 of the services brief, section 1.2).

use std::time::Duration;

use serde_json::{Value, json};
use wharf_model::{Clock as _, SystemEdges};
use wharf_otp::{OtpConfig, Rate};

use crate::app::{App, json_of, problem, text};
use crate::otp::{Codes, fault, path_of, phone};

const NUMBER: &str = "+15550100001";
const CODE: &str = "00421700";
/// Of a country that no session is of.
const GERMAN: &str = "+4915112345678";

fn numbers(config: &mut OtpConfig) {
    config.test_numbers = format!("{NUMBER}={CODE},{GERMAN}=123456").parse().unwrap();
}

async fn stats(app: &App) -> Value {
    json_of(app.get("/api/otp/stats").send().await.unwrap(), 200).await
}

/// No session, no message, no country; and all the rest.
#[tokio::test]
async fn otp_18_a_test_number_is_proved_by_its_known_code() {
    let app = App::with_codes(numbers).await;
    let body = json!({"phone": NUMBER, "length": 6, "metadata": {"user": 7}});
    let sent = json_of(app.post("/api/otp/send", &body).send().await.unwrap(), 202).await;
    assert_eq!(
        (&sent["session_id"], &sent["test"]),
        (&Value::Null, &json!(true)),
        "{sent}"
    );
    assert_eq!(
        (&sent["length"], &sent["send_attempts"]),
        (&json!(8), &json!([])),
        "{sent}"
    );
    assert_eq!(
        (&sent["expires_in"], &sent["attempts_remaining"]),
        (&json!(300), &json!(5))
    );
    assert!(!sent.to_string().contains(CODE), "{sent}");
    let check = |code: &str| {
        app.post("/api/otp/verify", &json!({"id": sent["id"], "code": code}))
            .send()
    };
    problem(check("00421701").await.unwrap(), 422, "otp_incorrect").await;
    let approved = json_of(check(CODE).await.unwrap(), 200).await;
    assert_eq!(
        (&approved["phone"], &approved["metadata"]),
        (&json!(NUMBER), &json!({"user": 7}))
    );
    problem(check(CODE).await.unwrap(), 409, "otp_already_used").await;

    let found = json_of(app.get(&path_of(&sent)).send().await.unwrap(), 200).await;
    assert_eq!(
        (&found["status"], &found["test"]),
        (&json!("approved"), &json!(true)),
        "{found}"
    );
    assert_eq!(found["checks"].as_array().unwrap().len(), 2);
    let messages = json_of(app.get("/api/messages").send().await.unwrap(), 200).await;
    assert_eq!(messages["data"], json!([]));
    let counted = stats(&app).await;
    assert_eq!(
        (&counted["total"]["created"], &counted["total"]["approved"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(
        (&counted["by_session"], &counted["latency"]["approved"]["p50_ms"]),
        (&json!([]), &Value::Null)
    );

    let abroad = app
        .post("/api/otp/send", &json!({"phone": GERMAN}))
        .send()
        .await
        .unwrap();
    assert_eq!(json_of(abroad, 202).await["test"], true);
    let real = app
        .post("/api/otp/send", &json!({"phone": phone(0)}))
        .send()
        .await
        .unwrap();
    assert!(real.status().is_client_error(), "another number needs a session");
}

/// Waits, messages, tries and repeats are those of any number.
#[tokio::test]
async fn otp_18_a_test_number_is_held_to_the_limits_of_a_verification() {
    let codes = Codes::with(numbers).await;
    let body = json!({"phone": NUMBER});
    let first = codes.send(&body).await;
    problem(codes.ask(&body).await, 429, "otp_resend_too_soon").await;
    codes.pass(30);
    let second = codes.send(&body).await;
    assert_eq!((&second["id"], &second["resent"]), (&first["id"], &json!(true)));
    assert_eq!(
        (&second["next_send_in"], &second["sends_remaining"]),
        (&json!(60), &json!(3))
    );
    for left in [4, 3, 2, 1, 0] {
        let refused = problem(codes.check(&first, "123456").await, 422, "otp_incorrect").await;
        assert_eq!(refused["attempts_remaining"], left);
    }
    problem(codes.check(&first, CODE).await, 410, "otp_attempts_exhausted").await;

    let body = json!({"phone": NUMBER, "purpose": "other"});
    let request = || codes.app.post("/api/otp/send", &body).header("idempotency-key", "k");
    let sent = json_of(request().send().await.unwrap(), 202).await;
    assert_eq!(json_of(request().send().await.unwrap(), 202).await, sent);
    assert_eq!(json_of(codes.cancel(&sent).await, 200).await["session_id"], Value::Null);
    let late = codes.send(&json!({"phone": NUMBER, "purpose": "late"})).await;
    codes.pass(301);
    codes.sweep().await;
    assert_eq!(codes.find(&late).await["status"], "expired");

    let no_text = json!({"phone": NUMBER, "template": "mine"});
    fault(codes.ask(&no_text).await, "/template", "unknown_value").await;
}

/// Nothing goes out: nothing is missed, nothing counts, and nobody is reported.
#[tokio::test]
async fn otp_18_what_is_not_sent_is_counted_nowhere() {
    let configure = |config: &mut OtpConfig| {
        numbers(config);
        config.per_phone = Rate::hourly(1);
        config.per_prefix = Rate::hourly(3);
        (config.guard_after, config.guard_percent) = (2, 50);
    };
    let codes = Codes::with(configure).await;
    for purpose in ["a", "b", "c", "d"] {
        codes.send(&json!({"phone": NUMBER, "purpose": purpose})).await;
    }
    // A neighbour's own code is the first that the limits and the guard see.
    let (real, _) = codes.send_to("+15550100002").await;
    assert_eq!(
        (&real["test"], &real["session_id"]),
        (&json!(false), &json!(codes.session))
    );
    codes.until_attempt(&real, "sent").await;
    codes.pass(21);
    codes.sweep().await;
    let events = codes.until_told(&["otp.created", "otp.undelivered"]).await;
    let ids = |kind: &str| -> Vec<String> {
        let told = events.iter().filter(|event| event["type"] == kind);
        told.map(|event| text(&event["data"]["otp_id"])).collect()
    };
    assert_eq!(ids("otp.undelivered"), [text(&real["id"])]);
    assert_eq!(ids("otp.created").len(), 5);
    let of_tests = events.iter().filter(|event| event["data"]["phone"] == NUMBER);
    for event in of_tests {
        assert_eq!(event["data"]["session_id"], Value::Null, "{event}");
        assert!(!event.to_string().contains(CODE), "{event}");
    }
    let counted = stats(&codes.app).await;
    assert_eq!(
        (&counted["total"]["created"], &counted["total"]["sends"]),
        (&json!(1), &json!(1))
    );

    // The guard holds back what goes to real neighbours, and no test.
    codes.send_to("+15550100003").await;
    problem(codes.ask(&json!({"phone": "+15550100004"})).await, 429, "otp_blocked").await;
    codes.send(&json!({"phone": NUMBER, "purpose": "e"})).await;
}

/// From that moment on, whatever was sent before it: what everybody may know lets nobody in.
#[tokio::test]
async fn otp_18_a_test_number_is_an_ordinary_one_after_its_end() {
    let until = SystemEdges.now() + Duration::from_secs(120);
    let configure = |config: &mut OtpConfig| {
        numbers(config);
        config.test_numbers = config.test_numbers.clone().until(Some(until));
    };
    let codes = Codes::with(configure).await;
    let body = json!({"phone": NUMBER, "ttl": 600});
    let before = codes.send(&body).await;
    assert_eq!(
        (&before["test"], &before["expires_at"]),
        (&json!(true), &json!(until.to_string())),
        "{before}"
    );
    codes.pass(121);
    problem(codes.check(&before, CODE).await, 410, "otp_expired").await;
    let (after, code) = codes.send_and_read(&body).await;
    assert_ne!(after["id"], before["id"]);
    assert_eq!(
        (&after["test"], &after["session_id"]),
        (&json!(false), &json!(codes.session))
    );
    assert_eq!((code.len(), &after["length"]), (6, &json!(6)));
    problem(codes.check(&after, CODE).await, 422, "otp_incorrect").await;
    json_of(codes.check(&after, &code).await, 200).await;
}

/// Nothing of a session is in it: it is for the key that made it, and for those that are limited to nothing.
#[tokio::test]
async fn otp_18_a_limited_key_knows_of_its_own_test_numbers_only() {
    let codes = Codes::with(numbers).await;
    let limited = async || {
        let allowed = vec![codes.app.session().await.parse().unwrap()];
        let workspace = codes.app.workspace;
        codes.app.key_with(workspace, |key| key.sessions = Some(allowed)).await
    };
    let (key, other) = (limited().await, limited().await);
    let body = json!({"phone": NUMBER, "metadata": {"user": 7}});
    let sent = json_of(codes.post_as(&key, "/api/otp/send", &body).await, 202).await;
    let (real, _) = codes.send_to(&phone(0)).await;
    codes.send(&json!({"phone": NUMBER, "purpose": "admin"})).await;
    let ids = async |key: &str| -> Vec<Value> {
        let list = json_of(codes.get_as(key, "/api/otp").await, 200).await;
        list["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["id"].clone())
            .collect()
    };
    assert_eq!(ids(&key).await, [sent["id"].clone()]);
    assert_eq!(ids(&other).await, [] as [Value; 0]);
    let check = json!({"id": sent["id"], "code": CODE});
    for refused in [
        codes.get_as(&other, &path_of(&sent)).await,
        codes.get_as(&key, &path_of(&real)).await,
        codes
            .post_as(&other, &format!("{}/cancel", path_of(&sent)), &json!({}))
            .await,
        codes.post_as(&other, "/api/otp/verify", &check).await,
    ] {
        problem(refused, 404, "otp_not_found").await;
    }
    codes.pass(30);
    let theirs = codes.post_as(&other, "/api/otp/send", &body).await;
    problem(theirs, 409, "session_unavailable").await;
    let again = json_of(codes.post_as(&key, "/api/otp/send", &body).await, 202).await;
    assert_eq!((&again["id"], &again["resent"]), (&sent["id"], &json!(true)));
    assert_eq!(codes.find(&sent).await["attempts_remaining"], 5);
    let found = json_of(codes.get_as(&key, &path_of(&sent)).await, 200).await;
    assert_eq!(
        (&found["test"], &found["metadata"]),
        (&json!(true), &json!({"user": 7}))
    );
    json_of(codes.post_as(&key, "/api/otp/verify", &check).await, 200).await;
}
