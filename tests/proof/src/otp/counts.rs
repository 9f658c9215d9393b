//! What a record holds, and between which steps the kills fell.

use std::collections::BTreeMap;

use super::check::{Stories, Told};
use super::record::{Ask, Call, Record};
use crate::recording::Millis;

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// SIGKILLs, those during a start left out.
    pub kills: usize,
    /// SIGKILLs during a start.
    pub early_kills: usize,
    /// Calls.
    pub calls: usize,
    /// Calls without an answer.
    pub lost: usize,
    /// Verifications that were accepted.
    pub verifications: usize,
    /// Codes that were asked for again.
    pub resent: usize,
    /// Messages that phones decrypted.
    pub messages: usize,
    /// Messages that were on the wire more than once.
    pub sent_again: usize,
    /// Wrong codes that were told to be wrong.
    pub wrong: usize,
    /// Verifications whose approval was answered.
    pub approved: usize,
    /// Answers that repeated an approval.
    pub repeated: usize,
    /// Right codes that came when no tries were left.
    pub exhausted: usize,
    /// Sends without an answer that had been carried out, as their repeat said.
    pub sends_kept: usize,
    /// Sends without an answer of which nothing was left.
    pub sends_undone: usize,
    /// Checks without an answer that had approved.
    pub checks_kept: usize,
    /// Checks of the right code without an answer of which nothing was left.
    pub checks_undone: usize,
    /// Kills while a send had no answer yet.
    pub kills_in_a_send: usize,
    /// Kills between the answer to a send and the phone.
    pub kills_on_the_way: usize,
    /// Kills between the phone and the check.
    pub kills_untyped: usize,
    /// Kills while a check had no answer yet.
    pub kills_in_a_check: usize,
}

/// What a record holds.
pub fn counts(record: &Record) -> Counts {
    Counts::of(&Stories::new(record))
}

/// From when until when something was going on.
type Spans = Vec<(Millis, Millis)>;

impl Counts {
    /// Counts a record.
    pub(super) fn of(stories: &Stories<'_>) -> Self {
        let record = stories.record;
        let mut counts = Self {
            kills: record.kills.iter().filter(|kill| !kill.during_start).count(),
            early_kills: record.kills.iter().filter(|kill| kill.during_start).count(),
            calls: record.calls.len(),
            lost: record.calls.iter().filter(|call| call.answer.is_none()).count(),
            verifications: stories.accepted().count(),
            ..Self::default()
        };
        counts.messages(stories);
        counts.sends(stories);
        counts.tries(stories);
        counts.kills_between(stories);
        counts
    }

    fn messages(&mut self, stories: &Stories<'_>) {
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        for arrival in &stories.record.arrivals {
            *times.entry(&arrival.whatsapp_id).or_default() += 1;
        }
        self.messages = times.len();
        self.sent_again = times.values().filter(|times| **times > 1).count();
        let kept = stories.record.verifications.iter();
        self.resent = kept.map(|kept| kept.attempts.len().saturating_sub(1)).sum();
    }

    fn sends(&mut self, stories: &Stories<'_>) {
        for calls in stories.sends.values() {
            let lost = calls.iter().filter(|call| call.answer.is_none()).count();
            let mut accepted = calls.iter().filter(|call| call.accepted().is_some());
            let Some(first) = accepted.next() else { continue };
            // The last of those without an answer was carried out, or none of them.
            let kept = usize::from(lost > 0 && first.answer.as_ref().is_some_and(|answer| answer.replayed));
            self.sends_kept += kept;
            self.sends_undone += lost - kept;
        }
    }

    fn tries(&mut self, stories: &Stories<'_>) {
        for story in stories.all.values() {
            let (mut lost, mut is_approved) = (0, false);
            for one in story.tries() {
                match one.told {
                    Told::Nothing => lost += usize::from(one.is_right),
                    Told::Approved => self.checks_undone += std::mem::take(&mut lost),
                    Told::Repeated | Told::Used if lost > 0 => {
                        self.checks_kept += 1;
                        self.checks_undone += std::mem::take(&mut lost) - 1;
                    }
                    Told::Incorrect => self.wrong += 1,
                    Told::Exhausted => self.exhausted += usize::from(one.is_right),
                    Told::Repeated | Told::Used | Told::Later | Told::Other => {}
                }
                self.repeated += usize::from(one.told == Told::Repeated);
                is_approved |= matches!(one.told, Told::Approved | Told::Repeated);
            }
            self.approved += usize::from(is_approved);
        }
    }

    fn kills_between(&mut self, stories: &Stories<'_>) {
        let calls = &stories.record.calls;
        let lost = |wanted: fn(&Ask) -> bool| -> Spans {
            let lost = calls.iter().filter(|call| call.answer.is_none() && wanted(&call.ask));
            lost.map(|call| (call.from, call.until)).collect()
        };
        let (on_the_way, untyped) = on_the_way_and_untyped(stories);
        let kills = |spans: &Spans| {
            let kills = stories.record.kills.iter().filter(|kill| !kill.during_start);
            let within = |at: Millis| spans.iter().any(|(from, until)| (*from..=*until).contains(&at));
            kills.filter(|kill| within(kill.at)).count()
        };
        self.kills_in_a_send = kills(&lost(|ask| matches!(ask, Ask::Send { .. })));
        self.kills_in_a_check = kills(&lost(|ask| matches!(ask, Ask::Check { .. })));
        self.kills_on_the_way = kills(&on_the_way);
        self.kills_untyped = kills(&untyped);
    }
}

/// From the answer to a send until its message came, and from there until the next check.
fn on_the_way_and_untyped(stories: &Stories<'_>) -> (Spans, Spans) {
    let (mut on_the_way, mut untyped) = (Spans::new(), Spans::new());
    for story in stories.accepted() {
        let messages = story.messages();
        for call in &story.calls {
            let Some(n) = message_of(call) else { continue };
            let Some(arrival) = messages.get(n - 1).and_then(|message| story.arrived(message)) else {
                continue;
            };
            if arrival.at > call.until {
                on_the_way.push((call.until, arrival.at));
            }
            let mut checks = story.calls.iter().filter(|call| matches!(call.ask, Ask::Check { .. }));
            if let Some(next) = checks.find(|check| check.from >= arrival.at) {
                untyped.push((arrival.at, next.from));
            }
        }
    }
    (on_the_way, untyped)
}

/// Which message an accepted send made, from 1.
fn message_of(call: &Call) -> Option<usize> {
    call.accepted()?;
    let answer = call.answer.as_ref()?;
    (answer.messages > 0).then_some(answer.messages)
}
