//! The extractor that every route with a caller starts with.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::StatusCode;
use http::request::Parts;

use super::{Caller, cookie, credentials};
use crate::context::RequestContext;
use crate::error::ApiError;
use crate::scope::{Permission, Scope};
use crate::state::ApiState;

/// A caller who holds the scope of `P`, where it names one.
#[derive(Debug)]
pub(crate) struct Allowed<P> {
    caller: Caller,
    permission: PhantomData<P>,
}

impl<P> Deref for Allowed<P> {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl<P: Permission> FromRequestParts<ApiState> for Allowed<P> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let context = parts.extensions.get::<Arc<RequestContext>>().cloned();
        let context = context.ok_or_else(|| ApiError::internal("the request has no context"))?;
        let caller = authenticate(parts, state, &context).await?;
        P::SCOPE.map_or(Ok(()), |scope| caller.require(scope))?;
        // Who may make keys could make one without its own limits: a key that is limited to sessions is no operator's.
        if P::SCOPE == Some(Scope::Admin) {
            caller.require_unrestricted()?;
        }
        Ok(Self {
            caller,
            permission: PhantomData,
        })
    }
}

async fn authenticate(parts: &Parts, state: &ApiState, context: &RequestContext) -> Result<Caller, ApiError> {
    let caller = match credentials::key_text(&parts.headers) {
        Ok(Some(text)) => state.authenticator.caller(text, context.address()).await,
        Ok(None) => return by_cookie(parts, state).await,
        Err(error) => Err(error),
    };
    let caller = caller.map_err(|error| match error.status() {
        StatusCode::UNAUTHORIZED => state.limits.after_failure(context, error),
        _ => error,
    })?;
    if let Some(key) = caller.key_id() {
        context.set_key(key);
        state.limits.take_key(context, key, caller.limits())?;
    }
    Ok(caller)
}

async fn by_cookie(parts: &Parts, state: &ApiState) -> Result<Caller, ApiError> {
    let login = state.cookie_login.as_ref().ok_or(ApiError::Unauthenticated)?;
    let value = cookie::value_of(&parts.headers, login.cookie_name()).ok_or(ApiError::Unauthenticated)?;
    let caller = login.caller(value).await.ok_or(ApiError::Unauthenticated)?;
    cookie::require_same_origin(&parts.method, &parts.headers)?;
    Ok(caller)
}
