//! One-time passwords. Each test says which requirements of the services brief, section 1.2, it proves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use wharf_api::Scope;
use wharf_model::{Clock as _, Content};
use wharf_otp::{Countries, OtpConfig, Rate};
use wharf_session::port::{ClientEvent, OutboundMessage, ReceiptKind};

use crate::app::{App, json_of, problem, text};
use crate::script::ScriptedClient;

const PHONE: &str = "+15550100000";
/// An id of a verification that nobody made.
const UNKNOWN: &str = "otp_06bkrxzq3sx4h7e0p9c2d5t8vw";
const DAY: u64 = 24 * 60 * 60;

/// A server with one session that is ready to send, and a clock that only the test moves.
pub struct Codes {
    pub app: App,
    pub session: String,
    client: Arc<ScriptedClient>,
}

impl Codes {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(configure: impl FnOnce(&mut OtpConfig)) -> Self {
        let app = App::with_codes(configure).await;
        let (session, client) = app.ready().await;
        app.clock.stop();
        Self { app, session, client }
    }

    pub fn pass(&self, seconds: u64) {
        self.app.clock.advance(Duration::from_secs(seconds));
    }

    pub async fn sweep(&self) {
        self.app.verifications.sweep_now().await.unwrap();
    }

    pub async fn ask(&self, body: &Value) -> Response {
        self.app.post("/api/otp/send", body).send().await.unwrap()
    }

    pub async fn send(&self, body: &Value) -> Value {
        json_of(self.ask(body).await, 202).await
    }

    /// Sends a code and reads it on the phone.
    pub async fn send_and_read(&self, body: &Value) -> (Value, String) {
        let sent = self.send(body).await;
        let code = self.read(&sent).await;
        (sent, code)
    }

    pub async fn send_to(&self, phone: &str) -> (Value, String) {
        self.send_and_read(&json!({ "phone": phone })).await
    }

    async fn try_code(&self, body: &Value) -> Response {
        self.app.post("/api/otp/verify", body).send().await.unwrap()
    }

    pub async fn check(&self, sent: &Value, code: &str) -> Response {
        self.try_code(&json!({"id": sent["id"], "code": code})).await
    }

    pub async fn cancel(&self, sent: &Value) -> Response {
        let path = format!("{}/cancel", path_of(sent));
        self.app.request(Method::POST, &path).send().await.unwrap()
    }

    pub async fn find(&self, sent: &Value) -> Value {
        json_of(self.app.get(&path_of(sent)).send().await.unwrap(), 200).await
    }

    /// The last message of a verification, as it is stored.
    pub async fn stored(&self, sent: &Value) -> Value {
        let attempt = sent["send_attempts"].as_array().unwrap().last().unwrap();
        let path = format!("/api/messages/{}", text(&attempt["message_id"]));
        json_of(self.app.get(&path).send().await.unwrap(), 200).await
    }

    /// The same as the phone gets it.
    async fn message(&self, sent: &Value) -> OutboundMessage {
        let id = text(&self.stored(sent).await["whatsapp_message_id"]);
        within("the message", self.client.sent_as(&id)).await
    }

    /// What the phone shows.
    pub async fn said(&self, sent: &Value) -> String {
        let Content::Text(said) = self.message(sent).await.content else {
            panic!("a code comes as a text");
        };
        said.body
    }

    /// The code, which is alone on its line.
    async fn read(&self, sent: &Value) -> String {
        let said = self.said(sent).await;
        let is_code = |line: &&str| line.len() >= 6 && line.bytes().all(|byte| byte.is_ascii_digit());
        let codes: Vec<&str> = said.lines().filter(is_code).collect();
        assert_eq!(codes.len(), 1, "{said}");
        codes[0].to_owned()
    }

    /// The phone says that it has the last message.
    pub async fn deliver(&self, sent: &Value) {
        let message = self.message(sent).await;
        self.client.emit(ClientEvent::Receipt {
            chat: message.to,
            whatsapp_ids: vec![message.whatsapp_id],
            kind: ReceiptKind::Delivered,
            at: self.app.clock.now(),
        });
        self.until_attempt(sent, "delivered").await;
    }

    /// Waits until the last message has come so far.
    pub async fn until_attempt(&self, sent: &Value, status: &str) -> Value {
        let mut changes = self.app.storage.changes();
        let waiting = async {
            loop {
                changes.borrow_and_update();
                let found = self.find(sent).await;
                let last = found["send_attempts"].as_array().unwrap().last().unwrap();
                if last["status"] == status {
                    return found;
                }
                changes.changed().await.unwrap();
            }
        };
        within(status, waiting).await
    }

    /// Waits until the log tells of all these, and gives every event about codes.
    pub async fn until_told(&self, kinds: &[&str]) -> Vec<Value> {
        let mut changes = self.app.storage.changes();
        let waiting = async {
            loop {
                changes.borrow_and_update();
                let page = self.app.get("/api/events?types=otp.*&limit=100").send().await.unwrap();
                let events = json_of(page, 200).await["data"].as_array().unwrap().clone();
                let is_told = |kind: &&str| events.iter().any(|event| event["type"] == **kind);
                if kinds.iter().all(is_told) {
                    return events;
                }
                changes.changed().await.unwrap();
            }
        };
        within("an event", waiting).await
    }

