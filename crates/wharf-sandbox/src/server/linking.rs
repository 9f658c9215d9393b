//! Linking of a new companion: references to show, the phone's scan or code, the exchange of signatures, and the 515
//! that sends the client to its first login (protocol brief, sections 5 and 6).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use buffa::Message as _;
use tokio::sync::mpsc;
use tokio::time::Instant;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef};
use waproto::whatsapp::client_payload::DevicePairingRegistrationData;
use waproto::whatsapp::{ClientPayload, DeviceProps};

use super::connection::{self, Gone, Opened};
use super::inlet::Inlet;
use super::pair_code::{CodeLink, Outcome};
use super::passkey::PasskeyLink;
use super::pipe::Pipe;
use super::{notifications, outlet};
use crate::clock::unix_seconds;
use crate::error::SandboxError;
use crate::model::{Changed, DeviceId};
use crate::network::Network;
use crate::network::account::{Account, Addressing};
use crate::network::device::{Device, SignedKey};
use crate::network::links::{LinkRequest, Offer, ScanRequest};
use crate::network::queue::Queue;
use crate::network::session::{Ending, Session};
use crate::phone::adv::{self, AccountSigned};
use crate::wire::node::{attr_is, child_bytes, error, server_jid, text_attr};

/// Clients show one after the other; how long, says `Timing`.
const REFERENCES: u32 = 6;
/// Device numbers have 8 bits on the wire and are never used twice.
const LAST_DEVICE: DeviceId = 255;

/// The keys a client registers with.
#[derive(Debug, Clone)]
pub(super) struct Registration {
    noise: [u8; 32],
    identity: [u8; 32],
    registration: u32,
    signed_key: SignedKey,
    platform: String,
}

/// A link whose `pair-success` is with the client.
struct Attempt {
    question: String,
    account: Arc<Account>,
    device: DeviceId,
    key_index: u32,
    signed: AccountSigned,
    done: tokio::sync::oneshot::Sender<Result<DeviceId, SandboxError>>,
}

pub(super) async fn run(
    network: &Arc<Network>,
    opened: Opened,
    payload: &ClientPayload,
    data: &DevicePairingRegistrationData,
) -> Result<(), Gone> {
    let Some(client) = Registration::read(data, opened.client_static) else {
        return connection::refuse(network, opened, payload, 400.into()).await;
    };
    let Opened {
        mut inlet, mut pipe, ..
    } = opened;
    let (requests, requested) = mpsc::channel(1);
    let offer = Offer {
        serial: Session::new().0.serial,
        noise: client.noise,
        identity: client.identity,
        push_name: payload.push_name.clone(),
        requests,
    };
    let _withdrawn_at_the_end = Withdraw {
        network,
        serial: offer.serial,
    };
    let references = show_references(network, &offer);
    pipe.send_node(&references).await?;
    let served = serve(network, &client, &offer, requested, (&mut inlet, &mut pipe)).await;
    let why = match served {
        Ok(why) | Err(Gone::Fault(why)) => why,
        Err(gone) => return Err(gone),
    };
    if why == Ending::Restart {
        // Timing rule 2 (protocol brief, section 5): whatsapp-rust expects the 515 only a moment after its signature.
        tokio::time::sleep(network.timing.restart).await;
    }
    if let Some(last) = outlet::farewell(why) {
        pipe.send_last(&last).await?;
    }
    inlet.part(network, pipe, why).await;
    Ok(())
}

struct Withdraw<'n> {
    network: &'n Network,
    serial: u64,
}

impl Drop for Withdraw<'_> {
    fn drop(&mut self) {
        self.network.links.withdraw(self.serial);
    }
}

impl Registration {
    pub(super) fn read(data: &DevicePairingRegistrationData, noise: [u8; 32]) -> Option<Self> {
        let props = data
            .device_props
            .as_deref()
            .and_then(|bytes| DeviceProps::decode_from_slice(bytes).ok());
        Some(Self {
            noise,
            identity: data.e_ident.as_deref()?.try_into().ok()?,
            registration: u32::from_be_bytes(data.e_regid.as_deref()?.try_into().ok()?),
            signed_key: SignedKey {
                id: data.e_skey_id.as_deref()?.try_into().ok()?,
                public: data.e_skey_val.as_deref()?.try_into().ok()?,
                signature: data.e_skey_sig.as_deref()?.try_into().ok()?,
            },
            platform: props.and_then(|props| props.os).unwrap_or_else(|| "unknown".to_owned()),
        })
    }
}

/// Who asks for identifiers before there is an account.
const LINKING: &str = "linking";

fn show_references(network: &Network, offer: &Offer) -> Node {
    let references: Vec<String> = (0..REFERENCES)
        .map(|_| format!("2@{}{}", network.stanza_id(LINKING), network.stanza_id(LINKING)))
        .collect();
    let children: Vec<_> = references
        .iter()
        .map(|text| NodeBuilder::new("ref").bytes(text.clone().into_bytes()).build())
        .collect();
    let first = Instant::now() + network.timing.first_reference + network.timing.reference_grace;
    let ends = (0..).map(|place| first + network.timing.reference * place);
    network.links.offer(references.into_iter().zip(ends).collect(), offer);
    let pair = NodeBuilder::new("pair-device").children(children).build();
    question(&network.stanza_id(LINKING), pair)
}

