//! The pipe between the engine and an open socket.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio::sync::{Mutex, watch};
use tokio_websockets::{CloseCode, Message};
use wacore::net::{DisconnectReason, Transport, TransportEvent};

use super::dial::Socket;
use crate::watch::RunWatch;

/// How many messages may wait for the engine before the socket is left to the kernel's buffers.
const WAITING_MESSAGES: usize = 64;

struct Pipe {
    sink: Mutex<Option<SplitSink<Socket, Message>>>,
    stop: watch::Sender<bool>,
    run: Arc<RunWatch>,
    /// Which of the runs this connection belongs to.
    number: u64,
}

/// Starts reading; the engine gets the writing half and a channel.
pub(super) fn open(
    socket: Socket,
    run: Arc<RunWatch>,
) -> (Arc<dyn Transport>, async_channel::Receiver<TransportEvent>) {
    let (sink, stream) = socket.split();
    let (events, receiver) = async_channel::bounded(WAITING_MESSAGES);
    let (stop, stopped) = watch::channel(false);
    // The channel is empty: this cannot fail, and it must come before the first bytes.
    let _ = events.try_send(TransportEvent::Connected);
    let number = run.number();
    tokio::spawn(pump(stream, events, stopped, Arc::clone(&run), number));
    (
        Arc::new(Pipe {
            sink: Mutex::new(Some(sink)),
            stop,
            run,
            number,
        }),
        receiver,
    )
}

#[async_trait]
impl Transport for Pipe {
    async fn send(&self, data: Bytes) -> Result<(), anyhow::Error> {
        self.run.before_the_wire().await?;
        let mut sink = self.sink.lock().await;
        let sink = sink.as_mut().ok_or(SocketClosed)?;
        self.run.message_sent();
        sink.send(Message::binary(data)).await?;
        Ok(())
    }

    async fn disconnect(&self) {
        self.run.engine_hung_up(self.number);
        // The reader may be gone already.
        let _ = self.stop.send(true);
        if let Some(mut sink) = self.sink.lock().await.take() {
            // The other side may have closed first; there is nobody left to tell.
            let _ = sink.send(Message::close(Some(CloseCode::NORMAL_CLOSURE), "")).await;
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the socket is closed")]
struct SocketClosed;

/// Reads until the socket ends or the engine hangs up, then says why.
async fn pump(
    mut stream: SplitStream<Socket>,
    events: async_channel::Sender<TransportEvent>,
    mut stopped: watch::Receiver<bool>,
    run: Arc<RunWatch>,
    number: u64,
) {
    let ending = run.stopped();
    tokio::pin!(ending);
    let mut to_end = false;
    let reason = loop {
        tokio::select! {
            biased;
            _ = stopped.changed() => break DisconnectReason::Unknown,
            () = &mut ending, if !to_end => {
                to_end = true;
                // The engine says good-bye on a connection that works; a handshake without an answer it would wait for.
                if run.is_unanswered() {
                    break DisconnectReason::Unknown;
                }
            }
            message = stream.next() => match read(message) {
                Read::Data(data) => {
                    run.message_received();
                    let hung_up = tokio::select! {
                        biased;
                        _ = stopped.changed() => true,
                        sent = events.send(TransportEvent::DataReceived(data)) => sent.is_err(),
                    };
                    if hung_up {
                        break DisconnectReason::Unknown;
                    }
                }
                Read::Nothing => {}
                Read::End(reason) => break reason,
            },
        }
    };
    run.socket_ended(number);
    // Nobody listens any more when the engine hung up first.
    let _ = events.send(TransportEvent::Disconnected(reason)).await;
}

enum Read {
    Data(Bytes),
    Nothing,
    End(DisconnectReason),
}

fn read(message: Option<Result<Message, tokio_websockets::Error>>) -> Read {
    match message {
        Some(Ok(message)) if message.is_binary() => Read::Data(message.into_payload().into()),
        Some(Ok(message)) if message.is_close() => Read::End(closed(&message)),
        Some(Ok(_)) => Read::Nothing,
        Some(Err(error)) => Read::End(DisconnectReason::ReadError(error.to_string())),
        None => Read::End(DisconnectReason::StreamEnded),
    }
}

fn closed(message: &Message) -> DisconnectReason {
    match message.as_close() {
        Some((code, reason)) => DisconnectReason::ServerClose {
            code: Some(u16::from(code)),
            reason: reason.to_owned(),
        },
        None => DisconnectReason::ServerClose {
            code: None,
            reason: String::new(),
        },
    }
}
