//! The unit of work of a send: limits counted, code stored, message queued, event written, or nothing of it.

use std::sync::Arc;
use std::time::Duration;

use wharf_model::{ApiKeyId, EventKind, SessionId, Timestamp, VerificationId, VerificationStatus};
use wharf_session::PreparedCode;
use wharf_storage::messages::Wording;
use wharf_storage::usage::{self, Allowance, Resource};
use wharf_storage::verifications::{
    self as rows, Conversion, Counted, NewSend, NewVerification, Renewal, Verification,
};
use wharf_storage::{Blind, Sealed, StorageError, Tx, WorkspaceKeys};

use super::{Sent, Teller, may_know};
use crate::config::{OtpConfig, Rate};
use crate::country::Country;
use crate::error::{LimitPolicy, Standing};
use crate::view::VerificationView;

/// Approvals are looked at over this time.
const GUARD_WINDOW: Duration = Duration::from_secs(60 * 60);

/// A limit and what it counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub policy: LimitPolicy,
    pub rate: Rate,
    pub counted: Counted,
}

/// Why a unit was given up.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the code was not sent")]
pub(super) enum Refusal {
    TooSoon(Standing),
    NoSendsLeft(Standing),
    Limited {
        policy: LimitPolicy,
        wait: Duration,
    },
    Blocked {
        wait: Duration,
    },
    Locked,
    /// One is pending that the caller must not know of.
    Elsewhere,
}

/// The message that brings the code, and who sends it.
pub(super) struct Outgoing {
    pub session: SessionId,
    pub message: PreparedCode,
}

/// All that the unit needs.
pub(super) struct Order {
    /// Of a new verification.
    pub id: VerificationId,
    /// `None`: nothing is sent to a test number (OTP-18).
    pub outgoing: Option<Outgoing>,
    pub allowed: Option<Vec<SessionId>>,
    /// The phone as it is written, which a verification belongs to.
    pub phone: Blind,
    /// The phone in whatever spelling, which limits count.
    pub counted: Blind,
    pub prefix: Blind,
    pub client: Option<Blind>,
    pub country: Option<Country>,
    pub key: Option<ApiKeyId>,
    pub allowance: Option<Allowance>,
    pub sealed_phone: Sealed,
    /// The caller's own JSON, as bytes.
    pub metadata: Option<Vec<u8>>,
    pub purpose: String,
    pub wording: Wording,
    pub length: u8,
    pub ttl: Duration,
    pub limits: Vec<Limit>,
    pub code: String,
    pub now: Timestamp,
    pub config: OtpConfig,
    pub keys: Arc<WorkspaceKeys>,
    pub teller: Teller,
}

impl Order {
    pub(super) async fn carry_out(&self, tx: &mut Tx) -> Result<Sent, StorageError> {
        // The phone always: one verification of it and a purpose is pending at a time. The prefix for the guard.
        let mut counted = vec![Counted::Phone(self.counted), Counted::Prefix(self.prefix)];
        counted.extend(self.limits.iter().map(|limit| limit.counted));
        rows::lock(tx, &counted).await?;
        let pending = self.pending(tx).await?;
        match &pending {
            Some(pending) => self.may_follow(pending)?,
            None => self.may_begin(tx).await?,
        }
        self.keep_limits(tx).await?;
        self.guard(tx).await?;
        let resent = pending.is_some();
        let verification = match pending {
            Some(pending) => self.renew(tx, &pending).await?,
            None => self.begin(tx).await?,
        };
        if let Some(outgoing) = &self.outgoing {
            self.hand_over(tx, outgoing, &verification).await?;
        }
        self.take_quota(tx).await?;
        let sends = rows::sends(tx, verification.workspace_id, verification.id).await?;
        let mut view = VerificationView::new(verification, &self.keys, self.now)?;
        view.sends = sends.into_iter().map(Into::into).collect();
        Ok(Sent { view, resent })
    }

