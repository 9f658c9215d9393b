//! Linking of a companion to an account that has a passkey: after the scan the companion must get a challenge signed, and
//! both sides must come to the same code. The server carries the exchange and checks the signature; the secret it cannot
//! read.

use rand::RngExt as _;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef};

use super::pair_code::Outcome;
use crate::clock::unix_seconds;
use crate::error::SandboxError;
use crate::model::Changed;
use crate::network::Network;
use crate::network::links::{Offer, ScanRequest};
use crate::phone::passkey::{Assertion, Exchange, Passkey};
use crate::wire::node::{attr_is, child_bytes, content_bytes, refusal, result, server_jid, text_attr};

const OPTIONS: &str = "passkey_request_options";

/// What a linking connection remembers of a link by passkey.
#[derive(Debug, Default)]
pub(super) struct PasskeyLink {
    scan: Option<Scanned>,
}

/// An account with a passkey scanned the code of this companion.
#[derive(Debug)]
struct Scanned {
    request: ScanRequest,
    passkey: Passkey,
    challenge: [u8; 32],
    /// Names this exchange; the companion asks for it.
    reference: String,
    exchange: Option<Exchange>,
    /// Both sides came to a code.
    code_shown: bool,
}

impl PasskeyLink {
    /// Asks the companion for a signature.
    pub(super) fn begin(&mut self, network: &Network, request: ScanRequest, passkey: Passkey) -> Node {
        let challenge = network.rng().random();
        let asked = NodeBuilder::new(OPTIONS).string_content(passkey.options(&challenge));
        let number = request.account.number.clone();
        self.scan = Some(Scanned {
            request,
            passkey,
            challenge,
            reference: format!("{}{}", network.stanza_id(&number), network.stanza_id(&number)),
            exchange: None,
            code_shown: false,
        });
        notification(network, &number, "passkey_prologue_request", asked.build())
    }

    /// A stanza of the companion.
    pub(super) fn receive(&mut self, network: &Network, client: &Offer, node: &NodeRef<'_>) -> Outcome {
        let (Some(id), Some(scan)) = (text_attr(node, "id"), &mut self.scan) else {
            return Outcome::NotMine;
        };
        let child = node.children().and_then(<[_]>::first);
        let (Some(child), true) = (child, &*node.tag == "iq" && attr_is(node, "xmlns", "md")) else {
            return Outcome::NotMine;
        };
        let said = match (text_attr(node, "type").as_deref(), &*child.tag) {
            (Some("get"), "ref") => {
                let reference = NodeBuilder::new("ref")
                    .bytes(scan.reference.clone().into_bytes())
                    .build();
                Ok(Outcome::Answer(result(&id).children([reference]).build()))
            }
            (Some("get"), OPTIONS) => {
                let asked = NodeBuilder::new(OPTIONS).string_content(scan.passkey.options(&scan.challenge));
                Ok(Outcome::Answer(result(&id).children([asked.build()]).build()))
            }
            (Some("set"), "passkey_prologue") => scan.prologue(network, &id, child),
            (Some("set"), "companion_nonce") => scan.nonce(network, &id, child),
            (Some("set"), "encrypted_pairing_request") => return self.finish(network, client, &id, child),
            _ => return Outcome::NotMine,
        };
        said.unwrap_or_else(|why| self.give_up(&id, why))
    }

    /// The secret of the companion, and with it the rest of an ordinary link.
    fn finish(&mut self, network: &Network, client: &Offer, id: &str, sealed: &NodeRef<'_>) -> Outcome {
        let opened = self.scan.as_ref().filter(|scan| scan.code_shown).and_then(|scan| {
            let request = scan.exchange.as_ref()?.open(&content_bytes(sealed)?)?;
            let same = request.companion_public_key.as_deref() == Some(&client.noise[..])
                && request.companion_identity_key.as_deref() == Some(&client.identity[..]);
            request.adv_secret.filter(|_| same)?.try_into().ok()
        });
        match (opened, self.scan.take()) {
            (Some(adv_secret), Some(scan)) => {
                show_code(network, &scan.request, None);
                let request = ScanRequest {
                    adv_secret,
                    ..scan.request
                };
                Outcome::Proven(result(id).build(), request)
            }
            (_, scan) => {
                self.scan = scan;
                self.give_up(id, "the companion's secret cannot be read")
            }
        }
    }

    /// Who scanned learns why nothing came of it.
    fn give_up(&mut self, id: &str, why: &'static str) -> Outcome {
        if let Some(scan) = self.scan.take() {
            let refused = SandboxError::LinkRefused(why.to_owned());
            let _scanner_gone = scan.request.done.send(Err(refused));
        }
        Outcome::Answer(refusal(id, 400, "bad-request"))
    }
}

impl Scanned {
    /// The signature, and the companion's half of the exchange; the phone's half follows.
    fn prologue(&mut self, network: &Network, id: &str, prologue: &NodeRef<'_>) -> Result<Outcome, &'static str> {
        let part = |tag| child_bytes(prologue, tag).ok_or("a part of the prologue is missing");
        let assertion = Assertion {
            credential: part("credential_id")?,
            json: part("webauthn_assertion")?,
        };
        if let Err(wrong) = self.passkey.verify(&self.challenge, &assertion) {
            tracing::info!(reason = %wrong, "a link by passkey is refused");
            return Err("the passkey did not sign");
        }
        let payload = part("prologue_payload")?;
        let exchange = Exchange::begin(&payload, &self.reference, &mut network.rng());
        let exchange = exchange.ok_or("the prologue cannot be read")?;
        let identity = NodeBuilder::new("primary_ephemeral_identity").bytes(exchange.identity());
        self.exchange = Some(exchange);
        let number = &self.request.account.number;
        Ok(Outcome::Relayed(
            result(id).build(),
            notification(network, number, "crsc_continuation", identity.build()),
        ))
    }

    /// The nonce that was promised: from now on the phone shows the code, too.
    fn nonce(&mut self, network: &Network, id: &str, nonce: &NodeRef<'_>) -> Result<Outcome, &'static str> {
        let exchange = self.exchange.as_ref().ok_or("there was no prologue")?;
        let code = content_bytes(nonce).and_then(|nonce| exchange.code(&nonce));
        let code = code.ok_or("the nonce is not the one that was promised")?;
        show_code(network, &self.request, Some(code));
        self.code_shown = true;
        Ok(Outcome::Answer(result(id).build()))
    }
}

fn show_code(network: &Network, request: &ScanRequest, code: Option<String>) {
    request.account.state().linking_code = code;
    network.announce(&request.account.number, Changed::Phone);
}

fn notification(network: &Network, number: &str, kind: &'static str, child: Node) -> Node {
    NodeBuilder::new("notification")
        .attr("from", server_jid())
        .attr("type", kind)
        .attr("id", network.stanza_id(number))
        .attr("t", unix_seconds())
        .children([child])
        .build()
}
