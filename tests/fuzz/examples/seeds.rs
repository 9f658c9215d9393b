//! Writes the seeds of every target below `corpus/`: what clients really send, for the fuzzer to start from.
//! `cargo run --package wharf-fuzz --example seeds`

#[path = "../../../crates/wharf-vault/tests/it/recipes.rs"]
#[expect(clippy::unwrap_used, reason = "they are written for tests")]
mod recipes;

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, anyhow};
use buffa::{Message as _, MessageField};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::consts::WA_CONN_HEADER;
use wacore_binary::{Jid, Node, Server};
use wacore_libsignal::protocol::{
    IdentityKey, KeyPair, PreKeySignalMessage, SenderKeyDistributionMessage, SenderKeyMessage, SignalMessage,
};
use wacore_noise::HandshakeUtils;
use waproto::whatsapp::client_payload::DevicePairingRegistrationData;
use waproto::whatsapp::message::{
    DeviceSentMessage, ExtendedTextMessage, FutureProofMessage, ImageMessage, LocationMessage, PollCreationMessage,
    ProtocolMessage, ReactionMessage, protocol_message,
};
use waproto::whatsapp::{ClientPayload, DeviceProps, Message, SyncdMutation, SyncdPatch, SyncdVersion, message};
use wharf_sandbox::fuzz::NUMBERS;

fn main() -> Result<()> {
    write("frames", &frames())?;
    write("handshake", &handshakes())?;
    write("nodes", &conversations()?)?;
    write("bodies", &bodies())?;
    write("credentials", &credentials())?;
    write("bundles", &bundles()?)
}

fn bundles() -> Result<Vec<(&'static str, Vec<u8>)>> {
    let forms = [
        ("creds", recipes::creds().to_string().into_bytes()),
        ("folder", recipes::zip(recipes::folder())),
    ];
    let written = forms.into_iter().map(|(name, form)| {
        let report = wharf_vault::examine(&form, None)?;
        let portable = report.into_portable().map_err(|_| anyhow!("{name} is not valid"))?;
        Ok((name, wharf_vault::fuzz::written(&portable)?))
    });
    written.collect()
}

fn write(target: &str, seeds: &[(&str, Vec<u8>)]) -> Result<()> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder)?;
    for (name, bytes) in seeds {
        fs::write(folder.join(format!("seed-{name}")), bytes)?;
    }
    Ok(())
}

fn credentials() -> Vec<(&'static str, Vec<u8>)> {
    let creds = recipes::creds().to_string();
    let string = format!("BRAND~{}", recipes::base64(recipes::gzip(&creds)));
    let wrapped = serde_json::json!({"creds": recipes::creds(), "keys": {}}).to_string();
    let value = |content: &[u8]| serde_json::from_slice(content).unwrap_or_default();
    let files = recipes::folder().into_iter();
    let object: serde_json::Map<String, serde_json::Value> = files
        .map(|(name, content)| (name.to_owned(), value(&content)))
        .collect();
    let object = serde_json::Value::Object(object);
    vec![
        ("string", string.into_bytes()),
        ("base64", recipes::base64(&creds).into_bytes()),
        ("creds", creds.into_bytes()),
        ("wrapped", wrapped.into_bytes()),
        ("zip", recipes::zip(recipes::folder())),
        ("tar", recipes::tar(recipes::folder())),
        ("object", object.to_string().into_bytes()),
        ("mega", format!("BRAND~aB3dEf6h#{}", "k".repeat(43)).into_bytes()),
    ]
}

fn frames() -> Vec<(&'static str, Vec<u8>)> {
    let routing = [0x45, 0x44, 0, 1, 0, 0, 2, 9, 9];
    let two = [0, 0, 1, 7, 0, 0, 2, 8, 9];
    vec![
        ("two", [&[3], &WA_CONN_HEADER[..], &two].concat()),
        ("routed", [&[1], &routing[..], &WA_CONN_HEADER, &two].concat()),
        ("stranger", b"\x05GET / HTTP/1.1".to_vec()),
        ("large", [&[2], &WA_CONN_HEADER[..], &[0xff; 3]].concat()),
    ]
}

fn handshakes() -> Vec<(&'static str, Vec<u8>)> {
    let key = [9; 32];
    let hello = HandshakeUtils::build_client_hello(&key).encode_to_vec();
    let finish = HandshakeUtils::build_client_finish(vec![1; 48], vec![2; 64]).encode_to_vec();
    let resumed = HandshakeUtils::build_ik_client_hello(&key, vec![1; 48], vec![2; 64]).encode_to_vec();
    vec![
        ("xx", [part(&hello), part(&finish)].concat()),
        ("ik", [part(&resumed), part(&finish)].concat()),
    ]
}

