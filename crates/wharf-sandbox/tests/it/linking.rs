//! Linking, login, and being put out.

use wacore_binary::builder::NodeBuilder;
use wharf_sandbox::{NewPhone, Sandbox, SandboxConfig};

use crate::raw_client::*;

pub async fn sandbox_with_phone() -> (Sandbox, String) {
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let phone = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    (sandbox, phone)
}

#[tokio::test]
async fn a_scanned_client_signs_gets_a_515_and_logs_in() {
    let (sandbox, phone) = sandbox_with_phone().await;
    let (keys, device) = link(&sandbox, &phone).await;
    let mut client = RawClient::connect(&sandbox, &keys.device.noise_key, &login(&phone, device)).await;
    let success = client.expect("success").await;
    assert!(attr(&success, "lid").ends_with(&format!(":{device}@lid")));
    assert!(activate(&mut client).await.is_empty());
    let shown = sandbox.phone(&phone).await.unwrap();
    assert_eq!(
        (shown.devices[0].device, shown.devices[0].platform.as_str()),
        (device, "Raw")
    );
}

#[tokio::test]
async fn a_code_works_once_and_only_for_the_client_that_shows_it() {
    let (sandbox, phone) = sandbox_with_phone().await;
    let keys = Keys::new();
    let (mut client, reference) = show_code(&sandbox, &keys).await;
    let foreign = sandbox.scan(&phone, &Keys::new().qr(&reference)).await.unwrap_err();
    assert_eq!(foreign.code(), "foreign_qr");
    let qr = keys.qr(&reference);
    let (device, ()) = tokio::join!(sandbox.scan(&phone, &qr), sign_link(&mut client, &keys));
    device.unwrap();
    assert_eq!(sandbox.scan(&phone, &qr).await.unwrap_err().code(), "unknown_qr");
}

#[tokio::test]
async fn an_offline_phone_cannot_link() {
    let (sandbox, phone) = sandbox_with_phone().await;
    sandbox.set_online(&phone, false).await.unwrap();
    let keys = Keys::new();
    let (_client, reference) = show_code(&sandbox, &keys).await;
    assert_eq!(
        sandbox.scan(&phone, &keys.qr(&reference)).await.unwrap_err().code(),
        "phone_offline"
    );
}

#[tokio::test]
async fn a_wrong_device_signature_is_refused() {
    let (sandbox, phone) = sandbox_with_phone().await;
    let keys = Keys::new();
    let (mut client, reference) = show_code(&sandbox, &keys).await;
    let qr = keys.qr(&reference);
    let sign_wrongly = async {
        let offer = client.expect("iq").await;
        let nonsense = wacore::pair::PairUtils::build_pair_success_response(&attr(&offer, "id"), vec![1, 2, 3], 1);
        client.send(&nonsense).await;
    };
    let (outcome, ()) = tokio::join!(sandbox.scan(&phone, &qr), sign_wrongly);
    assert_eq!(outcome.unwrap_err().code(), "link_refused");
    assert!(sandbox.phone(&phone).await.unwrap().devices.is_empty());
}

#[tokio::test]
async fn a_login_with_another_key_or_device_is_refused() {
    let (sandbox, phone) = sandbox_with_phone().await;
    let (keys, device) = link(&sandbox, &phone).await;
    let stranger = Keys::new();
    let attempts = [
        (&stranger.device.noise_key, login(&phone, device)),
        (&keys.device.noise_key, login(&phone, device + 1)),
        (&keys.device.noise_key, login("4915100000000", device)),
    ];
    for (noise_key, payload) in attempts {
        let mut client = RawClient::connect(&sandbox, noise_key, &payload).await;
        assert_eq!(attr(&client.expect("failure").await, "reason"), "401");
    }
}

#[tokio::test]
async fn a_second_login_replaces_the_first() {
    let (sandbox, phone) = sandbox_with_phone().await;
    let (keys, device) = link(&sandbox, &phone).await;
    let mut first = log_in(&sandbox, &keys, &phone, device).await;
    let mut second = log_in(&sandbox, &keys, &phone, device).await;
    let error = first.expect("stream:error").await;
    assert_eq!(attr(error.get_optional_child("conflict").unwrap(), "type"), "replaced");
    assert_eq!(attr(&second.ask("get", "w:p", None).await, "type"), "result");
}

#[tokio::test]
async fn a_client_with_the_servers_key_needs_no_second_round_trip() {
    let (sandbox, phone) = sandbox_with_phone().await;
    let (keys, device) = link(&sandbox, &phone).await;
    let known = log_in(&sandbox, &keys, &phone, device).await.server_static;
    let mut client = RawClient::connect_ik(&sandbox, known, &keys.device.noise_key, &login(&phone, device)).await;
    client.expect("success").await;
}

#[tokio::test]
async fn a_client_with_an_old_server_key_falls_back() {
    let (sandbox, phone) = sandbox_with_phone().await;
    let (keys, device) = link(&sandbox, &phone).await;
    let old = raw(&Keys::new().signed);
    let mut client = RawClient::connect_ik(&sandbox, old, &keys.device.noise_key, &login(&phone, device)).await;
    client.expect("success").await;
}

#[tokio::test]
async fn an_unlinked_device_is_told_and_cannot_come_back() {
    let (sandbox, phone) = sandbox_with_phone().await;
    let (keys, device) = link(&sandbox, &phone).await;
    let mut client = log_in(&sandbox, &keys, &phone, device).await;
    sandbox.unlink(&phone, device).await.unwrap();
    let error = client.expect("stream:error").await;
    assert_eq!(attr(&error, "code"), "401");
    assert_eq!(
        attr(error.get_optional_child("conflict").unwrap(), "type"),
        "device_removed"
    );
    let mut again = RawClient::connect(&sandbox, &keys.device.noise_key, &login(&phone, device)).await;
    again.expect("failure").await;
    assert_eq!(
        sandbox.unlink(&phone, device).await.unwrap_err().code(),
        "unknown_device"
    );
}

