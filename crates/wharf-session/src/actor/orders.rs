//! What operators ask of a session.

use std::time::Duration;

use tokio::time::Instant;
use wharf_model::{CloseReason, Input};
use wharf_storage::StorageError;
use wharf_storage::audit::{Action, AuditEntry};
use wharf_storage::sessions::{self, Session, SessionProfile, Wanted};

use super::journal::{Change, Journal};
use super::{Actor, End, Start, restore};
use crate::error::SessionError;
use crate::registry::{Command, Order};
use crate::setup::setup;

/// How long a logout may take to reach WhatsApp before the keys go without it.
const REACH: Duration = Duration::from_secs(10);
const UNLINK: Duration = Duration::from_secs(5);

impl Actor {
    /// Carries an order out and says so. `Some`: it was the last one.
    pub(super) async fn obey(&mut self, command: Command) -> Option<End> {
        self.by = command.by;
        let deleting = command.order == Order::Delete;
        let result = match command.order {
            Order::PairingCode(phone) => {
                self.request_pairing_code(phone, command.reply);
                return None;
            }
            Order::AnswerPasskey(assertion) => {
                self.answer_passkey(assertion, command.reply);
                return None;
            }
            Order::ConfirmPasskey => {
                self.confirm_passkey(command.reply);
                return None;
            }
            Order::Connect => self.start().await,
            Order::Disconnect => self.stop().await,
            Order::Restart => self.restart().await,
            Order::Logout => self.log_out().await,
            Order::Delete => self.delete().await,
            Order::BeginMove => self.begin_move().await,
            Order::FinishMove => self.finish_move().await,
            Order::CancelMove => self.cancel_move().await,
            Order::Reload => self.reload().await,
        };
        let deleted = deleting && result.is_ok();
        // A caller that went away has no use for the answer; the order stands.
        let _ = command.reply.send(result);
        deleted.then_some(End::Deleted)
    }

    async fn start(&mut self) -> Result<(), SessionError> {
        self.refuse_while_moving()?;
        self.intent = None;
        self.want(Wanted::Connected).await;
        self.dial_up().await?;
        self.stored()
    }

    async fn dial_up(&mut self) -> Result<(), SessionError> {
        let running = self.link.as_ref().is_some_and(super::link::Link::is_running);
        if running || self.dialling.is_some() {
            return Ok(());
        }
        self.attempts.clear();
        self.connect(Start::Prompt).await
    }

    pub(super) async fn stop(&mut self) -> Result<(), SessionError> {
        self.intent = None;
        self.attempts.clear();
        self.unsaved.push_back(Change::Wanted(Wanted::Stopped));
        self.feed(Input::Disconnect, None).await;
        self.stored()
    }

    /// A new client on what is stored, whatever the old one was at. A process that dies in between connects again.
    async fn restart(&mut self) -> Result<(), SessionError> {
        self.refuse_while_moving()?;
        self.attempts.clear();
        self.intent = Some(Wanted::Connected);
        self.feed(Input::Disconnect, None).await;
        self.start().await
    }

    /// What an earlier process was told to do and died at.
    pub(super) async fn go_on(&mut self, wanted: Wanted, start: Start) {
        let gone_on = match wanted {
            Wanted::Connected => return self.come_back(start).await,
            Wanted::Stopped => return,
            Wanted::LoggedOut => self.log_out().await,
            Wanted::Deleted => self.delete().await,
        };
        if let Err(error) = gone_on {
            self.complain(
                &error,
                "What was asked of the session before the stop could not be finished",
            );
        }
    }

    async fn log_out(&mut self) -> Result<(), SessionError> {
        self.refuse_while_moving()?;
        self.audit(Action::SessionLoggedOut);
        self.unlink_as(Wanted::LoggedOut).await?;
        self.intent = None;
        self.want(Wanted::Stopped).await;
        if self.unlinked {
            Err(SessionError::NotShredded)
        } else {
            self.stored()
        }
    }

    /// Unlinks the device. The intent is stored first: a process that dies on the way goes on at the next start.
    async fn unlink_as(&mut self, intent: Wanted) -> Result<(), SessionError> {
        self.intent = Some(intent);
        self.want(intent).await;
        // An unlink would end the device where it went.
        if self.moving {
            self.feed(Input::Moved, None).await;
            return Ok(());
        }
        if !self.reach_whatsapp().await {
            if self.cx.stopping.is_cancelled() {
                return Err(SessionError::Stopping);
            }
            tracing::warn!(session.id = %self.slot.session, "WhatsApp cannot be told of the logout: remove the device on the phone");
        }
        self.feed(Input::Logout, None).await;
        Ok(())
    }

    /// An unlink needs a connection: one that is off is brought up for it, as far as that is quick. `false`: a linked
    /// device cannot be unlinked from here.
    async fn reach_whatsapp(&mut self) -> bool {
        let linked = !self.unlinked && self.cx.network.is_linked(self.lease()).await.unwrap_or(false);
        if !linked || self.is_ready() {
            return true;
        }
        if self.dial_up().await.is_err() {
            return false;
        }
        let until = Instant::now() + REACH;
        while !self.is_ready() && self.on_its_way() && !self.cx.stopping.is_cancelled() && Instant::now() < until {
            if tokio::time::timeout_at(until, self.next_of_link()).await.is_err() {
                break;
            }
        }
        self.is_ready()
    }

    const fn on_its_way(&self) -> bool {
        self.dialling.is_some() || self.link.is_some()
    }

    /// One step of dialling or of the connection, with no ear for other orders.
    async fn next_of_link(&mut self) {
        tokio::select! {
            () = self.cx.stopping.cancelled() => {}
            dialled = super::dial::finished(&mut self.dialling) => self.on_dialled(dialled).await,
            events = super::happened(&mut self.link) => self.on_events(events).await,
        }
    }