    /// Checks a code two hundred times at once; says how often which answer came.
    async fn check_at_once(&self, sent: &Value, code: &str) -> BTreeMap<String, usize> {
        let answers = join_all((0..200).map(|_| self.check(sent, code))).await;
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for answer in answers {
            let status = answer.status().as_u16();
            let body: Value = answer.json().await.unwrap();
            let outcome = body["code"].as_str().unwrap_or("approved");
            *counts.entry(format!("{status} {outcome}")).or_default() += 1;
        }
        counts
    }

    pub async fn post_as(&self, key: &str, path: &str, body: &Value) -> Response {
        let request = self.app.anonymous(Method::POST, path).bearer_auth(key);
        request.json(body).send().await.unwrap()
    }

    pub async fn get_as(&self, key: &str, path: &str) -> Response {
        let request = self.app.anonymous(Method::GET, path).bearer_auth(key);
        request.send().await.unwrap()
    }

    pub async fn listed(&self, query: &str) -> Value {
        let page = self.app.get(&format!("/api/otp?{query}")).send().await.unwrap();
        json_of(page, 200).await
    }
}

async fn within<T>(what: &str, waiting: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), waiting)
        .await
        .unwrap_or_else(|_| panic!("{what} never came"))
}

pub fn path_of(sent: &Value) -> String {
    format!("/api/otp/{}", text(&sent["id"]))
}

/// Phones of one country that are no neighbours.
pub fn phone(number: u32) -> String {
    format!("+1555{number:03}0000")
}

/// Another code of the same length.
pub fn wrong(code: &str) -> String {
    let (first, rest) = code.split_at(1);
    let other = if first == "0" { "1" } else { "0" };
    format!("{other}{rest}")
}

fn retry_after(answer: &Response) -> u64 {
    answer.headers()["retry-after"].to_str().unwrap().parse().unwrap()
}

/// A refusal for one field.
pub async fn fault(answer: Response, pointer: &str, code: &str) {
    let refused = problem(answer, 422, "validation_failed").await;
    let fault = &refused["errors"][0];
    assert_eq!(
        (&fault["pointer"], &fault["code"]),
        (&json!(pointer), &json!(code)),
        "{refused}"
    );
}

/// A refusal by a limit, which it names.
async fn limited_by(policy: &str, answer: Response) {
    assert!(answer.headers().contains_key("retry-after"));
    let refused = problem(answer, 429, "otp_rate_limited").await;
    let named = format!("`{policy}`");
    assert!(refused["detail"].as_str().unwrap().contains(&named), "{refused}");
}

fn without_request_id(mut problem: Value) -> Value {
    problem.as_object_mut().unwrap().remove("request_id");
    problem
}

/// OTP-1: six digits where nothing is said, up to ten on request; 4, 5 and 11 are refused.
#[tokio::test]
async fn a_code_has_six_to_ten_digits() {
    let codes = Codes::new().await;
    let (sent, code) = codes.send_to(PHONE).await;
    assert_eq!((&sent["length"], code.len()), (&json!(6), 6));
    let long = json!({"phone": PHONE, "purpose": "long", "length": 10});
    let (sent, code) = codes.send_and_read(&long).await;
    assert_eq!((&sent["length"], code.len()), (&json!(10), 10));
    for length in [4, 5, 11] {
        let body = json!({"phone": PHONE, "purpose": "other", "length": length});
        fault(codes.ask(&body).await, "/length", "out_of_range").await;
    }
}

/// OTP-1: a zero in front is sent, and wanted again.
#[tokio::test]
async fn a_zero_in_front_is_a_digit_like_others() {
    let codes = Codes::new().await;
    // One code of ten starts with a zero: that none of 300 does happens once in 50 million million runs.
    for number in 0..300 {
        let (sent, code) = codes.send_to(&phone(number)).await;
        if code.starts_with('0') {
            assert_eq!(code.len(), 6);
            json_of(codes.check(&sent, &code).await, 200).await;
            return;
        }
    }
    panic!("no code starts with a zero");
}

/// OTP-2: 60 to 600 seconds, 300 where nothing is said; 59 and 601 are refused.
#[tokio::test]
async fn a_code_lives_one_to_ten_minutes() {
    let codes = Codes::new().await;
    assert_eq!(codes.send(&json!({"phone": phone(0)})).await["expires_in"], 300);
    for (number, ttl) in [(1, 60), (2, 600)] {
        let sent = codes.send(&json!({"phone": phone(number), "ttl": ttl})).await;
        assert_eq!(sent["expires_in"], ttl);
    }
    for ttl in [59, 601] {
        let refused = codes.ask(&json!({"phone": PHONE, "ttl": ttl})).await;
        fault(refused, "/ttl", "out_of_range").await;
    }
}

/// OTP-2: good a second before the end, and not a second after it, by the server's clock alone.
#[tokio::test]
async fn a_code_ends_to_the_second() {
    let codes = Codes::new().await;
    let (early, right) = codes.send_and_read(&json!({"phone": phone(0), "ttl": 60})).await;
    let (late, too_late) = codes.send_and_read(&json!({"phone": phone(1), "ttl": 60})).await;
    codes.pass(59);
    json_of(codes.check(&early, &right).await, 200).await;
    codes.pass(2);
    let refused = problem(codes.check(&late, &too_late).await, 410, "otp_expired").await;
    assert_eq!(
        (&refused["verification_status"], &refused["expires_in"]),
        (&json!("expired"), &json!(0))
    );
}

