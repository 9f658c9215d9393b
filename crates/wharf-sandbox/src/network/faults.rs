//! The rules that are in force. Without any, a stanza costs one look at a flag. They are in memory only: a restart of
//! the sandbox is without faults.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;
use tokio::time::Instant;
use wacore_binary::NodeRef;

use super::session::Ending;
use crate::fault::{Action, FaultStatus, Place, Rule, StanzaMatch};
use crate::observation::Direction;
use crate::wire::node::attr_is;

/// Rules in force at one time.
pub(crate) const MAX_RULES: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Faults {
    any: AtomicBool,
    table: Mutex<Table>,
    /// Notified whenever a rule fires.
    pub happened: Notify,
}

#[derive(Debug, Default)]
struct Table {
    last_id: u64,
    rules: Vec<Active>,
}

#[derive(Debug)]
struct Active {
    id: u64,
    rule: Rule,
    seed: u64,
    ends: Option<Instant>,
    matched: u64,
    fired: u64,
    /// A series of draws for each device: what happens to one does not depend on the others.
    draws: HashMap<String, StdRng>,
}

/// Where in the network something is about to happen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'s> {
    pub account: Option<&'s str>,
    /// Whose series of draws decides.
    pub subject: &'s str,
    pub moment: Moment<'s>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Moment<'s> {
    Accept,
    Login,
    Stanza(Direction, &'s NodeRef<'s>),
}

/// A rule that fired.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fired {
    pub rule: u64,
    pub action: Action,
}

impl Faults {
    /// Whether there is any rule to ask.
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Puts a rule into force; `None` when there are too many. `seed` is taken when the rule has none.
    pub(crate) fn add(&self, rule: Rule, seed: u64) -> Option<u64> {
        let mut table = self.lock();
        if table.rules.len() >= MAX_RULES {
            return None;
        }
        table.last_id += 1;
        let id = table.last_id;
        table.rules.push(Active {
            id,
            seed: rule.seed.unwrap_or(seed),
            ends: rule.lasts.map(|lasts| Instant::now() + lasts),
            rule,
            matched: 0,
            fired: 0,
            draws: HashMap::new(),
        });
        self.any.store(true, Ordering::Release);
        Some(id)
    }

    /// False when there is no such rule.
    pub(crate) fn remove(&self, id: u64) -> bool {
        let mut table = self.lock();
        let before = table.rules.len();
        table.rules.retain(|active| active.id != id);
        self.any.store(!table.rules.is_empty(), Ordering::Release);
        table.rules.len() < before
    }

    pub(crate) fn list(&self) -> Vec<FaultStatus> {
        self.lock().rules.iter().map(Active::status).collect()
    }

    pub(crate) fn find(&self, id: u64) -> Option<FaultStatus> {
        self.lock()
            .rules
            .iter()
            .find(|active| active.id == id)
            .map(Active::status)
    }

    /// The first rule, in the order they were made, that fires here.
    pub(crate) fn at(&self, scene: Scene<'_>) -> Option<Fired> {
        if !self.any() {
            return None;
        }
        let fired = {
            let mut table = self.lock();
            table.rules.iter_mut().find_map(|active| active.at(scene))
        };
        if fired.is_some() {
            self.happened.notify_waiters();
        }
        fired
    }

