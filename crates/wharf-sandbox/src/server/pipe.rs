//! What goes to a client: nodes into frames, many frames into one WebSocket message.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::SinkExt as _;
use futures::stream::SplitSink;
use tokio::time::timeout;
use tokio_websockets::Message;
use wacore_binary::{Node, OwnedNodeRef};
use wacore_noise::NoiseCipher;

use super::connection::{Gone, Socket};
use super::held::{HeldBack, Late};
use super::tap::{Passage, Tap};
use crate::network::session::{Ending, Outgoing};
use crate::observation::Direction;
use crate::wire::frame::append_frame;
use crate::wire::node::{decode, encode};

pub(super) struct Pipe {
    pub sink: SplitSink<Socket, Message>,
    cipher: NoiseCipher,
    counter: u32,
    /// How long the client may take for a message.
    patience: Duration,
    tap: Arc<Tap>,
    held: HeldBack,
}

/// A WebSocket message in the making.
#[derive(Default)]
struct Parcel {
    bytes: Vec<u8>,
    /// Where one frame is sealed.
    frame: Vec<u8>,
    /// The stanzas in it, if the log is on.
    stanzas: Vec<OwnedNodeRef>,
}

impl Pipe {
    pub(super) fn new(
        sink: SplitSink<Socket, Message>,
        cipher: NoiseCipher,
        patience: Duration,
        tap: Arc<Tap>,
    ) -> Self {
        Self {
            sink,
            cipher,
            counter: 0,
            patience,
            held: HeldBack::new(Direction::ToClient, Arc::clone(&tap)),
            tap,
        }
    }

    /// Sends encoded nodes as one WebSocket message of whole frames, behind what was held back and is due.
    pub(super) async fn send(&mut self, batch: &[Outgoing]) -> Result<(), Gone> {
        let mut parcel = Parcel::default();
        while let Some(late) = self.held.pop_due() {
            self.seal(&mut parcel, &late.encoded)?;
            parcel.stanzas.push(late.node);
        }
        for outgoing in batch {
            if let Some(why) = self.add(&mut parcel, &outgoing.bytes)? {
                self.write(parcel).await?;
                return Err(Gone::Fault(why));
            }
        }
        self.write(parcel).await
    }

    pub(super) async fn send_node(&mut self, node: &Node) -> Result<(), Gone> {
        let bytes = encode(node);
        self.send(&[Outgoing { bytes, after: 0 }]).await
    }

    /// The stanza that ends the connection. No fault holds it up.
    pub(super) async fn send_last(&mut self, node: &Node) -> Result<(), Gone> {
        let encoded = encode(node);
        let mut parcel = Parcel::default();
        self.seal(&mut parcel, &encoded)?;
        parcel.stanzas.extend(decode(&encoded));
        self.write(parcel).await
    }

    /// Returns when something that was held back is due: then it is time to `send`, even nothing new.
    pub(super) async fn due(&self) {
        self.held.due().await;
    }

    /// Adds a node unless a fault keeps it; returns how the connection ends, if it does here.
    fn add(&mut self, parcel: &mut Parcel, encoded: &Bytes) -> Result<Option<Ending>, Gone> {
        // What is sent was encoded here, so it can be read back.
        if self.tap.is_watching()
            && let Some(node) = decode(encoded)
        {
            match self.tap.pass(Direction::ToClient, node.get()) {
                Passage::Overtaken { rule } if !self.held.waits() => {
                    let encoded = encoded.clone();
                    self.held.push_overtaken(Late { node, encoded, rule });
                    return Ok(None);
                }
                // The last two do not happen to what the server says.
                Passage::Free | Passage::Overtaken { .. } | Passage::Refused(_) | Passage::Paused(_) => {
                    parcel.stanzas.push(node);
                }
                Passage::Twice => {
                    self.seal(parcel, encoded)?;
                    parcel.stanzas.extend(decode(encoded));
                    parcel.stanzas.push(node);
                }
                Passage::Broken => return self.seal_broken(parcel, encoded).map(|()| None),
                Passage::Late { delay, rule } => {
                    let encoded = encoded.clone();
                    self.held.push(delay, Late { node, encoded, rule });
                    return Ok(None);
                }
                Passage::Lost => return Ok(None),
                Passage::Ends(why) => return Ok(Some(why)),
            }
        }
        self.seal(parcel, encoded)?;
        self.held.passed();
        while let Some(late) = self.held.pop_due() {
            self.seal(parcel, &late.encoded)?;
            parcel.stanzas.push(late.node);
        }
        Ok(None)
    }

    /// With one bit turned over.
    fn seal_broken(&mut self, parcel: &mut Parcel, encoded: &[u8]) -> Result<(), Gone> {
        self.seal(parcel, encoded)?;
        if let Some(last) = parcel.bytes.last_mut() {
            *last ^= 1;
        }
        Ok(())
    }

    fn seal(&mut self, parcel: &mut Parcel, encoded: &[u8]) -> Result<(), Gone> {
        parcel.frame.clear();
        parcel.frame.extend_from_slice(encoded);
        self.cipher
            .encrypt_in_place_with_counter(self.counter, &mut parcel.frame)?;
        self.counter = self
            .counter
            .checked_add(1)
            .ok_or(wacore_noise::NoiseError::CounterExhausted)?;
        append_frame(&mut parcel.bytes, &parcel.frame);
        Ok(())
    }

    async fn write(&mut self, parcel: Parcel) -> Result<(), Gone> {
        if parcel.bytes.is_empty() {
            return Ok(());
        }
        let sent = timeout(self.patience, self.sink.send(Message::binary(parcel.bytes)));
        sent.await.map_err(|_| Gone::Slow)??;
        for stanza in &parcel.stanzas {
            self.tap.saw(Direction::ToClient, stanza.get());
        }
        Ok(())
    }
}
