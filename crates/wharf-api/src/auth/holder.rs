//! The extractor of the one call that is for whoever found a key.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::StatusCode;
use http::request::Parts;

use super::{Caller, credentials};
use crate::context::RequestContext;
use crate::error::ApiError;
use crate::state::ApiState;

/// Whoever holds a key that works, whatever it may do. He may end that key and nothing else.
///
/// A leaked key is found by somebody who is not its owner and calls from elsewhere, so its list of addresses does not
/// count: to end a key is no use of it, and a list that stopped the finder would leave the key to a thief inside of it.
/// Nor does it count that the key's own rate is used up, or else the thief would keep it alive by calling without a pause.
/// Neither opens a way to try keys: the rate of the address holds, a wrong key counts against it, and a right one is
/// taken once. The finder needs no scope and no session, because he gets nothing to see.
#[derive(Debug)]
pub(crate) struct Holder(pub(crate) Caller);

impl FromRequestParts<ApiState> for Holder {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let context = parts.extensions.get::<Arc<RequestContext>>().cloned();
        let context = context.ok_or_else(|| ApiError::internal("the request has no context"))?;
        let held = match credentials::key_text(&parts.headers) {
            Ok(Some(text)) => state.authenticator.holder(text).await,
            // A signed-in page has no key that could have leaked.
            Ok(None) => return Err(ApiError::Unauthenticated),
            Err(error) => Err(error),
        };
        let caller = held.map_err(|error| match error.status() {
            StatusCode::UNAUTHORIZED => state.limits.after_failure(&context, error),
            _ => error,
        })?;
        if let Some(key) = caller.key_id() {
            context.set_key(key);
            // For the headers that tell; see above why a refusal is none here.
            let _ = state.limits.take_key(&context, key, caller.limits());
        }
        Ok(Self(caller))
    }
}