/// OTP-5: the check is one atomic step. One test, so that the connections of both halves are the same.
#[tokio::test]
async fn of_two_hundred_checks_at_once_one_approves_or_five_count() {
    let codes = Codes::new().await;
    let (sent, code) = codes.send_to(&phone(0)).await;
    let counts = codes.check_at_once(&sent, &code).await;
    let wanted = [("200 approved".to_owned(), 1), ("409 otp_already_used".to_owned(), 199)];
    assert_eq!(counts, BTreeMap::from(wanted));

    let (sent, code) = codes.send_to(&phone(1)).await;
    let counts = codes.check_at_once(&sent, &wrong(&code)).await;
    let wanted = [
        ("410 otp_attempts_exhausted".to_owned(), 195),
        ("422 otp_incorrect".to_owned(), 5),
    ];
    assert_eq!(counts, BTreeMap::from(wanted));
    let found = codes.find(&sent).await;
    assert_eq!(found["status"], "max_attempts_reached");
    assert_eq!(found["checks"].as_array().unwrap().len(), 5);
}

/// OTP-6 and OTP-7: one verification of a phone and a purpose, a new code in it, each wait twice the one before, no new
/// attempts.
#[tokio::test]
async fn a_second_send_is_the_same_verification_with_another_code() {
    let codes = Codes::new().await;
    let (first, old) = codes.send_to(PHONE).await;
    assert_eq!((&first["resent"], &first["purpose"]), (&json!(false), &json!("verify")));
    problem(codes.check(&first, &wrong(&old)).await, 422, "otp_incorrect").await;
    let early = codes.ask(&json!({"phone": PHONE})).await;
    assert_eq!(retry_after(&early), 30);
    let early = problem(early, 429, "otp_resend_too_soon").await;
    assert_eq!(
        (&early["verification_id"], &early["next_send_in"]),
        (&first["id"], &json!(30))
    );

    codes.pass(30);
    let (second, new) = codes.send_to(PHONE).await;
    assert_eq!((&second["id"], &second["resent"]), (&first["id"], &json!(true)));
    assert_eq!(
        (&second["attempts_remaining"], &second["next_send_in"]),
        (&json!(4), &json!(60))
    );
    // The same digits come again once in a million runs.
    assert_ne!(new, old);
    problem(codes.check(&second, &old).await, 422, "otp_incorrect").await;

    codes.pass(59);
    let early = codes.ask(&json!({"phone": PHONE})).await;
    assert_eq!(retry_after(&early), 1);
    problem(early, 429, "otp_resend_too_soon").await;
    codes.pass(1);
    let (third, last) = codes.send_to(PHONE).await;
    assert_eq!(
        (&third["attempts_remaining"], &third["next_send_in"]),
        (&json!(3), &json!(120))
    );
    assert_eq!(third["send_attempts"].as_array().unwrap().len(), 3);
    json_of(codes.check(&third, &last).await, 200).await;
}

/// OTP-6: five messages where the operator says nothing; here three.
#[tokio::test]
async fn a_verification_sends_so_many_messages_and_no_more() {
    let codes = Codes::with(|config| config.max_sends = 3).await;
    for (wait, left) in [(0, 2), (30, 1), (60, 0)] {
        codes.pass(wait);
        let (sent, _) = codes.send_to(PHONE).await;
        assert_eq!(sent["sends_remaining"], left);
    }
    codes.pass(120);
    let refused = codes.ask(&json!({"phone": PHONE})).await;
    let wait = retry_after(&refused);
    let refused = problem(refused, 429, "otp_max_sends_reached").await;
    assert_eq!(
        (&refused["expires_in"], &refused["sends_remaining"]),
        (&json!(wait), &json!(0))
    );
    codes.pass(wait);
    assert_eq!(codes.send(&json!({"phone": PHONE})).await["resent"], false);
}

/// OTP-8: by its id; by the phone only with a scope of its own.
#[tokio::test]
async fn a_check_by_phone_needs_its_own_scope() {
    let codes = Codes::new().await;
    let (sent, code) = codes.send_to(PHONE).await;
    let plain = codes.app.key(&[Scope::OtpSend, Scope::OtpVerify]).await;
    let by_phone = json!({"phone": PHONE, "code": code});
    let refused = codes.post_as(&plain, "/api/otp/verify", &by_phone).await;
    let refused = problem(refused, 403, "insufficient_scope").await;
    assert!(refused["detail"].as_str().unwrap().contains("otp:verify_by_phone"));
    let read = codes.get_as(&plain, &path_of(&sent)).await;
    problem(read, 403, "insufficient_scope").await;

    let trusted = codes.app.key(&[Scope::OtpVerify, Scope::OtpVerifyByPhone]).await;
    let elsewhere = json!({"phone": PHONE, "purpose": "other", "code": code});
    let refused = codes.post_as(&trusted, "/api/otp/verify", &elsewhere).await;
    problem(refused, 404, "otp_not_found").await;
    let approved = codes.post_as(&trusted, "/api/otp/verify", &by_phone).await;
    assert_eq!(json_of(approved, 200).await["id"], sent["id"]);
    let send = codes.post_as(&trusted, "/api/otp/send", &json!({"phone": PHONE})).await;
    problem(send, 403, "insufficient_scope").await;
}

