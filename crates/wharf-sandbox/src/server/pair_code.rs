//! Linking by an eight-character code (protocol brief, section 6): the companion's hello, the phone's, and the bundle
//! that proves which code the companion shows. The server carries all three and can read none.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef};

use crate::clock::unix_seconds;
use crate::error::SandboxError;
use crate::model::DeviceId;
use crate::network::Network;
use crate::network::account::Account;
use crate::network::links::{CodeRequest, Offer, ScanRequest};
use crate::phone::pair_code::Typed;
use crate::wire::node::{attr_is, child_bytes, jid_attr, refusal, result, server_jid, text_attr};

const TAG: &str = "link_code_companion_reg";
/// After so many wrong codes the companion must ask for a new one; clients count the same.
const MOST_TRIES: u32 = 3;
const WRAPPED_KEY: usize = 80;

/// What a linking connection remembers of its code.
#[derive(Debug, Default)]
pub(super) struct CodeLink {
    hello: Option<Hello>,
    typed: Option<Pending>,
}

/// The companion shows a code.
#[derive(Debug)]
struct Hello {
    account: Arc<Account>,
    reference: Vec<u8>,
    wrapped: Vec<u8>,
    tries: u32,
    /// When the code runs out.
    until: Instant,
}

/// A code was typed, and nobody knows yet whether it is right.
#[derive(Debug)]
struct Pending {
    typed: Typed,
    done: oneshot::Sender<Result<DeviceId, SandboxError>>,
}

/// What follows from a stanza of the companion.
pub(super) enum Outcome {
    /// It is about something else.
    NotMine,
    /// Nothing is said.
    Silence,
    Answer(Node),
    /// The server's answer, and what the phone says to it after its own time.
    Relayed(Node, Node),
    /// The code is right: the answer, and the request to link with the secret that both sides know now.
    Proven(Node, ScanRequest),
}

impl CodeLink {
    /// A stanza of the companion.
    pub(super) fn receive(&mut self, network: &Network, client: &Offer, node: &NodeRef<'_>) -> Outcome {
        let (Some(id), Some(part)) = (text_attr(node, "id"), node.get_optional_child(TAG)) else {
            return Outcome::NotMine;
        };
        if &*node.tag != "iq" || !attr_is(node, "type", "set") {
            return Outcome::NotMine;
        }
        match text_attr(part, "stage").as_deref() {
            Some("companion_hello") => Outcome::Answer(self.hello(network, client, &id, part)),
            Some("companion_finish") => self.finish(network, client, &id, part),
            _ => Outcome::Answer(refusal(&id, 400, "bad-request")),
        }
    }

    /// The companion made a code and asks for a reference. A number that nobody has is refused as a malformed request
    /// is: the network does not tell who has an account.
    fn hello(&mut self, network: &Network, client: &Offer, id: &str, part: &NodeRef<'_>) -> Node {
        let Some(hello) = read_hello(network, client, part) else {
            return refusal(id, 400, "bad-request");
        };
        network
            .links
            .await_code(&hello.account.number, client.serial, hello.until);
        let reference = NodeBuilder::new("link_code_pairing_ref")
            .bytes(hello.reference.clone())
            .build();
        // Whoever typed the code before this one typed it in vain.
        self.typed = None;
        self.hello = Some(hello);
        let part = NodeBuilder::new(TAG)
            .attr("stage", "companion_hello")
            .children([reference]);
        result(id).children([part.build()]).build()
    }

    /// Somebody typed a code on the phone; returns what the companion is told.
    pub(super) async fn typed(&mut self, network: &Network, client: &Offer, request: CodeRequest) -> Option<Node> {
        let CodeRequest { code, done } = request;
        // Without a hello the code ran out on the way here, and the typist hears so.
        let hello = self.hello.as_mut()?;
        hello.tries += 1;
        let (wrapped, mut rng) = (hello.wrapped.clone(), network.rng());
        let answered = tokio::task::spawn_blocking(move || Typed::answer(&code, &wrapped, &mut rng)).await;
        let Ok(Ok((typed, wrapped))) = answered else {
            // With a wrong code anything can come out, also what is no key.
            return self.wrong(network, client, done);
        };
        let node = primary_hello(network, hello, wrapped);
        self.typed = Some(Pending { typed, done });
        Some(node)
    }

