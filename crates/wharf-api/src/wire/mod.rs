//! Shapes that several operations share: ids, times, lists. Wire types serialise; domain types do not.

mod id;
mod list;
mod nothing;
mod present;
mod time;

pub(crate) use id::{
    ApiKeyIdText, EventIdText, MessageIdText, PlanIdText, SessionIdText, VerificationIdText, WorkspaceIdText,
};
pub(crate) use list::List;
pub(crate) use nothing::Nothing;
pub(crate) use present::present;
pub(crate) use time::{Time, whole_seconds};