/// OTP-9: success for the right code alone; each refusal by a status of its own, with `attempts_remaining`.
#[tokio::test]
async fn every_refusal_has_its_status_and_says_how_many_attempts_are_left() {
    let codes = Codes::new().await;
    let (used, right) = codes.send_to(&phone(0)).await;
    let refused = problem(codes.check(&used, &wrong(&right)).await, 422, "otp_incorrect").await;
    assert_eq!(refused["attempts_remaining"], 4);
    json_of(codes.check(&used, &right).await, 200).await;
    let refused = problem(codes.check(&used, &right).await, 409, "otp_already_used").await;
    assert_eq!(refused["attempts_remaining"], 0);

    let (exhausted, right) = codes.send_to(&phone(1)).await;
    for left in [4, 3, 2, 1, 0] {
        let refused = codes.check(&exhausted, &wrong(&right)).await;
        let refused = problem(refused, 422, "otp_incorrect").await;
        assert_eq!(refused["attempts_remaining"], left);
    }
    let (cancelled, never_used) = codes.send_to(&phone(2)).await;
    assert_eq!(
        json_of(codes.cancel(&cancelled).await, 200).await["status"],
        "cancelled"
    );
    let (expired, late) = codes.send_to(&phone(3)).await;
    codes.pass(301);
    for (sent, code, outcome, status) in [
        (&exhausted, &right, "otp_attempts_exhausted", "max_attempts_reached"),
        (&cancelled, &never_used, "otp_cancelled", "cancelled"),
        (&expired, &late, "otp_expired", "expired"),
    ] {
        let refused = problem(codes.check(sent, code).await, 410, outcome).await;
        assert_eq!(
            (&refused["attempts_remaining"], &refused["verification_status"]),
            (&json!(0), &json!(status))
        );
        assert_eq!(refused["verification_id"], sent["id"]);
    }
}

/// OTP-10: what is finished can be read with all its steps for a day, and then is as if it had never been.
#[tokio::test]
async fn a_finished_verification_can_be_read_for_a_day() {
    let codes = Codes::new().await;
    let (sent, code) = codes.send_to(PHONE).await;
    codes.check(&sent, &wrong(&code)).await;
    codes.check(&sent, &code).await;
    codes.until_attempt(&sent, "sent").await;
    codes.pass(DAY - 1);
    codes.sweep().await;
    let found = codes.find(&sent).await;
    assert_eq!(found["status"], "approved");
    assert!(found["approved_at"].is_string() && found["approved_at"] == found["finished_at"]);
    let results = found["checks"].as_array().unwrap().iter();
    let results: Vec<&Value> = results.map(|check| &check["result"]).collect();
    assert_eq!(results, ["incorrect", "approved"]);
    assert_eq!(found["send_attempts"].as_array().unwrap().len(), 1);
    codes.pass(2);
    codes.sweep().await;
    let gone = codes.app.get(&path_of(&sent)).send().await.unwrap();
    problem(gone, 404, "otp_not_found").await;
    problem(codes.check(&sent, &code).await, 404, "otp_not_found").await;
}

/// OTP-11: whoever lost the answer asks again with the same key within a minute; anybody else is told that it was used.
#[tokio::test]
async fn an_approval_is_repeated_for_a_minute_and_for_its_key_only() {
    let codes = Codes::new().await;
    let (sent, code) = codes.send_to(PHONE).await;
    let body = json!({"id": sent["id"], "code": code});
    let request = || codes.app.post("/api/otp/verify", &body).header("idempotency-key", "k");
    let approved = json_of(request().send().await.unwrap(), 200).await;
    problem(codes.check(&sent, &code).await, 409, "otp_already_used").await;
    codes.pass(59);
    let again = request().send().await.unwrap();
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    assert_eq!(json_of(again, 200).await, approved);
    codes.pass(2);
    problem(request().send().await.unwrap(), 409, "otp_already_used").await;
}

/// The same key sends once, however often it is asked.
#[tokio::test]
async fn a_send_under_one_key_has_one_effect() {
    let codes = Codes::new().await;
    let body = json!({"phone": PHONE, "metadata": {"user": 7}});
    let request = || codes.app.post("/api/otp/send", &body).header("idempotency-key", "s");
    let first = json_of(request().send().await.unwrap(), 202).await;
    codes.pass(30);
    let again = request().send().await.unwrap();
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    assert_eq!(json_of(again, 202).await, first);
    let found = codes.find(&first).await;
    assert_eq!(found["send_attempts"].as_array().unwrap().len(), 1);
    let code = codes.read(&first).await;
    let approved = json_of(codes.check(&first, &code).await, 200).await;
    assert_eq!(approved["metadata"], json!({"user": 7}));
}

