//! Writes to one logged-in client: answers first, then its queue, many frames to a WebSocket message. Nothing is shown
//! before the records behind it are durable.

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::node::NodeValue;

use super::Client;
use super::connection::Gone;
use super::pipe::Pipe;
use crate::fault::Conflict;
use crate::network::queue::{Class, Queued};
use crate::network::session::{Ending, Outgoing};
use crate::store::Ticket;
use crate::wire::node::{decode, encode};

/// Frames in one WebSocket message, at most.
const MAX_BATCH: usize = 128;
/// Bytes after which a message is sent although more could be added.
const BATCH_BYTES: usize = 256 * 1024;

pub(super) struct Outlet<'c> {
    client: &'c Client,
    answers: mpsc::Receiver<Outgoing>,
    durable: watch::Receiver<Ticket>,
    /// Once the store failed nothing is acknowledged any more.
    failed: CancellationToken,
    stage: Stage,
}

/// How far the client is with its queue.
enum Stage {
    /// It has not asked for it.
    Passive,
    /// It gets what waited for it while it was away, each stanza marked as such.
    Backlog { total: usize, sent: usize },
    /// It has caught up.
    Live,
}

impl<'c> Outlet<'c> {
    pub(super) fn new(client: &'c Client, answers: mpsc::Receiver<Outgoing>) -> Self {
        Self {
            client,
            answers,
            durable: client.network.store.durable(),
            failed: client.network.store.failed(),
            stage: Stage::Passive,
        }
    }

    /// Writes until the server ends the connection; the last stanza is written then.
    pub(super) async fn run(mut self, pipe: &mut Pipe) -> Result<Ending, Gone> {
        let mut ending = self.client.session.ending();
        let why = loop {
            match self.step(pipe, &mut ending).await {
                Ok(None) => {}
                Ok(Some(why)) | Err(Gone::Fault(why)) => break why,
                Err(gone) => return Err(gone),
            }
        };
        self.finish(pipe, why).await.map(|()| why)
    }

    /// Writes what there is, or waits for something to write. Returns why the connection is to end.
    async fn step(
        &mut self,
        pipe: &mut Pipe,
        ending: &mut watch::Receiver<Option<Ending>>,
    ) -> Result<Option<Ending>, Gone> {
        // First, so that a client that always has something to get is ended as well.
        if let Some(why) = *ending.borrow() {
            return Ok(Some(why));
        }
        let batch = self.collect();
        if !batch.is_empty() {
            self.send(pipe, &batch).await?;
            return Ok(None);
        }
        tokio::select! {
            biased;
            why = ended(ending) => return Ok(Some(why)),
            answer = self.answers.recv() => match answer {
                Some(answer) => self.send(pipe, &[answer]).await?,
                None => return Err(Gone::Closed),
            },
            () = self.client.session.wake.notified() => {}
            () = pipe.due() => pipe.send(&[]).await?,
        }
        Ok(None)
    }

    async fn send(&mut self, pipe: &mut Pipe, batch: &[Outgoing]) -> Result<(), Gone> {
        let after = batch.iter().map(|outgoing| outgoing.after).max().unwrap_or_default();
        tokio::select! {
            biased;
            durable = self.durable.wait_for(|&durable| durable >= after) => durable.map_err(|_| Gone::Closed).map(drop)?,
            () = self.failed.cancelled() => return Err(Gone::NotKept),
        }
        pipe.send(batch).await
    }

    async fn finish(&mut self, pipe: &mut Pipe, why: Ending) -> Result<(), Gone> {
        match farewell(why) {
            None => Ok(()),
            Some(node) => {
                if why == Ending::Removed {
                    tokio::time::sleep(self.client.network.timing.removal).await;
                    let rest = self.collect_answers();
                    if !rest.is_empty() {
                        self.send(pipe, &rest).await?;
                    }
                }
                pipe.send_last(&node).await
            }
        }
    }

    fn collect(&mut self) -> Vec<Outgoing> {
        let mut batch = self.collect_answers();
        if batch.len() < MAX_BATCH && self.client.session.is_active() {
            self.collect_queue(&mut batch);
        }
        batch
    }

