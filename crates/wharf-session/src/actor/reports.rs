//! What the network reports of messages that went out: acks and receipts. What arrived together is stored together.

use std::collections::VecDeque;

use tokio::time::Instant;
use wharf_model::{MessageStatus, Timestamp};
use wharf_storage::{Queue, StorageError};

use super::{Actor, SAVE_AGAIN};
use crate::ledger::Step;
use crate::port::{ClientEvent, ReceiptKind};
use crate::telemetry;

/// How many reports are kept while the database cannot take them. Lost acks mean that messages are sent again under
/// the same ids; lost receipts are lost.
const KEPT: usize = 10_000;

/// A step that the network reports.
#[derive(Clone, Debug)]
pub(super) struct Report {
    whatsapp_id: String,
    step: Step,
}

impl Actor {
    /// Takes reports in: what is on the wire is settled, refusals are handled one by one, the rest is stored at once.
    pub(super) async fn on_reports(&mut self, events: Vec<ClientEvent>) {
        for event in events {
            match event {
                ClientEvent::Ack {
                    whatsapp_id,
                    error: Some(code),
                    ..
                } => {
                    self.outbox.note_ack();
                    self.on_refused(&whatsapp_id, code).await;
                }
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
        }
        self.store_reports().await;
    }

    fn on_ack(&mut self, whatsapp_id: String) {
        self.outbox.note_ack();
        if let Some((_, latency)) = self.outbox.settle(&whatsapp_id) {
            telemetry::acknowledged(latency);
        }
        self.outbox.forget(&whatsapp_id);
        self.report(whatsapp_id, MessageStatus::Sent, self.cx.clock.now());
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
            self.report(whatsapp_id, status, at);
        }
    }

    fn report(&mut self, whatsapp_id: String, to: MessageStatus, at: Timestamp) {
        self.reports.push_back(Report {
            whatsapp_id,
            step: Step { to, at, code: None },
        });
    }

    /// Stores what was reported, all in one unit of work; on failure it is tried again.
    pub(super) async fn store_reports(&mut self) {
        if self.reports.is_empty() {
            return;
        }
        let reports: Vec<_> = self.reports.iter().cloned().collect();
        match self.write_reports(reports).await {
            Ok(counts) => {
                self.reports.clear();
                for (status, count) in counts {
                    telemetry::messages(status, count);
                }
            }
            Err(error) => {
                self.on_storage_error(&error, "Acks and receipts could not be stored; it is tried again");
                shorten(&mut self.reports);
                self.save_at = Some(Instant::now() + SAVE_AGAIN);
            }
        }
    }

    async fn write_reports(&self, reports: Vec<Report>) -> Result<Vec<(MessageStatus, usize)>, StorageError> {
        let ledger = self.ledger.clone();
        self.cx
            .storage
            .write(Queue::Normal, move |tx| {
                Box::pin(async move {
                    let mut taken = Vec::new();
                    for report in &reports {
                        if ledger.advance_named(tx, &report.whatsapp_id, &report.step).await? {
                            taken.push((report.step.to, 1));
                        }
                    }
                    Ok(taken)
                })
            })
            .await
    }
}

fn shorten(reports: &mut VecDeque<Report>) {
    let surplus = reports.len().saturating_sub(KEPT);
    if surplus > 0 {
        tracing::error!(
            reports.lost = surplus,
            "Too many acks and receipts wait for the database; the oldest are lost"
        );
        reports.drain(..surplus);
    }
}
