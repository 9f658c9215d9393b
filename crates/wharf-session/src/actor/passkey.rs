//! Linking an account that has a passkey: the passkey signs a challenge, then a person compares two codes.

use tokio::sync::oneshot;
use wharf_model::{CloseReason, Input, PendingStep, SessionState};

use super::Actor;
use crate::error::SessionError;
use crate::live::PasskeyStep;
use crate::port::{PasskeyAssertion, PasskeyError};

type Reply = oneshot::Sender<Result<(), SessionError>>;

impl Actor {
    pub(super) async fn on_passkey_asked(&mut self, options: String) {
        if matches!(self.state, SessionState::Pending(_)) {
            self.forget_secrets();
            self.passkey = Some(PasskeyStep::Sign(options));
            self.feed(Input::PasskeyAsked, None).await;
        }
    }

    pub(super) async fn on_passkey_shown(&mut self, code: String, is_known: bool) {
        if !matches!(self.state, SessionState::Pending(_)) {
            return;
        }
        self.passkey = Some(PasskeyStep::Compare(code));
        self.feed(Input::PasskeyShown, None).await;
        if is_known {
            // Nobody waits for the answer; a failure ends the link, which is told.
            let (reply, _) = oneshot::channel();
            self.confirm_passkey(reply);
        }
    }

    /// WhatsApp does not close the connection: nothing would ever happen on it again.
    pub(super) async fn on_passkey_failed(&mut self) {
        if matches!(self.state, SessionState::Pending(_)) {
            self.feed_closed(CloseReason::LinkFailed, None).await;
        }
    }

    /// In a task of its own, as a pairing code is asked for.
    pub(super) fn answer_passkey(&self, assertion: PasskeyAssertion, reply: Reply) {
        let client = self.link.as_ref().map(|link| link.client().clone());
        let Some(client) = client.filter(|_| self.waits_for(PendingStep::SignWithPasskey)) else {
            let _ = reply.send(Err(PasskeyError::NotAsked.into()));
            return;
        };
        tokio::spawn(async move {
            let answered = client.answer_passkey(assertion).await;
            // A caller that went away has no use for the answer.
            let _ = reply.send(answered.map_err(SessionError::from));
        });
    }

    pub(super) fn confirm_passkey(&self, reply: Reply) {
        let client = self.link.as_ref().map(|link| link.client().clone());
        let Some(client) = client.filter(|_| self.waits_for(PendingStep::ConfirmPasskey)) else {
            let _ = reply.send(Err(PasskeyError::NotAsked.into()));
            return;
        };
        tokio::spawn(async move {
            let confirmed = client.confirm_passkey().await;
            // As above.
            let _ = reply.send(confirmed.map_err(SessionError::from));
        });
    }

    fn waits_for(&self, step: PendingStep) -> bool {
        self.state == SessionState::Pending(step)
    }
}