/// OTP-12: the server tells all waits, in answers and in refusals.
#[tokio::test]
async fn clients_need_no_times_of_their_own() {
    let codes = Codes::new().await;
    let (sent, code) = codes.send_to(PHONE).await;
    let waits = |body: &Value| ["expires_in", "next_send_in", "next_check_in"].map(|name| body[name].clone());
    assert_eq!(waits(&sent), [json!(300), json!(30), json!(0)]);
    assert_eq!(
        (&sent["attempts_remaining"], &sent["sends_remaining"]),
        (&json!(5), &json!(4))
    );
    codes.pass(10);
    assert_eq!(waits(&codes.find(&sent).await), [json!(290), json!(20), json!(0)]);
    let refused = problem(codes.check(&sent, &wrong(&code)).await, 422, "otp_incorrect").await;
    assert_eq!(waits(&refused), [json!(290), json!(20), json!(0)]);
    // Rounded up: whoever waits so long has waited long enough.
    codes.app.clock.advance(Duration::from_millis(1));
    assert_eq!(waits(&codes.find(&sent).await), [json!(290), json!(20), json!(0)]);
}

/// OTP-13: five codes to one phone in an hour, ten in a day.
#[tokio::test]
async fn a_phone_gets_so_many_codes_in_an_hour_and_in_a_day() {
    let codes = Codes::new().await;
    for hour in 0..2 {
        for number in 0..5 {
            let purpose = format!("p{hour}-{number}");
            codes.send(&json!({"phone": PHONE, "purpose": purpose})).await;
        }
        let refused = codes.ask(&json!({"phone": PHONE, "purpose": "more"})).await;
        assert_eq!(retry_after(&refused), 3600);
        limited_by("otp_phone", refused).await;
        codes.pass(3601);
    }
    let refused = codes.ask(&json!({"phone": PHONE, "purpose": "more"})).await;
    limited_by("otp_phone_daily", refused).await;
    codes.send(&json!({"phone": phone(1)})).await;
}

/// OTP-13: neighbours in numbers are counted together.
#[tokio::test]
async fn neighbouring_phones_share_a_limit() {
    let codes = Codes::with(|config| config.per_prefix = Rate::hourly(3)).await;
    for last in 0..3 {
        codes.send(&json!({"phone": format!("+1555010000{last}")})).await;
    }
    let refused = codes.ask(&json!({"phone": "+15550109999"})).await;
    limited_by("otp_prefix", refused).await;
    codes.send(&json!({"phone": "+15550110000"})).await;
}

/// OTP-13: end users are counted by the address that the caller names; whoever has an IPv6 network has one address.
#[tokio::test]
async fn an_end_users_address_has_a_limit() {
    let codes = Codes::with(|config| config.per_client = Rate::hourly(2)).await;
    for (first, second, third) in [
        ("203.0.113.7", "203.0.113.7", "::ffff:203.0.113.7"),
        ("2001:db8::1", "2001:db8::2", "2001:db8::ffff:1"),
    ] {
        let offset = if first.contains(':') { 10 } else { 0 };
        for (number, address) in [(offset, first), (offset + 1, second)] {
            let body = json!({"phone": phone(number), "client_ip": address});
            codes.send(&body).await;
        }
        let more = json!({"phone": phone(offset + 2), "client_ip": third});
        limited_by("otp_client", codes.ask(&more).await).await;
    }
    let other = json!({"phone": phone(20), "client_ip": "203.0.113.8"});
    codes.send(&other).await;
}

/// OTP-13: where the operator sets such limits.
#[tokio::test]
async fn keys_and_sessions_have_limits_where_they_are_set() {
    let codes = Codes::with(|config| config.per_key = Rate::hourly(1)).await;
    let key = codes.app.key(&[Scope::OtpSend]).await;
    let ask = async |phone: &str| codes.post_as(&key, "/api/otp/send", &json!({ "phone": phone })).await;
    json_of(ask("+15550100001").await, 202).await;
    limited_by("otp_key", ask("+15550200002").await).await;
    codes.send_to("+15550200002").await;

    let codes = Codes::with(|config| config.per_session = Rate::hourly(1)).await;
    codes.send_to("+15550100001").await;
    limited_by("otp_session", codes.ask(&json!({"phone": "+15550200002"})).await).await;
}

/// OTP-14: codes that nobody uses go to strangers. It is told once, and over when they are an hour old.
#[tokio::test]
async fn codes_that_nobody_uses_stop_going_out() {
    let codes = Codes::with(|config| (config.guard_after, config.guard_percent) = (4, 50)).await;
    for last in 0..3 {
        codes.send_to(&format!("+1555010000{last}")).await;
    }
    let (sent, code) = codes.send_to("+15550100003").await;
    json_of(codes.check(&sent, &code).await, 200).await;
    for _ in 0..3 {
        let refused = codes.ask(&json!({"phone": "+15550100004"})).await;
        let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=3600).contains(&wait), "{wait} s");
        problem(refused, 429, "otp_blocked").await;
    }
    codes.send_to("+15550200004").await;
    let told = codes.until_told(&["otp.blocked"]).await;
    let blocked: Vec<_> = told.iter().filter(|event| event["type"] == "otp.blocked").collect();
    assert_eq!(blocked.len(), 1, "{told:?}");
    assert_eq!(
        (&blocked[0]["data"]["reason"], &blocked[0]["data"]["prefix"]),
        (&json!("low_conversion"), &json!("+1555010"))
    );
    codes.pass(3600);
    codes.send_to("+15550100004").await;
}

