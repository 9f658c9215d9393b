//! A record sorted by verifications.

use std::collections::{BTreeMap, BTreeSet};

use crate::otp::record::{Arrival, Ask, Bubble, Call, Record, Verification};

/// What became of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::otp) enum Told {
    /// There was no answer.
    Nothing,
    /// It was approved just now.
    Approved,
    /// It was approved before, under the same key.
    Repeated,
    /// It was approved before.
    Used,
    /// The code is wrong.
    Incorrect,
    /// No attempts are left.
    Exhausted,
    /// Another call with the key is on its way.
    Later,
    /// None of these.
    Other,
}

impl Told {
    pub(in crate::otp) fn of(call: &Call) -> Self {
        let Some(answer) = &call.answer else {
            return Self::Nothing;
        };
        match (answer.status, answer.code.as_str()) {
            (200, _) if answer.replayed => Self::Repeated,
            (200, _) => Self::Approved,
            (409, "otp_already_used") => Self::Used,
            (409, "idempotency_in_progress") => Self::Later,
            (410, "otp_attempts_exhausted") => Self::Exhausted,
            (422, "otp_incorrect") => Self::Incorrect,
            _ => Self::Other,
        }
    }

    /// Whether the verification may be approved by such a check with the right code.
    const fn may_approve(self) -> bool {
        matches!(self, Self::Nothing | Self::Approved | Self::Repeated)
    }
}

/// A code that was tried.
#[derive(Clone, Copy, Debug)]
pub(in crate::otp) struct Try<'a> {
    pub call: &'a Call,
    pub key: &'a str,
    pub told: Told,
    /// It is the code of the latest message that was accepted before.
    pub is_right: bool,
    /// How many wrong codes before it took an attempt, at most.
    pub wrong_before: u32,
    /// A check before it may have approved.
    pub may_be_used: bool,
}

/// All about one verification.
#[derive(Debug, Default)]
pub(in crate::otp) struct Story<'a> {
    pub id: &'a str,
    /// Its phone, as far as anybody asked for a code.
    pub phone: &'a str,
    /// Every call about it, in order.
    pub calls: Vec<&'a Call>,
    /// As it was in the end.
    pub kept: Option<&'a Verification>,
    pub bubbles: Vec<&'a Bubble>,
    pub arrivals: Vec<&'a Arrival>,
}

impl<'a> Story<'a> {
    /// WhatsApp's ids of its messages, first to last.
    pub(in crate::otp) fn messages(&self) -> Vec<&'a str> {
        let attempts = self.kept.into_iter().flat_map(|kept| &kept.attempts);
        attempts.map(|attempt| attempt.whatsapp_id.as_str()).collect()
    }

    /// When a message reached the phone for the first time.
    pub(in crate::otp) fn arrived(&self, message: &str) -> Option<&'a Arrival> {
        let mut arrivals = self.arrivals.iter().copied();
        arrivals.find(|arrival| arrival.whatsapp_id == message)
    }

    /// The code of message `n`, from 1, as the phone shows it.
    fn code_of(&self, n: usize) -> Option<&'a str> {
        let message = *self.messages().get(n.checked_sub(1)?)?;
        let mut bubbles = self.bubbles.iter().copied();
        bubbles.find(|bubble| bubble.whatsapp_id == message)?.code.as_deref()
    }

    /// Every code that was tried, in order.
    pub(in crate::otp) fn tries(&self) -> Vec<Try<'a>> {
        let (mut sent, mut wrong_before, mut may_be_used) = (BTreeSet::new(), 0, false);
        let mut tries = Vec::new();
        for call in self.calls.iter().copied() {
            let (code, key) = match &call.ask {
                Ask::Check { code, key, .. } => (code, key),
                Ask::Send { key, .. } if call.accepted().is_some() => {
                    sent.insert(key.as_str());
                    continue;
                }
                Ask::Send { .. } | Ask::Look { .. } => continue,
            };
            let told = Told::of(call);
            let is_right = self.code_of(sent.len()) == Some(code.as_str());
            tries.push(Try {
                call,
                key,
                told,
                is_right,
                wrong_before,
                may_be_used,
            });
            may_be_used |= is_right && told.may_approve();
            wrong_before += u32::from(!is_right && matches!(told, Told::Nothing | Told::Incorrect));
        }
        tries
    }
}

/// See the module.
#[derive(Debug)]
pub(in crate::otp) struct Stories<'a> {
    pub record: &'a Record,
    pub all: BTreeMap<&'a str, Story<'a>>,
    /// Calls that asked for a code, by their key.
    pub sends: BTreeMap<&'a str, Vec<&'a Call>>,
    /// How often an event of a kind was told of a verification.
    events: BTreeMap<(&'a str, &'a str), usize>,
}

impl<'a> Stories<'a> {
    pub(in crate::otp) fn new(record: &'a Record) -> Self {
        let mut stories = Self {
            record,
            all: BTreeMap::new(),
            sends: BTreeMap::new(),
            events: BTreeMap::new(),
        };
        for call in &record.calls {
            if let Ask::Send { key, .. } = &call.ask {
                stories.sends.entry(key).or_default().push(call);
            }
        }
        for call in &record.calls {
            stories.sort_in(call);
        }
        for kept in &record.verifications {
            stories.story(&kept.id).kept = Some(kept);
        }
        for event in &record.events {
            *stories.events.entry((&event.kind, &event.id)).or_default() += 1;
        }
        stories.hand_out();
        stories
    }

    fn story(&mut self, id: &'a str) -> &mut Story<'a> {
        self.all.entry(id).or_insert_with(|| Story { id, ..Story::default() })
    }

    /// A send without an answer belongs where its repeat was accepted.
    fn sort_in(&mut self, call: &'a Call) {
        let (id, phone) = match &call.ask {
            Ask::Check { id, .. } | Ask::Look { id } => (Some(id.as_str()), None),
            Ask::Send { phone, key } => {
                let same = self.sends.get(key.as_str()).into_iter().flatten();
                let id = call.accepted().or_else(|| same.copied().find_map(Call::accepted));
                (id, Some(phone.as_str()))
            }
        };
        let Some(id) = id else { return };
        let story = self.story(id);
        story.phone = phone.unwrap_or(story.phone);
        story.calls.push(call);
    }

    /// Everybody gets what his phone saw.
    fn hand_out(&mut self) {
        let record = self.record;
        let mut bubbles: BTreeMap<&str, Vec<&Bubble>> = BTreeMap::new();
        for bubble in &record.bubbles {
            bubbles.entry(&bubble.phone).or_default().push(bubble);
        }
        let mut arrivals: BTreeMap<&str, Vec<&Arrival>> = BTreeMap::new();
        for arrival in &record.arrivals {
            arrivals.entry(&arrival.phone).or_default().push(arrival);
        }
        for story in self.all.values_mut() {
            story.bubbles = bubbles.get(story.phone).cloned().unwrap_or_default();
            story.arrivals = arrivals.get(story.phone).cloned().unwrap_or_default();
        }
    }

    /// How often an event of a kind was told of a verification.
    pub(in crate::otp) fn told(&self, kind: &str, id: &str) -> usize {
        self.events.get(&(kind, id)).copied().unwrap_or_default()
    }

    /// The stories that began with an accepted send, which are all if everything is well.
    pub(in crate::otp) fn accepted(&self) -> impl Iterator<Item = &Story<'a>> {
        let stories = self.all.values();
        stories.filter(|story| story.calls.iter().any(|call| call.accepted().is_some()))
    }
}
