//! Plans, quotas and usage. Each test says which requirements of the services brief, section 6.2, it proves.

use std::time::Duration;

use futures::future::join_all;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use wharf_api::{ApiConfig, RatePolicy};
use wharf_model::{ApiKeyId, Clock as _, Timestamp};
use wharf_otp::Rate;
use wharf_storage::usage::{self, Used};

use crate::app::{App, NO_CONTENT, json_of, message_to, problem, text};
use crate::otp::{Codes, phone, wrong};

/// An id of a plan that nobody made.
const UNKNOWN: &str = "pln_06bkrxzq3sx4h7e0p9c2d5t8vw";
const DAY: u64 = 24 * 60 * 60;
const CALLERS: usize = 64;

/// A server whose clock only the test moves.
struct Desk {
    app: App,
}

/// A key that was handed to a customer.
#[derive(Clone)]
struct Customer {
    id: String,
    key: String,
}

impl Desk {
    async fn new() -> Self {
        Self::of(App::new().await)
    }

    async fn with(configure: impl FnOnce(&mut ApiConfig)) -> Self {
        Self::of(App::with(configure).await)
    }

    fn of(app: App) -> Self {
        app.clock.stop();
        Self { app }
    }

    async fn plan(&self, limits: &Value) -> String {
        let mut body = json!({"name": "starter"});
        body.as_object_mut()
            .unwrap()
            .extend(limits.as_object().unwrap().clone());
        let made = self.app.post("/api/plans", &body).send().await.unwrap();
        text(&json_of(made, 201).await["id"])
    }

    /// A key with these scopes, within these limits.
    async fn customer(&self, scopes: &[&str], limits: &Value) -> Customer {
        let plan = self.plan(limits).await;
        self.key(scopes, &json!(plan)).await
    }

    async fn key(&self, scopes: &[&str], plan: &Value) -> Customer {
        let body = json!({"label": "customer", "scopes": scopes, "plan": plan});
        let made = json_of(self.app.post("/api/api-keys", &body).send().await.unwrap(), 201).await;
        assert_eq!(&made["plan"], plan);
        Customer {
            id: text(&made["id"]),
            key: text(&made["key"]),
        }
    }

    fn call(&self, customer: &Customer, method: Method, path: &str) -> RequestBuilder {
        self.app.anonymous(method, path).bearer_auth(&customer.key)
    }

    async fn post(&self, customer: &Customer, path: &str, body: &Value) -> Response {
        let call = self.call(customer, Method::POST, path).json(body);
        call.send().await.unwrap()
    }

    async fn patch(&self, path: &str, body: &Value) -> Response {
        self.app.request(Method::PATCH, path).json(body).send().await.unwrap()
    }

    async fn delete(&self, path: &str) -> Response {
        self.app.request(Method::DELETE, path).send().await.unwrap()
    }

    async fn usage(&self, customer: &Customer) -> Value {
        let asked = self.call(customer, Method::GET, "/api/usage").send().await.unwrap();
        json_of(asked, 200).await
    }

    /// What is stored of the day of a moment.
    async fn written(&self, customer: &Customer, at: Timestamp) -> Used {
        let (workspace, key): (_, ApiKeyId) = (self.app.workspace, customer.id.parse().unwrap());
        let storage = &self.app.storage;
        let read = storage.read(move |tx| Box::pin(usage::of_day(tx, workspace, key, at)));
        read.await.unwrap()
    }

    fn to_midnight(&self) {
        self.app.clock.advance(Duration::from_secs(self.left_of_day()));
    }

    /// How long the day of the clock still lasts, in seconds, begun ones counted.
    fn left_of_day(&self) -> u64 {
        let millis = u64::try_from(self.app.clock.now().as_millis()).unwrap();
        (DAY * 1000 - millis % (DAY * 1000)).div_ceil(1000)
    }
}

