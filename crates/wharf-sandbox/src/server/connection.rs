//! One connection from its first frame: handshake, and who it is handed to.

use std::sync::Arc;

use buffa::Message as _;
use futures::stream::SplitSink;
use futures::{SinkExt as _, StreamExt as _};
use tokio::time::timeout;
use tokio_websockets::{Limits, Message, ServerBuilder, WebSocketStream};
use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp::ClientPayload;

use super::front::Upgraded;
use super::inlet::{Frames, Inlet};
use super::pipe::Pipe;
use super::tap::Tap;
use super::{linking, login};
use crate::clock::unix_seconds;
use crate::model::Ban;
use crate::network::Network;
use crate::network::session::Ending;
use crate::wire::frame::{FrameFault, MAX_FRAME, append_frame};
use crate::wire::noise::{self, Established, NoiseFailure, Progress};

pub(super) type Socket = WebSocketStream<Upgraded>;

/// Room for one frame of the largest size and what may surround it in a WebSocket message.
const MAX_WEBSOCKET_MESSAGE: usize = MAX_FRAME + 64 * 1024;
/// Clients know some reasons for a ban for a time; this one is `sent to too many people`.
const SENT_TO_TOO_MANY: u16 = 101;

/// Why a connection is over. None of these concerns anybody else.
#[derive(Debug, thiserror::Error)]
pub(super) enum Gone {
    #[error("the client closed the connection")]
    Closed,
    #[error("a fault: {0:?}")]
    Fault(Ending),
    #[error("the client was not linked")]
    NotLinked,
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

/// Serves one client from its first frame to its last.
pub(super) async fn run(network: Arc<Network>, stream: Upgraded) {
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

async fn open(network: &Network, stream: Upgraded, tap: &Arc<Tap>) -> Result<Opened, Gone> {
    let limits = Limits::default().max_payload_len(Some(MAX_WEBSOCKET_MESSAGE));
    let (mut sink, stream) = ServerBuilder::new().limits(limits).serve(stream).split();
    let mut frames = Frames::new(stream);
    let established = shake_hands(network, &mut sink, &mut frames).await?;
    let Established {
        client_static,
        payload,
        read,
        write,
    } = established;
    let inlet = Inlet::new(frames, read, Arc::clone(tap));
    let pipe = Pipe::new(sink, write, network.timing.write, Arc::clone(tap));
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
    if let Some(code) = opened.inlet.tap.refused(payload.username) {
        return refuse(network, opened, &payload, code.into()).await;
    }
    match payload.device_pairing_data.as_option() {
        Some(data) => linking::run(network, opened, &payload, data).await,
        None => login::run(network, opened, &payload).await,
    }
}

/// Why a client may not come in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refusal {
    reason: u16,
    /// For how many seconds, if not for good.
    expire: Option<u64>,
}

impl From<u16> for Refusal {
    fn from(reason: u16) -> Self {
        Self { reason, expire: None }
    }
}

impl From<Ban> for Refusal {
    fn from(ban: Ban) -> Self {
        Self {
            reason: ban.code,
            expire: ban.until.map(|until| until.saturating_sub(unix_seconds())),
        }
    }
}

/// Tells a client that it may not come in.
pub(super) async fn refuse(
    network: &Network,
    opened: Opened,
    payload: &ClientPayload,
    refusal: Refusal,
) -> Result<(), Gone> {
    let Opened { inlet, mut pipe, .. } = opened;
    inlet.tap.login(payload, Some(refusal.reason));
    let mut failure = NodeBuilder::new("failure")
        .attr("reason", refusal.reason)
        .attr("location", "sbx");
    if let Some(seconds) = refusal.expire {
        failure = failure.attr("code", SENT_TO_TOO_MANY).attr("expire", seconds);
    }
    pipe.send_last(&failure.build()).await?;
    inlet.linger(network, pipe).await;
    Ok(())
}
