//! What comes from a client: WebSocket messages, frames, stanzas, and the ways of not listening any more.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream::SplitStream;
use futures::{SinkExt as _, StreamExt as _};
use tokio::io::AsyncReadExt as _;
use tokio::time::{Instant, sleep_until, timeout};
use wacore_binary::OwnedNodeRef;
use wacore_binary::util::unpack_bytes;
use wacore_noise::NoiseCipher;

use super::connection::{Gone, Socket};
use super::held::{HeldBack, Late};
use super::pipe::Pipe;
use super::tap::{Passage, Tap};
use crate::network::Network;
use crate::network::session::Ending;
use crate::observation::Direction;
use crate::wire::frame::FrameReader;
use crate::wire::node::{decode, encode};

/// Bytes of a silent connection read at a time, to be dropped.
const DRAIN: usize = 16 * 1024;

pub(super) struct Frames {
    stream: SplitStream<Socket>,
    reader: FrameReader,
}

impl Frames {
    pub(super) fn new(stream: SplitStream<Socket>) -> Self {
        Self {
            stream,
            reader: FrameReader::default(),
        }
    }

    pub(super) async fn next(&mut self) -> Result<BytesMut, Gone> {
        loop {
            if let Some(frame) = self.reader.next_frame()? {
                return Ok(frame);
            }
            let message = self.stream.next().await.ok_or(Gone::Closed)??;
            if message.is_close() {
                return Err(Gone::Closed);
            }
            if message.is_binary() {
                self.reader.feed(message.as_payload());
            }
        }
    }
}

fn late(node: OwnedNodeRef, rule: u64) -> Late {
    let encoded = Bytes::new();
    Late { node, encoded, rule }
}

/// A stanza of the client, and its line in the stanza log.
pub(super) struct Incoming {
    pub node: OwnedNodeRef,
    pub observed: Option<u64>,
    /// A fault: it is not handled but refused, with this code.
    pub refused: Option<u16>,
}

pub(super) struct Inlet {
    frames: Frames,
    cipher: NoiseCipher,
    counter: u32,
    pub tap: Arc<Tap>,
    held: HeldBack,
    /// A fault: nothing is read until then.
    paused: Option<Instant>,
}

impl Inlet {
    pub(super) fn new(frames: Frames, cipher: NoiseCipher, tap: Arc<Tap>) -> Self {
        Self {
            frames,
            cipher,
            counter: 0,
            held: HeldBack::new(Direction::FromClient, Arc::clone(&tap)),
            tap,
            paused: None,
        }
    }

    /// The next stanza that arrives. Safe to cancel: a frame is taken out and decrypted without waiting in between.
    pub(super) async fn next(&mut self) -> Result<Incoming, Gone> {
        loop {
            if let Some(until) = self.paused {
                sleep_until(until).await;
                self.paused = None;
            }
            if let Some(late) = self.held.pop_due() {
                return Ok(self.arrived(late.node));
            }
            let frame = tokio::select! {
                biased;
                frame = self.frames.next() => frame?,
                () = self.held.due() => continue,
            };
            let node = self.open(frame)?;
            match self.tap.pass(Direction::FromClient, node.get()) {
                Passage::Overtaken { rule } if !self.held.waits() => self.held.push_overtaken(late(node, rule)),
                Passage::Free | Passage::Overtaken { .. } => return Ok(self.arrived(node)),
                Passage::Late { delay, rule } => self.held.push(delay, late(node, rule)),
                Passage::Twice => {
                    if let Some(again) = decode(&encode(&node.get().to_owned())) {
                        self.held.push(Duration::ZERO, late(again, 0));
                    }
                    return Ok(self.arrived(node));
                }
                Passage::Refused(code) => {
                    return Ok(Incoming {
                        node,
                        observed: None,
                        refused: Some(code),
                    });
                }
                Passage::Paused(pause) => {
                    self.paused = Some(Instant::now() + pause);
                    return Ok(self.arrived(node));
                }
                Passage::Lost | Passage::Broken => {}
                Passage::Ends(why) => return Err(Gone::Fault(why)),
            }
        }
    }

    fn open(&mut self, mut frame: BytesMut) -> Result<OwnedNodeRef, Gone> {
        self.cipher.decrypt_in_place_with_counter(self.counter, &mut frame)?;
        self.counter = self
            .counter
            .checked_add(1)
            .ok_or(wacore_noise::NoiseError::CounterExhausted)?;
        Ok(OwnedNodeRef::new(unpack_bytes(frame)?)?)
    }

    fn arrived(&mut self, node: OwnedNodeRef) -> Incoming {
        self.held.passed();
        Incoming {
            observed: self.tap.saw(Direction::FromClient, node.get()),
            node,
            refused: None,
        }
    }

    /// Leaves the client after the last stanza, as the ending demands.
    pub(super) async fn part(self, network: &Network, pipe: Pipe, why: Ending) {
        match why {
            Ending::Stop | Ending::Dropped => {}
            Ending::Silent => self.fall_silent(pipe).await,
            Ending::Replaced | Ending::Removed | Ending::Restart | Ending::StreamError { .. } => {
                self.linger(network, pipe).await;
            }
        }
    }

    /// Reads and drops whatever still comes, so that the client closes first and sees our last stanza: closing at
    /// once can turn a write of the client into a reset (protocol brief, sections 1 and 20).
    pub(super) async fn linger(mut self, network: &Network, mut pipe: Pipe) {
        let drained = async { while self.frames.stream.next().await.is_some_and(|message| message.is_ok()) {} };
        let _closed_or_not = timeout(network.timing.linger, drained).await;
        let _already_gone = timeout(network.timing.linger, pipe.sink.close()).await;
    }

    /// Takes bytes until the client gives up. Below the WebSocket, which would still answer pings.
    async fn fall_silent(self, pipe: Pipe) {
        let Ok(socket) = self.frames.stream.reunite(pipe.sink) else {
            return;
        };
        let mut socket = socket.into_inner();
        let mut dropped = vec![0; DRAIN];
        while socket.read(&mut dropped).await.is_ok_and(|read| read > 0) {}
    }
}
