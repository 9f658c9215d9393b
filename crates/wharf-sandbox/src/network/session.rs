//! The handle other parts of the network hold on a live connection. What it queues is bounded: answers wait for the
//! writer, and stanzas stay in the device's queue until the writer has room.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, watch};

use crate::fault::Conflict;
use crate::store::Ticket;

/// Answers a connection may have in flight. A client that does not read them is not read from either.
pub(crate) const ANSWER_BACKLOG: usize = 1024;

/// A node for one connection that is not queued for the device: answers, presence, chat states.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub bytes: Bytes,
    pub after: Ticket,
}

/// Why the server ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The same device logged in again.
    Replaced,
    /// The device was unlinked.
    Removed,
    /// Linking is done; the client is to come back as a linked device.
    Restart,
    /// The sandbox stops.
    Stop,
    /// A fault: the connection is cut.
    Dropped,
    /// A fault: nothing is answered any more.
    Silent,
    /// A fault: the server says so and closes.
    StreamError {
        code: Option<u16>,
        conflict: Option<Conflict>,
    },
}

static NEXT_SERIAL: AtomicU64 = AtomicU64::new(1);

#[derive(Debug)]
pub(crate) struct Session {
    pub serial: u64,
    pub wake: Notify,
    outgoing: mpsc::Sender<Outgoing>,
    active: AtomicBool,
    available: AtomicBool,
    ending: watch::Sender<Option<Ending>>,
}

impl Session {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Outgoing>) {
        let (outgoing, incoming) = mpsc::channel(ANSWER_BACKLOG);
        let session = Self {
            serial: NEXT_SERIAL.fetch_add(1, Ordering::Relaxed),
            wake: Notify::new(),
            outgoing,
            active: AtomicBool::new(false),
            available: AtomicBool::new(false),
            ending: watch::Sender::new(None),
        };
        (session, incoming)
    }

    /// Queues an answer and waits for room; false when the connection is gone.
    pub(crate) async fn answer(&self, outgoing: Outgoing) -> bool {
        self.outgoing.send(outgoing).await.is_ok()
    }

    /// Sends something that may be lost when the client is slow: presence and chat states.
    pub(crate) fn offer(&self, bytes: Bytes) {
        let _lost_when_full = self.outgoing.try_send(Outgoing { bytes, after: 0 });
    }

    /// The client asked for its queue.
    pub(crate) fn activate(&self) {
        self.active.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    pub(crate) fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }

    pub(crate) fn set_available(&self, available: bool) {
        self.available.store(available, Ordering::Release);
    }

    pub(crate) fn is_available(&self) -> bool {
        self.available.load(Ordering::Acquire)
    }

    /// Ends the connection. The first reason given stays.
    pub(crate) fn end(&self, why: Ending) {
        self.ending.send_if_modified(|ending| {
            let first = ending.is_none();
            ending.get_or_insert(why);
            first
        });
    }

    pub(crate) fn ending(&self) -> watch::Receiver<Option<Ending>> {
        self.ending.subscribe()
    }
}