fn header(headers: &HeaderMap, name: &str) -> String {
    headers[name].to_str().unwrap().to_owned()
}

/// How many of the answers were successes; the others are refusals of this quota.
async fn admitted(answers: Vec<Response>, quota: &str) -> usize {
    let mut admitted = 0;
    for answer in answers {
        if answer.status().is_success() {
            admitted += 1;
        } else {
            let refused = problem(answer, 429, "quota_exceeded").await;
            assert!(text(&refused["detail"]).contains(quota), "{refused}");
        }
    }
    admitted
}

/// KEY-6.
#[tokio::test]
async fn a_plan_is_made_read_changed_and_deleted() {
    let desk = Desk::new().await;
    let id = desk
        .plan(&json!({"requests_per_second": 10, "messages_per_day": 1000}))
        .await;
    let path = format!("/api/plans/{id}");
    let get = async || json_of(desk.app.get(&path).send().await.unwrap(), 200).await;
    let found = get().await;
    assert_eq!(
        (&found["name"], &found["messages_per_day"], &found["otps_per_day"]),
        (&json!("starter"), &json!(1000), &Value::Null),
        "{found}"
    );
    let change = json!({"name": "small", "messages_per_day": null, "sessions": 0});
    let changed = json_of(desk.patch(&path, &change).await, 200).await;
    assert_eq!(
        (&changed["name"], &changed["messages_per_day"], &changed["sessions"]),
        (&json!("small"), &Value::Null, &json!(0))
    );
    assert_eq!(changed["requests_per_second"], 10, "what is not named stays");
    assert_eq!(get().await, changed);
    let list = json_of(desk.app.get("/api/plans").send().await.unwrap(), 200).await;
    assert_eq!(list["data"], json!([changed]));

    desk.plan(&json!({})).await;
    let taken = desk.app.post("/api/plans", &json!({"name": "small"})).send().await;
    problem(taken.unwrap(), 409, "conflict").await;
    let taken = desk.patch(&path, &json!({"name": "starter"})).await;
    problem(taken, 409, "conflict").await;
    assert_eq!(desk.delete(&path).await.status(), NO_CONTENT);
    for method in [Method::GET, Method::DELETE] {
        let gone = desk.app.request(method, &path).send().await.unwrap();
        problem(gone, 404, "plan_not_found").await;
    }
    problem(desk.patch(&path, &json!({})).await, 404, "plan_not_found").await;
}

/// KEY-6.
#[tokio::test]
async fn a_plan_has_sensible_limits_and_an_operator() {
    let desk = Desk::new().await;
    for (fault, pointer) in [
        (json!({"requests_per_second": 0}), "/requests_per_second"),
        (json!({"messages_per_day": -1}), "/messages_per_day"),
        (json!({"otps_per_day": 1_000_000_001}), "/otps_per_day"),
        (json!({"sessions": 1.5}), "/sessions"),
        (json!({"name": ""}), "/name"),
        (json!({"contacts": 5}), "/contacts"),
    ] {
        let mut body = json!({"name": "a"});
        body.as_object_mut().unwrap().extend(fault.as_object().unwrap().clone());
        let refused = desk.app.post("/api/plans", &body).send().await.unwrap();
        let refused = problem(refused, 422, "validation_failed").await;
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{refused}");
    }
    let plan = desk.plan(&json!({})).await;
    let customer = desk.key(&["messages:send"], &json!(plan)).await;
    let (path, stranger) = (format!("/api/plans/{plan}"), desk.app.stranger().await);
    for (method, path) in [
        (Method::GET, "/api/plans"),
        (Method::GET, &*path),
        (Method::DELETE, &*path),
    ] {
        let refused = desk.call(&customer, method, path).send().await.unwrap();
        problem(refused, 403, "insufficient_scope").await;
    }
    for method in [Method::GET, Method::DELETE] {
        let foreign = desk.app.anonymous(method, &path).bearer_auth(&stranger);
        problem(foreign.send().await.unwrap(), 404, "plan_not_found").await;
    }
}