fn question(id: &str, child: Node) -> Node {
    NodeBuilder::new("iq")
        .attr("from", server_jid())
        .attr("type", "set")
        .attr("id", id)
        .attr("xmlns", "md")
        .attr("t", unix_seconds())
        .children([child])
        .build()
}

/// Waits for scans, codes and the client's signature; the restart follows once a device is linked.
async fn serve(
    network: &Network,
    client: &Registration,
    offer: &Offer,
    mut requested: mpsc::Receiver<LinkRequest>,
    (inlet, pipe): (&mut Inlet, &mut Pipe),
) -> Result<Ending, Gone> {
    let mut attempts: VecDeque<Attempt> = VecDeque::new();
    let (mut code, mut passkey) = (CodeLink::default(), PasskeyLink::default());
    loop {
        let request = tokio::select! {
            stanza = inlet.next() => {
                let stanza = stanza?;
                if stanza.refused.is_some() {
                    continue;
                }
                let node = stanza.node.get();
                if let Some(attempt) = attempts.pop_front_if(|attempt| attr_is(node, "id", &attempt.question)) {
                    let linked = conclude(network, client, attempt, node).await;
                    return if linked { Ok(Ending::Restart) } else { Err(Gone::NotLinked) };
                }
                let outcome = match passkey.receive(network, offer, node) {
                    Outcome::NotMine => code.receive(network, offer, node),
                    outcome => outcome,
                };
                answer(network, pipe, offer, outcome, node).await?.map(LinkRequest::Proven)
            }
            Some(request) = requested.recv() => Some(request),
            () = pipe.due() => {
                pipe.send(&[]).await?;
                None
            }
            () = code.runs_out() => {
                if let Some(refresh) = code.refresh(network, offer) {
                    pipe.send_node(&refresh).await?;
                }
                None
            }
            () = network.stop.cancelled() => return Ok(Ending::Stop),
        };
        match request {
            None => {}
            Some(LinkRequest::Typed(request)) => {
                if let Some(hello) = code.typed(network, offer, request).await {
                    pipe.send_node(&hello).await?;
                }
            }
            Some(LinkRequest::Scanned(request)) => {
                let needed = request.account.state().passkey.clone();
                if let Some(needed) = needed {
                    pipe.send_node(&passkey.begin(network, request, needed)).await?;
                } else {
                    attempts.extend(start(network, client, request, pipe).await?);
                }
            }
            Some(LinkRequest::Proven(request)) => attempts.extend(start(network, client, request, pipe).await?),
        }
    }
}

/// The client is offered the link, and asked to sign it.
async fn start(
    network: &Network,
    client: &Registration,
    request: ScanRequest,
    pipe: &mut Pipe,
) -> Result<Option<Attempt>, Gone> {
    let Some((attempt, node)) = begin(network, client, request) else {
        return Ok(None);
    };
    pipe.send_node(&node).await?;
    Ok(Some(attempt))
}

/// Answers what a client says before it is linked; what was proven by a code or a passkey is as good as a scan.
async fn answer(
    network: &Network,
    pipe: &mut Pipe,
    offer: &Offer,
    outcome: Outcome,
    node: &NodeRef<'_>,
) -> Result<Option<ScanRequest>, Gone> {
    match outcome {
        Outcome::NotMine => answer_meanwhile(network, pipe, node).await?,
        Outcome::Silence => {}
        Outcome::Answer(answer) => pipe.send_node(&answer).await?,
        Outcome::Relayed(answer, said) => {
            pipe.send_node(&answer).await?;
            tokio::time::sleep(network.timing.passkey).await;
            pipe.send_node(&said).await?;
        }
        Outcome::Proven(answer, request) => {
            pipe.send_node(&answer).await?;
            // Its QR code is not to be scanned any more.
            network.links.withdraw(offer.serial);
            tokio::time::sleep(network.timing.passkey).await;
            return Ok(Some(request));
        }
    }
    Ok(None)
}

/// Before it is linked a client may keep the connection alive and say goodbye, nothing else.
async fn answer_meanwhile(network: &Network, pipe: &mut Pipe, node: &NodeRef<'_>) -> Result<(), Gone> {
    if &*node.tag == "xmlstreamend" {
        return Err(Gone::Closed);
    }
    let (Some(id), Some(kind)) = (text_attr(node, "id"), text_attr(node, "type")) else {
        return Ok(());
    };
    if &*node.tag != "iq" || kind == "result" || kind == "error" {
        return Ok(());
    }
    if attr_is(node, "xmlns", "w:p") {
        return pipe.send_node(&crate::wire::node::result(&id).build()).await;
    }
    let child = node.children().and_then(<[_]>::first).map_or("", |child| &*child.tag);
    network.unhandled.count(format!(
        "unlinked {kind} {}/{child}",
        text_attr(node, "xmlns").unwrap_or_default()
    ));
    let refused = NodeBuilder::new("iq")
        .attr("from", server_jid())
        .attr("type", "error")
        .attr("id", id)
        .children([error(501, "feature-not-implemented")]);
    pipe.send_node(&refused.build()).await
}