#[tokio::test]
async fn a_device_that_removes_itself_gets_its_answer_first() {
    let (sandbox, phone) = sandbox_with_phone().await;
    let (keys, device) = link(&sandbox, &phone).await;
    let mut client = log_in(&sandbox, &keys, &phone, device).await;
    let remove = NodeBuilder::new("remove-companion-device")
        .attr("reason", "user_initiated")
        .build();
    assert_eq!(attr(&client.ask("set", "md", Some(remove)).await, "type"), "result");
    client.expect("stream:error").await;
    assert!(sandbox.phone(&phone).await.unwrap().devices.is_empty());
}

#[tokio::test]
async fn what_is_not_imitated_is_refused_and_counted() {
    let (sandbox, phone) = sandbox_with_phone().await;
    let (keys, device) = link(&sandbox, &phone).await;
    let mut client = log_in(&sandbox, &keys, &phone, device).await;
    let answer = client
        .ask("get", "w:biz", Some(NodeBuilder::new("business_profile").build()))
        .await;
    assert_eq!(attr(&answer, "type"), "error");
    let unhandled = sandbox.unhandled().await;
    assert_eq!(
        (unhandled[0].question.as_str(), unhandled[0].count),
        ("get w:biz/business_profile", 1)
    );
}

#[tokio::test]
async fn what_a_setter_stores_a_getter_returns() {
    let (sandbox, phone) = sandbox_with_phone().await;
    let (keys, device) = link(&sandbox, &phone).await;
    let mut client = log_in(&sandbox, &keys, &phone, device).await;
    let category = NodeBuilder::new("category")
        .attr("name", "readreceipts")
        .attr("value", "none")
        .build();
    client
        .ask(
            "set",
            "privacy",
            Some(NodeBuilder::new("privacy").children([category]).build()),
        )
        .await;
    let answer = client
        .ask("get", "privacy", Some(NodeBuilder::new("privacy").build()))
        .await;
    let categories = answer.get_optional_child("privacy").unwrap();
    let found = categories
        .get_children_by_tag("category")
        .find(|node| attr(node, "name") == "readreceipts")
        .unwrap();
    assert_eq!(attr(found, "value"), "none");
    assert!(sandbox.unhandled().await.is_empty());
}

/// The `reason` and `expire` of the refusal.
async fn refused(sandbox: &Sandbox, keys: &Keys, phone: &str, device: u16) -> (String, String) {
    let mut client = RawClient::connect(sandbox, &keys.device.noise_key, &login(phone, device)).await;
    let failure = client.expect("failure").await;
    (attr(&failure, "reason"), attr(&failure, "expire"))
}

#[tokio::test]
async fn a_banned_account_is_cut_off_and_kept_out_until_it_is_forgiven() {
    let (sandbox, phone) = sandbox_with_phone().await;
    let (keys, device) = link(&sandbox, &phone).await;
    let mut client = log_in(&sandbox, &keys, &phone, device).await;
    sandbox.ban(&phone, 403, None).await.unwrap();
    assert!(client.node().await.is_none());
    assert_eq!(
        refused(&sandbox, &keys, &phone, device).await,
        ("403".into(), String::new())
    );

    let hour = std::time::Duration::from_secs(3600);
    sandbox.ban(&phone, 402, Some(hour)).await.unwrap();
    let (reason, expire) = refused(&sandbox, &keys, &phone, device).await;
    let expire: u64 = expire.parse().unwrap();
    assert!(reason == "402" && (3500..=3600).contains(&expire), "{reason} {expire}");

    sandbox.ban(&phone, 402, Some(std::time::Duration::ZERO)).await.unwrap();
    log_in(&sandbox, &keys, &phone, device).await;
    sandbox.ban(&phone, 403, None).await.unwrap();
    sandbox.lift_ban(&phone).await.unwrap();
    log_in(&sandbox, &keys, &phone, device).await;
    for (code, lasts) in [(402, None), (403, Some(hour)), (401, None)] {
        let wrong = sandbox.ban(&phone, code, lasts).await.unwrap_err();
        assert_eq!(wrong.code(), "invalid_ban");
    }
}

#[tokio::test]
async fn a_reference_can_be_scanned_as_long_as_it_is_shown() {
    let none = std::time::Duration::ZERO;
    let timing = wharf_sandbox::Timing {
        first_reference: none,
        reference_grace: none,
        ..Default::default()
    };
    let config = SandboxConfig {
        timing,
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::start(config).await.unwrap();
    let phone = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    let keys = Keys::new();
    let mut client = RawClient::connect(&sandbox, &keys.device.noise_key, &keys.registration()).await;
    let question = client.expect("iq").await;
    let pair = question.get_optional_child("pair-device").unwrap();
    let references = pair.get_children_by_tag("ref");
    let codes: Vec<_> = references
        .map(|node| keys.qr(&String::from_utf8(bytes_of(node)).unwrap()))
        .collect();
    let old = sandbox.scan(&phone, &codes[0]).await.unwrap_err();
    assert_eq!(old.code(), "unknown_qr");
    let (device, ()) = tokio::join!(sandbox.scan(&phone, &codes[1]), sign_link(&mut client, &keys));
    assert_eq!(device.unwrap(), 1);
}