/// KEY-6: a repeat with the same idempotency key makes one plan.
#[tokio::test]
async fn a_plan_is_made_once() {
    let desk = Desk::new().await;
    let make = async || {
        let call = desk.app.post("/api/plans", &json!({"name": "starter"}));
        let answer = call.header("idempotency-key", "plan-1").send().await;
        json_of(answer.unwrap(), 201).await
    };
    assert_eq!(make().await, make().await);
}

/// KEY-6: who holds a key can be moved to another plan, and no plan goes while a key that works carries it.
#[tokio::test]
async fn a_key_is_given_another_plan_or_none() {
    let desk = Desk::new().await;
    let small = desk.plan(&json!({"messages_per_day": 1})).await;
    let customer = desk.key(&["messages:send"], &json!(small)).await;
    let (key, plan) = (format!("/api/api-keys/{}", customer.id), format!("/api/plans/{small}"));
    let session = desk.app.session().await;
    let message = message_to(&session, "hi");
    let send = || desk.post(&customer, "/api/messages", &message);
    assert_eq!(send().await.status(), 202);
    problem(send().await, 429, "quota_exceeded").await;
    problem(desk.delete(&plan).await, 409, "plan_in_use").await;

    for (body, pointer) in [
        (json!({"plan": UNKNOWN}), "/plan"),
        (json!({"plan": "small"}), "/plan"),
        (json!({"label": "x"}), "/label"),
    ] {
        let refused = problem(desk.patch(&key, &body).await, 422, "validation_failed").await;
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{refused}");
    }
    let body = json!({"label": "x", "scopes": ["admin"], "plan": UNKNOWN});
    let refused = desk.app.post("/api/api-keys", &body).send().await.unwrap();
    let refused = problem(refused, 422, "validation_failed").await;
    assert_eq!(refused["errors"][0]["code"], "unknown_plan", "{refused}");
    let unknown = "/api/api-keys/key_06bkrxzq3sx4h7e0p9c2d5t8vw";
    problem(
        desk.patch(unknown, &json!({"plan": null})).await,
        404,
        "api_key_not_found",
    )
    .await;

    let same = json_of(desk.patch(&key, &json!({})).await, 200).await;
    assert_eq!(same["plan"], json!(small), "what is not named stays");
    let free = json_of(desk.patch(&key, &json!({"plan": null})).await, 200).await;
    assert_eq!(free["plan"], Value::Null);
    assert_eq!(send().await.status(), 202, "it holds at once");
    let back = json_of(desk.patch(&key, &json!({"plan": small})).await, 200).await;
    assert_eq!(back["plan"], json!(small));
    problem(send().await, 429, "quota_exceeded").await;

    let larger = desk.patch(&plan, &json!({"messages_per_day": 3})).await;
    json_of(larger, 200).await;
    assert_eq!(send().await.status(), 202, "and so does another limit");
    assert_eq!(desk.delete(&key).await.status(), NO_CONTENT);
    assert_eq!(desk.delete(&plan).await.status(), NO_CONTENT);
    let revoked = json_of(desk.app.get(&key).send().await.unwrap(), 200).await;
    assert_eq!(revoked["plan"], Value::Null);
}

/// KEY-6, KEY-7: over-admission is 0 on one node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_callers_exactly_as_many_messages_are_admitted_as_there_are() {
    let desk = Desk::new().await;
    let customer = desk
        .customer(&["messages:send"], &json!({"messages_per_day": 100}))
        .await;
    let session = desk.app.session().await;
    let message = message_to(&session, "hi");
    let (desk, customer, message) = (&desk, &customer, &message);
    let callers = (0..CALLERS).map(|_| async move {
        let mut answers = Vec::new();
        for _ in 0..3 {
            answers.push(desk.post(customer, "/api/messages", message).await);
        }
        answers
    });
    let answers = join_all(callers).await.into_iter().flatten().collect();
    assert_eq!(admitted(answers, "messages_per_day").await, 100);
    let usage = desk.usage(customer).await;
    assert_eq!(usage["messages"], json!({"used": 100, "limit": 100}), "{usage}");
    let stored = json_of(desk.app.get("/api/messages?limit=100").send().await.unwrap(), 200).await;
    assert_eq!(stored["data"].as_array().unwrap().len(), 100);
    assert_eq!(stored["next_cursor"], Value::Null);
}

