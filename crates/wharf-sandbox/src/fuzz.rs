//! Entry points for fuzzing (`make prove-fuzz`): what the sandbox does with the bytes of strangers, without sockets. Each
//! takes any bytes. A panic is a fault, and so are memory that grows and a call that does not end.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use buffa::Message as _;
use bytes::BytesMut;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::runtime::Runtime;
use wacore_binary::OwnedNodeRef;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::util::unpack_bytes;
use wacore_libsignal::protocol::KeyPair;
use waproto::whatsapp::ClientPayload;

use crate::config::SandboxConfig;
use crate::model::{DeviceId, NewPhone};
use crate::network::Network;
use crate::network::account::Account;
use crate::network::device::{Device, OneTimeKey, SignedKey};
use crate::network::queue::Queue;
use crate::phone::{adv, pair_code};
use crate::qr::LinkingCode;
use crate::sandbox::phones;
use crate::server::fuzzing::{Puppet, read_payload};
use crate::store::MemoryStore;
use crate::wire::certificate::{ServerKeys, raw_public};
use crate::wire::frame::{FrameFault, FrameReader};
use crate::wire::node::{decode, encode};
use crate::wire::noise::{self, Progress};

/// The numbers of the accounts on the stage, for seeds that address them. Each has a companion, device 1.
pub const NUMBERS: [&str; 2] = ["15550100001", "15550100002"];
/// Makes keys and identifiers repeat from run to run.
const SEED: u64 = 7;
const COMPANION: DeviceId = 1;
/// What one byte of a client may make the server keep, and what is kept in any case.
const MOST_PER_BYTE: usize = 512;
const MOST_ANYHOW: usize = 256 * 1024;

/// What does not depend on the input, and takes time to make.
static SERVER: LazyLock<(ServerKeys, Runtime)> = LazyLock::new(|| {
    let keys = ServerKeys::generate(&mut StdRng::seed_from_u64(SEED));
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    match (keys, runtime) {
        (Ok(keys), Ok(runtime)) => (keys, runtime),
        _ => unreachable!("keys and a runtime can be made"),
    }
});

/// A client's byte stream: the first byte says how it is cut into reads, the rest is the stream. The frames must be the
/// same wherever the reads end.
pub fn frames(bytes: &[u8]) {
    let Some((&step, stream)) = bytes.split_first() else {
        return;
    };
    let at_once = cut(stream, stream.len().max(1));
    assert_eq!(
        at_once,
        cut(stream, usize::from(step).max(1)),
        "where reads end must not matter"
    );
    let length: usize = at_once.0.iter().map(BytesMut::len).sum();
    assert!(length <= stream.len(), "frames hold what came, no more");
}

fn cut(stream: &[u8], step: usize) -> (Vec<BytesMut>, Option<FrameFault>) {
    let mut reader = FrameReader::default();
    let mut frames = Vec::new();
    for read in stream.chunks(step) {
        reader.feed(read);
        loop {
            match reader.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(fault) => return (frames, Some(fault)),
            }
        }
    }
    (frames, None)
}

/// The two messages of a client's handshake, as `parts`.
pub fn handshake(bytes: &[u8]) {
    let mut parts = parts(bytes);
    let hello = parts.next().unwrap_or_default();
    let answered = noise::respond(&SERVER.0, hello, &mut StdRng::seed_from_u64(SEED));
    if let Ok((_, Progress::AwaitsFinish(awaits))) = answered {
        let _refused = awaits.finish(parts.next().unwrap_or_default()).is_err();
    }
}

/// Stanzas of a companion that is logged in, as `parts`, and what both phones make of them.
pub fn nodes(bytes: &[u8]) {
    let stage = Stage::new();
    for stanza in parts(bytes) {
        let body = unpack_bytes(BytesMut::from(stanza));
        if let Some(node) = body.ok().and_then(|body| OwnedNodeRef::new(body).ok()) {
            stage.say(node);
        }
    }
    stage.check(bytes.len());
}

/// Bytes inside stanzas and payloads; the first byte says what they are.
pub fn bodies(bytes: &[u8]) {
    let Some((&kind, body)) = bytes.split_first() else {
        return;
    };
    let stage = Stage::new();
    match kind % 6 {
        0 => {
            if let Ok(payload) = ClientPayload::decode_from_slice(body) {
                read_payload(&stage.network, &payload);
            }
        }
        1 => stage.read_plaintext(body),
        2 => stage.read_ciphertext(body),
        3 => stage.patch(body),
        4 => stage.sign(body),
        _ => read_text(&String::from_utf8_lossy(body)),
    }
    stage.check(bytes.len());
}

fn read_text(text: &str) {
    let _no_code = (LinkingCode::parse(text).is_ok(), pair_code::tidy_code(text));
}

