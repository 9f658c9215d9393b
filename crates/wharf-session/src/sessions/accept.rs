//! Accepting messages: the row, its event and the idempotency key are one unit of work; the actor hears of it after the
//! commit. The row is the job: there is no second queue to disagree with it.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use wharf_model::{ApiKeyId, Day, SessionId, Timestamp, WorkspaceId};
use wharf_storage::usage::{self, Allowance, QuotaExceeded, Resource};
use wharf_storage::{Queue, SessionKeys, StorageError, Tx, events, messages, sessions};

use super::prepare::{self, NewMessage, PreparedMessage};
use super::{MessageView, Sessions};
use crate::error::SessionError;
use crate::idempotency::{self, IdempotencyError, Idempotent, Outcome, Prepared, Refused};
use crate::telemetry;

/// Why a message was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The workspace has no such session.
    #[error("no such session")]
    NoSession,
    /// A text without a character.
    #[error("a text must not be empty")]
    EmptyText,
    /// A text longer than WhatsApp carries.
    #[error("a text has at most 65536 characters")]
    TextTooLong,
    /// Content that can only come in.
    #[error("this kind of content cannot be sent")]
    Unsendable,
    /// `send_at` is too far away.
    #[error("a message waits at most a year")]
    SendAt,
    /// `expires_in` is zero or longer than a year.
    #[error("a message expires after 1 second to 366 days")]
    ExpiresIn,
    /// The metadata is no object, or too large.
    #[error("metadata is an object of at most 16 KiB")]
    Metadata,
    /// The idempotency key was refused.
    #[error(transparent)]
    Idempotency(#[from] IdempotencyError),
    /// Its day's quota is used up.
    #[error(transparent)]
    Quota(QuotaExceeded),
    /// The process is stopping.
    #[error("the server is stopping")]
    Stopping,
    /// The database failed.
    #[error("storage failed")]
    Storage(#[source] StorageError),
}

impl From<StorageError> for AcceptError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::NotFound(_) => Self::NoSession,
            other => match other.rejection::<QuotaExceeded>() {
                Some(quota) => Self::Quota(*quota),
                None => Self::Storage(other),
            },
        }
    }
}

impl Sessions {
    /// Accepts a message. When this returns it is durable, and will be sent however often the process dies.
    ///
    /// # Errors
    /// What is wrong with the message, or with storage; nothing is stored then.
    pub async fn accept(
        &self,
        workspace: WorkspaceId,
        new: NewMessage,
        idempotent: Option<Idempotent<MessageView>>,
    ) -> Result<Outcome<MessageView>, AcceptError> {
        let PreparedMessage {
            row,
            event,
            session,
            lane,
            allowance,
            view,
        } = self.prepare(workspace, new).await?;
        let claim = self.claim(idempotent, &view).await?;
        let claimed = claim.clone();
        let written = self
            .storage()
            .write(Queue::Normal, move |tx| {
                Box::pin(async move {
                    if let Some(claim) = &claimed {
                        claim.claim(tx).await?;
                    }
                    store(tx, workspace, session, &row, &event).await?;
                    // Last of all: others of the same key wait no longer than for the commit.
                    match &allowance {
                        Some(allowance) => usage::take(tx, allowance, Resource::Messages, 1, event.created_at).await,
                        None => Ok(()),
                    }
                })
            })
            .await;
        let outcome = idempotency::outcome::<_, AcceptError>(claim.as_ref(), written.map(|()| view))?;
        if matches!(outcome, Outcome::New(_)) {
            telemetry::accepted(lane);
        }
        Ok(outcome)
    }

    /// Accepts many messages in one commit. Each is answered for itself, in the order of the request; what is wrong
    /// with one does not stop the others.
    ///
    /// # Errors
    /// Storage failed, the idempotency key was refused, or a quota has not enough left for all: nothing of the batch is stored
    /// then.
    pub async fn accept_batch(
        &self,
        workspace: WorkspaceId,
        batch: Vec<NewMessage>,
        idempotent: Option<Idempotent<Vec<Result<MessageView, AcceptError>>>>,
    ) -> Result<Outcome<Vec<Result<MessageView, AcceptError>>>, AcceptError> {
        let mut known = HashMap::new();
        let mut rows = Vec::new();
        let mut answers = Vec::with_capacity(batch.len());
        for new in batch {
            answers.push(match self.prepare_known(workspace, new, &mut known).await {
                Ok(PreparedMessage {
                    row,
                    event,
                    session,
                    lane,
                    allowance,
                    view,
                }) => {
                    rows.push((session, row, event, lane, allowance));
                    Ok(view)
                }
                Err(AcceptError::Storage(error)) => return Err(AcceptError::Storage(error)),
                Err(error) => Err(error),
            });
        }
        let claim = self.claim(idempotent, &answers).await?;
        let claimed = claim.clone();
        let limited = rows
            .iter()
            .filter_map(|(_, _, event, _, allowance)| Some(((*allowance)?, event.created_at)));
        let takings = takings(limited);
        let lanes: Vec<_> = rows.iter().map(|(_, _, _, lane, _)| *lane).collect();
        let written = self
            .storage()
            .write(Queue::Normal, move |tx| {
                Box::pin(async move {
                    if let Some(claim) = &claimed {
                        claim.claim(tx).await?;
                    }
                    for (session, row, event, ..) in &rows {
                        store(tx, workspace, *session, row, event).await?;
                    }
                    for Taking { allowance, at, n } in takings.values() {
                        usage::take(tx, allowance, Resource::Messages, *n, *at).await?;
                    }
                    Ok(())
                })
            })
            .await;
        let outcome = idempotency::outcome::<_, AcceptError>(claim.as_ref(), written.map(|()| answers))?;
        if matches!(outcome, Outcome::New(_)) {
            lanes.into_iter().for_each(telemetry::accepted);
        }
        Ok(outcome)
    }