/// As `wharf_sandbox::fuzz` takes several things in one input.
fn part(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&length[..], bytes].concat()
}

fn leaf(tag: &'static str) -> Node {
    NodeBuilder::new(tag).build()
}

fn bytes(tag: &'static str, content: &[u8]) -> Node {
    NodeBuilder::new(tag).bytes(content.to_vec()).build()
}

fn ask(kind: &'static str, xmlns: &'static str, to: Jid, child: Node) -> Node {
    NodeBuilder::new("iq")
        .attr("id", "1")
        .attr("type", kind)
        .attr("xmlns", xmlns)
        .attr("to", to)
        .children([child])
        .build()
}

fn ask_server(kind: &'static str, xmlns: &'static str, child: Node) -> Node {
    ask(kind, xmlns, Jid::new("", Server::Pn), child)
}

fn other() -> Jid {
    Jid::pn(NUMBERS[1])
}

/// Everything a client says in each of its affairs, one affair a seed.
fn conversations() -> Result<Vec<(&'static str, Vec<u8>)>> {
    let affairs = [
        ("login", login()),
        ("keys", keys()),
        ("directory", directory()),
        ("settings", settings()),
        ("messages", messages()),
        ("receipts", receipts()),
        ("groups", groups()),
        ("presence", presence()),
    ];
    affairs
        .into_iter()
        .map(|(name, stanzas)| Ok((name, conversation(&stanzas)?)))
        .collect()
}

fn conversation(stanzas: &[Node]) -> Result<Vec<u8>> {
    let parts = stanzas.iter().map(|node| {
        let encoded = wacore_binary::marshal(node).map_err(|failure| anyhow!("{failure}"))?;
        Ok(part(&encoded))
    });
    Ok(parts.collect::<Result<Vec<_>>>()?.concat())
}

fn login() -> Vec<Node> {
    let clean = NodeBuilder::new("clean")
        .attr("type", "account_sync")
        .attr("timestamp", "1")
        .build();
    vec![
        ask_server("set", "passive", leaf("active")),
        ask_server("get", "abt", NodeBuilder::new("props").attr("protocol", "1").build()),
        ask_server("get", "w:p", leaf("ping")),
        ask_server("get", "w:m", leaf("media_conn")),
        ask_server("set", "urn:xmpp:whatsapp:dirty", clean),
        NodeBuilder::new("ib").children([leaf("unified_session")]).build(),
        ask_server("set", "w:stats", leaf("add")),
        ask_server("get", "newsletter", leaf("my_addons")),
    ]
}

fn keys() -> Vec<Node> {
    let key = |id: u8| NodeBuilder::new("key").children([bytes("id", &[0, 0, id]), bytes("value", &[id; 32])]);
    let signed = NodeBuilder::new("skey").children([
        bytes("id", &[0, 0, 1]),
        bytes("value", &[1; 32]),
        bytes("signature", &[1; 64]),
    ]);
    let signed = signed.build();
    let upload = NodeBuilder::new("iq")
        .attr("id", "2")
        .attr("type", "set")
        .attr("xmlns", "encrypt")
        .children([
            bytes("registration", &[0, 0, 0, 9]),
            bytes("type", &[5]),
            bytes("identity", &[3; 32]),
            NodeBuilder::new("list")
                .children([key(7).build(), key(8).build()])
                .build(),
            signed.clone(),
        ]);
    let users = [Jid::pn(NUMBERS[0]), other(), other().with_device(1)]
        .map(|jid| NodeBuilder::new("user").attr("jid", jid).build());
    vec![
        upload.build(),
        ask_server("get", "encrypt", leaf("count")),
        ask_server("get", "encrypt", leaf("digest")),
        ask_server("set", "encrypt", NodeBuilder::new("rotate").children([signed]).build()),
        ask_server("get", "encrypt", NodeBuilder::new("key").children(users).build()),
    ]
}

