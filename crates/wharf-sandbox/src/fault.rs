//! Faults as rules: where they apply, what they do, how often. Plain data and its checks; they live in memory only.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::observation::Direction;

/// The longest a stanza may be held back.
const MAX_DELAY: Duration = Duration::from_secs(600);
/// The longest a rule may live on its own.
const MAX_LIFE: Duration = Duration::from_secs(24 * 3600);

/// A fault that happens whenever something matches, until the rule is removed or used up.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub matching: Match,
    pub action: Action,
    /// How likely it fires at a match; more than 0, at most 1.
    pub probability: f64,
    /// How often it fires at most; `None` is without end.
    pub count: Option<u64>,
    /// Makes the draws repeat: each device has its own series. Without one a seed is made up, and told.
    pub seed: Option<u64>,
    /// After this time the rule fires no more.
    pub lasts: Option<Duration>,
    /// Fires at once, on every open connection that matches, and never again.
    pub now: bool,
}

/// What a rule looks at. What is left out matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Match {
    /// The phone number of the account.
    pub account: Option<String>,
    pub stanza: Option<StanzaMatch>,
    pub direction: Option<Direction>,
}

/// A stanza by its tag, the exact values of attributes, and the tag of a child.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StanzaMatch {
    pub tag: String,
    pub attrs: BTreeMap<String, String>,
    pub child: Option<String>,
}

/// What happens at a match. A stanza at which a connection ends is not handled, or not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The TCP connection is closed without a word.
    DropConnection,
    /// The stanza is held back for this long; others overtake it, except those held back as long.
    Delay(Duration),
    /// The stanza never arrives.
    Lose,
    /// The stanza arrives twice.
    Duplicate,
    /// The next stanza overtakes it.
    Reorder,
    /// What arrives cannot be decrypted, and the connection is of no use any more.
    Corrupt,
    /// A client's question or message is refused with this code and not handled; of other stanzas nothing is heard.
    Refuse { code: u16 },
    /// From this stanza of a client on the server reads nothing for so long.
    Pause(Duration),
    /// The client is told `<stream:error>`, then its connection is closed.
    StreamError {
        code: Option<u16>,
        conflict: Option<Conflict>,
    },
    /// From here on the server takes the connection's bytes and answers nothing.
    HalfOpen,
    /// A client that finished its handshake, to log in or to link, is told `<failure>` with this reason.
    RefuseLogin { code: u16 },
    /// New TCP connections are closed at once.
    RefuseConnection,
}

/// The `<conflict>` inside a stream error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    Replaced,
    DeviceRemoved,
}

/// The step of a connection at which an action can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Accept,
    Login,
    Stanza,
}

/// Why a rule makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRule {
    #[error("a probability is more than 0 and at most 1")]
    Probability,
    #[error("a count is at least 1")]
    Count,
    #[error("a rule lasts at least 1 ms and at most a day")]
    Lasts,
    #[error("a delay is at least 1 ms and at most 600,000 ms")]
    Delay,
    #[error("codes have three digits, and a stream error has a code or a conflict")]
    Code,
    #[error("a stanza is named by its tag")]
    Tag,
    #[error("there is no phone of this account")]
    Account,
    #[error("connections are refused before anything is known about them: the rule can match nothing but all")]
    MatchOfConnection,
    #[error("logins are refused before there is a stanza: the rule can match an account only")]
    MatchOfLogin,
    #[error("only what clients say can be refused or read slowly")]
    Direction,
    #[error("only drop_connection, stream_error and half_open can happen now, and not at a stanza")]
    Now,
}

impl InvalidRule {
    /// The stable code of this error.
    pub fn code(self) -> &'static str {
        match self {
            Self::Probability => "invalid_probability",
            Self::Count => "invalid_count",
            Self::Lasts => "invalid_lasts",
            Self::Delay => "invalid_delay",
            Self::Code => "invalid_error_code",
            Self::Tag => "invalid_stanza",
            Self::Account => "unknown_account",
            Self::MatchOfConnection | Self::MatchOfLogin => "inapplicable_match",
            Self::Direction => "inapplicable_direction",
            Self::Now => "inapplicable_now",
        }
    }
}

impl Rule {
    /// The action at everything it can happen at, always, without end.
    pub fn new(action: Action) -> Self {
        Self {
            matching: Match::default(),
            action,
            probability: 1.0,
            count: None,
            seed: None,
            lasts: None,
            now: false,
        }
    }

    pub fn account(mut self, phone: impl Into<String>) -> Self {
        self.matching.account = Some(phone.into());
        self
    }

    pub fn stanza(mut self, stanza: StanzaMatch) -> Self {
        self.matching.stanza = Some(stanza);
        self
    }

    pub fn direction(mut self, direction: Direction) -> Self {
        self.matching.direction = Some(direction);
        self
    }

    pub fn probability(mut self, probability: f64, seed: u64) -> Self {
        self.probability = probability;
        self.seed = Some(seed);
        self
    }

    pub fn times(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }

    pub fn lasting(mut self, lasts: Duration) -> Self {
        self.lasts = Some(lasts);
        self
    }

    pub fn now(mut self) -> Self {
        self.now = true;
        self
    }

