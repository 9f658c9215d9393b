//! The body of calls that need none.

use garde::Validate;
use serde::Deserialize;

/// No bytes, `null` or `{}`; anything more is refused, so that a misplaced field is noticed.
#[derive(Debug, Default, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}
