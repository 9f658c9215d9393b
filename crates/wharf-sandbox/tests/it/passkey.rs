//! Linking to an account with a passkey, with the companion's half made of the bare pieces.

use buffa::Message as _;
use wacore::shortcake::ShortcakeUtils;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp::PrimaryEphemeralIdentity;
use waproto::whatsapp::device_props::PlatformType;
use wharf_sandbox::{DeviceId, NewPhone, PasskeyAssertion, Sandbox, SandboxConfig, SandboxError};

use crate::raw_client::*;

const NEW_SECRET: [u8; 32] = [21; 32];

struct Stage {
    sandbox: Sandbox,
    phone: String,
    keys: Keys,
    client: RawClient,
    scanning: tokio::task::JoinHandle<Result<DeviceId, SandboxError>>,
    /// What the companion is to get signed.
    options: String,
}

/// A companion's code was scanned by the phone of an account with a passkey.
async fn scanned() -> Stage {
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let new = NewPhone {
        passkey: true,
        ..NewPhone::default()
    };
    let phone = sandbox.create_phone(new).await.unwrap().phone;
    let keys = Keys::new();
    let (mut client, reference) = show_code(&sandbox, &keys).await;
    let scanning = {
        let (sandbox, phone, qr) = (sandbox.clone(), phone.clone(), keys.qr(&reference));
        tokio::spawn(async move { sandbox.scan(&phone, &qr).await })
    };
    let asked = client.expect("notification").await;
    assert_eq!(attr(&asked, "type"), "passkey_prologue_request");
    let options = bytes_of(asked.get_optional_child("passkey_request_options").unwrap());
    Stage {
        sandbox,
        phone,
        keys,
        client,
        scanning,
        options: String::from_utf8(options).unwrap(),
    }
}

fn leaf(tag: &'static str, bytes: Vec<u8>) -> Node {
    NodeBuilder::new(tag).bytes(bytes).build()
}

/// The companion's half of the exchange.
struct Exchange {
    keypair: wacore_libsignal::protocol::KeyPair,
    nonce: [u8; 32],
    reference: String,
    prologue: Node,
}

async fn exchange(client: &mut RawClient, signed: PasskeyAssertion) -> Exchange {
    let answer = client.ask("get", "md", Some(NodeBuilder::new("ref").build())).await;
    let reference = String::from_utf8(bytes_of(answer.get_optional_child("ref").unwrap())).unwrap();
    let keypair = ShortcakeUtils::generate_companion_ephemeral_keypair();
    let nonce = ShortcakeUtils::generate_companion_nonce();
    let identity = ShortcakeUtils::build_companion_ephemeral_identity(&raw(&keypair), PlatformType::CHROME, &reference);
    let commitment = ShortcakeUtils::commitment_hash(&identity, &nonce);
    let prologue = NodeBuilder::new("passkey_prologue").children([
        leaf("credential_id", signed.credential_id),
        leaf("webauthn_assertion", signed.json),
        leaf(
            "prologue_payload",
            ShortcakeUtils::build_prologue_payload(&identity, &commitment),
        ),
    ]);
    Exchange {
        keypair,
        nonce,
        reference,
        prologue: prologue.build(),
    }
}

#[tokio::test]
async fn a_companion_is_linked_after_the_signature_and_the_same_code_on_both_screens() {
    let mut stage = scanned().await;
    let signed = stage.sandbox.sign_with_passkey(&stage.phone, &stage.options).unwrap();
    let exchange = exchange(&mut stage.client, signed).await;
    let answer = stage.client.ask("set", "md", Some(exchange.prologue)).await;
    assert_eq!(attr(&answer, "type"), "result");
    let continued = stage.client.expect("notification").await;
    assert_eq!(attr(&continued, "type"), "crsc_continuation");
    let identity = bytes_of(continued.get_optional_child("primary_ephemeral_identity").unwrap());
    let primary = PrimaryEphemeralIdentity::decode_from_slice(&identity).unwrap();
    let public: [u8; 32] = primary.public_key.unwrap().try_into().unwrap();
    let primary_nonce: [u8; 32] = primary.nonce.unwrap().try_into().unwrap();

    let nonce = leaf("companion_nonce", exchange.nonce.to_vec());
    assert_eq!(
        attr(&stage.client.ask("set", "md", Some(nonce)).await, "type"),
        "result"
    );
    let code = ShortcakeUtils::derive_verification_code(&exchange.nonce, &public, &primary_nonce);
    let shown = stage.sandbox.phone(&stage.phone).await.unwrap().linking_code;
    assert_eq!(shown, Some(code));

    let key =
        ShortcakeUtils::derive_encryption_key(&exchange.keypair, &public, PlatformType::CHROME, &exchange.reference);
    let (noise, identity) = (raw(&stage.keys.device.noise_key), raw(&stage.keys.device.identity_key));
    let request = ShortcakeUtils::build_pairing_request(&noise, &identity, &NEW_SECRET);
    let sealed = ShortcakeUtils::encrypt_pairing_request(&request, &key.unwrap()).unwrap();
    let sealed = leaf(
        "encrypted_pairing_request",
        ShortcakeUtils::build_encrypted_pairing_request(&sealed),
    );
    assert_eq!(
        attr(&stage.client.ask("set", "md", Some(sealed)).await, "type"),
        "result"
    );
    // From here on it is a link like any other, under the secret that was sent last.
    stage.keys.device.adv_secret_key = NEW_SECRET;
    sign_link(&mut stage.client, &stage.keys).await;
    let device = stage.scanning.await.unwrap().unwrap();
    log_in(&stage.sandbox, &stage.keys, &stage.phone, device).await;
    assert_eq!(stage.sandbox.phone(&stage.phone).await.unwrap().linking_code, None);
}

#[tokio::test]
async fn without_the_signature_there_is_no_link() {
    let mut stage = scanned().await;
    let other = NewPhone {
        passkey: true,
        ..NewPhone::default()
    };
    let other = stage.sandbox.create_phone(other).await.unwrap().phone;
    let foreign = stage.sandbox.sign_with_passkey(&other, &stage.options).unwrap();
    let exchange = exchange(&mut stage.client, foreign).await;
    let answer = stage.client.ask("set", "md", Some(exchange.prologue)).await;
    assert_eq!(attr(&answer, "type"), "error");
    assert_eq!(stage.scanning.await.unwrap().unwrap_err().code(), "link_refused");
}

#[tokio::test]
async fn another_nonce_than_the_promised_one_ends_the_link() {
    let mut stage = scanned().await;
    let signed = stage.sandbox.sign_with_passkey(&stage.phone, &stage.options).unwrap();
    let exchange = exchange(&mut stage.client, signed).await;
    stage.client.ask("set", "md", Some(exchange.prologue)).await;
    let nonce = leaf("companion_nonce", vec![0; 32]);
    assert_eq!(attr(&stage.client.ask("set", "md", Some(nonce)).await, "type"), "error");
    assert_eq!(stage.scanning.await.unwrap().unwrap_err().code(), "link_refused");
    assert_eq!(stage.sandbox.phone(&stage.phone).await.unwrap().linking_code, None);
}