fn directory() -> Vec<Node> {
    let query = [
        "devices",
        "lid",
        "contact",
        "status",
        "business",
        "picture",
        "disappearing_mode",
    ]
    .map(leaf);
    let users = [
        NodeBuilder::new("user").attr("jid", other()).build(),
        NodeBuilder::new("user")
            .children([bytes("contact", format!("+{}", NUMBERS[1]).as_bytes())])
            .build(),
        NodeBuilder::new("user").attr("jid", Jid::lid("999")).build(),
    ];
    let usync = NodeBuilder::new("usync")
        .attr("sid", "1")
        .attr("mode", "query")
        .attr("last", "true")
        .attr("index", "0")
        .attr("context", "message")
        .children([
            NodeBuilder::new("query").children(query).build(),
            NodeBuilder::new("list").children(users).build(),
        ]);
    vec![ask_server("get", "usync", usync.build())]
}

fn settings() -> Vec<Node> {
    let category = NodeBuilder::new("category").attr("name", "last").attr("value", "none");
    let token = NodeBuilder::new("token")
        .attr("jid", other())
        .attr("t", "1")
        .attr("type", "trusted_contact");
    let collection = NodeBuilder::new("collection")
        .attr("name", "critical_block")
        .attr("version", "0")
        .attr("return_snapshot", "true");
    let block = NodeBuilder::new("item").attr("action", "block").attr("jid", other());
    vec![
        ask_server("get", "privacy", leaf("privacy")),
        ask_server(
            "set",
            "privacy",
            NodeBuilder::new("privacy").children([category.build()]).build(),
        ),
        ask_server(
            "set",
            "privacy",
            NodeBuilder::new("tokens").children([token.build()]).build(),
        ),
        ask_server("set", "blocklist", block.build()),
        ask_server("get", "blocklist", leaf("list")),
        ask_server("set", "status", bytes("status", b"hello")),
        ask_server(
            "set",
            "disappearing_mode",
            NodeBuilder::new("disappearing_mode").attr("duration", "86400").build(),
        ),
        ask_server(
            "set",
            "w:sync:app:state",
            NodeBuilder::new("sync").children([collection.build()]).build(),
        ),
        ask_server(
            "set",
            "w:profile:picture",
            NodeBuilder::new("picture").bytes(vec![1; 6]).build(),
        ),
        ask(
            "get",
            "w:profile:picture",
            other(),
            NodeBuilder::new("picture")
                .attr("type", "image")
                .attr("query", "url")
                .build(),
        ),
        ask_server(
            "set",
            "md",
            NodeBuilder::new("remove-companion-device")
                .attr("jid", Jid::pn(NUMBERS[0]).with_device(1))
                .build(),
        ),
    ]
}

fn message(id: &'static str, to: Jid, children: impl IntoIterator<Item = Node>) -> Node {
    NodeBuilder::new("message")
        .attr("id", id)
        .attr("type", "text")
        .attr("to", to)
        .children(children)
        .build()
}

fn sealed(kind: &'static str) -> Node {
    NodeBuilder::new("enc")
        .attr("v", "2")
        .attr("type", kind)
        .bytes(vec![0x33; 64])
        .build()
}

fn fan_out() -> Node {
    let copies = [other(), other().with_device(1), Jid::pn(NUMBERS[0])].map(|jid| {
        NodeBuilder::new("to")
            .attr("jid", jid)
            .children([sealed("pkmsg")])
            .build()
    });
    NodeBuilder::new("participants").children(copies).build()
}

fn messages() -> Vec<Node> {
    let peer = NodeBuilder::new("message")
        .attr("id", "M3")
        .attr("type", "text")
        .attr("category", "peer")
        .attr("to", Jid::pn(NUMBERS[0]))
        .children([sealed("msg")]);
    vec![
        message(
            "M1",
            other(),
            [fan_out(), bytes("device-identity", &[1; 16]), leaf("reporting")],
        ),
        message("M2", other().with_device(1), [sealed("msg")]),
        peer.build(),
        message("M4", Jid::new("1", Server::Newsletter), [bytes("plaintext", &[1])]),
        message("M5", Jid::new("status", Server::Broadcast), [sealed("skmsg")]),
    ]
}

fn receipts() -> Vec<Node> {
    let receipt = |kind: &'static str| {
        NodeBuilder::new("receipt")
            .attr("id", "M1")
            .attr("to", other().with_device(1))
            .attr("type", kind)
    };
    let items = NodeBuilder::new("list").children([NodeBuilder::new("item").attr("id", "M2").build()]);
    let retry = [
        NodeBuilder::new("retry")
            .attr("count", "1")
            .attr("id", "M1")
            .attr("t", "1")
            .attr("v", "1")
            .build(),
        bytes("registration", &[0, 0, 0, 9]),
    ];
    vec![
        receipt("read").children([items.build()]).build(),
        receipt("retry").children(retry).build(),
        receipt("server-error").build(),
        NodeBuilder::new("ack")
            .attr("class", "message")
            .attr("id", "M1")
            .attr("to", other())
            .build(),
    ]
}

