//! Owns what clients are told when something goes wrong: one closed enum, a stable code for each case, an RFC 9457
//! document as the answer. Promises that a cause never reaches a client and that each 5xx is logged once, with its whole
//! chain of causes. Never decides what a status means beyond the table in `code`.

mod api_error;
mod code;
mod field;
mod problem;
mod reference;
mod sources;

pub use api_error::ApiError;
pub use code::{CatalogueEntry, ErrorCode, catalogue};
pub(crate) use field::pointer_of;
pub use field::{FieldProblem, Pointer};
pub use problem::Problem;
pub use reference::reference;
