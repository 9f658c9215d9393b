//! Signing in by a cookie, for pages that the server itself serves.

use std::fmt::Debug;

use async_trait::async_trait;
use http::header::{COOKIE, HOST, ORIGIN};
use http::{HeaderMap, Method};

use super::Caller;
use crate::error::ApiError;

/// Knows the cookie of a signed-in page. The server sets it HttpOnly and SameSite=Strict.
#[async_trait]
pub trait CookieLogin: Send + Sync + Debug {
    /// What the cookie is called.
    fn cookie_name(&self) -> &str;

    /// Who holds this value; `None` when nobody does.
    async fn caller(&self, value: &str) -> Option<Caller>;
}

/// The value of a cookie.
pub(super) fn value_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(found, value)| (found == name).then_some(value))
}

/// A browser sends cookies whoever asked it to. So a call by cookie must come from a page of this very origin; one that
/// does not say where it comes from may only read.
pub(super) fn require_same_origin(method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let same = match (text("sec-fetch-site"), text(ORIGIN.as_str())) {
        (Some(site), _) => site == "same-origin" || (site == "none" && method.is_safe()),
        (None, Some(origin)) => origin.split_once("://").map(|(_, host)| host) == text(HOST.as_str()),
        (None, None) => method.is_safe(),
    };
    if same { Ok(()) } else { Err(ApiError::CrossSiteRefused) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn allowed(method: &Method, headers: &[(&'static str, &'static str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        require_same_origin(method, &map).is_ok()
    }

    #[test]
    fn only_the_own_origin_may_change_things() {
        assert!(allowed(&Method::POST, &[("sec-fetch-site", "same-origin")]));
        assert!(!allowed(&Method::POST, &[("sec-fetch-site", "cross-site")]));
        assert!(!allowed(&Method::POST, &[("sec-fetch-site", "none")]));
        assert!(allowed(
            &Method::POST,
            &[("origin", "http://127.0.0.1:80"), ("host", "127.0.0.1:80")]
        ));
        assert!(!allowed(
            &Method::POST,
            &[("origin", "http://evil.test"), ("host", "127.0.0.1:80")]
        ));
        assert!(!allowed(&Method::POST, &[]));
        assert!(allowed(&Method::GET, &[]));
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1; wharf_demo=abc=; b=2"));
        assert_eq!(value_of(&headers, "wharf_demo"), Some("abc="));
        assert_eq!(value_of(&headers, "wharf"), None);
    }
}