    /// Asks one rule about an open connection.
    pub(crate) fn now(&self, id: u64, subject: &str) -> Option<Ending> {
        let ending = {
            let mut table = self.lock();
            let active = table.rules.iter_mut().find(|active| active.id == id)?;
            active.draw(subject).and_then(|fired| ending(fired.action))
        };
        self.happened.notify_waiters();
        ending
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How an action ends the connection it happens on, if it does.
pub(crate) fn ending(action: Action) -> Option<Ending> {
    match action {
        Action::DropConnection => Some(Ending::Dropped),
        Action::HalfOpen => Some(Ending::Silent),
        Action::StreamError { code, conflict } => Some(Ending::StreamError { code, conflict }),
        Action::Delay(_)
        | Action::Lose
        | Action::Duplicate
        | Action::Reorder
        | Action::Corrupt
        | Action::Refuse { .. }
        | Action::Pause(_)
        | Action::RefuseLogin { .. }
        | Action::RefuseConnection => None,
    }
}

impl Active {
    fn at(&mut self, scene: Scene<'_>) -> Option<Fired> {
        let rule = &self.rule;
        let account = rule.matching.account.as_deref();
        let here = match (rule.action.place(), scene.moment) {
            (Place::Accept, Moment::Accept) | (Place::Login, Moment::Login) => true,
            (Place::Stanza, Moment::Stanza(direction, node)) => {
                let wanted = rule.matching.direction.is_none_or(|wanted| wanted == direction);
                wanted && rule.matching.stanza.as_ref().is_none_or(|stanza| is(stanza, node))
            }
            _ => false,
        };
        let of_clients = rule.action.is_of_clients();
        let to_client = matches!(scene.moment, Moment::Stanza(Direction::ToClient, _));
        if rule.now || !here || of_clients && to_client || account.is_some_and(|account| scene.account != Some(account))
        {
            return None;
        }
        self.draw(scene.subject)
    }

    /// Something matched: does it happen this time?
    fn draw(&mut self, subject: &str) -> Option<Fired> {
        if self.is_spent() {
            return None;
        }
        self.matched += 1;
        if self.rule.probability < 1.0 {
            let seed = self.seed;
            let series = self.draws.entry(subject.to_owned());
            let series = series.or_insert_with(|| series_of(seed, subject));
            if !series.random_bool(self.rule.probability) {
                return None;
            }
        }
        self.fired += 1;
        Some(Fired {
            rule: self.id,
            action: self.rule.action,
        })
    }

    fn is_spent(&self) -> bool {
        let used_up = self.rule.count.is_some_and(|count| self.fired >= count);
        used_up || self.ends.is_some_and(|ends| Instant::now() >= ends)
    }

    fn status(&self) -> FaultStatus {
        FaultStatus {
            id: self.id,
            rule: Rule {
                seed: Some(self.seed),
                ..self.rule.clone()
            },
            matched: self.matched,
            fired: self.fired,
            spent: self.rule.now || self.is_spent(),
        }
    }
}

fn series_of(seed: u64, subject: &str) -> StdRng {
    let digest = Sha256::new().chain_update(seed.to_be_bytes()).chain_update(subject);
    StdRng::from_seed(digest.finalize().into())
}

fn is(wanted: &StanzaMatch, node: &NodeRef<'_>) -> bool {
    node.tag == wanted.tag.as_str()
        && wanted.attrs.iter().all(|(name, value)| attr_is(node, name, value))
        && wanted
            .child
            .as_ref()
            .is_none_or(|tag| node.get_optional_child(tag).is_some())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wacore_binary::builder::NodeBuilder;

    use super::*;

    fn fires(faults: &Faults, subject: &str, direction: Direction) -> bool {
        let ack = NodeBuilder::new("ack").attr("class", "message").build();
        let node = ack.as_node_ref();
        let moment = Moment::Stanza(direction, &node);
        let account = subject.split(':').next();
        let scene = Scene {
            account,
            subject,
            moment,
        };
        faults.at(scene).is_some()
    }

    fn with(rule: Rule) -> Faults {
        let faults = Faults::default();
        faults.add(rule, 1).unwrap();
        faults
    }

    #[test]
    fn a_rule_fires_where_everything_matches_and_as_often_as_it_may() {
        let ack = StanzaMatch::tag("ack").attr("class", "message");
        let faults = with(
            Rule::new(Action::Lose)
                .account("1")
                .stanza(ack)
                .direction(Direction::ToClient)
                .times(2),
        );
        assert!(!fires(&faults, "2:1", Direction::ToClient));
        assert!(!fires(&faults, "1:1", Direction::FromClient));
        let fired: Vec<bool> = (0..3).map(|_| fires(&faults, "1:1", Direction::ToClient)).collect();
        assert_eq!(fired, [true, true, false]);
        let status = &faults.list()[0];
        assert_eq!((status.matched, status.fired, status.spent), (2, 2, true));
    }

    #[test]
    fn other_stanzas_do_not_match() {
        for stanza in [
            StanzaMatch::tag("receipt"),
            StanzaMatch::tag("ack").attr("class", "receipt"),
            StanzaMatch::tag("ack").child("error"),
        ] {
            let faults = with(Rule::new(Action::Lose).stanza(stanza));
            assert!(!fires(&faults, "1:1", Direction::ToClient));
        }
    }

    #[test]
    fn draws_repeat_with_the_seed_whatever_other_devices_do() {
        let rule = || Rule::new(Action::Lose).probability(0.5, 7);
        let (alone, beside) = (with(rule()), with(rule()));
        let first: Vec<bool> = (0..64).map(|_| fires(&alone, "1:1", Direction::ToClient)).collect();
        let second = (0..64).map(|_| {
            fires(&beside, "2:1", Direction::ToClient);
            fires(&beside, "1:1", Direction::ToClient)
        });
        assert_eq!(first, second.collect::<Vec<_>>());
        assert!(first.contains(&true) && first.contains(&false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_rule_ends_when_its_time_is_over() {
        let faults = with(Rule::new(Action::Lose).lasting(Duration::from_secs(1)));
        assert!(fires(&faults, "1:1", Direction::ToClient));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!fires(&faults, "1:1", Direction::ToClient));
        assert!(faults.list()[0].spent);
    }

    #[test]
    fn a_removed_rule_is_gone() {
        let faults = with(Rule::new(Action::Lose));
        let id = faults.list()[0].id;
        assert!(faults.remove(id) && !faults.remove(id) && !faults.any());
        assert!(!fires(&faults, "1:1", Direction::ToClient));
    }
}
