//! What an actor remembers of the messages that are on the wire, and when it is to look at the rows again. The rows are
//! the truth; all of this can be lost.

use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::task::JoinSet;
use tokio::time::Instant;
use wharf_model::{Jid, Lane, MessageId, PacingPolicy, Timestamp};

use super::clock::ClockWatch;
use crate::pacer::Pacer;
use crate::port::{OutboundMessage, SendError, WhatsAppClient};
use crate::telemetry::{self, Share};

/// How long the engine may take to encrypt and write one message: its own question to the server may take 75 s.
const WRITE_TIMEOUT: Duration = Duration::from_secs(120);

/// The longest time between two tries of a message that is never acknowledged.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// How long after a nudge it may be unknown when the next message runs out of time.
const EXPIRY_UNKNOWN: Duration = Duration::from_secs(1);

/// A message that goes out, opened.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub id: MessageId,
    pub lane: Lane,
    pub message: OutboundMessage,
    pub attempts: u64,
    pub expires_at: Option<Timestamp>,
    /// Nothing was ever said in its chat.
    pub opens_chat: bool,
}

/// A message on the wire.
#[derive(Debug)]
struct InFlight {
    item: Item,
    written_at: Instant,
    /// When it is sent again; `None` while it is being written.
    resend_at: Option<Instant>,
    tries: u32,
}

/// How a write ended.
#[derive(Debug)]
pub(super) struct Written {
    pub whatsapp_id: String,
    pub connection: u64,
    pub result: Result<(), WriteError>,
}

#[derive(Debug)]
pub(super) enum WriteError {
    Send(SendError),
    /// It took too long: it may have been written.
    TimedOut,
    Panicked,
}

#[derive(Debug)]
pub(super) struct Outbox {
    pacer: Pacer,
    in_flight: HashMap<String, InFlight>,
    chats: HashSet<Jid>,
    /// Messages of an earlier connection or process that were never acknowledged.
    recovered: VecDeque<Item>,
    writes: JoinSet<Written>,
    connection: u64,
    look: bool,
    /// Rows may be there that can go as soon as a place or a chat is free.
    more: bool,
    look_at: Option<Instant>,
    /// The rows of messages without an ack are to be read.
    recover_at: Option<Instant>,
    expire_at: Option<Instant>,
    last_ack: Instant,
    clock: ClockWatch,
    gauge: Share,
}

impl Outbox {
    pub(super) fn new(pacer: Pacer) -> Self {
        Self {
            pacer,
            in_flight: HashMap::new(),
            chats: HashSet::new(),
            recovered: VecDeque::new(),
            writes: JoinSet::new(),
            connection: 0,
            look: false,
            more: true,
            look_at: None,
            recover_at: None,
            // Asked once at the start; from then on it is known when the next message runs out of time.
            expire_at: Some(Instant::now()),
            last_ack: Instant::now(),
            clock: ClockWatch::default(),
            gauge: Share::in_flight(),
        }
    }

    pub(super) fn pacer(&mut self) -> &mut Pacer {
        &mut self.pacer
    }

    pub(super) fn replace_pacer(&mut self, pacer: Pacer) {
        let held = self.pacer.held();
        self.pacer = pacer;
        self.pacer.hold(held);
        self.nudge();
    }

    pub(super) fn obey(&mut self, policy: PacingPolicy) {
        self.pacer.obey(policy);
        self.nudge();
    }

    /// Messages can flow: first what an earlier connection left, then the queue.
    pub(super) fn connected(&mut self) {
        self.recover_at = Some(Instant::now());
        self.last_ack = Instant::now();
        self.look();
    }

    /// What is on the wire may or may not have arrived; its rows say so, and it is sent again.
    pub(super) fn disconnected(&mut self) {
        self.connection += 1;
        self.in_flight.clear();
        self.chats.clear();
        self.recovered.clear();
        self.look = false;
        self.look_at = None;
        self.recover_at = None;
        // What was on the wire runs out of time here now.
        self.expire_at = Some(Instant::now());
        self.gauge.set(0);
    }

    /// Rows were added or changed. The look that follows also learns when the next one runs out of time; should there
    /// be none for a while, that is asked by itself.
    pub(super) fn nudge(&mut self) {
        self.look();
        let latest = Instant::now() + EXPIRY_UNKNOWN;
        self.expire_at = Some(self.expire_at.map_or(latest, |at| at.min(latest)));
    }

    pub(super) fn look(&mut self) {
        self.look = true;
        self.more = true;
    }

    /// A place or a chat is free: of interest only when something may wait for it.
    pub(super) fn look_if_more(&mut self) {
        self.look |= self.more;
    }

    /// Something waits that cannot go now: it is looked at then, or when a place or a chat is free.
    pub(super) fn look_at(&mut self, at: Option<Instant>) {
        self.look = false;
        self.more = true;
        self.look_at = at;
    }

    /// Everything that waited is on its way: until the next nudge only time can bring more.
    pub(super) fn emptied(&mut self, next_due: Option<Instant>) {
        self.look_at(next_due);
        self.more = false;
    }

    pub(super) fn recover_at(&mut self, at: Instant) {
        self.recover_at = Some(at);
    }

    pub(super) fn expire_at(&mut self, at: Option<Instant>) {
        self.expire_at = at;
    }

    /// When something is due next. While not ready, only time can run out.
    pub(super) fn due(&self, ready: bool) -> Option<Instant> {
        if !ready {
            return self.expire_at;
        }
        let resends = self.in_flight.values().filter_map(|flight| flight.resend_at);
        resends
            .chain([self.look_at, self.recover_at, self.expire_at].into_iter().flatten())
            .min()
    }

