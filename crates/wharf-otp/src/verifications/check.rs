//! A code is tried, or a verification taken back.

use std::sync::Arc;
use std::time::Duration;

use wharf_model::{ApiKeyId, EventKind, Phone, SessionId, Timestamp, VerificationId, VerificationStatus, WorkspaceId};
use wharf_session::{Idempotent, Outcome};
use wharf_storage::verifications::{self as rows, CheckResult, Checked, Verification};
use wharf_storage::{Blind, Queue, StorageError, Tx, WorkspaceKeys};

use super::send::{phone_index, purpose};
use super::{Teller, Verifications, may_know};
use crate::error::{OtpError, Standing};
use crate::view::VerificationView;
use crate::{once, telemetry};

/// How long an approval is repeated: long enough for a caller whose answer was lost, and no proof for later (OTP-11).
const APPROVAL_REPEATED: Duration = Duration::from_secs(60);

/// Which verification.
#[derive(Clone)]
pub enum Which {
    /// By its id, which whoever asked for the code was given (OTP-8).
    Id(VerificationId),
    /// The last one of a phone and a purpose.
    Phone {
        /// The phone.
        phone: Phone,
        /// The purpose, where it is not the default one.
        purpose: Option<String>,
    },
}

/// A code that somebody typed.
#[derive(Clone)]
pub struct CheckCode {
    /// Of which verification.
    pub which: Which,
    /// What was typed.
    pub code: String,
    /// The sessions whose verifications the caller may check; `None`: all.
    pub allowed: Option<Vec<SessionId>>,
    /// The API key that asks.
    pub key: Option<ApiKeyId>,
}

/// Logs are written with `Debug`: neither numbers of people nor digits may reach them.
impl std::fmt::Debug for Which {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Phone { .. } => f.write_str("Phone(***)"),
        }
    }
}

/// See [`Which`].
impl std::fmt::Debug for CheckCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckCode")
            .field("which", &self.which)
            .finish_non_exhaustive()
    }
}

/// Where to look for the verification.
#[derive(Clone, Debug)]
enum Place {
    Id(VerificationId),
    Phone(Blind, String),
}

/// All that the unit of a check needs.
struct Try {
    place: Place,
    code: String,
    allowed: Option<Vec<SessionId>>,
    key: Option<ApiKeyId>,
    now: Timestamp,
    keys: Arc<WorkspaceKeys>,
    teller: Teller,
}

impl Try {
    async fn carry_out(&self, tx: &mut Tx) -> Result<Option<Checked>, StorageError> {
        let workspace = self.keys.workspace();
        let id = match &self.place {
            Place::Id(id) => *id,
            Place::Phone(phone, purpose) => match rows::latest(tx, workspace, *phone, purpose).await? {
                Some(found) => found.id,
                None => return Ok(None),
            },
        };
        if let Some(allowed) = &self.allowed {
            // Before anything is counted: the caller must not touch what he must not know of.
            let found = rows::get(tx, workspace, id).await?;
            let known = found.is_some_and(|found| may_know(Some(allowed), self.key, (found.session_id, found.key_id)));
            if !known {
                return Ok(None);
            }
        }
        let checked = rows::check(tx, &self.keys, id, &self.code, self.now).await?;
        if let Some(Checked::Compared(_, verification)) = &checked {
            self.tell(tx, verification).await?;
        }
        Ok(checked)
    }

    async fn tell(&self, tx: &mut Tx, verification: &Verification) -> Result<(), StorageError> {
        let (kind, reason) = match verification.status {
            VerificationStatus::Approved => (EventKind::OtpApproved, None),
            VerificationStatus::MaxAttemptsReached => (EventKind::OtpFailed, Some("max_attempts_reached")),
            _ => return Ok(()),
        };
        self.teller.tell(tx, verification, kind, reason, self.now).await
    }
}

