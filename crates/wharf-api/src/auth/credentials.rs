//! Where a caller puts his key.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::error::ApiError;

/// The key of the request, `None` when it brings none. Two keys are an error: it would be unclear who calls.
pub(super) fn key_text(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let mut found = None;
    for (name, read) in [
        (AUTHORIZATION.as_str(), bearer as fn(&str) -> Result<&str, ApiError>),
        ("x-api-key", |text| Ok(text.trim())),
    ] {
        for value in headers.get_all(name) {
            let text = value.to_str().map_err(|_| ApiError::ApiKeyMalformed)?;
            let key = read(text)?;
            if found.is_some_and(|first| first != key) {
                return Err(ApiError::ApiKeyMalformed);
            }
            found = Some(key);
        }
    }
    Ok(found)
}

fn bearer(text: &str) -> Result<&str, ApiError> {
    let (scheme, token) = text.trim().split_once(' ').ok_or(ApiError::Unauthenticated)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token.trim())
    } else {
        Err(ApiError::Unauthenticated)
    }
}