fn begin(network: &Network, client: &Registration, request: ScanRequest) -> Option<(Attempt, Node)> {
    let ScanRequest {
        account,
        adv_secret,
        done,
    } = request;
    match reserve(network, client, &account) {
        Ok((device, key_index, signed)) => {
            let id = network.stanza_id(&account.number);
            let node = question(&id, pair_success(&account, device, signed.container(&adv_secret)));
            Some((
                Attempt {
                    question: id,
                    account,
                    device,
                    key_index,
                    signed,
                    done,
                },
                node,
            ))
        }
        Err(refused) => {
            let _scanner_gone = done.send(Err(refused));
            None
        }
    }
}

/// Takes a device number and a key index for the companion. Both only ever grow.
fn reserve(
    network: &Network,
    client: &Registration,
    account: &Account,
) -> Result<(DeviceId, u32, AccountSigned), SandboxError> {
    let mut state = account.state();
    if state.devices.len() >= network.companions || state.next_device > LAST_DEVICE {
        return Err(SandboxError::TooManyDevices(account.number.clone()));
    }
    let (device, key_index) = (state.next_device, state.next_key_index);
    state.next_device += 1;
    state.next_key_index += 1;
    let mut batch = network.store.batch();
    account.save(&state, &mut batch);
    network.store.submit(batch);
    drop(state);
    let signed = adv::sign_companion(
        &account.keys,
        client.identity,
        key_index,
        unix_seconds(),
        &mut network.rng(),
    );
    Ok((
        device,
        key_index,
        signed.map_err(|failure| SandboxError::Crypto(failure.to_string()))?,
    ))
}

fn pair_success(account: &Account, device: DeviceId, container: Vec<u8>) -> Node {
    NodeBuilder::new("pair-success")
        .children([
            NodeBuilder::new("device-identity").bytes(container).build(),
            NodeBuilder::new("device")
                .attr("jid", account.device_jid(Addressing::Number, device))
                .attr("lid", account.device_jid(Addressing::Lid, device))
                .build(),
            NodeBuilder::new("platform").attr("name", "android").build(),
        ])
        .build()
}

/// Checks the client's signature and, if it is right, adds the device; the phone's scan learns how it went.
async fn conclude(network: &Network, client: &Registration, attempt: Attempt, answer: &NodeRef<'_>) -> bool {
    let blob = read_signature(&attempt.signed, answer);
    match blob {
        Ok(blob) => {
            let added = add_device(network, client, &attempt, blob).await;
            let linked = added.is_ok();
            let _scanner_gone = attempt.done.send(added.map(|()| attempt.device));
            linked
        }
        Err(reason) => {
            let _scanner_gone = attempt.done.send(Err(SandboxError::LinkRefused(reason)));
            false
        }
    }
}

fn read_signature(signed: &AccountSigned, answer: &NodeRef<'_>) -> Result<Vec<u8>, String> {
    if attr_is(answer, "type", "error") {
        let reason = answer
            .get_optional_child("error")
            .and_then(|error| text_attr(error, "text"));
        return Err(reason.unwrap_or_else(|| "no reason given".to_owned()));
    }
    let sign = answer.get_optional_child("pair-device-sign").ok_or("no signature")?;
    let identity = child_bytes(sign, "device-identity").ok_or("no device identity")?;
    signed.complete(&identity).map_err(str::to_owned)
}

/// Adds the device and waits until it is durable: the client is told to log in with it next.
async fn add_device(
    network: &Network,
    client: &Registration,
    attempt: &Attempt,
    identity_blob: Vec<u8>,
) -> Result<(), SandboxError> {
    let device = Device {
        id: attempt.device,
        key_index: attempt.key_index,
        noise: client.noise,
        identity: client.identity,
        registration: client.registration,
        signed_key: client.signed_key.clone(),
        identity_blob,
        platform: client.platform.clone(),
        bootstrapped: false,
        one_time_keys: VecDeque::new(),
        dirty: BTreeMap::new(),
        queue: Queue::default(),
        session: None,
    };
    let ticket = {
        let mut state = attempt.account.state();
        let mut batch = network.store.batch();
        attempt.account.save_device(&device, &mut batch);
        state.devices.insert(device.id, device);
        state.key_index_list = None;
        network.store.submit(batch)
    };
    notifications::device_added(network, &attempt.account, attempt.device, attempt.key_index);
    network.announce(&attempt.account.number, Changed::Devices);
    network.durable(ticket).await
}