    async fn prepare(&self, workspace: WorkspaceId, new: NewMessage) -> Result<PreparedMessage, AcceptError> {
        let now = self.cx.clock.now();
        prepare::check(&new, now)?;
        let keys = self.sender(new.session_id).await?;
        Ok(prepare::prepare(&self.cx, workspace, new, None, &keys, now)?)
    }

    /// As [`Sessions::prepare`], and sure that the session is the workspace's own: a batch must not fail as a whole
    /// because one of its sessions does not exist.
    async fn prepare_known(
        &self,
        workspace: WorkspaceId,
        new: NewMessage,
        known: &mut HashMap<SessionId, bool>,
    ) -> Result<PreparedMessage, AcceptError> {
        let id = new.session_id;
        if let Entry::Vacant(place) = known.entry(id) {
            let found = self
                .storage()
                .glance(move |tx| Box::pin(sessions::exists(tx, workspace, id)))
                .await?;
            place.insert(found);
        }
        if known.get(&id) != Some(&true) {
            return Err(AcceptError::NoSession);
        }
        self.prepare(workspace, new).await
    }

    pub(super) async fn sender(&self, id: SessionId) -> Result<Arc<SessionKeys>, AcceptError> {
        if self.cx.stopping.is_cancelled() {
            return Err(AcceptError::Stopping);
        }
        match self.keys(id).await {
            Ok(keys) => Ok(keys),
            Err(SessionError::Storage(error)) => Err(error.into()),
            Err(_) => Err(AcceptError::NoSession),
        }
    }

    async fn claim<V>(&self, idempotent: Option<Idempotent<V>>, view: &V) -> Result<Option<Prepared>, AcceptError> {
        match idempotent {
            None => Ok(None),
            Some(request) => {
                let prepared = Prepared::new(self.storage(), request, view).await;
                prepared.map(Some).map_err(Refused::into_error)
            }
        }
    }
}

/// The effect: a message row and its event, if the session is (still) the workspace's.
async fn store(
    tx: &mut Tx,
    workspace: WorkspaceId,
    session: SessionId,
    row: &messages::NewOutbound,
    event: &events::Event,
) -> Result<(), StorageError> {
    if !sessions::exists(tx, workspace, session).await? {
        return Err(StorageError::NotFound("session"));
    }
    messages::insert_outbound(tx, row).await?;
    events::append(tx, event).await
}

/// What a batch takes from the quota of one key on one day: at once, however many messages it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Taking {
    allowance: Allowance,
    at: Timestamp,
    n: u32,
}

/// In the order of the keys, so that no two batches wait for each other.
fn takings(accepted: impl Iterator<Item = (Allowance, Timestamp)>) -> BTreeMap<(ApiKeyId, Day), Taking> {
    let mut takings = BTreeMap::new();
    for (allowance, at) in accepted {
        let none = Taking { allowance, at, n: 0 };
        let taking = takings.entry((allowance.key, Day::of(at))).or_insert(none);
        taking.n = taking.n.saturating_add(1);
    }
    takings
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wharf_model::SystemEdges;
    use wharf_storage::plans::PlanLimits;

    use super::*;

    #[test]
    fn a_batch_takes_once_of_each_key_and_day() {
        let workspace = WorkspaceId::generate(&SystemEdges, &SystemEdges);
        let of = |key| Allowance::new(workspace, key, PlanLimits::NONE);
        let [one, other] = [(); 2].map(|()| of(ApiKeyId::generate(&SystemEdges, &SystemEdges)));
        let midnight = Day::from_number(20_000).ends_at();
        let before = midnight - Duration::from_millis(1);
        let mut accepted = vec![(one, before); 900];
        accepted.extend([(one, midnight), (other, before), (one, before)]);
        let taken: Vec<_> = takings(accepted.into_iter()).into_values().collect();
        assert_eq!(taken.len(), 3);
        for (allowance, at, n) in [(one, before, 901), (one, midnight, 1), (other, before, 1)] {
            assert!(taken.contains(&Taking { allowance, at, n }), "{taken:?}");
        }
    }
}