    /// The effect of a logout: tells WhatsApp while there is a connection, then closes it.
    pub(super) async fn unlink(&mut self) {
        self.dialling = None;
        self.dial_at = None;
        self.outbox.disconnected();
        if let Some(link) = self.link.take() {
            if tokio::time::timeout(UNLINK, link.client().logout()).await.is_err() {
                tracing::warn!(session.id = %self.slot.session, "WhatsApp did not answer the logout: look at the devices on the phone");
            }
            link.shut().await;
        }
        self.shred().await;
    }

    /// The effect of credentials that are needed here no more.
    pub(super) async fn shred(&mut self) {
        self.moving = false;
        self.profile = SessionProfile::default();
        self.unsaved.push_back(Change::Profile(SessionProfile::default()));
        self.shred_now().await;
    }

    /// Keys that cannot be shredded now are due at once: the supervisor or the next connect tries again.
    async fn shred_now(&mut self) {
        let shredded = self.cx.storage.shred_session_signal_state(self.slot.session).await;
        self.unlinked = shredded.is_err();
        let due = self.unlinked.then(|| self.cx.clock.now());
        self.unsaved.push_back(Change::Unlinked { at: due, shred_at: due });
        if let Err(error) = shredded {
            self.complain(&error, "The session's keys could not be shredded; it is tried again");
        }
    }

    /// The effect of an unlink by the account: its keys go once the retention time has passed.
    pub(super) fn shred_later(&mut self) {
        self.unlinked = true;
        let now = self.cx.clock.now();
        let shred_at = now + self.cx.config.retain_after_unlink;
        self.unsaved.push_back(Change::Unlinked {
            at: Some(now),
            shred_at: Some(shred_at),
        });
    }

    /// Before a device that was unlinked is linked again: fresh keys, and an epoch that shuts the old ones out.
    pub(super) async fn start_afresh(&mut self) -> Result<(), SessionError> {
        if let Some(link) = self.link.take() {
            link.shut().await;
        }
        self.cx.storage.shred_session_signal_state(self.slot.session).await?;
        self.journal = Journal::claim(&self.cx, self.slot.workspace, self.slot.session).await?;
        self.unsaved.push_back(Change::Unlinked {
            at: None,
            shred_at: None,
        });
        self.save().await;
        self.unlinked = false;
        Ok(())
    }

    async fn delete(&mut self) -> Result<(), SessionError> {
        self.audit(Action::SessionDeleted);
        self.unlink_as(Wanted::Deleted).await?;
        if self.fenced {
            return Err(SessionError::Restarting);
        }
        let (workspace, session) = (self.slot.workspace, self.slot.session);
        match self.cx.storage.delete_session(workspace, session).await {
            Ok(()) | Err(StorageError::NotFound(_)) => {}
            Err(error) if self.is_gone().await => {
                self.complain(
                    &error,
                    "The session was deleted; its traces leave the disk at the next stop",
                );
            }
            Err(error) => return Err(error.into()),
        }
        tracing::info!(session.id = %self.slot.session, "The session was deleted");
        self.slot.live.send_modify(|live| live.deleted = true);
        Ok(())
    }

    /// Whether the row went although the call that was to take it away failed.
    async fn is_gone(&self) -> bool {
        let session = self.slot.session;
        let row = self
            .cx
            .storage
            .read(move |tx| Box::pin(sessions::load(tx, session)))
            .await;
        matches!(row, Ok(None))
    }

    async fn reload(&mut self) -> Result<(), SessionError> {
        let session = self.slot.session;
        let row = self
            .cx
            .storage
            .read(move |tx| Box::pin(sessions::load(tx, session)))
            .await?;
        let row = row.ok_or(SessionError::NotFound)?;
        self.prepare(&row).await?;
        if self.outbox.pacer().policy().unsafe_open {
            // An open pacer counted nothing: what it let through is read back from the rows.
            let pacer = restore::pacer(&self.cx, &row).await?;
            self.outbox.replace_pacer(pacer);
        } else {
            let policy = row.pacing.unwrap_or_else(|| self.cx.config.pacing.clone());
            self.outbox.obey(policy);
        }
        Ok(())
    }

    /// From the next connection on. A client that rests has no connection to lose.
    async fn prepare(&mut self, row: &Session) -> Result<(), SessionError> {
        let keys = self.cx.storage.session_keys(row.id).await?;
        self.setup = setup(row, &keys)?;
        if let Some(link) = self
            .link
            .take_if(|link| !link.is_running() && link.setup() != &self.setup)
        {
            link.shut().await;
        }
        Ok(())
    }

    /// Stored with whatever is stored next.
    pub(super) fn audit(&mut self, action: Action) {
        if !self.cx.config.audited {
            return;
        }
        self.unsaved.push_back(Change::Audited(AuditEntry {
            workspace: self.slot.workspace,
            at: self.cx.clock.now(),
            by: self.by.clone(),
            action,
            session: Some(self.slot.session),
            api_key: None,
            plan: None,
        }));
    }

    pub(super) async fn want(&mut self, wanted: Wanted) {
        self.unsaved.push_back(Change::Wanted(wanted));
        self.save().await;
    }

    /// An order is carried out when its effect is durable.
    pub(super) fn stored(&self) -> Result<(), SessionError> {
        if self.fenced {
            return Err(SessionError::Restarting);
        }
        if self.unsaved.is_empty() {
            Ok(())
        } else {
            Err(SessionError::NotStored)
        }
    }
}

/// A reason to close that is ours.
pub(super) const DEAF: CloseReason = CloseReason::KeepaliveTimeout;
