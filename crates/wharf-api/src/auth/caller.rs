//! Who calls and what he may do.

use wharf_model::{ApiKeyId, SessionId, WorkspaceId};
use wharf_storage::audit::Requester;
use wharf_storage::plans::PlanLimits;
use wharf_storage::usage::Allowance;

use crate::context::current_origin;
use crate::error::ApiError;
use crate::keys::KeyHash;
use crate::scope::Scope;

/// An authenticated caller.
#[derive(Clone, Debug)]
pub struct Caller {
    workspace: WorkspaceId,
    key: Option<ApiKeyId>,
    /// Which of the key's texts was used.
    text: Option<KeyHash>,
    scopes: Vec<Scope>,
    sessions: Option<Vec<SessionId>>,
    /// Those of the key's plan.
    limits: PlanLimits,
}

impl Caller {
    /// A person at a signed-in page.
    pub const fn page(workspace: WorkspaceId, scopes: Vec<Scope>) -> Self {
        Self {
            workspace,
            key: None,
            text: None,
            scopes,
            sessions: None,
            limits: PlanLimits::NONE,
        }
    }

    /// A program with a key; `sessions` limits it to those.
    pub(crate) const fn key(
        workspace: WorkspaceId,
        key: ApiKeyId,
        scopes: Vec<Scope>,
        sessions: Option<Vec<SessionId>>,
    ) -> Self {
        Self {
            workspace,
            key: Some(key),
            text: None,
            scopes,
            sessions,
            limits: PlanLimits::NONE,
        }
    }

    /// The same one, who came with this text of his key.
    pub(super) const fn with_text(mut self, text: KeyHash) -> Self {
        self.text = Some(text);
        self
    }

    /// The same within the limits of a plan.
    pub(crate) const fn within(mut self, limits: PlanLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The tenant: all that this caller can see is in it.
    pub const fn workspace(&self) -> WorkspaceId {
        self.workspace
    }

    /// The key, where one was used.
    pub const fn key_id(&self) -> Option<ApiKeyId> {
        self.key
    }

    /// The text of the key, as its hash, where one was used.
    pub(super) const fn text(&self) -> Option<KeyHash> {
        self.text
    }

    /// What its plan allows the key.
    pub(crate) const fn limits(&self) -> PlanLimits {
        self.limits
    }

    /// Whose quotas his messages, codes and sessions count towards: those of the key, where one was used.
    pub(crate) fn allowance(&self) -> Option<Allowance> {
        self.key.map(|key| Allowance::new(self.workspace, key, self.limits))
    }

    /// What `created_by` says of things that he makes.
    pub(crate) fn name(&self) -> String {
        self.key.map_or_else(|| "page".to_owned(), |key| key.to_string())
    }

    /// Who he is and where he is, for the audit log.
    pub(crate) fn requester(&self) -> Requester {
        let (address, request_id) = current_origin();
        Requester {
            who: self.name(),
            address,
            request_id,
        }
    }

    /// # Errors
    /// [`ApiError::InsufficientScope`].
    pub(crate) fn require(&self, scope: Scope) -> Result<(), ApiError> {
        if scope.is_granted_by(&self.scopes) {
            Ok(())
        } else {
            Err(ApiError::InsufficientScope(scope))
        }
    }

    /// The sessions that this caller is limited to; `None` for all.
    pub(crate) fn allowed_sessions(&self) -> Option<Vec<SessionId>> {
        self.sessions.clone()
    }

    /// Whether a session exists for this caller.
    pub(crate) fn sees(&self, session: SessionId) -> bool {
        self.sessions.as_ref().is_none_or(|allowed| allowed.contains(&session))
    }

    /// # Errors
    /// [`ApiError::SessionNotFound`] for a session that the key is not for: it must not learn that it exists.
    pub(crate) fn require_session(&self, session: SessionId) -> Result<(), ApiError> {
        if self.sees(session) {
            Ok(())
        } else {
            Err(ApiError::SessionNotFound)
        }
    }

    /// # Errors
    /// [`ApiError::KeyRestricted`] for keys that are limited to named sessions.
    pub(crate) const fn require_unrestricted(&self) -> Result<(), ApiError> {
        if self.sessions.is_none() {
            Ok(())
        } else {
            Err(ApiError::KeyRestricted)
        }
    }
}
