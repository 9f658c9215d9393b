//! A client made of the bare pieces of the protocol, so that it can also do what no real client would.

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use buffa::Message as _;
use bytes::BytesMut;
use futures::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_websockets::{ClientBuilder, MaybeTlsStream, Message, WebSocketStream};
use wacore::pair::{DeviceState, PairUtils};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::consts::{NOISE_PATTERN_IK, NOISE_PATTERN_XX, NOISE_PATTERN_XXFALLBACK, WA_CONN_HEADER};
use wacore_binary::util::unpack_bytes;
use wacore_binary::{Jid, Node, OwnedNodeRef};
use wacore_libsignal::protocol::{KeyPair, PublicKey};
use wacore_noise::{HandshakeUtils, NoiseCipher, NoiseHandshake};
use waproto::whatsapp::client_payload::DevicePairingRegistrationData;
use waproto::whatsapp::{CertChain, ClientPayload, DeviceProps, cert_chain};
use wharf_sandbox::Sandbox;

/// Far more than anything takes, on a machine that compiles beside.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn raw(pair: &KeyPair) -> [u8; 32] {
    pair.public_key.public_key_bytes().try_into().unwrap()
}

/// The keys of a companion.
pub struct Keys {
    pub device: DeviceState,
    pub signed: KeyPair,
}

impl Keys {
    pub fn new() -> Self {
        let mut rng = rand::rng();
        let device = DeviceState {
            identity_key: KeyPair::generate(&mut rng),
            noise_key: KeyPair::generate(&mut rng),
            adv_secret_key: [7; 32],
        };
        Self {
            device,
            signed: KeyPair::generate(&mut rng),
        }
    }

