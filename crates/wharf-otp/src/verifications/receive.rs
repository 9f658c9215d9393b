//! A text is asked for that its sender proves his number by: it comes from his side, so that nothing is sent to anybody.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use wharf_model::{EventKind, Phone, SessionId, Timestamp, VerificationId, WorkspaceId};
use wharf_storage::events as log;
use wharf_storage::receptions::{self as rows, NewReception, Reception};
use wharf_storage::usage::{self, Allowance, Resource};
use wharf_storage::{Blind, Queue, Sealed, SessionKeys, StorageError, Tx, sessions};

use super::receptions::ReceptionTeller;
use super::send::{check_metadata, one_spelling, purpose, ttl};
use super::{Cx, Verifications};
use crate::error::{LimitPolicy, OtpError};
use crate::view::ReceptionView;
use crate::{proof, telemetry};

/// How many texts one session waits for. Each is an entry of an index that is probed only: this bounds the disk.
const MOST_PENDING: u32 = 10_000;

/// A proof of a number that is asked for.
#[derive(Clone)]
pub struct ReceiveCode {
    /// The number that is to be proved; `None`: whoever sends the text proves his.
    pub phone: Option<Phone>,
    /// To this session and no other; `None`: to one that is connected.
    pub session: Option<SessionId>,
    /// The sessions that the caller may use; `None`: all.
    pub allowed: Option<Vec<SessionId>>,
    /// How long the text counts.
    pub ttl: Option<Duration>,
    /// What for.
    pub purpose: Option<String>,
    /// Whose quota it counts towards; `None` for nobody's.
    pub allowance: Option<Allowance>,
    /// The caller's own JSON object.
    pub metadata: Option<Value>,
}

/// Logs are written with `Debug`: numbers of people must not reach them.
impl std::fmt::Debug for ReceiveCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReceiveCode")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// A text is waited for. Whoever knows it can prove that his number is the visitor's: it is for the visitor alone.
#[derive(Clone)]
pub struct Awaited {
    /// Its reception.
    pub view: ReceptionView,
    /// What the person is to send.
    pub text: String,
    /// Opens his WhatsApp with the text in the chat with us.
    pub link: String,
}

/// Logs are written with `Debug`: the text must not reach them.
impl std::fmt::Debug for Awaited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Awaited")
            .field("view", &self.view)
            .finish_non_exhaustive()
    }
}

/// The session waits for as many texts as it may.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the session waits for as many texts as it may")]
struct Crowded {
    wait: Duration,
}

/// All that the unit needs.
struct Order {
    new: NewReception,
    allowance: Option<Allowance>,
    keys: Arc<SessionKeys>,
    now: Timestamp,
    cx: Arc<Cx>,
}

impl Order {
    async fn carry_out(&self, tx: &mut Tx) -> Result<Reception, StorageError> {
        let new = &self.new;
        if !sessions::exists(tx, new.workspace_id, new.session_id).await? {
            return Err(StorageError::NotFound("session"));
        }
        if let Some(at) = rows::next_free_at(tx, new.session_id, MOST_PENDING, self.now).await? {
            let wait = at.since(self.now);
            return Err(StorageError::rejected(Crowded { wait }));
        }
        rows::insert(tx, new).await?;
        let stored = rows::get(tx, new.workspace_id, new.id).await?;
        let stored = stored.ok_or(StorageError::NotFound("reception"))?;
        let teller = ReceptionTeller::new(&self.cx, &self.keys);
        log::append(tx, &teller.event(&stored, EventKind::OtpCreated, self.now)?).await?;
        // As late as it can be: from here on others of the key wait for this one's end.
        if let Some(allowance) = &self.allowance {
            usage::take(tx, allowance, Resource::Otps, 1, self.now).await?;
        }
        Ok(stored)
    }
}

