//! Making, reading and changing sessions.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use wharf_model::{Device, PacingPolicy, Proxy, SessionId, WorkspaceId};
use wharf_storage::audit::{self, Action};
use wharf_storage::sessions::Fence;
use wharf_storage::sessions::{self as rows, HistoryEntry, Session};
use wharf_storage::usage::{self, Allowance};
use wharf_storage::wa_state::{self, StateRow};
use wharf_storage::{Page, PageRequest, Place, Queue, Sealed, SessionKeys, StorageError, Tx};

use super::{SessionView, Sessions};
use crate::error::SessionError;
use crate::idempotency::{self, BoxError, Idempotent, Outcome, Prepared};
use crate::port::SessionLease;
use crate::registry::Order;
use crate::setup::{seal_proxy, written_device};

/// The longest name, in characters.
pub const MAX_NAME: usize = 100;

/// The largest metadata, in bytes of JSON.
pub const MAX_METADATA: usize = 16 * 1024;

/// A session to be made.
#[derive(Clone, Debug, Default)]
pub struct NewSession {
    /// What people call it.
    pub name: String,
    /// The caller's own JSON object.
    pub metadata: Option<Value>,
    /// Limits of its own; `None` follows the configuration.
    pub pacing: Option<PacingPolicy>,
    /// What its connections go through.
    pub proxy: Option<Proxy>,
    /// What it calls itself once it is linked; `None` follows the configuration.
    pub device: Option<Device>,
    /// Who makes it.
    pub created_by: Option<String>,
    /// Whose quota of sessions it counts towards: the key that makes it; `None` for nobody's.
    pub allowance: Option<Allowance>,
}

/// Credentials from elsewhere, for a session that is linked before it ever connects.
pub trait Linked: Send + Sync + fmt::Debug {
    /// Which linked device they are of. No two sessions are the same.
    fn fingerprint(&self) -> &str;

    /// How many owners they have had; 0 where that is not known. Goes on from there, so that of two exports of one device
    /// the later one has the higher number wherever it was made.
    fn epoch(&self) -> i64;

    /// The signal state that the session starts with, sealed with its keys.
    ///
    /// # Errors
    /// The credentials cannot be brought into that form.
    fn state(&self, keys: &SessionKeys) -> Result<Vec<StateRow>, BoxError>;
}

/// Another session has these credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another session is linked with these credentials")]
pub struct InUse {
    /// Which one, unless it belongs to another workspace.
    pub by: Option<SessionId>,
}

/// What a person may change; `None` leaves a field as it is, `Some(None)` empties it.
#[derive(Clone, Debug, Default)]
pub struct SessionPatch {
    /// The name.
    pub name: Option<String>,
    /// The caller's own JSON object.
    pub metadata: Option<Option<Value>>,
    /// The limits.
    pub pacing: Option<Option<PacingPolicy>>,
    /// What its connections go through, from the next one on.
    pub proxy: Option<Option<Proxy>>,
}

/// What the unit of work of a new session needs.
struct Draft {
    row: rows::NewSession,
    state: Vec<StateRow>,
    allowance: Option<Allowance>,
}

impl Sessions {
    /// Makes a session. It stays `not_started` until somebody connects it.
    ///
    /// # Errors
    /// What is wrong with the request, or with storage.
    pub async fn create(
        &self,
        workspace: WorkspaceId,
        new: NewSession,
        idempotent: Option<Idempotent<SessionView>>,
    ) -> Result<Outcome<SessionView>, SessionError> {
        self.make(workspace, new, None, idempotent).await
    }

    /// Makes a session that is linked already. It stays `not_started` until somebody connects it, which needs no QR.
    ///
    /// # Errors
    /// What is wrong with the request, [`SessionError::InUse`], or storage failed.
    pub async fn import(
        &self,
        workspace: WorkspaceId,
        new: NewSession,
        linked: Arc<dyn Linked>,
        idempotent: Option<Idempotent<SessionView>>,
    ) -> Result<Outcome<SessionView>, SessionError> {
        self.make(workspace, new, Some(linked), idempotent).await
    }

    /// Makes sure that no session of this server is linked as this device.
    ///
    /// # Errors
    /// [`SessionError::InUse`], or storage failed.
    pub async fn check_unused(&self, workspace: WorkspaceId, fingerprint: &str) -> Result<(), SessionError> {
        let fingerprint = fingerprint.to_owned();
        let looked = self.storage().write(Queue::Normal, move |tx| {
            Box::pin(async move { refuse_holder(tx, workspace, &fingerprint).await })
        });
        Ok(looked.await?)
    }

