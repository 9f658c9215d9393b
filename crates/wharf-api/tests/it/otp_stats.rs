//! Statistics of one-time passwords, and the countries that they may go to.

use reqwest::Method;
use serde_json::{Value, json};
use wharf_model::Clock as _;
use wharf_otp::Countries;
use wharf_storage::sessions::{self, Fence, SessionProfile};
use wharf_storage::{Queue, StorageError};

use crate::app::{App, json_of, problem, session_id};
use crate::otp::{Codes, phone, wrong};

const GERMAN: &str = "+4915112345678";

async fn stats(codes: &Codes, query: &str) -> Value {
    let answer = codes.app.get(&format!("/api/otp/stats?{query}")).send().await.unwrap();
    json_of(answer, 200).await
}

async fn stats_as(codes: &Codes, key: &str) -> Value {
    json_of(codes.get_as(key, "/api/otp/stats").await, 200).await
}

/// What a part of the numbers has besides its name.
fn counts(part: &Value, name: &str) -> Value {
    let mut counts = part.clone();
    counts.as_object_mut().unwrap().remove(name).unwrap();
    counts
}

/// Sends a code and waits until WhatsApp has it.
async fn send(codes: &Codes, body: &Value) -> (Value, String) {
    let (sent, code) = codes.send_and_read(body).await;
    codes.until_attempt(&sent, "sent").await;
    (sent, code)
}

/// One of each end, and a code that was sent twice.
async fn some_of_each(codes: &Codes) {
    let (approved, right) = send(codes, &json!({"phone": phone(0)})).await;
    codes.deliver(&approved).await;
    json_of(codes.check(&approved, &right).await, 200).await;
    let (failed, missed) = send(codes, &json!({"phone": phone(1)})).await;
    for _ in 0..5 {
        problem(codes.check(&failed, &wrong(&missed)).await, 422, "otp_incorrect").await;
    }
    let (cancelled, _) = send(codes, &json!({"phone": phone(2), "purpose": "login"})).await;
    json_of(codes.cancel(&cancelled).await, 200).await;
    let (first, _) = send(codes, &json!({"phone": phone(3)})).await;
    codes.pass(30);
    let (second, _) = send(codes, &json!({"phone": phone(3)})).await;
    assert_eq!(first["id"], second["id"]);
    codes.pass(301);
    codes.sweep().await;
}

#[tokio::test]
async fn each_end_is_counted_once_and_stays_counted() {
    let codes = Codes::new().await;
    some_of_each(&codes).await;
    // Days later the verifications are gone.
    codes.pass(3 * 24 * 60 * 60);
    codes.sweep().await;
    let found = stats(&codes, "").await;
    let total = json!({
        "created": 4, "sends": 5, "sent": 5, "delivered": 1, "read": 0,
        "approved": 1, "expired": 1, "failed": 1, "cancelled": 1, "conversion": 0.25,
    });
    assert_eq!(found["total"], total, "{found}");
    let at_once = json!({"p50_ms": 100, "p90_ms": 100, "p99_ms": 100});
    assert_eq!(found["latency"], json!({"delivered": at_once, "approved": at_once}));
    for (list, name, value) in [
        ("by_country", "country", json!("US")),
        ("by_session", "session_id", json!(codes.session)),
    ] {
        assert_eq!(found[list][0][name], value, "{found}");
        assert_eq!(counts(&found[list][0], name), total);
        assert_eq!(found[list].as_array().unwrap().len(), 1);
    }
    let login = json!({
        "purpose": "login",
        "created": 1, "sends": 1, "sent": 1, "delivered": 0, "read": 0,
        "approved": 0, "expired": 0, "failed": 0, "cancelled": 1, "conversion": 0.0,
    });
    assert_eq!(found["by_purpose"][0], login);
    let verify = &found["by_purpose"][1];
    assert_eq!(
        (&verify["created"], &verify["conversion"]),
        (&json!(3), &json!(0.3333)),
        "{found}"
    );
    assert_eq!(found["by_day"].as_array().unwrap().len(), 1);

    let day = found["by_day"][0]["day"].as_str().unwrap();
    let of_day = stats(&codes, &format!("from={day}&to={day}")).await;
    assert_eq!((&of_day["total"], &of_day["from"]), (&total, &json!(day)));
    let before = stats(&codes, "from=2020-02-01&to=2020-02-29").await;
    assert_eq!(
        (&before["total"]["created"], &before["by_day"]),
        (&json!(0), &json!([]))
    );
}

#[tokio::test]
async fn numbers_are_for_those_whose_they_are() {
    let codes = Codes::new().await;
    send(&codes, &json!({"phone": phone(0)})).await;
    let stranger = stats_as(&codes, &codes.app.stranger().await).await;
    let nothing = json!({
        "created": 0, "sends": 0, "sent": 0, "delivered": 0, "read": 0,
        "approved": 0, "expired": 0, "failed": 0, "cancelled": 0, "conversion": null,
    });
    assert_eq!(stranger["total"], nothing);
    let never = json!({"p50_ms": null, "p90_ms": null, "p99_ms": null});
    assert_eq!(stranger["latency"], json!({"delivered": never, "approved": never}));
    for list in ["by_country", "by_purpose", "by_session", "by_day"] {
        assert_eq!(stranger[list], json!([]), "{list}");
    }

    for (session, created) in [(codes.session.clone(), 1), (codes.app.session().await, 0)] {
        let allowed = vec![session.parse().unwrap()];
        let workspace = codes.app.workspace;
        let key = codes.app.key_with(workspace, |key| key.sessions = Some(allowed)).await;
        let seen = stats_as(&codes, &key).await;
        assert_eq!(
            (&seen["total"]["created"], &seen["latency"]),
            (&json!(created), &Value::Null),
            "{seen}"
        );
    }
}