    fn collect_answers(&mut self) -> Vec<Outgoing> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < MAX_BATCH && bytes < BATCH_BYTES {
            let Ok(answer) = self.answers.try_recv() else { break };
            bytes += answer.bytes.len();
            batch.push(answer);
        }
        batch
    }

    fn collect_queue(&mut self, batch: &mut Vec<Outgoing>) {
        if matches!(self.stage, Stage::Passive) {
            self.begin_backlog(batch);
        }
        if let Stage::Backlog { total, sent } = self.stage {
            let next = self.hand_out((total - sent).min(MAX_BATCH));
            // Stanzas may have been given up meanwhile: then there is less than announced.
            let sent = if next.is_empty() { total } else { sent + next.len() };
            let first = sent - next.len().min(sent);
            batch.extend(
                next.iter()
                    .enumerate()
                    .filter_map(|(place, queued)| mark_offline(queued, first + place)),
            );
            self.stage = Stage::Backlog { total, sent };
            if sent >= total {
                batch.push(notice("offline", &[("count", total)]));
                self.stage = Stage::Live;
            }
            return;
        }
        let live = self.hand_out(MAX_BATCH);
        batch.extend(live.into_iter().map(|queued| Outgoing {
            bytes: queued.bytes,
            after: queued.after,
        }));
    }

    fn begin_backlog(&mut self, batch: &mut Vec<Outgoing>) {
        let mut state = self.client.account.state();
        let Some(queue) = state.queue(self.client.device) else {
            return;
        };
        let total = queue.len();
        if total > 0 {
            batch.push(notice(
                "offline_preview",
                &[
                    ("count", total),
                    ("message", queue.count(Class::Message)),
                    ("receipt", queue.count(Class::Receipt)),
                    ("notification", queue.count(Class::Notification)),
                    ("appdata", 0),
                    ("call", 0),
                    ("status", 0),
                ],
            ));
        }
        drop(state);
        self.stage = Stage::Backlog { total, sent: 0 };
    }

    fn hand_out(&self, limit: usize) -> Vec<Queued> {
        let mut state = self.client.account.state();
        state
            .queue(self.client.device)
            .map(|queue| queue.hand_out(limit))
            .unwrap_or_default()
    }
}

async fn ended(ending: &mut watch::Receiver<Option<Ending>>) -> Ending {
    ending
        .wait_for(Option::is_some)
        .await
        .ok()
        .and_then(|why| *why)
        .unwrap_or(Ending::Stop)
}

/// `<ib>` about the queue.
fn notice(tag: &'static str, counts: &[(&'static str, usize)]) -> Outgoing {
    let counts = counts
        .iter()
        .map(|&(name, count)| (name, NodeValue::from(count.to_string())));
    let child = NodeBuilder::new(tag).attrs(counts).build();
    let node = NodeBuilder::new("ib")
        .attr("from", crate::wire::node::server_jid())
        .children([child])
        .build();
    Outgoing {
        bytes: encode(&node),
        after: 0,
    }
}

/// The stanza with its place in the backlog. What is in a queue was encoded here, so it can be read back.
fn mark_offline(queued: &Queued, place: usize) -> Option<Outgoing> {
    let mut node = decode(&queued.bytes)?.to_owned_node();
    node.attrs.insert("offline", place.to_string());
    Some(Outgoing {
        bytes: encode(&node),
        after: queued.after,
    })
}

/// The stanza that ends a connection.
pub(super) fn farewell(why: Ending) -> Option<Node> {
    let conflict = |kind: &'static str| NodeBuilder::new("conflict").attr("type", kind).build();
    let error = NodeBuilder::new("stream:error");
    match why {
        Ending::Replaced => Some(error.children([conflict("replaced")]).build()),
        Ending::Removed => Some(error.attr("code", "401").children([conflict("device_removed")]).build()),
        Ending::Restart => Some(error.attr("code", "515").build()),
        Ending::StreamError { code, conflict: kind } => {
            let error = code.into_iter().fold(error, |error, code| error.attr("code", code));
            let child = kind.map(|kind| match kind {
                Conflict::Replaced => conflict("replaced"),
                Conflict::DeviceRemoved => conflict("device_removed"),
            });
            Some(error.children(child).build())
        }
        Ending::Stop | Ending::Dropped | Ending::Silent => None,
    }
}