    fn finish(&mut self, network: &Network, client: &Offer, id: &str, part: &NodeRef<'_>) -> Outcome {
        let Some(hello) = &self.hello else {
            return Outcome::Answer(refusal(id, 400, "bad-request"));
        };
        let (Some(reference), Some(bundle), Some(identity)) = (
            child_bytes(part, "link_code_pairing_ref"),
            child_bytes(part, "link_code_pairing_wrapped_key_bundle"),
            child_bytes(part, "companion_identity_public"),
        ) else {
            return Outcome::Answer(refusal(id, 400, "bad-request"));
        };
        if reference != hello.reference || identity != client.identity {
            return Outcome::Answer(refusal(id, 400, "bad-request"));
        }
        let Some(Pending { typed, done }) = self.typed.take() else {
            return Outcome::Answer(refusal(id, 400, "bad-request"));
        };
        let account = Arc::clone(&hello.account);
        match typed.open_bundle(&account.keys, &client.identity, &bundle) {
            Ok(adv_secret) => {
                self.hello = None;
                let request = ScanRequest {
                    account,
                    adv_secret,
                    done,
                };
                Outcome::Proven(result(id).build(), request)
            }
            // Only the phone knows that the code was wrong, and it does not tell the companion.
            Err(_wrong) => self
                .wrong(network, client, done)
                .map_or(Outcome::Silence, Outcome::Answer),
        }
    }

    /// After too many wrong codes the companion's is of no use any more: then it is asked for another one.
    fn wrong(
        &mut self,
        network: &Network,
        client: &Offer,
        done: oneshot::Sender<Result<DeviceId, SandboxError>>,
    ) -> Option<Node> {
        let _typist_gone = done.send(Err(SandboxError::WrongLinkingCode));
        self.hello.as_ref().filter(|hello| hello.tries >= MOST_TRIES)?;
        self.refresh(network, client)
    }

    /// Returns when the code runs out; never, without one.
    pub(super) async fn runs_out(&self) {
        match &self.hello {
            Some(hello) => sleep_until(hello.until).await,
            None => std::future::pending().await,
        }
    }

    /// The code is of no use any more; the companion is asked to make another one.
    pub(super) fn refresh(&mut self, network: &Network, client: &Offer) -> Option<Node> {
        network.links.forget_code(client.serial);
        let hello = self.hello.take()?;
        let reference = NodeBuilder::new("link_code_pairing_ref").bytes(hello.reference);
        let part = NodeBuilder::new(TAG)
            .attr("stage", "refresh_code")
            .children([reference.build()]);
        Some(notification(network, &hello.account, part.build()))
    }
}

fn read_hello(network: &Network, client: &Offer, part: &NodeRef<'_>) -> Option<Hello> {
    let jid = jid_attr(part, "jid")?;
    let wrapped = child_bytes(part, "link_code_pairing_wrapped_companion_ephemeral_pub")?;
    let noise = child_bytes(part, "companion_server_auth_key_pub")?;
    if wrapped.len() != WRAPPED_KEY || noise != client.noise {
        return None;
    }
    let account = network.directory.by_jid(&jid)?;
    Some(Hello {
        reference: network.stanza_id(&account.number).into_bytes(),
        account,
        wrapped,
        tries: 0,
        until: Instant::now() + network.timing.code,
    })
}

fn primary_hello(network: &Network, hello: &Hello, wrapped: Vec<u8>) -> Node {
    let child = |tag: &'static str, bytes: Vec<u8>| NodeBuilder::new(tag).bytes(bytes).build();
    let part = NodeBuilder::new(TAG).attr("stage", "primary_hello").children([
        child("link_code_pairing_wrapped_primary_ephemeral_pub", wrapped),
        child("primary_identity_pub", hello.account.keys.identity_public().to_vec()),
        child("link_code_pairing_ref", hello.reference.clone()),
    ]);
    notification(network, &hello.account, part.build())
}

fn notification(network: &Network, account: &Account, part: Node) -> Node {
    NodeBuilder::new("notification")
        .attr("from", server_jid())
        .attr("type", TAG)
        .attr("id", network.stanza_id(&account.number))
        .attr("t", unix_seconds())
        .children([part])
        .build()
}
