//! What the network reports of messages that went out: acks and receipts. Promises: stored in the order in which they
//! came, one unit of work at a time, beside the actor and never in its way; what came during one write is the next. An
//! actor that ends before they are stored leaves them in its slot, to the next one.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use wharf_model::{MessageStatus, Timestamp};
use wharf_storage::messages::NamedStep;
use wharf_storage::{Queue, StorageError};

use super::{Actor, SAVE_AGAIN};
use crate::ledger::Ledger;
use crate::port::{ClientEvent, ReceiptKind};
use crate::telemetry;

/// How many reports are kept while the database cannot take them. Lost acks mean that messages are sent again under
/// the same ids; lost receipts are lost.
const KEPT: usize = 10_000;

/// How many one unit of work stores.
const BATCH: usize = 256;

/// Receipts wait this long for an ack to share its commit. A crash can lose what waits: receipts are best effort.
const LINGER: Duration = Duration::from_millis(20);

/// A step that the network reports.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    step: NamedStep,
    /// When it is to be stored; earlier when another one goes.
    due: Instant,
}

/// The steps that a unit of work took.
type Taken = Vec<MessageStatus>;

/// How a write ended: how many reports it held, and what became of them.
#[derive(Debug)]
pub(super) struct Stored {
    count: usize,
    result: Result<Taken, StorageError>,
}

/// Acks and receipts on their way to their rows.
#[derive(Debug, Default)]
pub(super) struct Reports {
    waiting: VecDeque<Report>,
    writing: Option<JoinHandle<Stored>>,
    due: Option<Instant>,
    /// After a row that cannot be read: one report at a time, to find it.
    singly: bool,
}

impl Reports {
    /// Reports that an earlier actor of the session left.
    pub(super) fn resumed(waiting: VecDeque<Report>) -> Self {
        Self {
            due: waiting.iter().map(|report| report.due).min(),
            waiting,
            ..Self::default()
        }
    }

    /// What is not stored, also what is being stored: to take a step twice does no harm.
    pub(super) fn take_waiting(&mut self) -> VecDeque<Report> {
        std::mem::take(&mut self.waiting)
    }

    fn push(&mut self, report: Report) {
        self.due = Some(self.due.map_or(report.due, |known| known.min(report.due)));
        self.waiting.push_back(report);
    }

    /// When the next write is to begin; none while one is under way.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due.filter(|_| self.writing.is_none())
    }

    /// Waits for the end of a write. Cancelling loses nothing.
    pub(super) async fn stored(&mut self) -> Stored {
        let Some(writing) = &mut self.writing else {
            return std::future::pending().await;
        };
        let stored = writing.await;
        self.writing = None;
        stored.unwrap_or_else(|_| Stored {
            count: 0,
            result: Err(StorageError::UnitPanicked),
        })
    }

    fn begin(&mut self, ledger: Ledger, storage: wharf_storage::Storage) {
        self.due = None;
        let limit = if self.singly { 1 } else { BATCH };
        let batch: Vec<_> = self
            .waiting
            .iter()
            .take(limit)
            .map(|report| report.step.clone())
            .collect();
        if !batch.is_empty() {
            // A task of its own, so that the commit goes on while the actor awaits another.
            self.writing = Some(tokio::spawn(write(ledger, storage, batch)));
        }
    }

    /// Whether everything that was reported is in its row.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What is said of this message is not in its row yet.
    pub(super) fn tells_of(&self, whatsapp_id: &str) -> bool {
        self.waiting.iter().any(|report| report.step.whatsapp_id == whatsapp_id)
    }

    fn settle(&mut self, count: usize) {
        self.waiting.drain(..count);
        self.singly &= !self.waiting.is_empty();
        self.due = self.waiting.iter().map(|report| report.due).min();
    }

    fn shorten(&mut self) {
        let surplus = self.waiting.len().saturating_sub(KEPT);
        if surplus > 0 {
            tracing::error!(
                reports.lost = surplus,
                "Too many acks and receipts wait for the database; the oldest are lost"
            );
            self.waiting.drain(..surplus);
        }
    }
}

async fn write(ledger: Ledger, storage: wharf_storage::Storage, batch: Vec<NamedStep>) -> Stored {
    let count = batch.len();
    let result = storage.write(Queue::Normal, move |tx| {
        Box::pin(async move { ledger.advance_named(tx, &batch).await })
    });
    Stored {
        count,
        result: result.await,
    }
}

impl Actor {
    /// Takes reports in: what is on the wire is settled, refusals are handled one by one, the rest is stored soon.
    pub(super) async fn on_reports(&mut self, events: Vec<ClientEvent>) {
        for event in events {
            if let Some((whatsapp_id, code)) = self.take_in(event) {
                self.outbox.note_ack();
                self.on_refused(&whatsapp_id, code).await;
            }
        }
        self.begin_reports();
    }