/// OTP-14: whoever guesses a little at every verification of a phone.
#[tokio::test]
async fn a_phone_for_which_only_wrong_codes_come_is_locked() {
    let codes = Codes::with(|config| config.max_failures = 3).await;
    let for_purpose = |purpose: &str| json!({"phone": PHONE, "purpose": purpose});
    let miss = async |purpose: &str| {
        let (sent, code) = codes.send_and_read(&for_purpose(purpose)).await;
        problem(codes.check(&sent, &wrong(&code)).await, 422, "otp_incorrect").await;
        (sent, code)
    };
    miss("one").await;
    let (sent, code) = miss("two").await;
    json_of(codes.check(&sent, &code).await, 200).await;
    for purpose in ["three", "four"] {
        miss(purpose).await;
    }
    codes.pass(3600);
    let (sent, code) = miss("five").await;
    let refused = codes.ask(&for_purpose("six")).await;
    problem(refused, 409, "otp_locked").await;
    let unlock = async || {
        let unlocked = codes.app.post("/api/otp/unlock", &json!({ "phone": PHONE }));
        json_of(unlocked.send().await.unwrap(), 200).await["unlocked"].clone()
    };
    assert_eq!((unlock().await, unlock().await), (json!(true), json!(false)));
    codes.send(&for_purpose("six")).await;
    json_of(codes.check(&sent, &code).await, 200).await;
}

/// OTP-15: another workspace's id and an id that nobody has are told apart by nothing.
#[tokio::test]
async fn a_strangers_id_is_as_unknown_as_any() {
    let codes = Codes::new().await;
    let (sent, code) = codes.send_to(PHONE).await;
    let stranger = codes.app.stranger().await;
    let unknown = json!({ "id": UNKNOWN });
    let mut told = Vec::new();
    for body in [&sent, &unknown] {
        let check = json!({"id": body["id"], "code": code});
        let cancel = format!("{}/cancel", path_of(body));
        let answers = [
            codes.get_as(&stranger, &path_of(body)).await,
            codes.post_as(&stranger, "/api/otp/verify", &check).await,
            codes.post_as(&stranger, &cancel, &json!({})).await,
        ];
        for answer in answers {
            told.push(without_request_id(problem(answer, 404, "otp_not_found").await));
        }
    }
    assert!(told.iter().all(|problem| *problem == told[0]), "{told:?}");
    for id in ["x", "%00", "%ff%fe", "msg_06bkrxzq3sx4h7e0p9c2d5t8vw"] {
        let refused = codes.app.get(&format!("/api/otp/{id}")).send().await.unwrap();
        problem(refused, 404, "otp_not_found").await;
    }
    json_of(codes.check(&sent, &code).await, 200).await;
}

/// OTP-17: how far each message has come stands in the verification.
#[tokio::test]
async fn the_messages_of_a_verification_tell_how_far_they_came() {
    let codes = Codes::new().await;
    let sent = codes.send(&json!({"phone": PHONE})).await;
    let attempt = &sent["send_attempts"][0];
    assert_eq!(
        (&attempt["n"], &attempt["session_id"], &attempt["status"]),
        (&json!(1), &json!(codes.session), &json!("queued"))
    );
    codes.until_attempt(&sent, "sent").await;
    codes.deliver(&sent).await;
    let events = codes.until_told(&["otp.created", "otp.sent", "otp.delivered"]).await;
    assert!(events.iter().all(|event| event["session_id"] == codes.session.as_str()));
}

/// OTP-17: after 20 seconds without a receipt whoever listens can try another way.
#[tokio::test]
async fn a_message_without_a_receipt_is_told_of() {
    let codes = Codes::new().await;
    let (quiet, _) = codes.send_to(&phone(0)).await;
    let (heard, _) = codes.send_to(&phone(1)).await;
    codes.until_attempt(&quiet, "sent").await;
    codes.deliver(&heard).await;
    codes.pass(21);
    codes.sweep().await;
    let events = codes.until_told(&["otp.undelivered"]).await;
    let undelivered: Vec<&Value> = events
        .iter()
        .filter(|event| event["type"] == "otp.undelivered")
        .map(|event| &event["data"]["otp_id"])
        .collect();
    assert_eq!(undelivered, [&quiet["id"]]);
}

/// A named session sends, or nobody does.
#[tokio::test]
async fn a_session_that_is_not_connected_sends_no_code() {
    let app = App::new().await;
    let session = app.session().await;
    for body in [json!({"phone": PHONE, "session_id": session}), json!({"phone": PHONE})] {
        let refused = app.post("/api/otp/send", &body).send().await.unwrap();
        problem(refused, 409, "session_unavailable").await;
    }
    let nobody = json!({"phone": PHONE, "session_id": "ses_06bkrxzq3sx4h7e0p9c2d5t8vw"});
    let refused = app.post("/api/otp/send", &nobody).send().await.unwrap();
    problem(refused, 404, "session_not_found").await;

    let codes = Codes::new().await;
    let other = codes.app.session().await;
    let named = codes.ask(&json!({"phone": PHONE, "session_id": other})).await;
    problem(named, 409, "session_unavailable").await;
    let named = json!({"phone": PHONE, "session_id": codes.session});
    assert_eq!(codes.send(&named).await["session_id"], codes.session.as_str());
}

