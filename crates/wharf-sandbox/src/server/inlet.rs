//! What comes from a client: WebSocket messages, frames, stanzas, and the ways of not listening any more.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::stream::SplitStream;
use futures::{SinkExt as _, StreamExt as _};
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;
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

/// A stanza of the client, and its line in the stanza log.
pub(super) struct Incoming {
    pub node: OwnedNodeRef,
    pub observed: Option<u64>,
}

pub(super) struct Inlet {
    frames: Frames,
    cipher: NoiseCipher,
    counter: u32,
    pub tap: Arc<Tap>,
    held: HeldBack,
}

impl Inlet {
    pub(super) fn new(frames: Frames, cipher: NoiseCipher, tap: Arc<Tap>) -> Self {
        Self {
            frames,
            cipher,
            counter: 0,
            held: HeldBack::new(Direction::FromClient, Arc::clone(&tap)),
            tap,
        }
    }

    /// The next stanza that arrives. Safe to cancel: a frame is taken out and decrypted without waiting in between.
    pub(super) async fn next(&mut self) -> Result<Incoming, Gone> {
        loop {
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
                Passage::Free => return Ok(self.arrived(node)),
                Passage::Late { delay, rule } => {
                    let encoded = Bytes::new();
                    self.held.push(delay, Late { node, encoded, rule });
                }
                Passage::Lost => {}
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

    fn arrived(&self, node: OwnedNodeRef) -> Incoming {
        let observed = self.tap.saw(Direction::FromClient, node.get());
        Incoming { node, observed }
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
