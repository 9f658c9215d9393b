//! Extractors: what handlers receive instead of raw requests. Promises that whatever cannot be read is a problem
//! document with a stable code, and that all faults of a body are reported together.

mod body;
mod faults;
mod header;
mod page;
mod path;
mod query;
mod strict;

pub(crate) use body::{OptionalBody, Valid, limited};
pub(crate) use header::Header;
pub(crate) use page::{Pagination, page_request};
pub(crate) use path::Id;
pub(crate) use query::ValidQuery;
