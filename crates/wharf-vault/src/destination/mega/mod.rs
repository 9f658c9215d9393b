//! MEGA: keeps a session string as a file of the operator's account, and reads files that links name. What is told to
//! others is a file's id and its key; MEGA itself cannot read it.
//!
//! MEGA has no public description of its API. This speaks what its own web client and `megajs` speak.

mod client;
mod crypto;
mod hashcash;
mod link;

pub use client::{Account, File, Mega};
pub use link::Link;

use wharf_net::FetchError;

/// Why MEGA did not keep or give something.
#[derive(Debug, thiserror::Error)]
pub enum MegaError {
    /// There was no answer.
    #[error("MEGA did not answer")]
    Fetch(#[from] FetchError),
    /// An answer that this version does not understand.
    #[error("MEGA's answer holds no {0} that this version understands")]
    Unexpected(&'static str),
    /// A number that MEGA says no with.
    #[error("MEGA refused: {}", reason(*.0))]
    Refused(i64),
    /// It asks for more work before a log-in than any visitor would do.
    #[error("MEGA asks for too much work before the log-in; try again later")]
    TooMuchWork,
    /// The file is not the one that was kept, or the key is another's.
    #[error("the file at MEGA is damaged, or the link's key is not its key")]
    Damaged,
    /// Larger than credentials ever are.
    #[error("the file at MEGA is larger than credentials ever are")]
    TooLarge,
}

/// MEGA is busy and asks to be asked again.
const AGAIN: i64 = -3;
/// There is no such file or account.
pub(super) const NOT_FOUND: i64 = -9;
/// The account's space, or what may be transferred, is used up.
const QUOTA: i64 = -17;
/// The session ended.
const SESSION_ENDED: i64 = -15;

/// In words, what an operator can do something about.
fn reason(code: i64) -> String {
    let known = match code {
        AGAIN | -18 => "it is busy; try again later",
        -4 => "too many requests; try again later",
        NOT_FOUND => "there is no such file, or the account's address or password is wrong",
        -16 => "the account or the file is blocked",
        QUOTA | -24 => "the account's space or transfer is used up",
        -26 => "the account asks for a second factor; use one without",
        _ => return format!("its error {code}"),
    };
    known.to_owned()
}