/// KEY-6, for one-time passwords: sent and asked for count alike.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_callers_exactly_as_many_codes_are_admitted_as_there_are() {
    let app = App::with_codes(|codes| {
        codes.per_prefix = Rate::hourly(0);
        codes.guard_after = 0;
    })
    .await;
    app.ready().await;
    let desk = Desk::of(app);
    let scopes = ["otp:send", "otp:receive"];
    let customer = desk.customer(&scopes, &json!({"otps_per_day": 100})).await;
    let (desk, customer) = (&desk, &customer);
    let callers = (0..CALLERS).map(|caller| async move {
        let mut answers = vec![desk.post(customer, "/api/otp/receive", &json!({})).await];
        for nth in 0..2 {
            let phone = format!("+1555010{:04}", caller * 2 + nth);
            answers.push(desk.post(customer, "/api/otp/send", &json!({"phone": phone})).await);
        }
        answers
    });
    let answers = join_all(callers).await.into_iter().flatten().collect();
    assert_eq!(admitted(answers, "otps_per_day").await, 100);
    let usage = desk.usage(customer).await;
    assert_eq!(usage["otps"], json!({"used": 100, "limit": 100}), "{usage}");
    assert_eq!(usage["messages"]["used"], 0, "a code is no message of the customer's");
}

/// KEY-6: only what has an effect is counted.
#[tokio::test]
async fn what_is_refused_or_repeated_costs_nothing() {
    let app = App::new().await;
    let (session, _client) = app.ready().await;
    let desk = Desk::of(app);
    let scopes = ["messages:send", "otp:send", "otp:receive"];
    let limits = json!({"messages_per_day": 10, "otps_per_day": 10});
    let customer = desk.customer(&scopes, &limits).await;
    let post = async |key: &str, path: &str, body: &Value| {
        let call = desk.call(&customer, Method::POST, path).header("idempotency-key", key);
        call.json(body).send().await.unwrap()
    };
    let used = async || {
        let usage = desk.usage(&customer).await;
        (usage["messages"]["used"].clone(), usage["otps"]["used"].clone())
    };
    let message = message_to(&session, "once");
    let first = json_of(post("m", "/api/messages", &message).await, 202).await;
    assert_eq!(json_of(post("m", "/api/messages", &message).await, 202).await, first);
    problem(
        post("m", "/api/messages", &message_to(&session, "other")).await,
        422,
        "idempotency_mismatch",
    )
    .await;
    let nowhere = message_to("ses_06bkrxzq3sx4h7e0p9c2d5t8vw", "hi");
    problem(post("n", "/api/messages", &nowhere).await, 404, "session_not_found").await;
    let mut long = message_to(&session, "hi");
    long["metadata"] = json!({"big": "x".repeat(20_000)});
    problem(post("l", "/api/messages", &long).await, 422, "validation_failed").await;
    assert_eq!(used().await, (json!(1), json!(0)));

    let code = json!({"phone": "+15550100000"});
    let first = json_of(post("o", "/api/otp/send", &code).await, 202).await;
    assert_eq!(json_of(post("o", "/api/otp/send", &code).await, 202).await, first);
    problem(post("p", "/api/otp/send", &code).await, 429, "otp_resend_too_soon").await;
    let wrong = json!({"phone": "+15550100000", "template": "mine"});
    problem(post("q", "/api/otp/send", &wrong).await, 422, "validation_failed").await;
    json_of(post("r", "/api/otp/receive", &json!({})).await, 202).await;
    problem(
        post("r", "/api/otp/receive", &json!({})).await,
        409,
        "secret_already_shown",
    )
    .await;
    problem(
        post(
            "s",
            "/api/otp/receive",
            &json!({"metadata": {"big": "x".repeat(20_000)}}),
        )
        .await,
        422,
        "validation_failed",
    )
    .await;
    assert_eq!(used().await, (json!(1), json!(2)));

    desk.app.clock.advance(Duration::from_secs(30));
    let again = json_of(post("t", "/api/otp/send", &code).await, 202).await;
    assert_eq!(again["resent"], true);
    assert_eq!(
        used().await,
        (json!(1), json!(3)),
        "each message of a verification counts"
    );
}