/// A message with a code shows which text it is, and never what it says.
#[tokio::test]
async fn a_message_shows_its_wording_instead_of_its_code() {
    let codes = Codes::new().await;
    let body = json!({"phone": PHONE, "length": 10, "locale": "es"});
    let (sent, code) = codes.send_and_read(&body).await;
    let stored = codes.stored(&sent).await;
    assert_eq!(stored["lane"], "otp");
    assert_eq!(stored["otp"], json!({"template": "default", "locale": "es"}));
    assert!(
        stored.get("text").is_none() && !stored.to_string().contains(&code),
        "{stored}"
    );
    let list = json_of(codes.app.get("/api/messages").send().await.unwrap(), 200).await;
    assert!(!list.to_string().contains(&code), "{list}");
    let session = codes.session.as_str();
    let plain = codes.app.send(session, "no code").await;
    assert!(plain.get("otp").is_none(), "{plain}");
}

/// OTP-4, as far as clients can look: no event and no answer holds a code, whatever became of it.
#[tokio::test]
async fn no_event_and_no_answer_holds_a_code() {
    let codes = Codes::new().await;
    let mut sent = Vec::new();
    for number in 0..4 {
        let body = json!({"phone": phone(number), "length": 10});
        sent.push(codes.send_and_read(&body).await);
    }
    let [(approved, right), (failed, missed), (cancelled, _), (expired, _)] = &sent[..] else {
        panic!("four were sent");
    };
    codes.deliver(approved).await;
    json_of(codes.check(approved, right).await, 200).await;
    for _ in 0..5 {
        problem(codes.check(failed, &wrong(missed)).await, 422, "otp_incorrect").await;
    }
    json_of(codes.cancel(cancelled).await, 200).await;
    codes.until_attempt(expired, "sent").await;
    for wait in [21, 280] {
        codes.pass(wait);
        codes.sweep().await;
    }
    let kinds = [
        "otp.created",
        "otp.sent",
        "otp.delivered",
        "otp.undelivered",
        "otp.approved",
        "otp.failed",
        "otp.expired",
        "otp.cancelled",
    ];
    let events = codes.until_told(&kinds).await;
    let mut shown = json!(events).to_string();
    shown.push_str(&codes.listed("limit=100").await.to_string());
    for (verification, _) in &sent {
        shown.push_str(&codes.find(verification).await.to_string());
    }
    assert!(sent.iter().all(|(_, code)| !shown.contains(code)), "{shown}");
}

/// A key that is limited to sessions knows of no code that others sent.
#[tokio::test]
async fn a_limited_key_knows_of_its_own_sessions_codes_only() {
    let codes = Codes::new().await;
    let (sent, code) = codes.send_to(PHONE).await;
    let allowed = vec![codes.app.session().await.parse().unwrap()];
    let key = codes
        .app
        .key_with(codes.app.workspace, |key| key.sessions = Some(allowed))
        .await;
    problem(codes.get_as(&key, &path_of(&sent)).await, 404, "otp_not_found").await;
    let list = json_of(codes.get_as(&key, "/api/otp").await, 200).await;
    assert_eq!(list["data"], json!([]));
    let by_phone = json!({"phone": PHONE, "code": code});
    for body in [json!({"id": sent["id"], "code": code}), by_phone] {
        let refused = codes.post_as(&key, "/api/otp/verify", &body).await;
        problem(refused, 404, "otp_not_found").await;
    }
    let cancel = codes
        .post_as(&key, &format!("{}/cancel", path_of(&sent)), &json!({}))
        .await;
    problem(cancel, 404, "otp_not_found").await;
    let foreign = json!({"phone": phone(1), "session_id": codes.session});
    let refused = codes.post_as(&key, "/api/otp/send", &foreign).await;
    problem(refused, 404, "session_not_found").await;
    let refused = codes.post_as(&key, "/api/otp/send", &json!({"phone": phone(1)})).await;
    problem(refused, 409, "session_unavailable").await;
    assert_eq!(codes.find(&sent).await["attempts_remaining"], 5);
}

#[tokio::test]
async fn lists_filter_by_phone_and_status_and_follow_the_cursor() {
    let codes = Codes::new().await;
    let mut made = Vec::new();
    for number in 0..3 {
        made.insert(0, codes.send(&json!({"phone": phone(number)})).await);
    }
    json_of(codes.cancel(&made[1]).await, 200).await;
    let ids = |page: &Value| -> Vec<Value> {
        let rows = page["data"].as_array().unwrap().iter();
        rows.map(|row| row["id"].clone()).collect()
    };
    let of_phone = codes.listed("phone=%2B15550020000").await;
    assert_eq!(ids(&of_phone), [made[0]["id"].clone()]);
    assert!(of_phone["data"][0].get("send_attempts").is_none(), "{of_phone}");
    assert_eq!(ids(&codes.listed("status=cancelled").await), [made[1]["id"].clone()]);
    let first = codes.listed("limit=2").await;
    let rest = codes
        .listed(&format!("limit=2&cursor={}", text(&first["next_cursor"])))
        .await;
    assert_eq!(rest["next_cursor"], Value::Null);
    let all: Vec<Value> = made.iter().map(|sent| sent["id"].clone()).collect();
    assert_eq!([ids(&first), ids(&rest)].concat(), all);
    for wrong in ["phone=nobody", "status=lost", "limit=0", "color=red"] {
        let refused = codes.app.get(&format!("/api/otp?{wrong}")).send().await.unwrap();
        problem(refused, 400, "invalid_query").await;
    }
}

