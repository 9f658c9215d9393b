//! Breaks a good recording on purpose, one thing at a time, and demands that the checker names the right sentence. A
//! checker that nobody has seen failing proves nothing.

mod wire;
mod words;

use std::fmt;

use crate::check::{Report, check};
use crate::recording::Recording;

/// One way to break a recording of a kind `R`.
pub struct Mutation<R> {
    /// What is done.
    pub name: &'static str,
    /// The invariant that has to fail.
    pub expects: &'static str,
    /// Does it; `None` when the recording has nothing that could be broken so.
    apply: fn(&mut R) -> Option<()>,
}

impl<R> fmt::Debug for Mutation<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl<R: Clone> Mutation<R> {
    /// Breaks a copy of a good recording and has it judged.
    pub(crate) fn show(&self, good: &R, judge: fn(&R) -> Report) -> Shown {
        let mut broken = good.clone();
        let applied = (self.apply)(&mut broken);
        Shown {
            name: self.name,
            expects: self.expects,
            report: applied.map(|()| judge(&broken)),
        }
    }
}

pub(crate) const fn mutation<R>(
    name: &'static str,
    expects: &'static str,
    apply: fn(&mut R) -> Option<()>,
) -> Mutation<R> {
    Mutation { name, expects, apply }
}

/// Every way.
pub const MUTATIONS: [Mutation<Recording>; 29] = [
    mutation(
        "the only wire copy of an accepted message is removed",
        "accepted_is_on_the_wire",
        wire::remove_the_only_stanza,
    ),
    mutation(
        "the outcome of a request is removed",
        "every_request_has_an_outcome",
        words::remove_an_outcome,
    ),
    mutation(
        "a request is never accepted",
        "every_request_has_an_outcome",
        words::refuse_for_ever,
    ),
    mutation(
        "an acknowledged inbound event is removed",
        "acknowledged_inbound_is_in_the_event_log_once",
        words::remove_an_inbound_event,
    ),
    mutation(
        "an acknowledged inbound event is doubled",
        "acknowledged_inbound_is_in_the_event_log_once",
        words::double_an_inbound_event,
    ),
    mutation("a counter is repeated", "counters_differ", wire::repeat_a_counter),
    mutation(
        "one copy's id is changed",
        "one_whatsapp_id_per_message",
        wire::change_an_id,
    ),
    mutation(
        "one copy's secret is changed",
        "secret_is_the_same",
        wire::change_a_secret,
    ),
    mutation(
        "the companion's copy carries another secret",
        "secret_is_the_same",
        wire::change_the_companions_secret,
    ),
    mutation("a status goes back", "status_never_goes_back", words::swap_two_steps),
    mutation("a status is told twice", "status_never_goes_back", words::repeat_a_step),
    mutation("a login is refused", "no_login_is_refused", wire::refuse_a_login),
    mutation(
        "the event of a receipt is removed",
        "receipts_older_than_a_second_are_not_lost",
        words::remove_a_read_event,
    ),
    mutation(
        "a copy does not decrypt",
        "every_copy_decrypts",
        wire::fail_a_decryption,
    ),
    mutation(
        "a phone never saw its copy",
        "every_copy_decrypts",
        wire::remove_a_decryption,
    ),
    mutation(
        "the companion never saw its copy",
        "every_copy_decrypts",
        wire::remove_the_companions_copy,
    ),
    mutation(
        "an accepted message stays queued",
        "every_message_ends_at_least_sent",
        words::leave_one_queued,
    ),
    mutation(
        "a recipient reads what nobody asked for",
        "nothing_else_is_on_the_wire",
        wire::say_something_else,
    ),
    mutation(
        "two messages of a chat change places on the wire",
        "a_chat_keeps_its_order",
        wire::swap_two_of_a_chat,
    ),
    mutation(
        "two requests are answered with one message",
        "one_message_per_key",
        words::answer_two_with_one,
    ),
    mutation(
        "a request is refused without a fault",
        "only_faults_refuse",
        words::refuse_one,
    ),
    mutation(
        "an inbound message says something else",
        "every_inbound_arrives",
        words::change_an_inbound_text,
    ),
    mutation(
        "somebody is heard who said nothing",
        "nobody_is_heard_who_said_nothing",
        words::invent_an_inbound_event,
    ),
    mutation(
        "a message is queued twice",
        "accepted_is_queued_once",
        words::queue_twice,
    ),
    mutation(
        "a follower misses an event",
        "the_feed_is_the_same_for_all",
        words::miss_an_event,
    ),
    mutation("a session asks for a scan", "nobody_scans_twice", words::ask_for_a_scan),
    mutation(
        "the companion is logged out",
        "the_companion_stays_linked",
        words::log_the_companion_out,
    ),
    mutation(
        "a fault never happened",
        "everybody_took_part",
        words::make_a_fault_idle,
    ),
    mutation("the recording is empty", "recording_is_substantial", words::empty),
];

/// What the checker made of a broken recording.
#[derive(Clone, Debug)]
pub struct Shown {
    /// What was done.
    pub name: &'static str,
    /// The invariant that has to fail.
    pub expects: &'static str,
    /// What the checker said; `None` when there was nothing to break.
    pub report: Option<Report>,
}

impl Shown {
    /// Whether the checker named the right sentence.
    pub fn is_caught(&self) -> bool {
        self.report.as_ref().is_some_and(|report| report.names(self.expects))
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, expects, .. } = self;
        match &self.report {
            None => write!(f, "NOT TRIED  {name}: the recording has nothing to break"),
            Some(_) if self.is_caught() => write!(f, "caught     {name}: {expects}"),
            Some(_) => write!(f, "NOT CAUGHT {name}: {expects} should have failed"),
        }
    }
}

/// Breaks copies of a recording in every way.
pub fn show(recording: &Recording) -> Vec<Shown> {
    let each = MUTATIONS.iter().map(|mutation| mutation.show(recording, check));
    each.collect()
}
