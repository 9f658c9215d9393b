//! Linking by an eight-character code.

use std::time::Duration;

use serde_json::json;
use wacore::pair_code::PairCodeUtils;
use wacore_binary::{Node, NodeRef};
use wacore_libsignal::protocol::KeyPair;
use wharf_sandbox::{NewPhone, Sandbox, SandboxConfig, Timing};

use crate::http::call;
use crate::raw_client::*;

const CODE: &str = "ABCD1234";
/// Of the same form, and not the one on the screen.
const OTHER: &str = "ZZZZ9999";

/// A client that shows a code for a number.
struct CodeClient {
    client: RawClient,
    keys: Keys,
    phone: String,
    ephemeral: KeyPair,
    reference: Vec<u8>,
}

impl CodeClient {
    async fn show(sandbox: &Sandbox, phone: &str) -> Self {
        let keys = Keys::new();
        let (client, _) = show_code(sandbox, &keys).await;
        let mut shown = Self {
            client,
            keys,
            phone: phone.to_owned(),
            ephemeral: KeyPair::generate(&mut rand::rng()),
            reference: Vec::new(),
        };
        let answer = shown.say_hello(&raw(&shown.keys.device.noise_key)).await;
        shown.reference = PairCodeUtils::parse_companion_hello_response(&answer.as_node_ref()).unwrap();
        shown
    }

    async fn say_hello(&mut self, noise: &[u8; 32]) -> Node {
        let wrapped = PairCodeUtils::encrypt_ephemeral_pub(&raw(&self.ephemeral), CODE);
        let (id, display) = ("hello".to_owned(), "Chrome (Linux)");
        let hello = PairCodeUtils::build_companion_hello_iq(&self.phone, noise, &wrapped, "1", display, true, id);
        self.client.send(&hello).await;
        self.client.expect("iq").await
    }

    /// Waits until the server wants another code than the one that is shown.
    async fn asked_for_another(&mut self) {
        let notice = self.client.expect("notification").await;
        let part = notice.get_optional_child("link_code_companion_reg").unwrap();
        assert_eq!(attr(part, "stage"), "refresh_code");
        let reference = part.get_optional_child("link_code_pairing_ref").unwrap();
        assert_eq!(bytes_of(reference), self.reference);
    }

    /// Waits for the phone's hello and answers with the bundle; the secret of both comes of it.
    async fn finish(&mut self) {
        let hello = self.client.expect("notification").await;
        assert_eq!(attr(&hello, "type"), "link_code_companion_reg");
        let part = hello.get_optional_child("link_code_companion_reg").unwrap();
        assert_eq!(attr(part, "stage"), "primary_hello");
        let child = |tag: &str| bytes_of(part.get_optional_child(tag).unwrap());
        assert_eq!(child("link_code_pairing_ref"), self.reference);
        let wrapped = child("link_code_pairing_wrapped_primary_ephemeral_pub");
        let phone = PairCodeUtils::decrypt_primary_ephemeral_pub(&wrapped, CODE).unwrap();
        let identity = child("primary_identity_pub").try_into().unwrap();
        let own = &self.keys.device.identity_key;
        let (bundle, secret) = PairCodeUtils::prepare_key_bundle(&self.ephemeral, &phone, &identity, own).unwrap();
        self.keys.device.adv_secret_key = secret;
        let (id, own) = ("finish".to_owned(), raw(own));
        let finish = PairCodeUtils::build_companion_finish_iq(&self.phone, bundle, &own, &self.reference, id);
        self.client.send(&finish).await;
    }

    /// All that a client does once the right code was typed.
    async fn link(&mut self) {
        self.finish().await;
        let answer = self.client.expect("iq").await;
        assert_eq!(
            (attr(&answer, "id"), attr(&answer, "type")),
            ("finish".into(), "result".into())
        );
        sign_link(&mut self.client, &self.keys).await;
    }
}

fn error_of(answer: &NodeRef<'_>) -> String {
    let error = answer.get_optional_child("error").unwrap();
    error.get_attr("code").unwrap().as_str().into_owned()
}