impl Verifications {
    /// Tries a code. The answer is an approval; everything else is an error, so that whoever looks at nothing else lets
    /// nobody in (OTP-9). An approval is repeated for a minute to whoever brings its idempotency key again (OTP-11).
    ///
    /// # Errors
    /// [`OtpError::Incorrect`], which counts, or what the verification has come to.
    pub async fn check(
        &self,
        workspace: WorkspaceId,
        check: CheckCode,
        idempotent: Option<Idempotent<VerificationView>>,
    ) -> Result<Outcome<VerificationView>, OtpError> {
        let cx = &self.cx;
        let keys = cx.storage.workspace_keys(workspace).await.map_err(OtpError::Storage)?;
        let place = match check.which {
            Which::Id(id) => Place::Id(id),
            Which::Phone { phone, purpose: named } => Place::Phone(phone_index(&keys, &phone), purpose(named)?),
        };
        let now = cx.clock.now();
        let work = Try {
            place,
            code: check.code,
            allowed: check.allowed,
            key: check.key,
            now,
            keys: Arc::clone(&keys),
            teller: Teller::new(cx, &keys),
        };
        let once = once::once(idempotent, &keys, (now, APPROVAL_REPEATED));
        let key = once.as_ref().map(|(key, _)| key.clone());
        let written = cx.storage.write(Queue::Normal, move |tx| {
            Box::pin(async move {
                let Some((key, render)) = once else {
                    return work.carry_out(tx).await;
                };
                key.claim(tx).await?;
                let checked = work.carry_out(tx).await?;
                // A wrong code is counted, and answered anew each time.
                match approved(&work.keys, checked.as_ref(), now)? {
                    Some(view) => key.keep(tx, &once::rendered(render, &view)?).await?,
                    None => key.give_back(tx).await?,
                }
                Ok(checked)
            })
        });
        let checked = match once::outcome(&keys, key.as_ref(), written.await)? {
            Outcome::Replayed(answer) => return Ok(Outcome::Replayed(answer)),
            Outcome::New(checked) => checked.ok_or(OtpError::NotFound)?,
        };
        telemetry::checked(name_of(&checked, now));
        match checked {
            Checked::Compared(CheckResult::Approved, verification) => {
                let view = VerificationView::new(verification, &keys, now).map_err(OtpError::Storage)?;
                Ok(Outcome::New(view))
            }
            Checked::Compared(CheckResult::Incorrect, verification) => {
                Err(OtpError::Incorrect(Standing::of(&verification, now)))
            }
            Checked::Over(verification) => Err(OtpError::over(Standing::of(&verification, now))),
        }
    }

    /// Takes a verification back: its code is worth nothing any more. One that was taken back before is so again.
    ///
    /// # Errors
    /// [`OtpError::NotFound`], or what it had come to.
    pub async fn cancel(&self, workspace: WorkspaceId, id: VerificationId) -> Result<VerificationView, OtpError> {
        let cx = &self.cx;
        let keys = cx.storage.workspace_keys(workspace).await.map_err(OtpError::Storage)?;
        let (now, teller) = (cx.clock.now(), Teller::new(cx, &keys));
        let cancelled = cx.storage.write(Queue::Normal, move |tx| {
            Box::pin(async move {
                match rows::cancel(tx, workspace, id, now).await? {
                    Some(cancelled) => teller.tell(tx, &cancelled, EventKind::OtpCancelled, None, now).await,
                    None => Ok(()),
                }
            })
        });
        cancelled.await.map_err(OtpError::Storage)?;
        let view = self.get(workspace, id).await?;
        match view.status {
            VerificationStatus::Cancelled => Ok(view),
            // It ended in between, or was over before.
            _ => Err(OtpError::over(view.standing())),
        }
    }
}

impl Verifications {
    /// Lets a phone have codes again for which too many wrong ones came. `false`: none did.
    ///
    /// # Errors
    /// Storage failed.
    pub async fn unlock(&self, workspace: WorkspaceId, phone: &Phone) -> Result<bool, OtpError> {
        let keys = self
            .cx
            .storage
            .workspace_keys(workspace)
            .await
            .map_err(OtpError::Storage)?;
        let phone = phone_index(&keys, phone);
        let cleared = self.cx.storage.write(Queue::Normal, move |tx| {
            Box::pin(async move { rows::clear_failures(tx, workspace, phone).await })
        });
        cleared.await.map_err(OtpError::Storage)
    }
}

/// The view of an approval.
fn approved(
    keys: &WorkspaceKeys,
    checked: Option<&Checked>,
    now: Timestamp,
) -> Result<Option<VerificationView>, StorageError> {
    match checked {
        Some(Checked::Compared(CheckResult::Approved, verification)) => {
            VerificationView::new(verification.clone(), keys, now).map(Some)
        }
        _ => Ok(None),
    }
}

fn name_of(checked: &Checked, now: Timestamp) -> &'static str {
    match checked {
        Checked::Compared(result, _) => result.as_str(),
        Checked::Over(verification) => Standing::of(verification, now).status.as_str(),
    }
}