/// An input that holds several things: two bytes of length before each, big-endian; the last takes what is left.
fn parts(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (part, rest) = rest.split_at(length);
        bytes = rest;
        Some(part)
    })
}

/// A network with two accounts, each with a phone and a companion; one companion is logged in.
struct Stage {
    network: Arc<Network>,
    accounts: [Arc<Account>; 2],
    client: Puppet,
}

impl Stage {
    fn new() -> Self {
        let (keys, rng) = (SERVER.0.clone(), StdRng::seed_from_u64(SEED));
        let store = Arc::new(MemoryStore::new());
        let network = Arc::new(Network::new(keys, &SandboxConfig::default(), store, rng));
        let accounts = NUMBERS.map(|number| account(&network, number));
        let client = Puppet::log_in(&network, &accounts[0], COMPANION);
        Self {
            network,
            accounts,
            client,
        }
    }

    /// Every answer must be something that can be sent.
    fn say(&self, node: OwnedNodeRef) {
        for answer in self.client.say(node) {
            assert!(decode(&encode(&answer)).is_some(), "an answer is a stanza");
        }
        SERVER.1.block_on(async {
            for account in &self.accounts {
                crate::phone::fuzzing::work_off(&self.network, account).await;
            }
        });
    }

    fn read_plaintext(&self, body: &[u8]) {
        let [own, other] = &self.accounts;
        let senders = [own, other];
        let read = crate::phone::fuzzing::read_plaintext(&self.network, own, &senders, body);
        SERVER.1.block_on(read);
    }

    fn read_ciphertext(&self, body: &[u8]) {
        let [own, other] = &self.accounts;
        let mut rng = self.network.rng();
        let read = crate::phone::fuzzing::read_ciphertext(own, other, body, &mut rng);
        SERVER.1.block_on(read);
    }

    /// A patch of an app-state collection, and the question for what is there then.
    fn patch(&self, body: &[u8]) {
        let patch = NodeBuilder::new("patch").bytes(body.to_vec()).build();
        for (version, patch) in [("0", Some(patch)), ("0", None)] {
            let collection = NodeBuilder::new("collection")
                .attr("name", "regular")
                .attr("version", version)
                .children(patch);
            let sync = NodeBuilder::new("sync").children([collection.build()]).build();
            let question = NodeBuilder::new("iq")
                .attr("id", "1")
                .attr("type", "set")
                .attr("xmlns", "w:sync:app:state")
                .children([sync]);
            if let Some(node) = decode(&encode(&question.build())) {
                self.say(node);
            }
        }
    }

    /// A companion's signature under the phone's offer.
    fn sign(&self, body: &[u8]) {
        let (keys, mut rng) = (&self.accounts[0].keys, self.network.rng());
        if let Ok(offer) = adv::sign_companion(keys, [9; 32], 1, 0, &mut rng) {
            let _refused = offer.complete(body).is_err();
        }
    }

    /// Every stanza that waits must be one, and little input must not make much wait.
    fn check(&self, input: usize) {
        let mut kept = 0;
        for account in &self.accounts {
            let mut state = account.state();
            for device in state.device_ids() {
                let Some(queue) = state.queue(device) else { continue };
                queue.start_over();
                for waiting in queue.hand_out(usize::MAX) {
                    assert!(decode(&waiting.bytes).is_some(), "what waits is a stanza");
                    kept += waiting.bytes.len();
                }
            }
        }
        assert!(
            kept <= MOST_ANYHOW + MOST_PER_BYTE * input,
            "{input} bytes made {kept} wait"
        );
    }
}

fn account(network: &Network, number: &str) -> Arc<Account> {
    let new = NewPhone {
        phone: Some(number.to_owned()),
        ..NewPhone::default()
    };
    let Ok(account) = phones::add(network, &new, None) else {
        unreachable!("the network is empty");
    };
    let pair = KeyPair::generate(&mut network.rng());
    let public = raw_public(&pair);
    let device = Device {
        id: COMPANION,
        key_index: 1,
        noise: public,
        identity: public,
        registration: 9,
        signed_key: SignedKey {
            id: [0, 0, 1],
            public,
            signature: [0; 64],
        },
        identity_blob: Vec::new(),
        platform: "Fuzz".to_owned(),
        // Greeting it takes longer than all else.
        bootstrapped: true,
        one_time_keys: [OneTimeKey { id: [0, 0, 1], public }].into(),
        dirty: BTreeMap::new(),
        queue: Queue::default(),
        session: None,
    };
    let mut state = account.state();
    state.next_device = 2;
    state.next_key_index = 2;
    state.devices.insert(COMPANION, device);
    drop(state);
    account
}