/// KEY-6: what was refused left nothing behind, the idempotency key included.
#[tokio::test]
async fn a_quota_that_is_used_up_says_so_until_the_day_turns() {
    let desk = Desk::new().await;
    let customer = desk.customer(&["messages:send"], &json!({"messages_per_day": 2})).await;
    let session = desk.app.session().await;
    let send = async || {
        let call = desk.call(&customer, Method::POST, "/api/messages");
        let call = call.header("idempotency-key", "third");
        call.json(&message_to(&session, "hi")).send().await.unwrap()
    };
    for _ in 0..2 {
        let sent = desk.post(&customer, "/api/messages", &message_to(&session, "hi")).await;
        json_of(sent, 202).await;
    }
    for _ in 0..2 {
        let refused = send().await;
        let (headers, wait) = (refused.headers().clone(), desk.left_of_day());
        assert_eq!(header(&headers, "retry-after"), wait.to_string());
        let policy = header(&headers, "ratelimit-policy");
        assert!(policy.contains("\"messages_per_day\";q=2;w=86400"), "{policy}");
        let state = header(&headers, "ratelimit");
        assert!(state.contains(&format!("\"messages_per_day\";r=0;t={wait}")), "{state}");
        let told = problem(refused, 429, "quota_exceeded").await;
        let detail = text(&told["detail"]);
        assert!(
            detail.contains("`messages_per_day`") && detail.contains("2 a day"),
            "{detail}"
        );
        // The last moment of the day.
        desk.app.clock.advance(Duration::from_secs(desk.left_of_day() - 1));
    }
    desk.app.clock.advance(Duration::from_secs(1));
    json_of(send().await, 202).await;
    let usage = desk.usage(&customer).await;
    assert_eq!(usage["messages"], json!({"used": 1, "limit": 2}), "{usage}");
}

/// KEY-6, for one-time passwords.
#[tokio::test]
async fn a_new_day_has_new_codes() {
    let app = App::new().await;
    app.ready().await;
    let desk = Desk::of(app);
    let customer = desk.customer(&["otp:send"], &json!({"otps_per_day": 1})).await;
    let send = async |number: u32| {
        let body = json!({"phone": phone(number)});
        desk.post(&customer, "/api/otp/send", &body).await
    };
    json_of(send(100).await, 202).await;
    let (refused, wait) = (send(101).await, desk.left_of_day());
    assert_eq!(header(refused.headers(), "retry-after"), wait.to_string());
    problem(refused, 429, "quota_exceeded").await;
    desk.to_midnight();
    assert_eq!(desk.usage(&customer).await["otps"], json!({"used": 0, "limit": 1}));
    json_of(send(101).await, 202).await;
    problem(send(102).await, 429, "quota_exceeded").await;
    assert_eq!(desk.usage(&customer).await["otps"], json!({"used": 1, "limit": 1}));
}

