//! One connection below the stanzas: upgrade, handshake, frames, ciphers, and the slow good-bye.

use std::sync::Arc;

use buffa::Message as _;
use bytes::BytesMut;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_websockets::{Limits, Message, ServerBuilder, WebSocketStream};
use wacore_binary::util::unpack_bytes;
use wacore_binary::{Node, OwnedNodeRef};
use wacore_noise::NoiseCipher;
use waproto::whatsapp::ClientPayload;

use super::tap::Tap;
use super::{linking, login};
use crate::network::Network;
use crate::wire::frame::{FrameFault, FrameReader, MAX_FRAME, append_frame};
use crate::wire::node::encode;
use crate::wire::noise::{self, Established, NoiseFailure, Progress};

type Socket = WebSocketStream<TcpStream>;

/// Room for one frame of the largest size and what may surround it in a WebSocket message.
const MAX_WEBSOCKET_MESSAGE: usize = MAX_FRAME + 64 * 1024;

/// Why a connection is over. None of these concerns anybody else.
#[derive(Debug, thiserror::Error)]
pub(super) enum Gone {
    #[error("the client closed the connection")]
    Closed,
    #[error("the store failed")]
    NotKept,
    #[error("the client was too slow")]
    Slow,
    #[error("the WebSocket failed")]
    WebSocket(#[from] tokio_websockets::Error),
    #[error("the client sent a bad frame")]
    Frame(#[from] FrameFault),
    #[error("the handshake failed")]
    Handshake(#[from] NoiseFailure),
    #[error("a frame does not decrypt")]
    Cipher(#[from] wacore_noise::NoiseError),
    #[error("a stanza cannot be read")]
    Stanza(#[from] wacore_binary::BinaryError),
    #[error("the client payload cannot be read")]
    Payload(#[from] buffa::DecodeError),
}

/// Serves one client from its first byte to its last.
pub(super) async fn run(network: Arc<Network>, stream: TcpStream) {
    let tap = Arc::new(Tap::new(Arc::clone(&network)));
    let opened = timeout(network.timing.handshake, open(&network, stream, &tap));
    let served = match opened.await {
        Ok(Ok(opened)) => welcome(&network, opened).await,
        Ok(Err(gone)) => Err(gone),
        Err(_elapsed) => Err(Gone::Slow),
    };
    let reason = served.map_or_else(|gone| gone.to_string(), |()| "the server ended it".to_owned());
    tracing::debug!(reason, "a connection ended");
    tap.closed(&reason);
}

/// A connection after the handshake.
pub(super) struct Opened {
    pub inlet: Inlet,
    pub pipe: Pipe,
    pub client_static: [u8; 32],
    payload: Vec<u8>,
}

async fn open(network: &Network, stream: TcpStream, tap: &Arc<Tap>) -> Result<Opened, Gone> {
    // Without this every small exchange waits for a delayed acknowledgement (protocol brief, section 1).
    stream.set_nodelay(true).map_err(tokio_websockets::Error::from)?;
    let limits = Limits::default().max_payload_len(Some(MAX_WEBSOCKET_MESSAGE));
    let (_request, socket) = ServerBuilder::new().limits(limits).accept(stream).await?;
    let (mut sink, stream) = socket.split();
    let mut frames = Frames {
        stream,
        reader: FrameReader::default(),
    };
    let established = shake_hands(network, &mut sink, &mut frames).await?;
    let Established {
        client_static,
        payload,
        read,
        write,
    } = established;
    let inlet = Inlet {
        frames,
        cipher: read,
        counter: 0,
        tap: Arc::clone(tap),
    };
    let pipe = Pipe {
        sink,
        cipher: write,
        counter: 0,
        tap: Arc::clone(tap),
        patience: network.timing.write,
    };
    Ok(Opened {
        inlet,
        pipe,
        client_static,
        payload,
    })
}

async fn shake_hands(
    network: &Network,
    sink: &mut SplitSink<Socket, Message>,
    frames: &mut Frames,
) -> Result<Established, Gone> {
    let hello = frames.next().await?;
    let (reply, progress) = noise::respond(&network.keys, &hello, &mut network.rng())?;
    let mut framed = Vec::with_capacity(reply.len() + 3);
    append_frame(&mut framed, &reply);
    sink.send(Message::binary(framed)).await?;
    match progress {
        Progress::Established(established) => Ok(*established),
        Progress::AwaitsFinish(awaits) => Ok(awaits.finish(&frames.next().await?)?),
    }
}

async fn welcome(network: &Arc<Network>, opened: Opened) -> Result<(), Gone> {
    let payload = ClientPayload::decode_from_slice(&opened.payload)?;
    // Timing rule 1 (protocol brief, section 2): whatever comes first must not come at once.
    tokio::time::sleep(network.timing.first_stanza).await;
    match payload.device_pairing_data.as_option() {
        Some(data) => linking::run(network, opened, data).await,
        None => login::run(network, opened, &payload).await,
    }
}

struct Frames {
    stream: SplitStream<Socket>,
    reader: FrameReader,
}

impl Frames {
    async fn next(&mut self) -> Result<BytesMut, Gone> {
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

/// What comes from the client.
pub(super) struct Inlet {
    frames: Frames,
    cipher: NoiseCipher,
    counter: u32,
    pub tap: Arc<Tap>,
}

/// A stanza of the client, and its line in the stanza log.
pub(super) struct Incoming {
    pub node: OwnedNodeRef,
    pub observed: Option<u64>,
}

impl Inlet {
    /// The next stanza. Safe to cancel: a frame is taken out and decrypted without waiting in between.
    pub(super) async fn next(&mut self) -> Result<Incoming, Gone> {
        let mut frame = self.frames.next().await?;
        self.cipher.decrypt_in_place_with_counter(self.counter, &mut frame)?;
        self.counter = self
            .counter
            .checked_add(1)
            .ok_or(wacore_noise::NoiseError::CounterExhausted)?;
        let node = OwnedNodeRef::new(unpack_bytes(frame)?)?;
        let observed = self.tap.received(node.get());
        Ok(Incoming { node, observed })
    }

    /// Reads and drops whatever still comes, so that the client closes first and sees our last stanza: closing at
    /// once can turn a write of the client into a reset (protocol brief, sections 1 and 20).
    pub(super) async fn linger(&mut self, network: &Network, mut pipe: Pipe) {
        let drained = async { while self.frames.stream.next().await.is_some_and(|message| message.is_ok()) {} };
        let _closed_or_not = timeout(network.timing.linger, drained).await;
        let _already_gone = timeout(network.timing.linger, pipe.sink.close()).await;
    }
}

/// What goes to the client.
pub(super) struct Pipe {
    sink: SplitSink<Socket, Message>,
    cipher: NoiseCipher,
    counter: u32,
    tap: Arc<Tap>,
    patience: std::time::Duration,
}

impl Pipe {
    /// Sends encoded nodes as one WebSocket message of whole frames.
    pub(super) async fn send<'b>(&mut self, nodes: impl Iterator<Item = &'b [u8]> + Clone) -> Result<(), Gone> {
        let mut message = Vec::new();
        for node in nodes.clone() {
            let sealed = self.cipher.encrypt_with_counter(self.counter, node)?;
            self.counter = self
                .counter
                .checked_add(1)
                .ok_or(wacore_noise::NoiseError::CounterExhausted)?;
            append_frame(&mut message, &sealed);
        }
        let sent = timeout(self.patience, self.sink.send(Message::binary(message)));
        sent.await.map_err(|_| Gone::Slow)??;
        self.tap.sent(nodes);
        Ok(())
    }

    pub(super) async fn send_node(&mut self, node: &Node) -> Result<(), Gone> {
        let bytes = encode(node);
        self.send(std::iter::once(&bytes[..])).await
    }
}
