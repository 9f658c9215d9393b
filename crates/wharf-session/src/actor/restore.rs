//! Taking a session over: a new epoch, and from its row the state to go on from. The same whether the process starts,
//! an actor died or somebody asks for the session for the first time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use wharf_model::{CloseReason, SessionId, SessionState, SessionStatus, Timestamp};
use wharf_storage::audit::Requester;
use wharf_storage::sessions::{self, Session, SessionProfile};
use wharf_storage::{SessionKeys, StorageError, messages};

use super::attempts::Attempts;
use super::journal::{Change, Journal};
use super::outbox::Outbox;
use super::reports::Reports;
use super::{Actor, Start};
use crate::context::Context;
use crate::ledger::Ledger;
use crate::pacer::Pacer;
use crate::registry::Slot;
use crate::sessions::state_of;
use crate::setup::setup;
use crate::telemetry::Share;

/// `None`: the session was deleted.
pub(super) async fn actor(cx: &Arc<Context>, slot: &Arc<Slot>, start: Start) -> Result<Option<Actor>, StorageError> {
    let session = slot.session;
    let journal = match Journal::claim(cx, slot.workspace, session).await {
        Err(StorageError::NotFound(_)) => return Ok(None),
        claimed => claimed?,
    };
    let row = cx.storage.read(move |tx| Box::pin(sessions::load(tx, session))).await?;
    let Some(row) = row else { return Ok(None) };
    let keys = cx.storage.session_keys(session).await?;
    let pacer = pacer(cx, &row).await?;
    let wanted = row.wanted;
    let mut actor = build(cx, slot, journal, &row, &keys, pacer)?;
    actor.save().await;
    actor.publish();
    actor.go_on(wanted, start).await;
    let deleted = slot.live.borrow().deleted;
    Ok((!deleted).then_some(actor))
}

fn build(
    cx: &Arc<Context>,
    slot: &Arc<Slot>,
    journal: Journal,
    row: &Session,
    keys: &Arc<SessionKeys>,
    pacer: Pacer,
) -> Result<Actor, StorageError> {
    let stored = state_of(row);
    let state = after_a_break(stored);
    let profile = row
        .profile
        .as_ref()
        .map(|sealed| SessionProfile::open(keys, sealed))
        .transpose()?;
    let setup = setup(row, keys)?;
    let mut actor = Actor {
        cx: Arc::clone(cx),
        slot: Arc::clone(slot),
        journal,
        ledger: Ledger::new(cx, slot.workspace, Arc::clone(keys)),
        state,
        since: if state.status() == stored.status() {
            row.status_since
        } else {
            cx.clock.now()
        },
        qr: None,
        pairing_code: None,
        code_at: None,
        passkey: None,
        attempts: Attempts::default(),
        unlinked: row.unlinked_at.is_some(),
        setup,
        link: None,
        dialling: None,
        dial_at: None,
        stable_at: None,
        watch_at: None,
        unsaved: VecDeque::new(),
        save_at: None,
        outbox: Outbox::new(pacer),
        reports: Reports::resumed(slot.take_left()),
        ready: Share::ready(),
        fenced: false,
        intent: None,
        profile: profile.unwrap_or_default(),
        fingerprint: row.fingerprint.clone(),
        by: Requester::server(),
        moving: row.moving_since.is_some(),
        // One that was linked here was ready before it became known which device it is.
        is_import: row.fingerprint.is_some() && row.ready_at.is_none(),
        pause: Duration::ZERO,
    };
    if state.status() != stored.status() {
        let (before, at) = (stored.status(), actor.since);
        actor.unsaved.push_back(Change::State {
            before,
            state,
            at,
            detail: None,
        });
    }
    Ok(actor)
}

/// What a stored state means when nobody was there to keep it true.
fn after_a_break(stored: SessionState) -> SessionState {
    let reason = match stored {
        SessionState::Pending(_) | SessionState::Authenticated | SessionState::Ready => CloseReason::ConnectionLost,
        SessionState::Disconnected { reason, .. } => reason,
        SessionState::NotStarted | SessionState::AuthFailed { .. } => return stored,
    };
    SessionState::Disconnected {
        reason,
        attempt: 0,
        next_attempt_at: None,
    }
}

/// A pacer that remembers what the session sent before the break.
pub(super) async fn pacer(cx: &Context, row: &Session) -> Result<Pacer, StorageError> {
    let policy = row.pacing.clone().unwrap_or_else(|| cx.config.pacing.clone());
    if policy.unsafe_open {
        tracing::warn!(session.id = %row.id, "The session's pacing is open: it sends as fast as it can (pacing.unsafe_open)");
        return Ok(Pacer::new(policy, Vec::new(), Vec::new()));
    }
    let (session, now) = (row.id, cx.clock.now());
    let (sent, opened) = history(cx, session, now).await?;
    Ok(Pacer::new(policy, sent, opened))
}

async fn history(
    cx: &Context,
    session: SessionId,
    now: Timestamp,
) -> Result<(Vec<Timestamp>, Vec<Timestamp>), StorageError> {
    const MINUTE: Duration = Duration::from_secs(60);
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    cx.storage
        .read(move |tx| {
            Box::pin(async move {
                let sent = messages::sent_since(tx, session, now - MINUTE).await?;
                Ok((sent, messages::chats_opened(tx, session, now - DAY).await?))
            })
        })
        .await
}

impl Actor {
    /// Connects as it was before the break.
    pub(super) async fn come_back(&mut self, start: Start) {
        if let Err(error) = self.connect(start).await {
            self.complain(&error, "The session could not be dialled; it is tried again");
            self.dial_later().await;
        }
    }

    /// A dial that failed before it began: as if the connection had been lost.
    pub(super) async fn dial_later(&mut self) {
        if matches!(
            self.state.status(),
            SessionStatus::NotStarted | SessionStatus::AuthFailed
        ) {
            return;
        }
        self.feed_closed(CloseReason::StorageFailed, None).await;
    }
}