fn groups() -> Vec<Node> {
    let server = || Jid::new("", Server::Group);
    let member = || NodeBuilder::new("participant").attr("jid", other()).build();
    let approval = NodeBuilder::new("membership_approval_mode")
        .children([NodeBuilder::new("group_join").attr("state", "on").build()]);
    let description = NodeBuilder::new("description")
        .attr("id", "D1")
        .children([bytes("body", b"about")]);
    let create = NodeBuilder::new("create").attr("subject", "Garden").children([
        member(),
        approval.build(),
        description.build(),
        leaf("locked"),
    ]);
    let group = || Jid::group("1");
    let mut stanzas = vec![
        ask("set", "w:g2", server(), create.build()),
        ask("get", "w:g2", server(), leaf("participating")),
        ask(
            "set",
            "w:g2",
            server(),
            NodeBuilder::new("leave")
                .children([NodeBuilder::new("group").attr("id", group()).build()])
                .build(),
        ),
        ask(
            "set",
            "w:g2",
            server(),
            NodeBuilder::new("invite").attr("code", "x").build(),
        ),
        message("M6", group(), [fan_out(), sealed("skmsg")]),
    ];
    let changes = [
        leaf("query"),
        NodeBuilder::new("add").children([member()]).build(),
        NodeBuilder::new("promote").children([member()]).build(),
        bytes("subject", b"Shed"),
        NodeBuilder::new("ephemeral").attr("expiration", "86400").build(),
        leaf("announcement"),
        NodeBuilder::new("membership_requests_action")
            .children([NodeBuilder::new("approve").children([member()]).build()])
            .build(),
    ];
    stanzas.extend(changes.map(|change| ask("set", "w:g2", group(), change)));
    stanzas
}

fn presence() -> Vec<Node> {
    let presence = |kind: &'static str| NodeBuilder::new("presence").attr("type", kind).attr("name", "Ann");
    vec![
        presence("available").build(),
        presence("subscribe").attr("to", other()).build(),
        presence("unsubscribe").attr("to", other()).build(),
        NodeBuilder::new("chatstate")
            .attr("to", other())
            .children([NodeBuilder::new("composing").attr("media", "audio").build()])
            .build(),
    ]
}

/// With the number of their kind in front, see `wharf_sandbox::fuzz::bodies`.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds = vec![
        ("registration", body(0, &registration().encode_to_vec())),
        ("login", body(0, &login_payload().encode_to_vec())),
        ("patch", body(3, &patch().encode_to_vec())),
        ("signature", body(4, &[0x12, 0x20, 1, 2, 3])),
        (
            "qr",
            body(5, format!("2@ref,{0},{0},{0},1", "A".repeat(43) + "=").as_bytes()),
        ),
        ("code", body(5, b"ABCD-1234")),
    ];
    seeds.extend(
        plaintexts()
            .into_iter()
            .map(|(name, message)| (name, body(1, &padded(&message)))),
    );
    seeds.extend(ciphertexts().into_iter().map(|(name, bytes)| (name, body(2, &bytes))));
    seeds
}

fn body(kind: u8, bytes: &[u8]) -> Vec<u8> {
    [&[kind], bytes].concat()
}

/// Clients pad plaintexts with up to 16 bytes that hold their number.
fn padded(message: &Message) -> Vec<u8> {
    [&message.encode_to_vec()[..], &[1]].concat()
}