    pub(super) fn take_expire_due(&mut self, now: Instant) -> bool {
        super::take_due(&mut self.expire_at, now)
    }

    pub(super) fn take_recover_due(&mut self, now: Instant) -> bool {
        super::take_due(&mut self.recover_at, now)
    }

    pub(super) const fn clock(&mut self) -> &mut ClockWatch {
        &mut self.clock
    }

    /// Whether the rows are to be looked at now.
    pub(super) fn wants_look(&mut self, now: Instant) -> bool {
        if super::take_due(&mut self.look_at, now) {
            self.look = true;
        }
        self.look
    }

    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.in_flight.len()
    }

    /// One message at a time in each chat, so that they arrive in order.
    pub(super) fn has_chat(&self, chat: &Jid) -> bool {
        self.chats.contains(chat)
    }

    pub(super) fn knows(&self, whatsapp_id: &str) -> bool {
        self.in_flight.contains_key(whatsapp_id)
            || self
                .recovered
                .iter()
                .any(|item| item.message.whatsapp_id == whatsapp_id)
    }

    pub(super) fn recover(&mut self, items: impl IntoIterator<Item = Item>) {
        self.recovered.extend(items);
    }

    /// The first recovered message whose chat is free, and its place.
    pub(super) fn next_recovered(&self) -> Option<(usize, &Item)> {
        self.recovered
            .iter()
            .enumerate()
            .find(|(_, item)| !self.chats.contains(&item.message.to))
    }

    pub(super) fn take_recovered(&mut self, place: usize) -> Option<Item> {
        self.recovered.remove(place)
    }

    /// Puts a message on the wire.
    pub(super) fn send(&mut self, item: Item, client: &Arc<dyn WhatsAppClient>) {
        self.write(&item.message, client);
        self.chats.insert(item.message.to.clone());
        let flight = InFlight {
            item,
            written_at: Instant::now(),
            resend_at: None,
            tries: 1,
        };
        self.in_flight.insert(flight.item.message.whatsapp_id.clone(), flight);
        self.gauge.set(self.in_flight.len());
    }

    /// Puts a message on the wire again: the same id, the same secret.
    pub(super) fn send_again(&mut self, whatsapp_id: &str, client: &Arc<dyn WhatsAppClient>) {
        let Some(flight) = self.in_flight.get_mut(whatsapp_id) else {
            return;
        };
        flight.tries += 1;
        flight.resend_at = None;
        let message = flight.item.message.clone();
        self.write(&message, client);
        telemetry::resent();
    }

    fn write(&mut self, message: &OutboundMessage, client: &Arc<dyn WhatsAppClient>) {
        let (message, client, connection) = (message.clone(), Arc::clone(client), self.connection);
        let whatsapp_id = message.whatsapp_id.clone();
        self.writes.spawn(async move {
            let write = AssertUnwindSafe(client.send(message)).catch_unwind();
            let result = match tokio::time::timeout(WRITE_TIMEOUT, write).await {
                Ok(Ok(result)) => result.map_err(WriteError::Send),
                Ok(Err(_panic)) => Err(WriteError::Panicked),
                Err(_elapsed) => Err(WriteError::TimedOut),
            };
            Written {
                whatsapp_id,
                connection,
                result,
            }
        });
    }

    /// Waits for the end of a write of this connection. Cancelling loses nothing.
    pub(super) async fn written(&mut self) -> Written {
        loop {
            match self.writes.join_next().await {
                Some(Ok(written)) if written.connection == self.connection => return written,
                // Of a connection that is gone, or of a runtime that is.
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// The frame is written: from now on an ack is due.
    pub(super) fn await_ack(&mut self, whatsapp_id: &str, timeout: Duration) {
        if let Some(flight) = self.in_flight.get_mut(whatsapp_id) {
            let patience = 1_u32 << flight.tries.saturating_sub(1).min(4);
            flight.resend_at = Some(Instant::now() + (timeout * patience).min(LONGEST_WAIT));
        }
    }

    /// The server has it, or will never have it. The time since it was first written, if it was on the wire.
    pub(super) fn settle(&mut self, whatsapp_id: &str) -> Option<(Item, Duration)> {
        let flight = self.in_flight.remove(whatsapp_id)?;
        self.chats.remove(&flight.item.message.to);
        self.gauge.set(self.in_flight.len());
        self.look_if_more();
        Some((flight.item, flight.written_at.elapsed()))
    }

    /// As [`Outbox::settle`], also for a message that waits to be sent again.
    pub(super) fn forget(&mut self, whatsapp_id: &str) {
        self.settle(whatsapp_id);
        self.recovered.retain(|item| item.message.whatsapp_id != whatsapp_id);
    }

    pub(super) fn note_ack(&mut self) {
        self.last_ack = Instant::now();
    }

    /// The messages whose ack is overdue.
    pub(super) fn overdue(&self, now: Instant) -> Vec<Item> {
        let late = self
            .in_flight
            .values()
            .filter(|flight| flight.resend_at.is_some_and(|at| at <= now));
        late.map(|flight| flight.item.clone()).collect()
    }

    /// How long the server has acknowledged nothing, when a message was sent twice in that time.
    pub(super) fn deaf_for(&self, now: Instant) -> Option<Duration> {
        let unheard = self.in_flight.values().any(|flight| {
            flight.tries >= 2 && flight.written_at >= self.last_ack && flight.resend_at.is_some_and(|at| at <= now)
        });
        unheard.then(|| now.duration_since(self.last_ack))
    }
}