    /// The end of an actor that could not store what it was told: the database was lost, or it panicked. Whoever said it
    /// was told that it was heard, and will not say it again.
    pub(super) fn leave_reports(&mut self) {
        let unread = self.link.as_mut().map(super::link::Link::unread).unwrap_or_default();
        for event in unread {
            // What was refused is sent again, and refused again.
            let _refused = self.take_in(event);
        }
        self.slot.leave(self.reports.take_waiting());
    }

    /// Takes an ack or a receipt in. A refusal is given back: its id and code.
    fn take_in(&mut self, event: ClientEvent) -> Option<(String, u16)> {
        match event {
            ClientEvent::Ack {
                whatsapp_id,
                error: Some(code),
                ..
            } => return Some((whatsapp_id, code)),
            ClientEvent::Ack {
                whatsapp_id,
                error: None,
                ..
            } => self.on_ack(whatsapp_id),
            ClientEvent::Receipt {
                whatsapp_ids, kind, at, ..
            } => self.on_receipt(whatsapp_ids, kind, at),
            _ => {}
        }
        None
    }

    fn on_ack(&mut self, whatsapp_id: String) {
        self.outbox.note_ack();
        if let Some((_, latency)) = self.outbox.settle(&whatsapp_id) {
            telemetry::acknowledged(latency);
        }
        self.outbox.forget(&whatsapp_id);
        self.report(whatsapp_id, MessageStatus::Sent, self.cx.clock.now(), Duration::ZERO);
    }

    /// A receipt proves that the server has the message, with or without an ack.
    fn on_receipt(&mut self, whatsapp_ids: Vec<String>, kind: ReceiptKind, at: Timestamp) {
        let status = match kind {
            ReceiptKind::Delivered => MessageStatus::Delivered,
            ReceiptKind::Read => MessageStatus::Read,
            ReceiptKind::Played => MessageStatus::Played,
        };
        // Phones have clocks of their own.
        let at = at.min(self.cx.clock.now());
        for whatsapp_id in whatsapp_ids {
            self.outbox.forget(&whatsapp_id);
            self.report(whatsapp_id, status, at, LINGER);
        }
    }

    fn report(&mut self, whatsapp_id: String, to: MessageStatus, at: Timestamp, linger: Duration) {
        let (step, due) = (NamedStep { whatsapp_id, to, at }, Instant::now() + linger);
        self.reports.push(Report { step, due });
    }

    /// Begins a write when one is due and none is under way.
    pub(super) fn begin_reports(&mut self) {
        if self.reports.due().is_some_and(|at| at <= Instant::now()) {
            self.reports.begin(self.ledger.clone(), self.cx.storage.clone());
        }
    }

    /// A write ended. What could not be stored is tried again; a row that cannot be read is passed over, or it would
    /// hold up all that come after it. `false`: the database cannot take them now.
    pub(super) fn on_stored(&mut self, stored: Stored) -> bool {
        let Stored { count, result } = stored;
        let error = match result {
            Ok(taken) => {
                self.reports.settle(count);
                for status in taken {
                    telemetry::messages(status, 1);
                }
                // Chats whose message was on the wire are free now, also in the rows.
                self.outbox.look_if_more();
                self.begin_reports();
                return true;
            }
            Err(error) => error,
        };
        let unreadable = matches!(error, StorageError::Unreadable(_) | StorageError::Seal(_));
        if unreadable && count == 1 {
            self.complain(
                &error,
                "An ack or receipt was given up: the row of its message cannot be read",
            );
            self.reports.settle(count);
            return true;
        }
        self.reports.singly |= unreadable;
        self.on_storage_error(&error, "Acks and receipts could not be stored; it is tried again");
        self.reports.shorten();
        let pause = if unreadable { Duration::ZERO } else { SAVE_AGAIN };
        self.reports.due = Some(Instant::now() + pause);
        unreadable
    }

    /// Stores all that waits, before the end. Gives up at the first failure.
    pub(super) async fn flush_reports(&mut self) {
        loop {
            if self.reports.writing.is_none() {
                self.reports.begin(self.ledger.clone(), self.cx.storage.clone());
            }
            if self.reports.writing.is_none() {
                return;
            }
            let stored = self.reports.stored().await;
            if !self.on_stored(stored) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(whatsapp_id: &str, to: MessageStatus, due: Instant) -> Report {
        let at = Timestamp::from_millis(0);
        let whatsapp_id = whatsapp_id.to_owned();
        let step = NamedStep { whatsapp_id, to, at };
        Report { step, due }
    }

    #[tokio::test]
    async fn a_receipt_lingers_also_when_an_ack_before_it_was_stored() {
        let (now, later) = (Instant::now(), Instant::now() + LINGER);
        let mut reports = Reports::default();
        reports.push(report("3EB0AA", MessageStatus::Sent, now));
        reports.push(report("3EB0AA", MessageStatus::Delivered, later));
        assert_eq!(reports.due(), Some(now));
        reports.settle(1);
        assert_eq!(reports.due(), Some(later));
        reports.settle(1);
        assert_eq!(reports.due(), None);
    }
}