fn registration() -> ClientPayload {
    let props = DeviceProps {
        os: Some("Fuzz".to_owned()),
        ..Default::default()
    };
    ClientPayload {
        push_name: Some("Ann".to_owned()),
        device_pairing_data: MessageField::some(DevicePairingRegistrationData {
            e_regid: Some(vec![0, 0, 0, 9]),
            e_keytype: Some(vec![5]),
            e_ident: Some(vec![1; 32]),
            e_skey_id: Some(vec![0, 0, 1]),
            e_skey_val: Some(vec![2; 32]),
            e_skey_sig: Some(vec![3; 64]),
            device_props: Some(props.encode_to_vec()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn login_payload() -> ClientPayload {
    ClientPayload {
        username: NUMBERS[0].parse().ok(),
        device: Some(1),
        ..Default::default()
    }
}

fn patch() -> SyncdPatch {
    SyncdPatch {
        version: MessageField::some(SyncdVersion { version: Some(1) }),
        mutations: vec![SyncdMutation::default()],
        snapshot_mac: Some(vec![1; 32]),
        patch_mac: Some(vec![2; 32]),
        ..Default::default()
    }
}

fn plaintexts() -> Vec<(&'static str, Message)> {
    let text = Message {
        conversation: Some("hi".to_owned()),
        ..Default::default()
    };
    let wrapped = |message: &Message| {
        MessageField::some(FutureProofMessage {
            message: MessageField::some(message.clone()),
        })
    };
    let protocol = |kind: protocol_message::Type| Message {
        protocol_message: MessageField::some(ProtocolMessage {
            r#type: Some(kind),
            edited_message: MessageField::some(text.clone()),
            ..Default::default()
        }),
        ..Default::default()
    };
    vec![
        ("text", text.clone()),
        (
            "extended",
            Message {
                extended_text_message: MessageField::some(ExtendedTextMessage {
                    text: Some("see https://example.org".to_owned()),
                    ..Default::default()
                }),
                ..Default::default()
            },
        ),
        (
            "image",
            Message {
                image_message: MessageField::some(ImageMessage {
                    url: Some("https://127.0.0.1/mms/image/a".to_owned()),
                    direct_path: Some("/mms/image/a".to_owned()),
                    media_key: Some(vec![1; 32]),
                    file_sha256: Some(vec![2; 32]),
                    file_enc_sha256: Some(vec![3; 32]),
                    file_length: Some(6),
                    caption: Some("sun".to_owned()),
                    ..Default::default()
                }),
                ..Default::default()
            },
        ),
        (
            "location",
            Message {
                location_message: MessageField::some(LocationMessage {
                    degrees_latitude: Some(1.5),
                    degrees_longitude: Some(2.5),
                    ..Default::default()
                }),
                ..Default::default()
            },
        ),
        (
            "poll",
            Message {
                poll_creation_message: MessageField::some(PollCreationMessage {
                    name: Some("Tea?".to_owned()),
                    ..Default::default()
                }),
                ..Default::default()
            },
        ),
        (
            "reaction",
            Message {
                reaction_message: MessageField::some(ReactionMessage {
                    text: Some("!".to_owned()),
                    ..Default::default()
                }),
                ..Default::default()
            },
        ),
        (
            "own",
            Message {
                device_sent_message: MessageField::some(DeviceSentMessage {
                    destination_jid: Some(other().to_string()),
                    message: MessageField::some(text.clone()),
                    ..Default::default()
                }),
                ..Default::default()
            },
        ),
        (
            "group-key",
            Message {
                sender_key_distribution_message: MessageField::some(message::SenderKeyDistributionMessage {
                    group_id: Some("1@g.us".to_owned()),
                    axolotl_sender_key_distribution_message: Some(vec![0x33; 40]),
                }),
                ..Default::default()
            },
        ),
        (
            "wrapped",
            Message {
                ephemeral_message: wrapped(&text),
                ..Default::default()
            },
        ),
        ("edit", protocol(protocol_message::Type::MESSAGE_EDIT)),
        ("revoke", protocol(protocol_message::Type::REVOKE)),
        (
            "key-request",
            protocol(protocol_message::Type::APP_STATE_SYNC_KEY_REQUEST),
        ),
    ]
}

/// Well-formed, and nobody's.
fn ciphertexts() -> Vec<(&'static str, Vec<u8>)> {
    let mut rng = StdRng::seed_from_u64(7);
    let pair = KeyPair::generate(&mut rng);
    let (public, identity) = (pair.public_key, IdentityKey::new(pair.public_key));
    let message = || SignalMessage::new(3, &[1; 32], public, 0, 0, &[2; 32], &identity, &identity);
    let first = |message| PreKeySignalMessage::new(3, 9, Some(1.into()), 1.into(), public, identity, message);
    let group = SenderKeyMessage::new(3, 1, 0, vec![1; 32].into(), &mut rng, &pair.private_key);
    let key = SenderKeyDistributionMessage::new(3, 1, 0, [4; 32], public);
    let sealed = [
        ("message", message().map(|sealed| sealed.serialized().to_vec())),
        (
            "first-message",
            message().and_then(first).map(|sealed| sealed.serialized().to_vec()),
        ),
        ("group-message", group.map(|sealed| sealed.serialized().to_vec())),
        ("sender-key", key.map(|key| key.serialized().to_vec())),
    ];
    sealed
        .into_iter()
        .filter_map(|(name, bytes)| Some((name, bytes.ok()?)))
        .collect()
}