    /// Whether the rule makes sense by itself; whether its account exists is another question.
    pub(crate) fn check(&self) -> Result<(), InvalidRule> {
        let wrong = |is_wrong: bool, error| if is_wrong { Err(error) } else { Ok(()) };
        wrong(
            !(self.probability > 0.0 && self.probability <= 1.0),
            InvalidRule::Probability,
        )?;
        wrong(self.count == Some(0), InvalidRule::Count)?;
        let lasts = |lasts: Duration| lasts < Duration::from_millis(1) || lasts > MAX_LIFE;
        wrong(self.lasts.is_some_and(lasts), InvalidRule::Lasts)?;
        let tag = self.matching.stanza.as_ref().map(|stanza| stanza.tag.as_str());
        wrong(tag == Some(""), InvalidRule::Tag)?;
        self.action.check()?;
        let to_client = self.matching.direction == Some(Direction::ToClient);
        wrong(to_client && self.action.is_of_clients(), InvalidRule::Direction)?;
        let at_stanza = self.matching.stanza.is_some() || self.matching.direction.is_some();
        let at_account = self.matching.account.is_some();
        match self.action.place() {
            Place::Accept => wrong(at_stanza || at_account, InvalidRule::MatchOfConnection)?,
            Place::Login => wrong(at_stanza, InvalidRule::MatchOfLogin)?,
            Place::Stanza => {}
        }
        wrong(
            self.now && (at_stanza || !self.action.ends_connection()),
            InvalidRule::Now,
        )
    }
}

impl Action {
    pub(crate) fn place(self) -> Place {
        match self {
            Self::RefuseConnection => Place::Accept,
            Self::RefuseLogin { .. } => Place::Login,
            Self::DropConnection
            | Self::Delay(_)
            | Self::Lose
            | Self::Duplicate
            | Self::Reorder
            | Self::Corrupt
            | Self::Refuse { .. }
            | Self::Pause(_)
            | Self::StreamError { .. }
            | Self::HalfOpen => Place::Stanza,
        }
    }

    /// Whether it can only happen to what a client says.
    pub(crate) fn is_of_clients(self) -> bool {
        matches!(self, Self::Refuse { .. } | Self::Pause(_))
    }

    fn ends_connection(self) -> bool {
        matches!(self, Self::DropConnection | Self::StreamError { .. } | Self::HalfOpen)
    }

    fn check(self) -> Result<(), InvalidRule> {
        let is_code = |code| (100..=999).contains(&code);
        match self {
            Self::Delay(delay) | Self::Pause(delay) if delay < Duration::from_millis(1) || delay > MAX_DELAY => {
                Err(InvalidRule::Delay)
            }
            Self::StreamError {
                code: None,
                conflict: None,
            } => Err(InvalidRule::Code),
            Self::StreamError { code: Some(code), .. } | Self::RefuseLogin { code } | Self::Refuse { code }
                if !is_code(code) =>
            {
                Err(InvalidRule::Code)
            }
            _ => Ok(()),
        }
    }
}

impl StanzaMatch {
    pub fn tag(tag: impl Into<String>) -> Self {
        Self {
            tag: tag.into(),
            ..Self::default()
        }
    }

    pub fn attr(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attrs.insert(name.into(), value.into());
        self
    }

    pub fn child(mut self, tag: impl Into<String>) -> Self {
        self.child = Some(tag.into());
        self
    }
}

/// A rule and what has come of it.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultStatus {
    pub id: u64,
    /// With the seed that is used.
    pub rule: Rule,
    /// How often something matched.
    pub matched: u64,
    /// How often the fault happened.
    pub fired: u64,
    /// It will not fire again: used up, or its time is over.
    pub spent: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_must_make_sense() {
        let ack = || StanzaMatch::tag("ack");
        let silent = || {
            Rule::new(Action::StreamError {
                code: None,
                conflict: None,
            })
        };
        let cases = [
            (Rule::new(Action::Lose).probability(0.0, 1), InvalidRule::Probability),
            (
                Rule::new(Action::Lose).probability(f64::NAN, 1),
                InvalidRule::Probability,
            ),
            (Rule::new(Action::Lose).times(0), InvalidRule::Count),
            (Rule::new(Action::Lose).lasting(Duration::ZERO), InvalidRule::Lasts),
            (Rule::new(Action::Lose).stanza(StanzaMatch::tag("")), InvalidRule::Tag),
            (Rule::new(Action::Lose).now(), InvalidRule::Now),
            (Rule::new(Action::HalfOpen).stanza(ack()).now(), InvalidRule::Now),
            (Rule::new(Action::Delay(Duration::ZERO)), InvalidRule::Delay),
            (silent(), InvalidRule::Code),
            (Rule::new(Action::RefuseLogin { code: 5 }), InvalidRule::Code),
            (Rule::new(Action::Refuse { code: 5 }), InvalidRule::Code),
            (
                Rule::new(Action::Refuse { code: 429 }).direction(Direction::ToClient),
                InvalidRule::Direction,
            ),
            (
                Rule::new(Action::RefuseLogin { code: 503 }).stanza(ack()),
                InvalidRule::MatchOfLogin,
            ),
            (
                Rule::new(Action::RefuseConnection).account("1"),
                InvalidRule::MatchOfConnection,
            ),
        ];
        for (rule, error) in cases {
            assert_eq!(rule.check(), Err(error), "{rule:?}");
        }
        let rules = [
            Rule::new(Action::Delay(Duration::from_millis(5)))
                .stanza(ack())
                .probability(0.5, 1),
            Rule::new(Action::DropConnection).account("1").now(),
            Rule::new(Action::RefuseLogin { code: 503 }).account("1").times(2),
        ];
        assert!(rules.iter().all(|rule| rule.check().is_ok()));
    }
}