async fn sandbox_with_phone(timing: Timing) -> (Sandbox, String) {
    let config = SandboxConfig {
        timing,
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::start(config).await.unwrap();
    let phone = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    (sandbox, phone)
}

#[tokio::test]
async fn a_typed_code_links_the_client_that_shows_it() {
    let (sandbox, phone) = sandbox_with_phone(Timing::default()).await;
    let mut shown = CodeClient::show(&sandbox, &phone).await;
    let (device, ()) = tokio::join!(sandbox.enter_code(&phone, "abcd-1234"), shown.link());
    let device = device.unwrap();
    log_in(&sandbox, &shown.keys, &phone, device).await;
    let used = sandbox.enter_code(&phone, CODE).await.unwrap_err();
    assert_eq!(used.code(), "no_linking_code");
}

#[tokio::test]
async fn a_wrong_code_can_be_typed_three_times() {
    let (sandbox, phone) = sandbox_with_phone(Timing::default()).await;
    let mut shown = CodeClient::show(&sandbox, &phone).await;
    for _ in 0..3 {
        let (typed, ()) = tokio::join!(sandbox.enter_code(&phone, OTHER), shown.finish());
        assert_eq!(typed.unwrap_err().code(), "wrong_linking_code");
    }
    shown.asked_for_another().await;
    let spent = sandbox.enter_code(&phone, CODE).await.unwrap_err();
    assert_eq!(spent.code(), "no_linking_code");
    // A new code starts anew.
    let answer = shown.say_hello(&raw(&shown.keys.device.noise_key)).await;
    shown.reference = PairCodeUtils::parse_companion_hello_response(&answer.as_node_ref()).unwrap();
    let (device, ()) = tokio::join!(sandbox.enter_code(&phone, CODE), shown.link());
    assert_eq!(device.unwrap(), 1);
}

#[tokio::test]
async fn a_code_runs_out() {
    let timing = Timing {
        code: Duration::ZERO,
        ..Timing::default()
    };
    let (sandbox, phone) = sandbox_with_phone(timing).await;
    let mut shown = CodeClient::show(&sandbox, &phone).await;
    shown.asked_for_another().await;
    let late = sandbox.enter_code(&phone, CODE).await.unwrap_err();
    assert_eq!(late.code(), "no_linking_code");
}

#[tokio::test]
async fn the_last_client_that_asks_for_a_number_gets_its_code() {
    let (sandbox, phone) = sandbox_with_phone(Timing::default()).await;
    let _first = CodeClient::show(&sandbox, &phone).await;
    let mut second = CodeClient::show(&sandbox, &phone).await;
    let (device, ()) = tokio::join!(sandbox.enter_code(&phone, CODE), second.link());
    assert_eq!(device.unwrap(), 1);
}

#[tokio::test]
async fn a_hello_that_makes_no_sense_is_refused() {
    let (sandbox, phone) = sandbox_with_phone(Timing::default()).await;
    let mut shown = CodeClient::show(&sandbox, &phone).await;
    let foreign_key = shown.say_hello(&[1; 32]).await;
    assert_eq!(error_of(&foreign_key.as_node_ref()), "400");
    shown.phone = "15550000000".to_owned();
    let unknown_number = shown.say_hello(&raw(&shown.keys.device.noise_key)).await;
    assert_eq!(error_of(&unknown_number.as_node_ref()), "400");
    // The code that was shown before is as good as ever.
    shown.phone.clone_from(&phone);
    let (device, ()) = tokio::join!(sandbox.enter_code(&phone, CODE), shown.link());
    assert_eq!(device.unwrap(), 1);
}

#[tokio::test]
async fn a_bundle_that_nobody_asked_for_is_refused() {
    let (sandbox, phone) = sandbox_with_phone(Timing::default()).await;
    let mut shown = CodeClient::show(&sandbox, &phone).await;
    for reference in [shown.reference.clone(), b"another".to_vec()] {
        let own = raw(&shown.keys.device.identity_key);
        let finish = PairCodeUtils::build_companion_finish_iq(&phone, vec![0; 156], &own, &reference, "f".to_owned());
        shown.client.send(&finish).await;
        let answer = shown.client.expect("iq").await;
        assert_eq!(error_of(&answer.as_node_ref()), "400");
    }
}

#[tokio::test]
async fn codes_are_entered_over_http() {
    let (sandbox, phone) = sandbox_with_phone(Timing::default()).await;
    let base = sandbox.control_url().unwrap();
    let path = format!("/sandbox/api/phones/{phone}/enter-code");
    let enter = |code: &str| {
        let (base, path, body) = (base.clone(), path.clone(), json!({ "code": code }));
        async move { call(&base, "POST", &path, Some(body)).await }
    };
    for (code, status, error) in [("12", 422, "invalid_linking_code"), (CODE, 409, "no_linking_code")] {
        let answer = enter(code).await;
        assert_eq!((answer.status, answer.body["code"].as_str()), (status, Some(error)));
    }
    let mut shown = CodeClient::show(&sandbox, &phone).await;
    let (wrong, ()) = tokio::join!(enter(OTHER), shown.finish());
    assert_eq!(
        (wrong.status, wrong.body["code"].as_str()),
        (422, Some("wrong_linking_code"))
    );
    let (right, ()) = tokio::join!(enter(CODE), shown.link());
    assert_eq!((right.status, right.body["device"].as_u64()), (200, Some(1)));
}
