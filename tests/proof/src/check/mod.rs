//! The judge: invariants over a recording, each a small function with a stable name and a plain sentence. A pure
//! library: it starts nothing and waits for nothing.

mod copies;
mod feed;
mod inbound;
mod index;
mod logins;
mod messages;
mod receipts;
mod requests;
mod substance;

use std::fmt;

use crate::recording::Recording;
use index::Index;

pub use substance::Counts;

/// How many details of one violation are kept; the rest is counted.
const DETAILS: usize = 5;

/// What has to hold.
#[derive(Clone, Copy)]
pub struct Invariant {
    /// Its name; never changes.
    pub name: &'static str,
    /// What it says.
    pub sentence: &'static str,
    check: fn(&Index<'_>) -> Vec<String>,
}

impl fmt::Debug for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Everything that has to hold.
pub const INVARIANTS: [Invariant; 23] = [
    Invariant {
        name: "every_request_has_an_outcome",
        sentence: "The end of every call is known, and every message that was asked for was accepted in the end.",
        check: requests::every_request_has_an_outcome,
    },
    Invariant {
        name: "only_faults_refuse",
        sentence: "A good request is refused with 503, and only while something is broken.",
        check: requests::only_faults_refuse,
    },
    Invariant {
        name: "one_message_per_key",
        sentence: "Calls with one Idempotency-Key made one message and got one answer; no message is anybody else's.",
        check: requests::one_message_per_key,
    },
    Invariant {
        name: "accepted_is_on_the_wire",
        sentence: "Every accepted message was on the wire at least once, from its session's device to its recipient.",
        check: messages::accepted_is_on_the_wire,
    },
    Invariant {
        name: "one_whatsapp_id_per_message",
        sentence: "A message has one WhatsApp id everywhere: answers, events, wire and recipients.",
        check: messages::one_whatsapp_id_per_message,
    },
    Invariant {
        name: "nothing_else_is_on_the_wire",
        sentence: "What recipients read is what was asked for, sent by the session that was asked to the one it was for.",
        check: messages::nothing_else_is_on_the_wire,
    },
    Invariant {
        name: "a_chat_keeps_its_order",
        sentence: "A message that was asked for after another of its chat was accepted was on the wire after it.",
        check: messages::a_chat_keeps_its_order,
    },
    Invariant {
        name: "every_message_ends_at_least_sent",
        sentence: "Every accepted message ends as sent, delivered, read or played, and the feed says so.",
        check: messages::every_message_ends_at_least_sent,
    },
    Invariant {
        name: "every_copy_decrypts",
        sentence: "Every copy on the wire was decrypted by the phone or the companion that it was for.",
        check: copies::every_copy_decrypts,
    },
    Invariant {
        name: "counters_differ",
        sentence: "No two ciphertexts of one ratchet have the same counter.",
        check: copies::counters_differ,
    },
    Invariant {
        name: "secret_is_the_same",
        sentence: "All copies of a message carry the same secret of 32 bytes, and no other message carries it.",
        check: copies::secret_is_the_same,
    },
    Invariant {
        name: "acknowledged_inbound_is_in_the_event_log_once",
        sentence: "A message that a session's device acknowledged is in the event log exactly once.",
        check: inbound::acknowledged_inbound_is_in_the_event_log_once,
    },
    Invariant {
        name: "every_inbound_arrives",
        sentence: "Every message that was sent to a session is acknowledged and in the event log in the end, as it was said.",
        check: inbound::every_inbound_arrives,
    },
    Invariant {
        name: "nobody_is_heard_who_said_nothing",
        sentence: "The event log holds no inbound message that nobody sent.",
        check: inbound::nobody_is_heard_who_said_nothing,
    },
    Invariant {
        name: "receipts_older_than_a_second_are_not_lost",
        sentence: "A receipt that reached Wharf a second or more before its end is in the event log.",
        check: receipts::receipts_older_than_a_second_are_not_lost,
    },
    Invariant {
        name: "status_never_goes_back",
        sentence: "The status of a message only goes forward, in the feed and in its timeline, and both agree.",
        check: feed::status_never_goes_back,
    },
    Invariant {
        name: "accepted_is_queued_once",
        sentence: "Every accepted message is told as queued exactly once.",
        check: feed::accepted_is_queued_once,
    },
    Invariant {
        name: "the_feed_is_the_same_for_all",
        sentence: "A client that followed the feed over every restart saw what a later reader sees, in the same order.",
        check: feed::the_feed_is_the_same_for_all,
    },
    Invariant {
        name: "no_login_is_refused",
        sentence: "No login was refused, except while a fault refused all of them.",
        check: logins::no_login_is_refused,
    },
    Invariant {
        name: "nobody_scans_twice",
        sentence: "No session needed a person again after it was linked.",
        check: logins::nobody_scans_twice,
    },
    Invariant {
        name: "the_companion_stays_linked",
        sentence: "The Baileys companion was never logged out and could send all it was told to.",
        check: logins::the_companion_stays_linked,
    },
    Invariant {
        name: "recording_is_substantial",
        sentence: "The recording shows enough of everything to prove something.",
        check: substance::recording_is_substantial,
    },
    Invariant {
        name: "everybody_took_part",
        sentence: "Every session, recipient and fault took part.",
        check: substance::everybody_took_part,
    },
];

/// One invariant that does not hold.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Its name.
    pub invariant: &'static str,
    /// What it says.
    pub sentence: &'static str,
    /// Where it does not hold: the first few.
    pub details: Vec<String>,
    /// In how many places it does not hold.
    pub count: usize,
}

impl Violation {
    /// What a check found. `None`: it found nothing.
    pub(crate) fn of(invariant: &'static str, sentence: &'static str, mut details: Vec<String>) -> Option<Self> {
        let count = details.len();
        details.truncate(DETAILS);
        (count > 0).then_some(Self {
            invariant,
            sentence,
            details,
            count,
        })
    }
}

/// The judgement.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What does not hold.
    pub violations: Vec<Violation>,
}

impl Report {
    /// Whether everything holds.
    pub const fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// Whether this one does not hold.
    pub fn names(&self, invariant: &str) -> bool {
        self.violations.iter().any(|violation| violation.invariant == invariant)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for violation in &self.violations {
            writeln!(f, "VIOLATED {}: {}", violation.invariant, violation.sentence)?;
            for detail in &violation.details {
                writeln!(f, "  {detail}")?;
            }
            if violation.count > violation.details.len() {
                writeln!(f, "  and {} more", violation.count - violation.details.len())?;
            }
        }
        Ok(())
    }
}

/// Judges a recording.
pub fn check(recording: &Recording) -> Report {
    let index = Index::new(recording);
    let judged = INVARIANTS
        .iter()
        .filter_map(|invariant| Violation::of(invariant.name, invariant.sentence, (invariant.check)(&index)));
    Report {
        violations: judged.collect(),
    }
}

/// What a recording holds.
pub fn counts(recording: &Recording) -> Counts {
    Counts::of(&Index::new(recording))
}