/// KEY-6, where the most units wait for each other: codes are replaced while they are checked, and every send wants one row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_that_are_sent_again_and_checked_at_once_keep_to_the_quota() {
    let codes = Codes::new().await;
    let plan = json!({"name": "starter", "otps_per_day": 40});
    let plan = json_of(codes.app.post("/api/plans", &plan).send().await.unwrap(), 201).await;
    let key = json!({"label": "customer", "scopes": ["otp:send", "otp:verify"], "plan": plan["id"]});
    let key = json_of(codes.app.post("/api/api-keys", &key).send().await.unwrap(), 201).await;
    let key = text(&key["key"]);
    let mut pending = Vec::new();
    for number in 100..124 {
        let body = json!({"phone": phone(number)});
        let sent = json_of(codes.post_as(&key, "/api/otp/send", &body).await, 202).await;
        let said = codes.said(&sent).await;
        let is_code = |line: &&str| line.len() >= 6 && line.bytes().all(|byte| byte.is_ascii_digit());
        pending.push((body, text(&sent["id"]), said.lines().find(is_code).unwrap().to_owned()));
    }
    codes.pass(30);
    let (codes, key) = (&codes, &key);
    let again = pending
        .iter()
        .map(|(body, ..)| codes.post_as(key, "/api/otp/send", body));
    let checks = pending.iter().enumerate().map(|(nth, (_, id, code))| {
        let code = if nth % 2 == 0 { code.clone() } else { wrong(code) };
        async move {
            codes
                .post_as(key, "/api/otp/verify", &json!({"id": id, "code": code}))
                .await
        }
    });
    let (again, checked) = tokio::join!(join_all(again), join_all(checks));
    assert_eq!(admitted(again, "otps_per_day").await, 16);
    for answer in checked {
        // A code that was replaced is as wrong as any.
        if answer.status() != 200 {
            problem(answer, 422, "otp_incorrect").await;
        }
    }
    let usage = json_of(codes.get_as(key, "/api/usage").await, 200).await;
    assert_eq!(usage["otps"], json!({"used": 40, "limit": 40}), "{usage}");
}

/// KEY-6: calls of a key that has no limit do not wait for each other, and are counted all the same.
#[tokio::test]
async fn what_nothing_limits_is_written_in_batches() {
    let app = App::new().await;
    let (session, _client) = app.ready().await;
    let desk = Desk::of(app);
    let free = desk
        .key(&["messages:send", "otp:send", "otp:receive"], &Value::Null)
        .await;
    let send = async |key: &str| {
        let call = desk.call(&free, Method::POST, "/api/messages");
        let call = call.header("idempotency-key", key).json(&message_to(&session, "hi"));
        json_of(call.send().await.unwrap(), 202).await
    };
    let told = async || {
        let usage = desk.usage(&free).await;
        (usage["messages"]["used"].clone(), usage["otps"]["used"].clone())
    };
    let first = send("one").await;
    assert_eq!(send("one").await, first);
    let asked = desk.post(&free, "/api/otp/receive", &json!({})).await;
    json_of(asked, 202).await;
    let sent = desk.post(&free, "/api/otp/send", &json!({"phone": phone(100)})).await;
    json_of(sent, 202).await;
    let first_day = desk.app.clock.now();
    assert_eq!(told().await, (json!(1), json!(2)));
    assert_eq!(desk.written(&free, first_day).await, Used::default());
    desk.app.state.flush_usage().await;
    assert_eq!(desk.written(&free, first_day).await, Used { messages: 1, otps: 2 });
    assert_eq!(told().await, (json!(1), json!(2)), "what is written is told once");

    send("two").await;
    desk.to_midnight();
    assert_eq!(told().await, (json!(0), json!(0)));
    desk.app.state.flush_usage().await;
    let counted = desk.written(&free, first_day).await;
    assert_eq!(counted, Used { messages: 2, otps: 2 }, "it was accepted on that day");
    assert_eq!(told().await, (json!(0), json!(0)));
}

