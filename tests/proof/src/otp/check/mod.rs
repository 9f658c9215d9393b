//! The judge: sentences over a record, each a small function with a stable name. It starts nothing and waits for nothing.

mod codes;
mod stories;
mod substance;
mod tries;

use std::fmt;

use super::record::Record;
use crate::check::{Report, Violation};

pub(super) use stories::{Stories, Told};

/// What has to hold.
#[derive(Clone, Copy)]
pub struct Invariant {
    /// Its name; never changes.
    pub name: &'static str,
    /// What it says.
    pub sentence: &'static str,
    check: fn(&Stories<'_>) -> Vec<String>,
}

impl fmt::Debug for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Everything that has to hold.
pub const INVARIANTS: [Invariant; 14] = [
    Invariant {
        name: "every_accepted_code_exists",
        sentence: "What was answered with 202 is there in the end, with its phone, one for each phone, and nothing else is.",
        check: codes::every_accepted_code_exists,
    },
    Invariant {
        name: "one_send_per_key",
        sentence: "However often a send was repeated with its Idempotency-Key, it is one message of one verification.",
        check: codes::one_send_per_key,
    },
    Invariant {
        name: "only_a_missing_session_refuses",
        sentence: "A send is refused only while no session is connected.",
        check: codes::only_a_missing_session_refuses,
    },
    Invariant {
        name: "every_code_arrives",
        sentence: "Every message of a verification reached its phone, and stands there.",
        check: codes::every_code_arrives,
    },
    Invariant {
        name: "one_code_per_message",
        sentence: "Whatever came under one WhatsApp id said the same code to one phone, and a new message said a new one.",
        check: codes::one_code_per_message,
    },
    Invariant {
        name: "nothing_else_is_shown",
        sentence: "Phones got the messages of their verification and no others, the first one first, and show each once.",
        check: codes::nothing_else_is_shown,
    },
    Invariant {
        name: "the_newest_code_is_right",
        sentence: "The code of the latest message is approved, unless it was before or no tries were left.",
        check: tries::the_newest_code_is_right,
    },
    Invariant {
        name: "no_other_code_is_right",
        sentence: "Wrong codes and codes of earlier messages approve nothing.",
        check: tries::no_other_code_is_right,
    },
    Invariant {
        name: "approved_once",
        sentence: "A verification is approved once: in answers, in its list of checks and in the event log.",
        check: tries::approved_once,
    },
    Invariant {
        name: "approved_stays_approved",
        sentence: "After an approval was answered the verification is approved for ever, and its code is used.",
        check: tries::approved_stays_approved,
    },
    Invariant {
        name: "an_approval_is_repeated_for_a_minute",
        sentence: "Who lost an approval hears it again under the same key within 60 s, and not after that.",
        check: tries::an_approval_is_repeated_for_a_minute,
    },
    Invariant {
        name: "every_try_counts_once",
        sentence: "A wrong code takes one attempt, which never comes back; one without an answer takes one or none.",
        check: tries::every_try_counts_once,
    },
    Invariant {
        name: "every_visitor_leaves",
        sentence: "Every visitor came to the end of what he wanted.",
        check: substance::every_visitor_leaves,
    },
    Invariant {
        name: "record_is_substantial",
        sentence: "The record shows enough of everything to prove something.",
        check: substance::record_is_substantial,
    },
];

/// Judges a record.
pub fn check(record: &Record) -> Report {
    let stories = Stories::new(record);
    let judged = INVARIANTS
        .iter()
        .filter_map(|invariant| Violation::of(invariant.name, invariant.sentence, (invariant.check)(&stories)));
    Report {
        violations: judged.collect(),
    }
}