    async fn make(
        &self,
        workspace: WorkspaceId,
        new: NewSession,
        linked: Option<Arc<dyn Linked>>,
        idempotent: Option<Idempotent<SessionView>>,
    ) -> Result<Outcome<SessionView>, SessionError> {
        check_name(&new.name)?;
        check_pacing(new.pacing.as_ref())?;
        let id = SessionId::generate(&*self.cx.clock, &*self.cx.random);
        let (keys, rows_of_keys) = self.storage().new_session_keys(id)?;
        let metadata = seal_metadata(id, &keys, new.metadata.as_ref())?;
        let proxy = seal_proxy(id, &keys, new.proxy.as_ref())?;
        let keys = Arc::new(keys);
        let fingerprint = linked.as_ref().map(|linked| linked.fingerprint().to_owned());
        let epoch = linked.as_ref().map_or(0, |linked| linked.epoch());
        let state = match linked {
            Some(linked) => converted(linked, Arc::clone(&keys)).await?,
            None => Vec::new(),
        };
        let row = rows::NewSession {
            id,
            workspace_id: workspace,
            name: new.name,
            network: self.cx.network_kind,
            device: new.device.as_ref().map(written_device),
            pacing: new.pacing,
            metadata,
            proxy,
            keys: rows_of_keys,
            fingerprint,
            epoch,
            created_by: new.created_by,
            created_at: self.cx.clock.now(),
        };
        let view = SessionView::new(as_stored(&row), None, &keys, &self.cx.config.pacing)?;
        let draft = Draft {
            row,
            state,
            allowance: new.allowance,
        };
        self.store(draft, view, idempotent).await
    }

    async fn store(
        &self,
        draft: Draft,
        view: SessionView,
        idempotent: Option<Idempotent<SessionView>>,
    ) -> Result<Outcome<SessionView>, SessionError> {
        let prepared = match idempotent {
            Some(request) => {
                let prepared = Prepared::new(self.storage(), request, &view).await;
                Some(prepared.map_err(idempotency::Refused::into_error::<SessionError>)?)
            }
            None => None,
        };
        let claim = prepared.clone();
        let Draft { row, state, allowance } = draft;
        let imported = match state.is_empty() {
            true => None,
            false => self.entry(row.workspace_id, Action::SessionImported, Some(row.id)),
        };
        let written = self
            .storage()
            .write(Queue::Normal, move |tx| {
                Box::pin(async move {
                    if let Some(claim) = &claim {
                        claim.claim(tx).await?;
                    }
                    refuse_second(tx, &row).await?;
                    if let Some(allowance) = &allowance {
                        usage::admit_session(tx, allowance).await?;
                    }
                    rows::create(tx, &row).await?;
                    let fence = Fence {
                        session: row.id,
                        epoch: row.epoch,
                    };
                    wa_state::put_many(tx, &fence, &state).await?;
                    audit::append(tx, imported.as_ref()).await
                })
            })
            .await;
        idempotency::outcome(prepared.as_ref(), written.map(|()| view))
    }

    /// One session.
    ///
    /// # Errors
    /// [`SessionError::NotFound`], or storage failed.
    pub async fn get(&self, workspace: WorkspaceId, id: SessionId) -> Result<SessionView, SessionError> {
        let row = self.row(workspace, id).await?;
        self.view(row).await
    }

