//! Headers that may stand once and hold text.

use http::{HeaderMap, HeaderName};

use crate::error::ApiError;

/// Reads single headers.
#[derive(Debug)]
pub(crate) struct Header;

impl Header {
    /// The text of a header, `None` when it is absent.
    ///
    /// # Errors
    /// `broken` when it stands there twice or is no visible ASCII.
    pub(crate) fn text(headers: &HeaderMap, name: HeaderName, broken: ApiError) -> Result<Option<&str>, ApiError> {
        let mut values = headers.get_all(name).iter();
        let (first, second) = (values.next(), values.next());
        match (first.map(|value| value.to_str()), second) {
            (None, _) => Ok(None),
            (Some(Ok(text)), None) => Ok(Some(text)),
            _ => Err(broken),
        }
    }
}