    /// As late as it can be: from here on other sends of the key wait for this one's end. A code for a test number goes to
    /// nobody, and counts for nothing.
    async fn take_quota(&self, tx: &mut Tx) -> Result<(), StorageError> {
        match (&self.allowance, &self.outgoing) {
            (Some(allowance), Some(_)) => usage::take(tx, allowance, Resource::Otps, 1, self.now).await,
            _ => Ok(()),
        }
    }

    async fn hand_over(
        &self,
        tx: &mut Tx,
        outgoing: &Outgoing,
        verification: &Verification,
    ) -> Result<(), StorageError> {
        outgoing.message.store(tx).await?;
        rows::insert_send(tx, &self.new_send(outgoing, verification)).await
    }

    /// The one that is pending. One whose time is over ends now, instead of when the sweep comes to it.
    async fn pending(&self, tx: &mut Tx) -> Result<Option<Verification>, StorageError> {
        let found = rows::active(tx, self.keys.workspace(), self.phone, &self.purpose).await?;
        let Some(over) = found.as_ref().filter(|found| found.expires_at <= self.now) else {
            return Ok(found);
        };
        if let Some(expired) = rows::expire(tx, over.workspace_id, over.id, self.now).await? {
            self.teller
                .tell(tx, &expired, EventKind::OtpExpired, None, self.now)
                .await?;
        }
        Ok(None)
    }

    /// OTP-6: not too soon, and not too often. A caller that is limited to sessions has no part in those of others.
    fn may_follow(&self, pending: &Verification) -> Result<(), StorageError> {
        let (allowed, about) = (self.allowed.as_deref(), (pending.session_id, pending.key_id));
        if !may_know(allowed, self.key, about) {
            return Err(StorageError::rejected(Refusal::Elsewhere));
        }
        let standing = Standing::of(pending, self.now);
        if standing.sends_remaining == 0 {
            return Err(StorageError::rejected(Refusal::NoSendsLeft(standing)));
        }
        if !standing.next_send_in.is_zero() {
            return Err(StorageError::rejected(Refusal::TooSoon(standing)));
        }
        Ok(())
    }

    /// Nor is the wait over because the last one was taken back, or is out of attempts.
    async fn may_begin(&self, tx: &mut Tx) -> Result<(), StorageError> {
        let last = rows::latest(tx, self.keys.workspace(), self.phone, &self.purpose).await?;
        let waits = |last: &Verification| last.status != VerificationStatus::Approved && last.next_send_at > self.now;
        match last.filter(waits) {
            Some(last) => Err(StorageError::rejected(Refusal::TooSoon(Standing {
                next_send_in: last.next_send_at.since(self.now),
                ..Standing::of(&last, self.now)
            }))),
            None => Ok(()),
        }
    }

    async fn keep_limits(&self, tx: &mut Tx) -> Result<(), StorageError> {
        for Limit { policy, rate, counted } in &self.limits {
            let times = (self.now - rate.window, self.now);
            let next = rows::next_allowed_at(tx, self.keys.workspace(), *counted, rate.most, times).await?;
            if let Some(at) = next {
                return Err(StorageError::rejected(Refusal::Limited {
                    policy: *policy,
                    wait: at.since(self.now),
                }));
            }
        }
        Ok(())
    }

    /// OTP-14: codes that hardly anybody uses go to strangers, who report the number; and a phone for which only wrong codes
    /// come is being guessed at.
    async fn guard(&self, tx: &mut Tx) -> Result<(), StorageError> {
        let (workspace, config) = (self.keys.workspace(), &self.config);
        if rows::failures(tx, workspace, self.phone).await? >= config.max_failures {
            return Err(StorageError::rejected(Refusal::Locked));
        }
        // Nobody reports what is not sent.
        if config.guard_after == 0 || self.outgoing.is_none() {
            return Ok(());
        }
        let since = self.now - GUARD_WINDOW;
        let Conversion { sent, approved } = rows::conversion(tx, workspace, self.prefix, since).await?;
        let few = u64::from(approved) * 100 < u64::from(sent) * u64::from(config.guard_percent);
        if sent < config.guard_after || !few {
            return Ok(());
        }
        let counted = Counted::Prefix(self.prefix);
        let next = rows::next_allowed_at(tx, workspace, counted, config.guard_after, (since, self.now)).await?;
        let wait = next.map_or(GUARD_WINDOW, |at| at.since(self.now));
        Err(StorageError::rejected(Refusal::Blocked { wait }))
    }