    /// The sessions of a workspace, newest first.
    ///
    /// # Errors
    /// Storage failed, or the cursor is none of this list.
    pub async fn list(&self, workspace: WorkspaceId, page: PageRequest) -> Result<Page<SessionView>, SessionError> {
        let found = self
            .storage()
            .read(move |tx| Box::pin(async move { rows::list(tx, workspace, &page).await }))
            .await?;
        let mut views = Vec::with_capacity(found.rows.len());
        for row in found.rows {
            match self.view(row).await {
                Ok(view) => views.push(view),
                // Deleted while the page was being made.
                Err(SessionError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Page {
            rows: views,
            next: found.next,
        })
    }

    /// Changes what a person may change. New limits hold from the next message on, another proxy from the next connection.
    ///
    /// # Errors
    /// What is wrong with the request, [`SessionError::NotFound`], or storage failed.
    pub async fn patch(
        &self,
        workspace: WorkspaceId,
        id: SessionId,
        patch: SessionPatch,
    ) -> Result<SessionView, SessionError> {
        if let Some(name) = &patch.name {
            check_name(name)?;
        }
        check_pacing(patch.pacing.as_ref().and_then(Option::as_ref))?;
        let keys = self.keys(id).await?;
        let metadata = patch
            .metadata
            .map(|value| seal_metadata(id, &keys, value.as_ref()))
            .transpose()?;
        let proxy = patch.proxy.map(|proxy| seal_proxy(id, &keys, proxy.as_ref()));
        let stored = rows::SessionPatch {
            name: patch.name,
            metadata,
            proxy: proxy.transpose()?,
            pacing: patch.pacing,
        };
        let now = self.cx.clock.now();
        self.storage()
            .write(Queue::Normal, move |tx| {
                Box::pin(async move { rows::patch(tx, workspace, id, &stored, now).await })
            })
            .await?;
        if let Some(slot) = self.supervisor.running(id) {
            slot.order(Order::Reload, &self.by).await?;
        }
        self.get(workspace, id).await
    }

    /// The changes of a session's state, newest first.
    ///
    /// # Errors
    /// [`SessionError::NotFound`], storage failed, or the cursor is none of this list.
    pub async fn history(
        &self,
        workspace: WorkspaceId,
        id: SessionId,
        page: PageRequest,
    ) -> Result<Page<HistoryEntry>, SessionError> {
        self.row(workspace, id).await?;
        let read = self
            .storage()
            .read(move |tx| Box::pin(async move { rows::history(tx, workspace, id, &page).await }));
        Ok(read.await?)
    }

    pub(super) async fn row(&self, workspace: WorkspaceId, id: SessionId) -> Result<Session, SessionError> {
        let found = self
            .storage()
            .glance(move |tx| Box::pin(rows::get(tx, workspace, id)))
            .await?;
        found.ok_or(SessionError::NotFound)
    }

    /// Whether its keys name an account.
    pub(super) async fn is_linked(&self, row: &Session) -> Result<bool, SessionError> {
        let lease = SessionLease {
            workspace: row.workspace_id,
            session: row.id,
            epoch: row.epoch,
        };
        Ok(self.cx.network.is_linked(lease).await?)
    }

    pub(super) async fn keys(&self, id: SessionId) -> Result<Arc<SessionKeys>, SessionError> {
        match self.storage().session_keys(id).await {
            Err(StorageError::Seal(wharf_storage::SealError::Shredded)) => Err(SessionError::NotFound),
            keys => Ok(keys?),
        }
    }

    /// What is stored, opened, under what is true right now.
    pub(super) async fn view(&self, row: Session) -> Result<SessionView, SessionError> {
        let keys = self.keys(row.id).await?;
        let live = self.supervisor.running(row.id).map(|slot| slot.live.borrow().clone());
        Ok(SessionView::new(row, live, &keys, &self.cx.config.pacing)?)
    }
}

/// Thousands of rows are sealed: other work must not wait for it.
async fn converted(linked: Arc<dyn Linked>, keys: Arc<SessionKeys>) -> Result<Vec<StateRow>, SessionError> {
    let state = tokio::task::spawn_blocking(move || linked.state(&keys));
    let state = state
        .await
        .map_err(|failed| SessionError::NotConverted(failed.into()))?;
    state.map_err(SessionError::NotConverted)
}

/// Two sessions that log in as one device replace each other for ever.
async fn refuse_second(tx: &mut Tx, new: &rows::NewSession) -> Result<(), StorageError> {
    match &new.fingerprint {
        Some(fingerprint) => refuse_holder(tx, new.workspace_id, fingerprint).await,
        None => Ok(()),
    }
}

async fn refuse_holder(tx: &mut Tx, asking: WorkspaceId, fingerprint: &str) -> Result<(), StorageError> {
    match rows::linked_as(tx, fingerprint).await? {
        None => Ok(()),
        Some((workspace, session)) => Err(StorageError::rejected(InUse {
            by: (workspace == asking).then_some(session),
        })),
    }
}

fn check_name(name: &str) -> Result<(), SessionError> {
    let length = name.chars().count();
    if name.trim().is_empty() || length > MAX_NAME {
        Err(SessionError::Name)
    } else {
        Ok(())
    }
}

fn check_pacing(pacing: Option<&PacingPolicy>) -> Result<(), SessionError> {
    Ok(pacing.map_or(Ok(()), PacingPolicy::check)?)
}

fn seal_metadata(id: SessionId, keys: &SessionKeys, metadata: Option<&Value>) -> Result<Option<Sealed>, SessionError> {
    let Some(metadata) = metadata else { return Ok(None) };
    let bytes = metadata.to_string().into_bytes();
    if !metadata.is_object() || bytes.len() > MAX_METADATA {
        return Err(SessionError::Metadata);
    }
    let sealed = keys
        .seal(&Place::session(id, "metadata"), &bytes)
        .map_err(StorageError::from)?;
    Ok(Some(sealed))
}

/// A new session as its row will read.
fn as_stored(new: &rows::NewSession) -> Session {
    Session {
        id: new.id,
        workspace_id: new.workspace_id,
        name: new.name.clone(),
        network: new.network,
        wanted: rows::Wanted::Stopped,
        status: wharf_model::SessionStatus::NotStarted,
        status_since: new.created_at,
        last_qr_at: None,
        authenticated_at: None,
        ready_at: None,
        auth_failed_at: None,
        disconnected_at: None,
        error: None,
        disconnect_reason: None,
        next_attempt_at: None,
        device: new.device.clone(),
        pacing: new.pacing.clone(),
        profile: None,
        metadata: new.metadata.clone(),
        proxy: new.proxy.clone(),
        owner: None,
        epoch: new.epoch,
        lease_until: None,
        unlinked_at: None,
        keys_shred_at: None,
        fingerprint: new.fingerprint.clone(),
        exported_at: None,
        moving_since: None,
        created_by: new.created_by.clone(),
        created_at: new.created_at,
        updated_at: new.created_at,
    }
}
