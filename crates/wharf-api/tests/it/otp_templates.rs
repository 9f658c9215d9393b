//! Texts of a workspace's own.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use wharf_api::Scope;
use wharf_model::Clock as _;
use wharf_storage::Queue;
use wharf_storage::otp_texts::{self, NewOtpText};

use crate::app::{App, NO_CONTENT, json_of, problem};
use crate::otp::{Codes, fault, phone};

const OWN: &str = "Your code for Example:\n{{code}}\nGood for {{minutes}} min.";

fn path_of(template: &str, locale: &str) -> String {
    format!("/api/otp/templates/{template}/{locale}")
}

async fn put(app: &App, (template, locale): (&str, &str), body: &Value) -> Response {
    let request = app.request(Method::PUT, &path_of(template, locale));
    request.json(body).send().await.unwrap()
}

async fn save(app: &App, name: (&str, &str), text: &str) -> Value {
    json_of(put(app, name, &json!({ "body": text })).await, 200).await
}

async fn delete(app: &App, (template, locale): (&str, &str)) -> Response {
    let request = app.request(Method::DELETE, &path_of(template, locale));
    request.send().await.unwrap()
}

async fn texts(app: &App) -> Vec<Value> {
    let list = json_of(app.get("/api/otp/templates").send().await.unwrap(), 200).await;
    assert_eq!(list["next_cursor"], Value::Null);
    list["data"].as_array().unwrap().clone()
}

/// A text whose only words are these.
fn saying(words: &str) -> String {
    format!("{words}\n{{{{code}}}}")
}

/// The words and the wording of what is sent to a phone.
async fn sent(codes: &Codes, number: u32, template: Option<&str>, locale: Option<&str>) -> (String, Value) {
    let body = json!({"phone": phone(number), "template": template, "locale": locale});
    let (sent, code) = codes.send_and_read(&body).await;
    let said = codes.said(&sent).await;
    let words = said.strip_suffix(&format!("\n{code}")).unwrap_or(&said).to_owned();
    let wording = codes.stored(&sent).await["otp"].clone();
    assert_eq!(
        wording,
        json!({"template": sent["template"], "locale": sent["locale"]}),
        "{sent}"
    );
    (words, wording)
}

#[tokio::test]
async fn a_workspace_writes_texts_of_its_own() {
    let codes = Codes::new().await;
    let app = &codes.app;
    assert_eq!(texts(app).await.len(), 10);
    let saved = save(app, ("login", "PT-br"), "Seu código:\r\n{{code}}").await;
    assert_eq!(
        saved,
        json!({
            "template": "login", "locale": "pt-BR", "source": "workspace", "body": "Seu código:\n{{code}}",
            "updated_at": app.clock.now().to_string(),
        })
    );
    let other = save(app, ("default", "en"), OWN).await;
    let listed = texts(app).await;
    assert_eq!(listed[..2], [other, saved]);
    assert_eq!(listed.len(), 12);
    assert!(listed[2..].iter().all(|text| text["source"] == "shipped"), "{listed:?}");
    assert!(
        listed[2..].iter().all(|text| text["updated_at"] == Value::Null),
        "{listed:?}"
    );

    codes.pass(1);
    let changed = save(app, ("login", "pt-BR"), &saying("Código")).await;
    assert_eq!(texts(app).await[1], changed);
    assert_eq!(delete(app, ("login", "pt-br")).await.status(), NO_CONTENT);
    assert_eq!(texts(app).await.len(), 11);
    for name in [
        ("login", "pt-BR"),
        ("default", "es"),
        ("Login", "pt-BR"),
        ("login", "%00"),
    ] {
        problem(delete(app, name).await, 404, "otp_template_not_found").await;
    }
}