    pub fn registration(&self) -> ClientPayload {
        let signature = self
            .device
            .identity_key
            .calculate_signature(&self.signed.public_key.serialize(), &mut rand::rng())
            .unwrap();
        let props = DeviceProps {
            os: Some("Raw".to_owned()),
            ..Default::default()
        };
        ClientPayload {
            device_pairing_data: buffa::MessageField::some(DevicePairingRegistrationData {
                e_regid: Some(vec![0, 0, 0, 9]),
                e_keytype: Some(vec![5]),
                e_ident: Some(raw(&self.device.identity_key).to_vec()),
                e_skey_id: Some(vec![0, 0, 1]),
                e_skey_val: Some(raw(&self.signed).to_vec()),
                e_skey_sig: Some(signature.to_vec()),
                device_props: Some(props.encode_to_vec()),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    pub fn qr(&self, reference: &str) -> String {
        let text = |pair: &KeyPair| BASE64_STANDARD.encode(raw(pair));
        let secret = BASE64_STANDARD.encode(self.device.adv_secret_key);
        format!(
            "{reference},{},{},{secret},1",
            text(&self.device.noise_key),
            text(&self.device.identity_key)
        )
    }
}

pub fn login(phone: &str, device: u16) -> ClientPayload {
    ClientPayload {
        username: Some(phone.parse().unwrap()),
        device: Some(device.into()),
        ..Default::default()
    }
}

/// A sandbox that clients can reach, in this process or another.
pub trait Reach {
    fn chat_url(&self) -> String;
    fn root_public_key(&self) -> [u8; 32];
}

impl Reach for Sandbox {
    fn chat_url(&self) -> String {
        Sandbox::chat_url(self)
    }

    fn root_public_key(&self) -> [u8; 32] {
        Sandbox::root_public_key(self)
    }
}

pub struct Socket {
    pub stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    buffer: BytesMut,
}

impl Socket {
    pub async fn open(sandbox: &impl Reach) -> Self {
        let url = sandbox.chat_url();
        let (stream, _) = ClientBuilder::new().uri(&url).unwrap().connect().await.unwrap();
        Self {
            stream,
            buffer: BytesMut::new(),
        }
    }

    pub async fn write(&mut self, bytes: Vec<u8>) {
        let _server_may_be_gone = self.stream.send(Message::binary(bytes)).await;
    }

    pub async fn write_frame(&mut self, payload: &[u8]) {
        self.write(framed(payload)).await;
    }

    /// The next frame, or `None` when the server closed.
    pub async fn frame(&mut self) -> Option<BytesMut> {
        loop {
            if self.buffer.len() >= 3 {
                let length =
                    usize::from(self.buffer[0]) << 16 | usize::from(self.buffer[1]) << 8 | usize::from(self.buffer[2]);
                if self.buffer.len() >= 3 + length {
                    let mut frame = self.buffer.split_to(3 + length);
                    return Some(frame.split_off(3));
                }
            }
            let message = tokio::time::timeout(PATIENCE, self.stream.next())
                .await
                .expect("a frame or a close");
            match message {
                Some(Ok(message)) if message.is_binary() => self.buffer.extend_from_slice(message.as_payload()),
                Some(Ok(message)) if message.is_close() => return None,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    pub async fn is_closed(&mut self) -> bool {
        self.frame().await.is_none()
    }
}

pub fn framed(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], payload].concat()
}

pub struct RawClient {
    pub socket: Socket,
    read: (NoiseCipher, u32),
    write: (NoiseCipher, u32),
    /// What the server proved itself with.
    pub server_static: [u8; 32],
}

impl RawClient {
    /// Connects with an XX handshake and checks the certificate chain against the sandbox's root.
    pub async fn connect(sandbox: &impl Reach, noise_key: &KeyPair, payload: &ClientPayload) -> Self {
        let mut socket = Socket::open(sandbox).await;
        let ephemeral = KeyPair::generate(&mut rand::rng());
        let hello = HandshakeUtils::build_client_hello(&raw(&ephemeral)).encode_to_vec();
        socket.write([&WA_CONN_HEADER[..], &framed(&hello)].concat()).await;
        Self::finish_xx(sandbox, socket, NOISE_PATTERN_XX, &ephemeral, noise_key, payload).await
    }

    /// Starts with an IK handshake for the given server key; falls back when the server answers so.
    pub async fn connect_ik(
        sandbox: &impl Reach,
        server_static: [u8; 32],
        noise_key: &KeyPair,
        payload: &ClientPayload,
    ) -> Self {
        let mut socket = Socket::open(sandbox).await;
        let ephemeral = KeyPair::generate(&mut rand::rng());
        let mut noise = NoiseHandshake::new(NOISE_PATTERN_IK, &WA_CONN_HEADER).unwrap();
        noise.authenticate(&server_static);
        noise.authenticate(&raw(&ephemeral));
        noise
            .mix_shared_secret(ephemeral.private_key.serialize(), &server_static)
            .unwrap();
        let sealed_static = noise.encrypt(&raw(noise_key)).unwrap();
        noise
            .mix_shared_secret(noise_key.private_key.serialize(), &server_static)
            .unwrap();
        let sealed_payload = noise.encrypt(&payload.encode_to_vec()).unwrap();
        let hello = HandshakeUtils::build_ik_client_hello(&raw(&ephemeral), sealed_static, sealed_payload);
        socket
            .write([&WA_CONN_HEADER[..], &framed(&hello.encode_to_vec())].concat())
            .await;
        let reply = socket.frame().await.expect("a server hello");
        let hello = HandshakeUtils::parse_server_hello_body(&reply).unwrap();
        if hello.r#static.is_some() {
            socket.buffer = BytesMut::from([&framed(&reply)[..], &socket.buffer].concat().as_slice());
            return Self::finish_xx(
                sandbox,
                socket,
                NOISE_PATTERN_XXFALLBACK,
                &ephemeral,
                noise_key,
                payload,
            )
            .await;
        }
        let server_ephemeral = hello.ephemeral.unwrap();
        noise.authenticate(&server_ephemeral);
        noise
            .mix_shared_secret(ephemeral.private_key.serialize(), &server_ephemeral)
            .unwrap();
        noise
            .mix_shared_secret(noise_key.private_key.serialize(), &server_ephemeral)
            .unwrap();
        let chain = noise.decrypt(&hello.payload.unwrap()).unwrap();
        check_chain(sandbox, &chain, &server_static);
        let (write, read) = noise.finish().unwrap();
        Self {
            socket,
            read: (read, 0),
            write: (write, 0),
            server_static,
        }
    }

    async fn finish_xx(
        sandbox: &impl Reach,
        mut socket: Socket,
        pattern: &str,
        ephemeral: &KeyPair,
        noise_key: &KeyPair,
        payload: &ClientPayload,
    ) -> Self {
        let reply = socket.frame().await.expect("a server hello");
        let (server_ephemeral, sealed_static, sealed_chain) = HandshakeUtils::parse_server_hello(&reply).unwrap();
        let mut noise = NoiseHandshake::new(pattern, &WA_CONN_HEADER).unwrap();
        noise.authenticate(&raw(ephemeral));
        noise.authenticate(&server_ephemeral);
        noise
            .mix_shared_secret(ephemeral.private_key.serialize(), &server_ephemeral)
            .unwrap();
        let server_static: [u8; 32] = noise.decrypt(&sealed_static).unwrap().try_into().unwrap();
        noise
            .mix_shared_secret(ephemeral.private_key.serialize(), &server_static)
            .unwrap();
        check_chain(sandbox, &noise.decrypt(&sealed_chain).unwrap(), &server_static);
        let own_static = noise.encrypt(&raw(noise_key)).unwrap();
        noise
            .mix_shared_secret(noise_key.private_key.serialize(), &server_ephemeral)
            .unwrap();
        let own_payload = noise.encrypt(&payload.encode_to_vec()).unwrap();
        let finish = HandshakeUtils::build_client_finish(own_static, own_payload).encode_to_vec();
        socket.write_frame(&finish).await;
        let (write, read) = noise.finish().unwrap();
        Self {
            socket,
            read: (read, 0),
            write: (write, 0),
            server_static,
        }
    }

    pub async fn send(&mut self, node: &Node) {
        self.send_plain(&wacore_binary::marshal(node).unwrap()).await;
    }

    /// Encrypts and sends bytes that need not be a node.
    pub async fn send_plain(&mut self, bytes: &[u8]) {
        let sealed = self.write.0.encrypt_with_counter(self.write.1, bytes).unwrap();
        self.write.1 += 1;
        self.socket.write_frame(&sealed).await;
    }

    /// The next stanza, or `None` when the server closed.
    pub async fn node(&mut self) -> Option<Node> {
        let mut frame = self.socket.frame().await?;
        self.read
            .0
            .decrypt_in_place_with_counter(self.read.1, &mut frame)
            .unwrap();
        self.read.1 += 1;
        Some(OwnedNodeRef::new(unpack_bytes(frame).unwrap()).unwrap().to_owned_node())
    }

    /// Whether the next frame cannot be decrypted.
    pub async fn is_broken(&mut self) -> bool {
        let mut frame = self.socket.frame().await.expect("a frame");
        let opened = self.read.0.decrypt_in_place_with_counter(self.read.1, &mut frame);
        self.read.1 += 1;
        opened.is_err()
    }

    /// The next stanza with this tag; others are skipped.
    pub async fn expect(&mut self, tag: &str) -> Node {
        loop {
            let node = self
                .node()
                .await
                .unwrap_or_else(|| panic!("the server closed, no <{tag}> came"));
            if node.tag == tag {
                return node;
            }
        }
    }

    /// Asks and returns the answer.
    pub async fn ask(&mut self, kind: &'static str, xmlns: &'static str, child: Option<Node>) -> Node {
        let id = format!("q{}", self.write.1);
        let node = NodeBuilder::new("iq")
            .attr("id", id.as_str())
            .attr("type", kind)
            .attr("xmlns", xmlns)
            .attr("to", Jid::new("", wacore_binary::Server::Pn))
            .children(child)
            .build();
        self.send(&node).await;
        loop {
            let answer = self.expect("iq").await;
            if attr(&answer, "id") == id {
                return answer;
            }
        }
    }
}

fn check_chain(sandbox: &impl Reach, chain: &[u8], server_static: &[u8; 32]) {
    let chain = CertChain::decode_from_slice(chain).unwrap();
    let details = |certificate: &cert_chain::NoiseCertificate| {
        let bytes = certificate.details.clone().unwrap();
        (
            cert_chain::noise_certificate::Details::decode_from_slice(&bytes).unwrap(),
            bytes,
        )
    };
    let (intermediate, signed) = details(&chain.intermediate);
    let root = PublicKey::from_djb_public_key_bytes(&sandbox.root_public_key()).unwrap();
    assert!(root.verify_signature(&signed, chain.intermediate.signature.as_ref().unwrap()));
    let issuer = PublicKey::from_djb_public_key_bytes(intermediate.key.as_ref().unwrap()).unwrap();
    let (leaf, signed) = details(&chain.leaf);
    assert!(issuer.verify_signature(&signed, chain.leaf.signature.as_ref().unwrap()));
    assert_eq!(
        (leaf.key.as_deref(), leaf.issuer_serial),
        (Some(&server_static[..]), intermediate.serial)
    );
}

pub fn attr(node: &Node, name: &str) -> String {
    node.attrs
        .get(name)
        .map(|value| value.as_str().into_owned())
        .unwrap_or_default()
}

pub fn bytes_of(node: &Node) -> Vec<u8> {
    match &node.content {
        Some(wacore_binary::NodeContent::Bytes(bytes)) => bytes.clone(),
        Some(wacore_binary::NodeContent::String(text)) => text.as_bytes().to_vec(),
        _ => Vec::new(),
    }
}

/// Shows a code and returns the connection with the first reference.
pub async fn show_code(sandbox: &impl Reach, keys: &Keys) -> (RawClient, String) {
    show_code_as(sandbox, keys, &keys.registration()).await
}

/// The same with a registration of its own.
pub async fn show_code_as(sandbox: &impl Reach, keys: &Keys, payload: &ClientPayload) -> (RawClient, String) {
    let mut client = RawClient::connect(sandbox, &keys.device.noise_key, payload).await;
    let question = client.expect("iq").await;
    let pair = question.get_optional_child("pair-device").unwrap();
    let references: Vec<_> = pair
        .get_children_by_tag("ref")
        .map(|node| String::from_utf8(bytes_of(node)).unwrap())
        .collect();
    assert_eq!(references.len(), 6);
    (client, references[0].clone())
}

/// Signs the phone's offer and waits for the 515.
pub async fn sign_link(client: &mut RawClient, keys: &Keys) {
    let offer = client.expect("iq").await;
    let success = offer.get_optional_child("pair-success").unwrap();
    let container = bytes_of(success.get_optional_child("device-identity").unwrap());
    let (signed, index) = PairUtils::do_pair_crypto(&keys.device, &container).unwrap();
    client
        .send(&PairUtils::build_pair_success_response(
            &attr(&offer, "id"),
            signed,
            index,
        ))
        .await;
    assert_eq!(attr(&client.expect("stream:error").await, "code"), "515");
}

/// Links a new companion and returns its keys and device number.
pub async fn link(sandbox: &Sandbox, phone: &str) -> (Keys, u16) {
    let keys = Keys::new();
    let (mut client, reference) = show_code(sandbox, &keys).await;
    let qr = keys.qr(&reference);
    let (device, ()) = tokio::join!(sandbox.scan(phone, &qr), sign_link(&mut client, &keys));
    (keys, device.unwrap())
}

/// Logs a linked companion in and makes it active; returns once the server said how much waited.
pub async fn log_in(sandbox: &impl Reach, keys: &Keys, phone: &str, device: u16) -> RawClient {
    let mut client = RawClient::connect(sandbox, &keys.device.noise_key, &login(phone, device)).await;
    client.expect("success").await;
    client
}

pub async fn activate(client: &mut RawClient) -> Vec<Node> {
    client
        .ask("set", "passive", Some(NodeBuilder::new("active").build()))
        .await;
    let mut waited = Vec::new();
    loop {
        let node = client.node().await.expect("the end of the queue");
        if node.tag == "ib" && node.get_optional_child("offline").is_some() {
            return waited;
        }
        waited.push(node);
    }
}

/// Gives the server one pre-key, so that others can start a session with the companion.
pub async fn upload_key(client: &mut RawClient, keys: &Keys) {
    let leaf = |tag: &'static str, bytes: Vec<u8>| NodeBuilder::new(tag).bytes(bytes).build();
    let key = NodeBuilder::new("key")
        .children([leaf("id", vec![0, 0, 7]), leaf("value", raw(&keys.signed).to_vec())])
        .build();
    let upload = NodeBuilder::new("iq")
        .attr("id", "upload")
        .attr("type", "set")
        .attr("xmlns", "encrypt")
        .children([
            leaf("registration", vec![0, 0, 0, 9]),
            NodeBuilder::new("list").children([key]).build(),
        ])
        .build();
    client.send(&upload).await;
    assert_eq!(attr(&client.expect("iq").await, "type"), "result");
}