/// KEY-6: by another plan of the key, and by another limit of the plan.
#[tokio::test]
async fn a_limit_that_comes_later_counts_what_was_used_before() {
    let desk = Desk::new().await;
    let session = desk.app.session().await;
    let none = desk.plan(&json!({})).await;
    let small = json!({"name": "small", "messages_per_day": 3});
    let small = json_of(desk.app.post("/api/plans", &small).send().await.unwrap(), 201).await;
    for (path, change) in [
        (None, json!({"plan": small["id"]})),
        (Some(format!("/api/plans/{none}")), json!({"messages_per_day": 3})),
    ] {
        let customer = desk.key(&["messages:send"], &json!(none)).await;
        let send = async || desk.post(&customer, "/api/messages", &message_to(&session, "hi")).await;
        for _ in 0..2 {
            json_of(send().await, 202).await;
        }
        let path = path.unwrap_or_else(|| format!("/api/api-keys/{}", customer.id));
        json_of(desk.patch(&path, &change).await, 200).await;
        json_of(send().await, 202).await;
        problem(send().await, 429, "quota_exceeded").await;
        assert_eq!(desk.usage(&customer).await["messages"], json!({"used": 3, "limit": 3}));
    }
}

/// KEY-6: a key sees its own, an operator those of his workspace.
#[tokio::test]
async fn usage_tells_what_was_used_and_how_much_there_is() {
    let desk = Desk::new().await;
    let limits = json!({"requests_per_second": 50, "messages_per_day": 5, "sessions": 2});
    let customer = desk.customer(&["messages:send", "sessions:write"], &limits).await;
    let made = desk.post(&customer, "/api/sessions", &json!({"name": "own"})).await;
    let session = text(&json_of(made, 201).await["id"]);
    let sent = desk.post(&customer, "/api/messages", &message_to(&session, "hi")).await;
    json_of(sent, 202).await;

    let usage = desk.usage(&customer).await;
    let now = desk.app.clock.now().to_string();
    assert_eq!(usage["key_id"], json!(customer.id));
    assert_eq!(usage["plan"]["name"], "starter");
    assert_eq!(usage["day"], json!(now[..10]));
    assert!(text(&usage["resets_at"]).ends_with("T00:00:00.000Z"), "{usage}");
    assert_eq!(usage["messages"], json!({"used": 1, "limit": 5}));
    assert_eq!(usage["otps"], json!({"used": 0, "limit": null}));
    assert_eq!(usage["sessions"], json!({"used": 1, "limit": 2}));
    assert_eq!(usage["requests_per_second"], 50);

    let path = format!("/api/usage?key_id={}", customer.id);
    assert_eq!(json_of(desk.app.get(&path).send().await.unwrap(), 200).await, usage);
    let own = desk.call(&customer, Method::GET, &path).send().await.unwrap();
    assert_eq!(json_of(own, 200).await, usage);
    let other = desk.key(&["events:read"], &Value::Null).await;
    let refused = desk.call(&other, Method::GET, &path).send().await.unwrap();
    problem(refused, 403, "insufficient_scope").await;
    let stranger = desk.app.stranger().await;
    let foreign = desk.app.anonymous(Method::GET, &path).bearer_auth(&stranger);
    problem(foreign.send().await.unwrap(), 404, "api_key_not_found").await;

    let free = desk.usage(&other).await;
    assert_eq!(
        (&free["plan"], &free["requests_per_second"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(free["messages"], json!({"used": 0, "limit": null}));
    let page = |path: &str| {
        let call = desk.app.anonymous(Method::GET, path);
        call.header("cookie", "wharf_demo=let-me-in").send()
    };
    problem(page("/api/usage").await.unwrap(), 400, "invalid_query").await;
    problem(page(&path).await.unwrap(), 403, "insufficient_scope").await;
    let broken = desk.app.get("/api/usage?key_id=key_1").send().await.unwrap();
    problem(broken, 400, "invalid_query").await;
    let nobody = desk.app.anonymous(Method::GET, "/api/usage").send().await.unwrap();
    problem(nobody, 401, "unauthenticated").await;
}

/// KEY-6, KEY-7: the rate of the plan takes the place of the one that all keys have.
#[tokio::test]
async fn a_plan_has_a_rate_of_its_own() {
    let desk = Desk::with(|config| config.rate_per_key = RatePolicy::new(1000, 60)).await;
    let slow = desk
        .customer(&["sessions:read"], &json!({"requests_per_second": 1}))
        .await;
    let call = || desk.call(&slow, Method::GET, "/api/sessions").send();
    let answers = join_all((0..20).map(|_| call())).await;
    let (mut taken, mut refused) = (0, 0);
    for answer in answers {
        let answer = answer.unwrap();
        let policy = header(answer.headers(), "ratelimit-policy");
        assert!(
            policy.contains("\"key\";q=1;w=1") && !policy.contains("q=1000"),
            "{policy}"
        );
        if answer.status().is_success() {
            taken += 1;
            continue;
        }
        refused += 1;
        assert_eq!(header(answer.headers(), "retry-after"), "1");
        problem(answer, 429, "rate_limited").await;
    }
    assert!(taken >= 1 && refused >= 1, "{taken} taken, {refused} refused");
    let free = desk.key(&["sessions:read"], &Value::Null).await;
    let answer = desk.call(&free, Method::GET, "/api/sessions").send().await.unwrap();
    let policy = header(answer.headers(), "ratelimit-policy");
    assert!(policy.contains("\"key\";q=1000;w=60"), "{policy}");
    json_of(answer, 200).await;
}

/// KEY-7: switchable, and of the limit that is nearest to its end.
#[tokio::test]
async fn the_older_headers_are_there_when_they_are_turned_on() {
    let rate = |config: &mut ApiConfig| config.rate_per_key = RatePolicy::new(2, 60);
    let off = Desk::with(rate).await;
    let answer = off.app.get("/api/sessions").send().await.unwrap();
    assert!(answer.headers().contains_key("ratelimit"));
    assert!(!answer.headers().contains_key("x-ratelimit-limit"));
    let on = Desk::with(|config| {
        rate(config);
        config.x_rate_limit_headers = true;
    })
    .await;
    let answer = on.app.get("/api/sessions").send().await.unwrap();
    for (name, value) in [
        ("x-ratelimit-limit", "2"),
        ("x-ratelimit-remaining", "1"),
        ("x-ratelimit-reset", "30"),
    ] {
        assert_eq!(header(answer.headers(), name), value, "{name}");
    }
}

/// KEY-6: those that exist, however many are made at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_makes_as_many_sessions_as_its_plan_allows() {
    let desk = Desk::new().await;
    let customer = desk.customer(&["sessions:write"], &json!({"sessions": 3})).await;
    let session = json!({"name": "mine"});
    let make = || desk.post(&customer, "/api/sessions", &session);
    let mut ids = Vec::new();
    for answer in join_all((0..12).map(|_| make())).await {
        if answer.status() == 201 {
            ids.push(text(&json_of(answer, 201).await["id"]));
            continue;
        }
        assert!(!answer.headers().contains_key("retry-after"));
        let refused = problem(answer, 409, "session_quota_reached").await;
        assert!(text(&refused["detail"]).contains('3'), "{refused}");
    }
    assert_eq!(ids.len(), 3);
    desk.app.session().await;
    problem(make().await, 409, "session_quota_reached").await;
    let path = format!("/api/sessions/{}", ids[0]);
    let deleted = desk.call(&customer, Method::DELETE, &path).send().await.unwrap();
    assert_eq!(deleted.status(), NO_CONTENT);
    json_of(make().await, 201).await;
    problem(make().await, 409, "session_quota_reached").await;
    assert_eq!(desk.usage(&customer).await["sessions"], json!({"used": 3, "limit": 3}));
}