/// OTP-6: the wait is not over because the last one was taken back, or is out of attempts.
#[tokio::test]
async fn taking_a_verification_back_does_not_shorten_the_wait() {
    let codes = Codes::new().await;
    let body = json!({ "phone": PHONE });
    let (sent, _) = codes.send_and_read(&body).await;
    json_of(codes.cancel(&sent).await, 200).await;
    codes.pass(10);
    let refused = codes.ask(&body).await;
    assert_eq!(retry_after(&refused), 20);
    problem(refused, 429, "otp_resend_too_soon").await;
    codes.pass(20);
    let (sent, code) = codes.send_and_read(&body).await;
    json_of(codes.check(&sent, &code).await, 200).await;
    codes.send(&body).await;
}

/// Two spellings of a number may be two subscribers: what proves one says nothing of the other. They share their limits.
#[tokio::test]
async fn a_code_to_one_spelling_proves_nothing_of_the_other() {
    let codes = Codes::with(|config| {
        config.per_phone = Rate::hourly(2);
        config.countries = Countries::All;
    })
    .await;
    let (with, code) = codes.send_to("+5531987654321").await;
    let (without, other) = codes.send_to("+553187654321").await;
    assert_ne!(with["id"], without["id"]);
    assert_eq!((&with["resent"], &without["resent"]), (&json!(false), &json!(false)));
    if code != other {
        problem(codes.check(&with, &other).await, 422, "otp_incorrect").await;
    }
    let more = json!({"phone": "+553187654321", "purpose": "more"});
    limited_by("otp_phone", codes.ask(&more).await).await;
}

/// Taking back twice is taking back; what ended otherwise says so.
#[tokio::test]
async fn only_what_is_pending_can_be_taken_back() {
    let codes = Codes::new().await;
    let (cancelled, _) = codes.send_to(&phone(0)).await;
    for _ in 0..2 {
        assert_eq!(
            json_of(codes.cancel(&cancelled).await, 200).await["status"],
            "cancelled"
        );
    }
    let (approved, code) = codes.send_to(&phone(1)).await;
    json_of(codes.check(&approved, &code).await, 200).await;
    problem(codes.cancel(&approved).await, 409, "otp_already_used").await;
    let (expired, _) = codes.send_to(&phone(2)).await;
    codes.pass(301);
    problem(codes.cancel(&expired).await, 410, "otp_expired").await;
}

#[tokio::test]
async fn faults_of_a_send_are_pointed_at() {
    let codes = Codes::new().await;
    for (change, pointer, code) in [
        (json!({"phone": "nobody"}), "/phone", "invalid_phone"),
        (json!({"purpose": "Log in"}), "/purpose", "invalid_character"),
        (json!({"purpose": "p".repeat(41)}), "/purpose", "invalid_length"),
        (json!({"locale": "e"}), "/locale", "invalid_length"),
        (json!({"template": "mine"}), "/template", "unknown_value"),
        (json!({"client_ip": "localhost"}), "/client_ip", "invalid_address"),
        (
            json!({"metadata": {"big": "x".repeat(20_000)}}),
            "/metadata",
            "too_large",
        ),
        (json!({"colour": "red"}), "/colour", "unknown_field"),
    ] {
        let mut body = json!({ "phone": PHONE });
        body.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        fault(codes.ask(&body).await, pointer, code).await;
    }
}

/// What cannot be a code is no attempt.
#[tokio::test]
async fn faults_of_a_check_are_pointed_at_and_cost_no_attempt() {
    let codes = Codes::new().await;
    let (sent, code) = codes.send_to(PHONE).await;
    let id = &sent["id"];
    for (body, pointer, fault_code) in [
        (json!({ "code": code }), "/id", "required"),
        (
            json!({"id": id, "phone": PHONE, "code": code}),
            "/phone",
            "contradiction",
        ),
        (
            json!({"id": id, "purpose": "verify", "code": code}),
            "/purpose",
            "contradiction",
        ),
        (json!({ "id": id }), "/code", "required"),
        (json!({"id": id, "code": "12345"}), "/code", "invalid_length"),
        (json!({"id": id, "code": "12345678901"}), "/code", "invalid_length"),
        (json!({"id": id, "code": "12345a"}), "/code", "invalid_character"),
        (json!({"id": id, "code": "١٢٣٤٥٦"}), "/code", "invalid_character"),
        (json!({"id": id, "code": 123_456}), "/code", "invalid_type"),
        (json!({"id": "otp_1", "code": code}), "/id", "invalid_value"),
    ] {
        fault(codes.try_code(&body).await, pointer, fault_code).await;
    }
    assert_eq!(codes.find(&sent).await["attempts_remaining"], 5);
}
