//! An account that has a passkey is linked by the API alone, with the simulated phone's authenticator.

use http::Method;
use serde_json::{Value, json};
use wharf_sandbox::NewPhone;

use crate::moving::World;
use crate::process::serve_command;
use crate::remote::{ready, until};

#[tokio::test]
async fn an_account_with_a_passkey_is_linked() {
    let world = World::new().await;
    let new = NewPhone {
        passkey: true,
        ..NewPhone::default()
    };
    let phone = world.network.create_phone(new).await.unwrap().phone;
    let (_wharf, api) = world.serve_by(serve_command(&world.dir.path().join("passkey"))).await;
    let session = api.post("/api/sessions", json!({ "name": "passkey" })).await;
    let id = session["id"].as_str().unwrap();
    let path = format!("/api/sessions/{id}");
    let early = api.call(Method::GET, &format!("{path}/passkey/challenge"), None).await;
    assert_eq!(early.unwrap().status(), 409);

    api.post(&format!("{path}/connect"), json!({})).await;
    let qr = until("a QR is shown", || async {
        let answer = api.call(Method::GET, &format!("{path}/qr"), None).await.unwrap();
        let shown: Value = answer.json().await.unwrap();
        shown["qr"].as_str().map(str::to_owned)
    })
    .await;
    let scanning = {
        let (network, phone) = (world.network.clone(), phone.clone());
        tokio::spawn(async move { network.scan(&phone, &qr).await })
    };
    until("the passkey is asked for", || async {
        (api.get(&path).await["connection_step"] == "passkey_required").then_some(())
    })
    .await;
    let challenge = api.get(&format!("{path}/passkey/challenge")).await;
    let options = challenge["public_key"].to_string();
    let signed = world.network.sign_with_passkey(&phone, &options).unwrap();
    let signed: Value = serde_json::from_slice(&signed.json).unwrap();
    let shown = api.post(&format!("{path}/passkey"), signed).await;
    let on_phone = world.network.phone(&phone).await.unwrap().linking_code;
    // In two halves, as a phone shows it.
    let code = shown["code"].as_str().map(|code| code.replace('-', ""));
    assert_eq!(code, on_phone);
    assert_eq!(api.get(&path).await["connection_step"], "passkey_confirm");
    api.post(&format!("{path}/passkey/confirm"), json!({})).await;
    scanning.await.unwrap().unwrap();
    ready(&api, id).await;
    assert_eq!(world.network.unhandled().await, Vec::new());
}