impl Verifications {
    /// Waits for a text that proves its sender's number. When this returns that is durable: the text counts also after a
    /// crash, once, and only where the session gets it.
    ///
    /// # Errors
    /// Why not; nothing is stored then.
    pub async fn receive(&self, workspace: WorkspaceId, new: ReceiveCode) -> Result<Awaited, OtpError> {
        let cx = &self.cx;
        let (ttl, purpose) = (ttl(&cx.config, new.ttl)?, purpose(new.purpose.clone())?);
        check_metadata(new.metadata.as_ref())?;
        let session = self.receiver(workspace, &new).await?;
        let keys = cx.session_keys(session).await.map_err(OtpError::Storage)?;
        let keys = keys.ok_or(OtpError::NoSession)?;
        let own = cx
            .sessions
            .own_phone(workspace, session)
            .await
            .map_err(OtpError::Storage)?;
        let own = own.ok_or(OtpError::SessionUnavailable)?;
        let (characters, now) = (proof::generate(&*cx.random), cx.clock.now());
        let id = VerificationId::generate(&*cx.clock, &*cx.random);
        let (phone_index, phone, metadata) = sealed(&keys, id, &new).map_err(OtpError::Storage)?;
        let order = Order {
            new: NewReception {
                id,
                workspace_id: workspace,
                session_id: session,
                text_index: rows::text_index(&keys, &characters),
                phone_index,
                phone,
                purpose,
                metadata,
                expires_at: now + ttl,
                keep_until: (now + cx.config.retention).max(now + ttl),
                created_at: now,
            },
            allowance: new.allowance,
            keys: Arc::clone(&keys),
            now,
            cx: Arc::clone(cx),
        };
        let stored = cx.storage.write(Queue::Normal, move |tx| {
            Box::pin(async move { order.carry_out(tx).await })
        });
        let stored = stored.await.map_err(of_unit)?;
        telemetry::happened(EventKind::OtpCreated);
        cx.earlier.notify_one();
        let text = proof::text_of(&characters);
        Ok(Awaited {
            view: ReceptionView::new(stored, &keys, now).map_err(OtpError::Storage)?,
            link: format!("https://wa.me/{}?text={text}", own.digits()),
            text,
        })
    }

    /// A named session, if it is connected; never another one in its place. Without a name one of those that are: one that
    /// may not write to new people is as good, where there is no better.
    async fn receiver(&self, workspace: WorkspaceId, new: &ReceiveCode) -> Result<SessionId, OtpError> {
        let (cx, allowed) = (&self.cx, new.allowed.as_deref());
        if let Some(session) = new.session {
            return self.named(workspace, session, allowed).await;
        }
        let connected = self.connected(workspace, allowed);
        let chosen = cx.deliveries.pool.choose(&connected, cx.clock.now(), &*cx.random);
        chosen
            .or_else(|| connected.first().copied())
            .ok_or(OtpError::SessionUnavailable)
    }
}

/// The number, blind and sealed, and the caller's JSON.
type SealedFields = (Option<Blind>, Option<Sealed>, Option<Sealed>);

fn sealed(keys: &SessionKeys, id: VerificationId, new: &ReceiveCode) -> Result<SealedFields, StorageError> {
    let phone = new.phone.as_ref();
    let index = phone.map(|phone| rows::phone_index(keys, &one_spelling(phone)));
    let phone = phone.map(|phone| rows::seal_phone(keys, id, &phone.to_string()));
    let metadata = new.metadata.as_ref();
    let metadata = metadata.map(|json| rows::seal_metadata(keys, id, json.to_string().as_bytes()));
    Ok((index, phone.transpose()?, metadata.transpose()?))
}

/// Why the unit came to nothing.
fn of_unit(error: StorageError) -> OtpError {
    match (error.rejection::<Crowded>(), &error) {
        (Some(Crowded { wait }), _) => {
            telemetry::limited(LimitPolicy::Pending);
            OtpError::Limited {
                policy: LimitPolicy::Pending,
                wait: *wait,
            }
        }
        (None, StorageError::NotFound("session")) => OtpError::NoSession,
        (None, _) => OtpError::of_unit(error),
    }
}
