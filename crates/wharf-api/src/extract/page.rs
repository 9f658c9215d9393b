//! `limit` and `cursor`.

use garde::Validate;
use serde::Deserialize;
use utoipa::IntoParams;
use wharf_storage::{Cursor, PageRequest};

use crate::rules;

/// Which page of a list.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Pagination {
    /// How many items at most.
    #[serde(default = "default_limit")]
    #[garde(custom(rules::between(1, 100)))]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u32,
    /// `next_cursor` of the page before; without it the first page.
    #[garde(custom(rules::cursor))]
    #[param(nullable = false, max_length = 128)]
    cursor: Option<String>,
}

const fn default_limit() -> u32 {
    20
}

impl Pagination {
    pub(crate) fn request(self) -> PageRequest {
        page_request(self.limit, self.cursor)
    }
}

/// The page that a list with filters of its own was asked for.
pub(crate) fn page_request(limit: u32, cursor: Option<String>) -> PageRequest {
    PageRequest {
        after: cursor.map(Cursor::from_text),
        limit,
    }
}
