//! The way out: rows are taken in order, asked of the pacer, marked, written, and settled by what the server says.
//! Promises: at most one message on the wire per chat and `in_flight` per session; a row is marked before it is
//! written; a message without an ack is sent again under the same id and secret, and never past its time.

use std::collections::HashSet;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::Instant;
use wharf_model::{Lane, MessageStatus, SessionId, Timestamp};
use wharf_storage::messages::{self, Message};
use wharf_storage::{Queue, ReadTx, StorageError};

use super::clock::CLOCK_JITTER;
use super::outbox::Item;
use super::{Actor, SAVE_AGAIN};
use crate::content;
use crate::failure::FailureCode;
use crate::pacer::{Ask, Verdict};
use crate::port::OutboundMessage;
use crate::telemetry;

/// How many rows a look reads for each place that is free, and how many when all of those have to wait.
const ROWS_PER_PLACE: u32 = 4;
const DEEP_LOOK: u32 = 1000;

/// A message that the pacer holds back for longer than this is put back in its row, so that it is not read again and
/// again.
pub(super) const SHORT: Duration = Duration::from_secs(60);

/// How many expired messages one unit of work ends.
const EXPIRED: u32 = 200;

/// What a look at the rows found.
struct Found {
    /// The first row of each chat, with whether anything was ever said there.
    rows: Vec<(Message, bool)>,
    /// Nothing else waits that could go.
    complete: bool,
    /// Rows stand behind another one of their chat.
    behind: bool,
    next_due: Option<Timestamp>,
    next_expiry: Option<Timestamp>,
}

/// What the pacer said to the rows that were found.
#[derive(Default)]
struct Picked {
    items: Vec<Item>,
    /// Held back for long.
    held: Vec<(Item, Timestamp)>,
    /// When to look again.
    again: Option<Timestamp>,
    /// Cannot be opened, or says nothing any more.
    broken: Vec<Message>,
    /// Rows that could go if there were a place for them.
    left: bool,
}

impl Actor {
    /// Sends what may go now, and notes when to come back.
    pub(super) async fn pump(&mut self) {
        let result = self.try_pump().await;
        if let Err(error) = result {
            self.on_storage_error(&error, "The session's queue could not be served; it is tried again");
            self.outbox.look_at(Some(Instant::now() + SAVE_AGAIN));
        }
    }

    pub(super) fn on_storage_error(&mut self, error: &StorageError, sentence: &'static str) {
        if matches!(error, StorageError::StaleEpoch) {
            self.fenced = true;
            return;
        }
        self.complain(error, sentence);
    }

    async fn try_pump(&mut self) -> Result<(), StorageError> {
        let now = Instant::now();
        if self.outbox.take_expire_due(now) {
            self.expire().await?;
        }
        if !self.is_ready() {
            return Ok(());
        }
        if self.outbox.take_recover_due(now) {
            self.recover().await?;
        }
        self.resend_overdue().await?;
        while self.is_ready() && self.outbox.wants_look(Instant::now()) {
            if !self.send_next().await? {
                break;
            }
        }
        Ok(())
    }

    /// Ends what ran out of time, and notes when the next message does. What is on the wire ends here only while the
    /// session is off: while it is connected the ack may still come, and `resend_overdue` looks after it.
    async fn expire(&mut self) -> Result<(), StorageError> {
        let (session, now, off) = (self.slot.session, self.cx.clock.now(), !self.is_ready());
        let earliest = self
            .cx
            .storage
            .glance(move |tx| {
                Box::pin(async move {
                    let queued = messages::next_expiry_at(tx, session).await?;
                    let sending = if off {
                        messages::next_in_flight_expiry_at(tx, session).await?
                    } else {
                        None
                    };
                    Ok(queued.into_iter().chain(sending).min())
                })
            })
            .await?;
        let Some(earliest) = earliest else { return Ok(()) };
        if earliest > now {
            let at = self.instant(earliest);
            self.outbox.expire_at(Some(at));
            return Ok(());
        }
        let ledger = self.ledger.clone();
        let ended = self
            .cx
            .storage
            .write(Queue::Normal, move |tx| {
                Box::pin(async move {
                    let sending = if off {
                        ledger.expire_in_flight(tx, now).await?
                    } else {
                        0
                    };
                    Ok(sending + ledger.expire(tx, now, EXPIRED).await?)
                })
            })
            .await?;
        telemetry::messages(MessageStatus::Expired, ended);
        self.outbox.expire_at(Some(Instant::now()));
        Ok(())
    }

