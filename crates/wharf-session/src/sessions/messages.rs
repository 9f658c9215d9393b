//! Reading messages, and taking one back.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use wharf_model::{Direction, MessageId, MessageStatus, Recipient, SessionId, WorkspaceId};
use wharf_storage::messages::{self as rows, MessageFilter};
use wharf_storage::{Page, PageRequest, Queue, SessionKeys};

use super::{MessageView, Sessions};
use crate::error::SessionError;
use crate::failure::FailureCode;
use crate::ledger::{Ledger, Step};
use crate::telemetry;

/// Which messages a list shows.
#[derive(Clone, Debug, Default)]
pub struct MessageQuery {
    /// Of this session.
    pub session: Option<SessionId>,
    /// Of this chat; only together with `session`, ignored otherwise.
    pub chat: Option<Recipient>,
    /// Going this way.
    pub direction: Option<Direction>,
    /// Of this status.
    pub status: Option<MessageStatus>,
}

impl Sessions {
    /// One message with its timeline.
    ///
    /// # Errors
    /// [`SessionError::NotFound`], or storage failed.
    pub async fn message(&self, workspace: WorkspaceId, id: MessageId) -> Result<MessageView, SessionError> {
        let found = self
            .storage()
            .glance(move |tx| {
                Box::pin(async move {
                    let Some(message) = rows::get(tx, workspace, id).await? else {
                        return Ok(None);
                    };
                    let timeline = rows::timeline(tx, &message).await?;
                    Ok(Some((message, timeline)))
                })
            })
            .await?;
        let (message, timeline) = found.ok_or(SessionError::NotFound)?;
        let keys = self.keys(message.session_id).await?;
        Ok(MessageView::new(message, timeline, &keys)?)
    }

    /// The messages of a workspace, newest first. Those of deleted sessions are gone with them.
    ///
    /// # Errors
    /// Storage failed, or the cursor is none of this list.
    pub async fn messages(
        &self,
        workspace: WorkspaceId,
        query: MessageQuery,
        page: PageRequest,
    ) -> Result<Page<MessageView>, SessionError> {
        let filter = self.filter(query).await?;
        let found = self
            .storage()
            .read(move |tx| Box::pin(async move { rows::list(tx, workspace, &filter, &page).await }))
            .await?;
        let mut keyring: HashMap<SessionId, Option<Arc<SessionKeys>>> = HashMap::new();
        let mut views = Vec::with_capacity(found.rows.len());
        for message in found.rows {
            let id = message.session_id;
            if let Entry::Vacant(place) = keyring.entry(id) {
                place.insert(self.keys_if_there(id).await?);
            }
            if let Some(Some(keys)) = keyring.get(&id) {
                views.push(MessageView::new(message, Vec::new(), keys)?);
            }
        }
        Ok(Page {
            rows: views,
            next: found.next,
        })
    }

    /// Takes a message back that is still queued. The view tells whether it was in time: its status is `cancelled`
    /// then, and whatever it had come to otherwise.
    ///
    /// # Errors
    /// [`SessionError::NotFound`], or storage failed.
    pub async fn cancel(&self, workspace: WorkspaceId, id: MessageId) -> Result<MessageView, SessionError> {
        let found = self
            .storage()
            .glance(move |tx| Box::pin(rows::get(tx, workspace, id)))
            .await?;
        let message = found.ok_or(SessionError::NotFound)?;
        let keys = self.keys(message.session_id).await?;
        let ledger = Ledger::new(&self.cx, workspace, keys);
        let step = Step {
            to: MessageStatus::Cancelled,
            at: self.cx.clock.now(),
            code: Some(FailureCode::Cancelled.to_string()),
        };
        let cancelled = self
            .storage()
            .write(Queue::Normal, move |tx| {
                Box::pin(async move {
                    let advance = rows::cancel(tx, workspace, id, step.at).await?;
                    ledger.told(tx, advance, &step).await
                })
            })
            .await?;
        if cancelled {
            telemetry::messages(MessageStatus::Cancelled, 1);
        }
        self.message(workspace, id).await
    }

    async fn filter(&self, query: MessageQuery) -> Result<MessageFilter, SessionError> {
        let chat = match (query.session, query.chat) {
            (Some(session), Some(chat)) => {
                let keys = self.keys(session).await?;
                Some(rows::chat_index(&keys, &chat.to_jid().to_string()))
            }
            _ => None,
        };
        Ok(MessageFilter {
            session: query.session,
            chat,
            direction: query.direction,
            status: query.status,
        })
    }

    async fn keys_if_there(&self, id: SessionId) -> Result<Option<Arc<SessionKeys>>, SessionError> {
        match self.keys(id).await {
            Ok(keys) => Ok(Some(keys)),
            Err(SessionError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
