//! The shape of every list.

use serde::Serialize;
use utoipa::ToSchema;
use wharf_storage::Page;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct List<T> {
    /// The items.
    pub(crate) data: Vec<T>,
    /// Send it as `cursor` for the next page; null on the last one.
    #[schema(required)]
    pub(crate) next_cursor: Option<String>,
}

impl<T> List<T> {
    /// A page as storage gave it, each row through `body`.
    pub(crate) fn of_page<R>(page: Page<R>, body: impl FnMut(R) -> T) -> Self {
        Self {
            data: page.rows.into_iter().map(body).collect(),
            next_cursor: page.next.map(|cursor| cursor.to_string()),
        }
    }
}