    async fn begin(&self, tx: &mut Tx) -> Result<Verification, StorageError> {
        let new = NewVerification {
            id: self.id,
            workspace_id: self.keys.workspace(),
            session_id: self.session(),
            phone_index: self.phone,
            purpose: self.purpose.clone(),
            mac: rows::mac_of(&self.keys, self.id, self.phone, &self.purpose, &self.code),
            phone: self.sealed_phone.clone(),
            metadata: self.sealed_metadata(self.id)?,
            template: self.wording.template.clone(),
            locale: self.wording.locale.clone(),
            length: self.length,
            max_attempts: self.config.max_attempts,
            max_sends: self.config.max_sends,
            next_send_at: self.now + self.config.cooldown,
            expires_at: self.expires_at(),
            undelivered_at: self.undelivered_at(),
            keep_until: self.keep_until(),
            created_at: self.now,
            country: self.country.map(|country| country.to_string()),
            key_id: self.key,
        };
        rows::insert(tx, &new).await?;
        let stored = rows::get(tx, self.keys.workspace(), self.id).await?;
        let stored = stored.ok_or(StorageError::NotFound("verification"))?;
        // Counted by whoever knows that it was not rolled back.
        self.teller
            .append(tx, &stored, EventKind::OtpCreated, None, self.now)
            .await?;
        Ok(stored)
    }

    async fn renew(&self, tx: &mut Tx, pending: &Verification) -> Result<Verification, StorageError> {
        // Each wait is twice as long as the one before.
        let waits = 2_u32.saturating_pow(pending.sends);
        let renewal = Renewal {
            session_id: self.session(),
            mac: rows::mac_of(&self.keys, pending.id, self.phone, &self.purpose, &self.code),
            template: self.wording.template.clone(),
            locale: self.wording.locale.clone(),
            length: self.length,
            metadata: self.sealed_metadata(pending.id)?,
            next_send_at: self.now + self.config.cooldown.saturating_mul(waits),
            expires_at: self.expires_at(),
            undelivered_at: self.undelivered_at(),
            keep_until: self.keep_until(),
            at: self.now,
        };
        rows::renew(tx, pending.workspace_id, pending.id, &renewal).await
    }

    fn sealed_metadata(&self, id: VerificationId) -> Result<Option<Sealed>, StorageError> {
        let seal = |metadata: &Vec<u8>| rows::seal_metadata(&self.keys, id, metadata);
        self.metadata.as_ref().map(seal).transpose()
    }

    fn session(&self) -> Option<SessionId> {
        self.outgoing.as_ref().map(|outgoing| outgoing.session)
    }

    /// What is not sent is not missed.
    fn undelivered_at(&self) -> Option<Timestamp> {
        self.outgoing.as_ref().map(|_| self.now + self.config.undelivered_after)
    }

    /// What is told to nobody is good for as long as there are test numbers, whatever the caller says: it is known.
    fn expires_at(&self) -> Timestamp {
        let end = self.now + self.ttl;
        match self.outgoing {
            Some(_) => end,
            None => self.config.test_numbers.at_most(end),
        }
    }

    fn keep_until(&self) -> Timestamp {
        (self.now + self.config.retention).max(self.expires_at())
    }

    fn new_send(&self, outgoing: &Outgoing, verification: &Verification) -> NewSend {
        NewSend {
            verification_id: verification.id,
            workspace_id: verification.workspace_id,
            session_id: outgoing.session,
            message_id: outgoing.message.id(),
            n: verification.sends,
            at: self.now,
            phone_index: self.counted,
            prefix_index: self.prefix,
            client_index: self.client,
            key_id: self.key,
        }
    }
}