#[tokio::test]
async fn days_that_cannot_be_are_refused() {
    let codes = Codes::new().await;
    stats(&codes, "from=2024-01-01&to=2024-12-31").await;
    for query in [
        "from=2026-02-30",
        "from=yesterday1",
        "to=2026-1-1",
        "from=2026-02-02&to=2026-02-01",
        "from=2024-01-01&to=2025-01-01",
        "day=2026-02-01",
    ] {
        let refused = codes.app.get(&format!("/api/otp/stats?{query}")).send().await.unwrap();
        problem(refused, 400, "invalid_query").await;
    }
}

/// OTP-13: the countries of the workspace's own sessions, unless the operator names more.
#[tokio::test]
async fn a_code_goes_to_the_sessions_own_country_only() {
    let codes = Codes::new().await;
    let refused = codes.ask(&json!({"phone": GERMAN})).await;
    let refused = problem(refused, 403, "otp_country_not_allowed").await;
    assert!(refused["detail"].as_str().unwrap().contains("DE"), "{refused}");
    // Of no country at all.
    let refused = codes.ask(&json!({"phone": "+9991234567"})).await;
    problem(refused, 403, "otp_country_not_allowed").await;
    let found = stats(&codes, "").await;
    assert_eq!(
        (&found["total"]["created"], &found["by_country"]),
        (&json!(0), &json!([]))
    );
    let listed = codes.app.get("/api/otp").send().await.unwrap();
    assert_eq!(json_of(listed, 200).await["data"], json!([]));
}

/// OTP-13.
#[tokio::test]
async fn a_code_goes_where_the_operator_lets_it_go() {
    for countries in ["*", "FR,DE"] {
        let countries: Countries = countries.parse().unwrap();
        let codes = Codes::with(|config| config.countries = countries).await;
        codes.send(&json!({"phone": GERMAN})).await;
        codes.send(&json!({"phone": phone(0)})).await;
        let found = stats(&codes, "").await;
        let shown = found["by_country"].as_array().unwrap().iter();
        let shown: Vec<&Value> = shown.map(|part| &part["country"]).collect();
        assert_eq!(shown, [&json!("DE"), &json!("US")]);
    }
}

/// OTP-13: a session counts from five seconds after it was linked, and no more a minute after it was unlinked or deleted.
#[tokio::test]
async fn a_country_comes_and_goes_with_its_sessions() {
    let codes = Codes::new().await;
    let ask = async |number: u32| codes.ask(&json!({"phone": format!("+49151{number:03}45678")})).await;
    problem(ask(0).await, 403, "otp_country_not_allowed").await;
    for (number, method, rest) in [(0, Method::DELETE, ""), (10, Method::POST, "/logout")] {
        let (session, _client) = codes.app.ready_as("4915199999999").await;
        codes.pass(5);
        json_of(ask(number + 1).await, 202).await;
        let path = format!("/api/sessions/{session}{rest}");
        let ended = codes.app.request(method, &path).send().await.unwrap();
        assert!(ended.status().is_success(), "{path}");
        codes.pass(59);
        json_of(ask(number + 2).await, 202).await;
        codes.pass(1);
        problem(ask(number + 3).await, 403, "otp_country_not_allowed").await;
    }
    codes.send(&json!({"phone": phone(0)})).await;
}

/// Puts the profile of one session into the row of another, where nobody can open it.
async fn break_profile(app: &App, session: &str, other: &str) {
    let (workspace, id, now) = (app.workspace, session_id(session), app.clock.now());
    let keys = app.storage.session_keys(session_id(other)).await.unwrap();
    let foreign = SessionProfile::default().seal(&keys).unwrap();
    let broken = app.storage.write(Queue::Normal, move |tx| {
        Box::pin(async move {
            let row = sessions::get(tx, workspace, id).await?;
            let epoch = row.ok_or(StorageError::NotFound("session"))?.epoch;
            let fence = Fence { session: id, epoch };
            sessions::set_profile(tx, &fence, Some(&foreign), now).await
        })
    });
    broken.await.unwrap();
}

#[tokio::test]
async fn a_profile_that_cannot_be_opened_keeps_no_other_session_from_sending() {
    let codes = Codes::new().await;
    let (broken, _client) = codes.app.ready_as("4915199999999").await;
    break_profile(&codes.app, &broken, &codes.session).await;
    codes.send(&json!({"phone": phone(0)})).await;
    problem(
        codes.ask(&json!({"phone": GERMAN})).await,
        403,
        "otp_country_not_allowed",
    )
    .await;
}