#[tokio::test]
async fn faults_of_a_text_are_pointed_at() {
    let app = App::new().await;
    for (text, code) in [
        (json!(""), "invalid_length"),
        (json!(saying(&"é".repeat(1016))), "invalid_length"),
        (json!("\u{0}\n{{code}}"), "invalid_character"),
        (json!("\u{7}\n{{code}}"), "invalid_character"),
        (json!("Your code"), "missing_code"),
        (json!("{{code}}\n{{code}}"), "repeated_code"),
        (json!("Code: {{code}}"), "code_not_on_its_own_line"),
        (json!("{{code}}\n{{phone}}"), "unknown_placeholder"),
        (json!("{{code}}\n{{"), "unknown_placeholder"),
        (json!(4), "invalid_type"),
    ] {
        let refused = put(&app, ("login", "en"), &json!({ "body": text })).await;
        fault(refused, "/body", code).await;
    }
    let good = json!({ "body": OWN });
    for (template, locale, pointer) in [
        ("Login", "en", "/template"),
        ("%20", "en", "/template"),
        (&*"t".repeat(41), "en", "/template"),
        ("login", "english", "/locale"),
        ("login", "pt_BR", "/locale"),
        ("login", "sl-rozaj-biske-nedis", "/locale"),
    ] {
        fault(put(&app, (template, locale), &good).await, pointer, "invalid_value").await;
    }
    let unknown = json!({"body": OWN, "colour": "red"});
    fault(put(&app, ("login", "en"), &unknown).await, "/colour", "unknown_field").await;
    assert_eq!(texts(&app).await.len(), 10);
    let longest = saying(&"é".repeat(1015));
    save(&app, ("login", "en"), &longest).await;
}

/// The exact language, the one without the region, the configured one; then what is shipped.
#[tokio::test]
async fn a_send_says_what_the_workspace_wrote_in_its_language() {
    let codes = Codes::new().await;
    let app = &codes.app;
    for (name, words) in [
        (("default", "pt"), "own pt"),
        (("login", "pt-BR"), "login pt-BR"),
        (("login", "pt"), "login pt"),
        (("login", "en"), "login en"),
    ] {
        save(app, name, &saying(words)).await;
    }
    for (number, template, locale, words, chosen) in [
        (0, Some("login"), Some("pt-BR"), "login pt-BR", "pt-BR"),
        (1, Some("login"), Some("pt_br"), "login pt-BR", "pt-BR"),
        (2, Some("login"), Some("pt-PT"), "login pt", "pt"),
        (3, Some("login"), Some("es"), "login en", "en"),
        (4, Some("login"), None, "login en", "en"),
        (5, None, Some("pt-BR"), "own pt", "pt"),
        (6, Some("default"), Some("pt"), "own pt", "pt"),
    ] {
        let (said, wording) = sent(&codes, number, template, locale).await;
        let wanted = json!({"template": template.unwrap_or("default"), "locale": chosen});
        assert_eq!((said.as_str(), wording), (words, wanted), "{number}");
    }
    let (said, wording) = sent(&codes, 7, None, Some("es")).await;
    assert!(said.contains("Tu código"), "{said}");
    assert_eq!(wording, json!({"template": "default", "locale": "es"}));

    // The configured language, once there is a text in it, comes before what is shipped in another one.
    save(app, ("default", "en"), OWN).await;
    let body = json!({"phone": phone(8), "locale": "es", "ttl": 150});
    let (answer, code) = codes.send_and_read(&body).await;
    assert_eq!(
        codes.said(&answer).await,
        format!("Your code for Example:\n{code}\nGood for 2 min.")
    );
    json_of(codes.check(&answer, &code).await, 200).await;
}

#[tokio::test]
async fn a_send_needs_a_text_of_its_name_in_some_language_of_its() {
    let codes = Codes::new().await;
    save(&codes.app, ("login", "es"), &saying("Código")).await;
    for (change, pointer) in [
        (json!({"template": "logout"}), "/template"),
        (json!({"template": "login"}), "/locale"),
        (json!({"template": "login", "locale": "fr"}), "/locale"),
    ] {
        let mut body = json!({ "phone": phone(0) });
        body.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        fault(codes.ask(&body).await, pointer, "unknown_value").await;
    }
    assert_eq!(codes.listed("").await["data"], json!([]));
    sent(&codes, 0, Some("login"), Some("es-MX")).await;
}

/// What this process changed at once; what another one changed after a second. The clock stands still.
#[tokio::test]
async fn a_change_of_a_text_is_in_the_next_message() {
    let codes = Codes::new().await;
    let app = &codes.app;
    let (said, _) = sent(&codes, 0, None, None).await;
    assert!(said.contains("Your verification code"), "{said}");
    for (number, words) in [(1, "one"), (2, "two")] {
        save(app, ("default", "en"), &saying(words)).await;
        assert_eq!(sent(&codes, number, None, None).await.0, words);
    }
    delete(app, ("default", "en")).await;
    let (said, _) = sent(&codes, 3, None, None).await;
    assert!(said.contains("Your verification code"), "{said}");

    let keys = app.storage.workspace_keys(app.workspace).await.unwrap();
    let new = NewOtpText {
        workspace_id: app.workspace,
        template: "default".to_owned(),
        locale: "en".to_owned(),
        body: otp_texts::seal(&keys, "default", "en", &saying("elsewhere")).unwrap(),
        at: app.clock.now(),
    };
    let elsewhere = app.storage.write(Queue::Normal, move |tx| {
        Box::pin(async move { otp_texts::save(tx, &new, 200).await })
    });
    assert!(elsewhere.await.unwrap());
    codes.pass(1);
    assert_eq!(sent(&codes, 4, None, None).await.0, "elsewhere");
}

