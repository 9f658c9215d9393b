//! Decides when a session may send next. Pure: the time and the randomness are arguments, and nothing is read or
//! written. Promises, for every history: never more than `per_minute` sends in any 60 seconds, never less than a random
//! gap between two sends, never less than `per_recipient` between two sends to one chat, never more than
//! `new_chats_per_day` chats opened in any 24 hours (lane `otp` exempt). Which message goes first is not its question.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use wharf_model::{Jid, Lane, PacingPolicy, Random, Timestamp};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A message that wants to go.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Where it goes.
    pub chat: &'a Jid,
    /// Its lane.
    pub lane: Lane,
    /// Whether nothing was ever said in that chat.
    pub opens_chat: bool,
}

/// What the pacer answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Now.
    Go,
    /// No message of this session before then.
    SessionWaits(Timestamp),
    /// Not this message before then; others may go.
    MessageWaits(Timestamp),
}

/// What one session has sent lately, as far as its policy asks.
#[derive(Debug)]
pub struct Pacer {
    policy: PacingPolicy,
    /// When each token of the bucket was spent; it comes back a minute later.
    spent: VecDeque<Timestamp>,
    /// The end of the random gap after the last send.
    next: Timestamp,
    /// The server asked for a pause.
    held: Timestamp,
    recipients: HashMap<Jid, Timestamp>,
    opened: VecDeque<Timestamp>,
    latest: Timestamp,
}

impl Pacer {
    /// A pacer for a session that sent at the times `sent` (of the last minute) and opened chats at the times `opened`
    /// (of the last day), in any order.
    pub fn new(policy: PacingPolicy, mut sent: Vec<Timestamp>, mut opened: Vec<Timestamp>) -> Self {
        sent.sort_unstable();
        opened.sort_unstable();
        Self {
            policy,
            spent: sent.into(),
            next: Timestamp::default(),
            held: Timestamp::default(),
            recipients: HashMap::new(),
            opened: opened.into(),
            latest: Timestamp::default(),
        }
    }

    /// Obeys another policy from now on; what was sent still counts.
    pub fn obey(&mut self, policy: PacingPolicy) {
        self.policy = policy;
    }

    /// The policy in force.
    pub const fn policy(&self) -> &PacingPolicy {
        &self.policy
    }

    /// Sends nothing before `until`, whatever the policy: WhatsApp asked for it.
    pub fn hold(&mut self, until: Timestamp) {
        self.held = self.held.max(until);
    }

    /// Until when [`Pacer::hold`] keeps it quiet.
    pub const fn held(&self) -> Timestamp {
        self.held
    }

    /// When the session as a whole may send, whatever the message; `None` when it may now.
    pub fn session_waits(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.settle(now);
        let (next, token) = if self.policy.unsafe_open {
            (None, None)
        } else {
            (Some(self.next), self.token_at())
        };
        [Some(self.held), next, token]
            .into_iter()
            .flatten()
            .max()
            .filter(|at| *at > now)
    }

    /// Whether this message may go now. Says so without counting it; see [`Pacer::record`].
    pub fn ask(&mut self, now: Timestamp, ask: Ask<'_>) -> Verdict {
        if let Some(at) = self.session_waits(now) {
            return Verdict::SessionWaits(at);
        }
        if self.policy.unsafe_open {
            return Verdict::Go;
        }
        let waits = [self.recipient_at(ask.chat), self.chat_at(ask)]
            .into_iter()
            .flatten()
            .max();
        match waits.filter(|at| *at > now) {
            Some(at) => Verdict::MessageWaits(at),
            None => Verdict::Go,
        }
    }

    /// Counts a send.
    pub fn record(&mut self, now: Timestamp, ask: Ask<'_>, random: &dyn Random) {
        self.settle(now);
        if ask.opens_chat && ask.lane != Lane::Otp {
            self.opened.push_back(now);
        }
        if self.policy.unsafe_open {
            return;
        }
        self.spent.push_back(now);
        self.next = now + self.gap(random);
        self.recipients.insert(ask.chat.clone(), now);
    }

    /// A gap between the shortest and the longest, evenly distributed in whole milliseconds.
    fn gap(&self, random: &dyn Random) -> Duration {
        let spread = self.policy.gap_max.saturating_sub(self.policy.gap_min).as_millis();
        let spread = u64::try_from(spread).unwrap_or(u64::MAX - 1);
        self.policy.gap_min + Duration::from_millis(random.below(spread + 1))
    }

    /// When a token is there; `None`: now.
    fn token_at(&self) -> Option<Timestamp> {
        free_at(&self.spent, self.policy.per_minute, MINUTE)
    }

    fn recipient_at(&self, chat: &Jid) -> Option<Timestamp> {
        self.recipients.get(chat).map(|at| *at + self.policy.per_recipient)
    }

    fn chat_at(&self, ask: Ask<'_>) -> Option<Timestamp> {
        let capped = ask.opens_chat && ask.lane != Lane::Otp;
        capped.then(|| self.day_at()).flatten()
    }

    fn day_at(&self) -> Option<Timestamp> {
        match self.policy.new_chats_per_day {
            // No chat may ever be opened: asked again tomorrow, in case the policy changes unseen.
            0 => Some(self.latest + DAY),
            cap => free_at(&self.opened, cap, DAY),
        }
    }

    /// Forgets what no longer counts. A clock that was set back takes our times with it: a pause must not become hours.
    fn settle(&mut self, now: Timestamp) {
        if now < self.latest {
            self.shift(self.latest.since(now));
        }
        self.latest = now;
        forget(&mut self.spent, now, MINUTE);
        forget(&mut self.opened, now, DAY);
        // Swept when it doubled, so that a send costs constant time on average.
        if self.recipients.len() > 64 && self.recipients.len() == self.recipients.capacity() {
            let gap = self.policy.per_recipient;
            self.recipients.retain(|_, at| *at + gap > now);
        }
    }

    fn shift(&mut self, back: Duration) {
        self.next = self.next - back;
        self.held = self.held - back;
        let times = self
            .spent
            .iter_mut()
            .chain(&mut self.opened)
            .chain(self.recipients.values_mut());
        for at in times {
            *at = *at - back;
        }
    }
}

/// When fewer than `cap` of `times` lie within `window`.
fn free_at(times: &VecDeque<Timestamp>, cap: u32, window: Duration) -> Option<Timestamp> {
    let cap = usize::try_from(cap).unwrap_or(usize::MAX);
    let oldest_that_counts = times.len().checked_sub(cap)?;
    times.get(oldest_that_counts).map(|at| *at + window)
}

fn forget(times: &mut VecDeque<Timestamp>, now: Timestamp, window: Duration) {
    while times.front().is_some_and(|at| *at + window <= now) {
        times.pop_front();
    }
}

#[cfg(test)]
mod tests;
