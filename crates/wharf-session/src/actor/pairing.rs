//! Linking by a code that is typed into the phone.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use wharf_model::{CloseReason, Input, Phone, SessionState};

use super::Actor;
use crate::error::SessionError;
use crate::live::PairingCode;
use crate::port::PairingError;

/// How long WhatsApp may take to link an account after a code was typed (protocol brief, section 6: 60 s).
const ANSWERED_WITHIN: Duration = Duration::from_secs(75);

impl Actor {
    /// Asks for a code, in a task of its own: WhatsApp takes its time, and the session goes on meanwhile.
    pub(super) fn request_pairing_code(&self, phone: Phone, reply: oneshot::Sender<Result<(), SessionError>>) {
        let client = self.link.as_ref().map(|link| link.client().clone());
        let Some(client) = client.filter(|_| matches!(self.state, SessionState::Pending(_))) else {
            let _ = reply.send(Err(PairingError::NotConnected.into()));
            return;
        };
        tokio::spawn(async move {
            let asked = client.request_pairing_code(&phone).await;
            // A caller that went away has no use for the answer; the code is shown all the same.
            let _ = reply.send(asked.map_err(SessionError::from));
        });
    }

    pub(super) async fn on_pairing_code(&mut self, code: String, valid_for: Duration) {
        if !matches!(self.state, SessionState::Pending(_)) {
            return;
        }
        let expires_at = self.cx.clock.now() + valid_for;
        self.pairing_code = Some(PairingCode { code, expires_at });
        self.code_at = Some(Instant::now() + valid_for);
        self.feed(Input::CodeShown { expires_at }, None).await;
    }

    /// WhatsApp closes no connection on which a code was outstanding, not even when it has no more QRs to show: nothing
    /// would ever happen on it again. A code that was typed in its last moments is still being answered, though.
    pub(super) async fn on_code_lapsed(&mut self) {
        let now = self.cx.clock.now();
        let qr = self.qr.take().filter(|qr| qr.expires_at > now);
        let had_code = self.pairing_code.is_some();
        self.feed(Input::CodeLapsed, None).await;
        if !matches!(self.state, SessionState::Pending(_)) {
            return;
        }
        match qr {
            Some(qr) => {
                let expires_at = qr.expires_at;
                self.qr = Some(qr);
                self.feed(Input::QrShown { expires_at }, None).await;
            }
            None if had_code => self.code_at = Some(Instant::now() + ANSWERED_WITHIN),
            None => self.feed_closed(CloseReason::LinkTimedOut, None).await,
        }
    }
}