/// Also when its text is gone: it was sent.
#[tokio::test]
async fn a_repeated_send_is_answered_whatever_became_of_its_text() {
    let codes = Codes::new().await;
    save(&codes.app, ("login", "en"), OWN).await;
    let body = json!({"phone": phone(0), "template": "login"});
    let request = || codes.app.post("/api/otp/send", &body).header("idempotency-key", "k");
    let first = json_of(request().send().await.unwrap(), 202).await;
    delete(&codes.app, ("login", "en")).await;
    assert_eq!(json_of(request().send().await.unwrap(), 202).await, first);
    fault(codes.ask(&body).await, "/template", "unknown_value").await;
}

#[tokio::test]
async fn texts_are_for_those_whose_they_are() {
    let codes = Codes::new().await;
    let app = &codes.app;
    save(app, ("default", "en"), OWN).await;
    let stranger = app.stranger().await;
    let list = json_of(codes.get_as(&stranger, "/api/otp/templates").await, 200).await;
    assert_eq!(list["data"].as_array().unwrap().len(), 10);
    let path = path_of("default", "en");
    let theirs = app.anonymous(Method::DELETE, &path).bearer_auth(&stranger);
    problem(theirs.send().await.unwrap(), 404, "otp_template_not_found").await;

    // Whoever sends codes does not decide what strangers are told.
    let sender = app.key(&[Scope::OtpSend, Scope::OtpRead]).await;
    let list = json_of(codes.get_as(&sender, "/api/otp/templates").await, 200).await;
    assert_eq!(list["data"].as_array().unwrap().len(), 11);
    for method in [Method::PUT, Method::DELETE] {
        let request = app.anonymous(method, &path).bearer_auth(&sender);
        let refused = request.json(&json!({ "body": OWN })).send().await.unwrap();
        problem(refused, 403, "insufficient_scope").await;
    }
    let verifier = app.key(&[Scope::OtpVerify]).await;
    let refused = codes.get_as(&verifier, "/api/otp/templates").await;
    problem(refused, 403, "insufficient_scope").await;
}

#[tokio::test]
async fn a_workspace_has_two_hundred_texts_and_no_more() {
    let app = App::new().await;
    for number in 0..200 {
        save(&app, (&format!("t{number}"), "en"), OWN).await;
    }
    let refused = put(&app, ("more", "en"), &json!({ "body": OWN })).await;
    problem(refused, 409, "otp_too_many_templates").await;
    save(&app, ("t7", "en"), &saying("changed")).await;
    assert_eq!(delete(&app, ("t7", "en")).await.status(), NO_CONTENT);
    save(&app, ("more", "en"), OWN).await;
}

/// AUD-1: who decided what strangers are told; what was refused changed nothing.
#[tokio::test]
async fn what_is_done_with_a_text_stands_in_the_audit_log() {
    let app = App::new().await;
    save(&app, ("login", "en"), OWN).await;
    fault(
        put(&app, ("login", "en"), &json!({"body": "no code"})).await,
        "/body",
        "missing_code",
    )
    .await;
    assert_eq!(delete(&app, ("login", "en")).await.status(), NO_CONTENT);
    problem(delete(&app, ("login", "en")).await, 404, "otp_template_not_found").await;
    let audit = json_of(app.get("/api/audit").send().await.unwrap(), 200).await;
    let entries = audit["data"].as_array().unwrap();
    let done: Vec<_> = entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(done, ["otp_text.deleted", "otp_text.saved"]);
    for entry in entries {
        assert_eq!(
            (&entry["api_key_id"], &entry["session_id"]),
            (&Value::Null, &Value::Null)
        );
        assert!(entry["who"].as_str().unwrap().starts_with("key_"), "{entry}");
        assert!(entry["request_id"].is_string(), "{entry}");
    }
}