    /// Reads what was handed to the engine and never acknowledged.
    async fn recover(&mut self) -> Result<(), StorageError> {
        let session = self.slot.session;
        let rows = self
            .cx
            .storage
            .read(move |tx| Box::pin(messages::in_flight(tx, session)))
            .await?;
        for row in rows {
            if self.outbox.knows(&row.whatsapp_id) || self.reports.tells_of(&row.whatsapp_id) {
                continue;
            }
            match self.open(&row, false) {
                Ok(item) => self.outbox.recover([item]),
                // Its code is void, so that it is not sent again. It may have arrived: an ack or a receipt tells.
                Err(_) if row.body.is_none() => {}
                Err(_) => self.fail_broken(&row).await?,
            }
        }
        self.outbox.look();
        Ok(())
    }

    /// Sends the next messages, as many as may go. `false`: nothing more may go now.
    async fn send_next(&mut self) -> Result<bool, StorageError> {
        let free = self.cx.config.in_flight.saturating_sub(self.outbox.len());
        if free == 0 {
            // The next ack looks again.
            self.outbox.look_at(None);
            return Ok(false);
        }
        let now = self.cx.clock.now();
        self.heed_clock(now).await?;
        if let Some(at) = self.outbox.pacer().session_waits(now) {
            let at = self.instant(at);
            self.outbox.look_at(Some(at));
            return Ok(false);
        }
        if let Some((place, item)) = self.outbox.next_recovered() {
            let ended = item.expires_at.is_some_and(|at| at <= now);
            return self.send_recovered(place, ended).await;
        }
        // While nothing is on the wire, in memory and in the rows, no row is hidden behind another of its chat.
        let all_visible = self.outbox.is_idle() && self.reports.is_empty();
        let few = u32::try_from(free).unwrap_or(DEEP_LOOK).saturating_mul(ROWS_PER_PLACE);
        for limit in [few.min(DEEP_LOOK), DEEP_LOOK] {
            let found = self.find(now, limit).await?;
            let complete = found.complete;
            let picked = self.pick(found, now, free);
            let some = !picked.items.is_empty() || !picked.broken.is_empty();
            let emptied = all_visible && complete && !picked.left && picked.held.is_empty();
            let again = picked.again.map(|at| self.instant(at));
            self.take(picked, now).await?;
            if emptied {
                self.outbox.emptied(again);
                return Ok(false);
            }
            if some {
                return Ok(true);
            }
            if complete || limit == DEEP_LOOK {
                self.outbox.look_at(again);
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// A clock that was set back, while we run or before we started, must not hold back what is to go at once.
    async fn heed_clock(&mut self, now: Timestamp) -> Result<(), StorageError> {
        if self.outbox.clock().suspects(now) {
            let (session, ahead) = (self.slot.session, now + CLOCK_JITTER);
            let looking = self
                .cx
                .storage
                .glance(move |tx| Box::pin(messages::has_stranded(tx, session, ahead)));
            if looking.await? {
                self.release_stranded(now).await?;
            }
        }
        self.outbox.clock().looked(now);
        Ok(())
    }

    async fn release_stranded(&self, now: Timestamp) -> Result<(), StorageError> {
        let (session, fence) = (self.slot.session, self.journal.fence());
        let release = self.cx.storage.write(Queue::Normal, move |tx| {
            Box::pin(async move { messages::release_stranded(tx, &fence, now).await })
        });
        let released = release.await?;
        tracing::warn!(session.id = %session, messages = released, "The clock was set back; what was to go at once goes now");
        Ok(())
    }

    async fn send_recovered(&mut self, place: usize, ended: bool) -> Result<bool, StorageError> {
        let Some(item) = self.outbox.take_recovered(place) else {
            return Ok(true);
        };
        if ended {
            self.expire_one(&item).await?;
            return Ok(true);
        }
        let ask = Ask {
            chat: &item.message.to,
            lane: item.lane,
            opens_chat: false,
        };
        if !self.note_resent(&item).await? {
            return Ok(true);
        }
        self.outbox.pacer().record(self.cx.clock.now(), ask, &*self.cx.random);
        telemetry::resent();
        self.put_on_wire(item);
        Ok(true)
    }

    async fn find(&self, now: Timestamp, limit: u32) -> Result<Found, StorageError> {
        let (storage, rows) = (&self.cx.storage, rows_to_go(self.slot.session, now, limit));
        if limit == DEEP_LOOK {
            storage.read(rows).await
        } else {
            storage.glance(rows).await
        }
    }

    /// Asks the pacer for each row in turn, at most one in a chat.
    fn pick(&mut self, found: Found, now: Timestamp, free: usize) -> Picked {
        let expiry = found.next_expiry.map(|at| self.instant(at));
        self.outbox.expire_at(expiry);
        let mut picked = Picked {
            again: found.next_due,
            left: found.behind,
            ..Picked::default()
        };
        for (row, known) in found.rows {
            if picked.items.len() >= free {
                picked.left = true;
                break;
            }
            // While it waited for another try it hid what stands behind it in its chat.
            picked.left |= row.retry_at.is_some();
            let Ok(item) = self.open(&row, !known) else {
                picked.broken.push(row);
                continue;
            };
            let chat = item.message.to.clone();
            if self.outbox.has_chat(&chat) {
                picked.left = true;
                continue;
            }
            let ask = Ask {
                chat: &chat,
                lane: item.lane,
                opens_chat: item.opens_chat,
            };
            match self.outbox.pacer().ask(now, ask) {
                Verdict::Go => {
                    self.outbox.pacer().record(now, ask, &*self.cx.random);
                    picked.items.push(item);
                }
                Verdict::SessionWaits(at) => {
                    picked.left = true;
                    picked.again = earlier(picked.again, at);
                    break;
                }
                Verdict::MessageWaits(at) if at.since(now) > SHORT => picked.held.push((item, at)),
                Verdict::MessageWaits(at) => {
                    picked.left = true;
                    picked.again = earlier(picked.again, at);
                }
            }
        }
        picked
    }

    /// Marks the rows in one unit of work, then writes the messages. The marks need not be durable by then: without them a
    /// message is taken again after a crash, under the same id and secret, as it is with them.
    async fn take(&mut self, picked: Picked, now: Timestamp) -> Result<(), StorageError> {
        for row in &picked.broken {
            self.fail_broken(row).await?;
        }
        if picked.items.is_empty() && picked.held.is_empty() {
            return Ok(());
        }
        let fence = self.journal.fence();
        let ids: Vec<_> = picked.items.iter().map(|item| item.id).collect();
        let held: Vec<_> = picked.held.iter().map(|(item, at)| (item.id, *at)).collect();
        let marked = self
            .cx
            .storage
            .apply(Queue::Normal, move |tx| {
                Box::pin(async move {
                    for (id, at) in held {
                        let code = FailureCode::NewChatCap.to_string();
                        messages::postpone(tx, fence.session, id, at, &code, now).await?;
                    }
                    let mut marked = Vec::with_capacity(ids.len());
                    for id in ids {
                        marked.push(messages::mark_sending(tx, &fence, id, now).await?);
                    }
                    Ok(marked)
                })
            })
            .await?;
        for (item, marked) in picked.items.into_iter().zip(marked) {
            // Not marked: it was taken back, or its time ran out, in between.
            if marked {
                self.put_on_wire(item);
            }
        }
        Ok(())
    }

    /// A message without a body had a code that is not to be sent any more.
    async fn fail_broken(&mut self, row: &Message) -> Result<(), StorageError> {
        let code = match row.body {
            Some(_) => FailureCode::Unreadable,
            None => FailureCode::Cancelled,
        };
        self.fail(&row.whatsapp_id, row.id, code).await
    }

    fn put_on_wire(&mut self, item: Item) {
        if let Some(client) = self.link.as_ref().map(|link| link.client().clone()) {
            self.outbox.send(item, &client);
        }
    }

    fn open(&self, row: &Message, opens_chat: bool) -> Result<Item, Unreadable> {
        let open = row.open(&self.ledger.keys).map_err(|_| Unreadable)?;
        let body = open.body.ok_or(Unreadable)?;
        let message = OutboundMessage {
            whatsapp_id: row.whatsapp_id.clone(),
            secret: open.secret.ok_or(Unreadable)?,
            to: open.chat.parse().map_err(|_| Unreadable)?,
            content: content::decode(&body).map_err(|_| Unreadable)?,
        };
        Ok(Item {
            id: row.id,
            lane: row.lane.unwrap_or(Lane::Interactive),
            message,
            attempts: row.attempts,
            expires_at: row.expires_at,
            opens_chat,
        })
    }

    /// Sends again what the server did not acknowledge in time, or closes a connection that acknowledges nothing.
    async fn resend_overdue(&mut self) -> Result<(), StorageError> {
        let now = Instant::now();
        if let Some(silent) = self.outbox.deaf_for(now) {
            self.close_deaf("acks", silent).await;
            return Ok(());
        }
        for item in self.outbox.overdue(now) {
            let id = item.message.whatsapp_id.clone();
            if item.expires_at.is_some_and(|at| at <= self.cx.clock.now()) {
                self.outbox.forget(&id);
                self.expire_one(&item).await?;
                continue;
            }
            if !self.note_resent(&item).await? {
                self.outbox.forget(&id);
                continue;
            }
            if let Some(client) = self.link.as_ref().map(|link| link.client().clone()) {
                tracing::info!(session.id = %self.slot.session, message.id = %item.id, "No ack came; the message is sent again under the same id");
                self.outbox.send_again(&id, &client);
            }
        }
        Ok(())
    }

    /// `false`: it is not to be sent again.
    async fn note_resent(&self, item: &Item) -> Result<bool, StorageError> {
        let (fence, id, now) = (self.journal.fence(), item.id, self.cx.clock.now());
        self.cx
            .storage
            .write(Queue::Normal, move |tx| {
                Box::pin(async move { messages::note_resent(tx, &fence, id, now).await })
            })
            .await
    }
}

/// A row that cannot be opened, or holds nothing to send.
struct Unreadable;

/// Reads the first `limit` rows that may go.
fn rows_to_go(
    session: SessionId,
    now: Timestamp,
    limit: u32,
) -> impl for<'a> FnOnce(&'a mut ReadTx) -> BoxFuture<'a, Result<Found, StorageError>> + Send + 'static {
    move |tx| {
        Box::pin(async move {
            let (mut rows, mut chats, mut behind) = (Vec::new(), HashSet::new(), false);
            let found = messages::next_outbound(tx, session, now, limit).await?;
            let complete = found.len() < limit as usize;
            for row in found {
                // One at a time in each chat: those behind the first are of no interest yet.
                if chats.insert(row.chat_index) {
                    let known = messages::chat_is_known(tx, session, &row.chat_index).await?;
                    rows.push((row, known));
                } else {
                    behind = true;
                }
            }
            Ok(Found {
                rows,
                complete,
                behind,
                next_due: messages::next_due_at(tx, session, now).await?,
                next_expiry: messages::next_expiry_at(tx, session).await?,
            })
        })
    }
}

fn earlier(known: Option<Timestamp>, at: Timestamp) -> Option<Timestamp> {
    Some(known.map_or(at, |known| known.min(at)))
}
