//! Making groups, and who is in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use super::notices::tell;
use super::shape::{group_node, participant};
use super::{Actor, Refused};
use crate::clock::unix_seconds;
use crate::network::Network;
use crate::network::account::Account;
use crate::network::groups::{Description, Group, GroupState, Role, Settings};
use crate::store::Ticket;

/// Characters of the longest subject, as official clients allow.
pub(super) const MAX_SUBJECT: usize = 100;
/// The largest group, as official servers allow.
const MAX_MEMBERS: usize = 1024;

/// A group to make.
#[derive(Debug, Default)]
pub(crate) struct NewGroup {
    pub subject: String,
    pub members: Vec<Jid>,
    pub settings: Settings,
    /// Its id and its text.
    pub description: Option<(String, String)>,
}

/// What is done to members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Add,
    Remove,
    Promote,
    Demote,
}

/// What became of one account that was named.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub asked: Jid,
    pub account: Option<Arc<Account>>,
    pub code: u16,
}

impl Outcome {
    pub(crate) const DONE: u16 = 200;
    const NOT_ALLOWED: u16 = 403;
    const UNKNOWN: u16 = 404;
    const ALREADY: u16 = 409;
    const FULL: u16 = 419;

    /// Whether an account asked to join.
    pub(super) fn of_request(network: &Network, jid: &Jid, asked: &BTreeMap<String, u64>) -> Self {
        let account = network.directory.by_jid(jid);
        let account = account.filter(|account| asked.contains_key(&account.number));
        Self {
            asked: jid.clone(),
            code: if account.is_some() { Self::DONE } else { Self::UNKNOWN },
            account,
        }
    }
}

impl Change {
    pub(crate) fn named(tag: &str) -> Option<Self> {
        match tag {
            "add" => Some(Self::Add),
            "remove" => Some(Self::Remove),
            "promote" => Some(Self::Promote),
            "demote" => Some(Self::Demote),
            _ => None,
        }
    }

    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Promote => "promote",
            Self::Demote => "demote",
        }
    }
}

/// Makes a group with the actor as its owner. Accounts that do not exist are left out and told of.
pub(crate) fn create(actor: Actor<'_>, new: NewGroup) -> Result<(Arc<Group>, Vec<Outcome>, Ticket), Refused> {
    let (network, own) = (actor.network, &actor.account.number);
    let long = new.subject.chars().count() > MAX_SUBJECT;
    if new.subject.is_empty() || long || new.members.len() >= MAX_MEMBERS {
        return Err(Refused::NotAcceptable);
    }
    let mut members = BTreeMap::from([(own.clone(), Role::Owner)]);
    let mut missing = Vec::new();
    for outcome in named(network, &new.members) {
        match &outcome.account {
            Some(account) => {
                members.entry(account.number.clone()).or_insert(Role::Member);
            }
            None => missing.push(outcome),
        }
    }
    let now = unix_seconds();
    let described = |(id, text)| Description {
        id,
        text,
        by: own.clone(),
        at: now,
    };
    let state = GroupState {
        subject: new.subject,
        subject_by: own.clone(),
        subject_at: now,
        creator: own.clone(),
        created_at: now,
        description: new.description.map(described),
        members,
        invite: network.invite_code(own),
        requests: BTreeMap::new(),
        settings: new.settings,
    };
    let (group, ticket) = network.groups.add(&*network.store, network.group_id(own), state);
    let what = NodeBuilder::new("create")
        .attr("type", "new")
        .children([group_node(network, &group)]);
    tell(actor, &group, &group.members(), Some(actor.device), &what.build());
    Ok((group, missing, ticket))
}

fn named(network: &Network, jids: &[Jid]) -> Vec<Outcome> {
    let find = |jid: &Jid| Outcome {
        asked: jid.clone(),
        account: network.directory.by_jid(jid),
        code: Outcome::UNKNOWN,
    };
    jids.iter().map(find).collect()
}

/// Adds, removes, promotes or demotes. Each account that is named has an outcome of its own.
pub(crate) fn change(
    actor: Actor<'_>,
    group: &Group,
    change: Change,
    jids: &[Jid],
) -> Result<(Vec<Outcome>, Ticket), Refused> {
    let network = actor.network;
    let mut outcomes = named(network, jids);
    let before = group.members();
    let ((), ticket) = network.groups.change(&*network.store, group, |state| {
        may_change(state, &actor.account.number, change)?;
        for outcome in &mut outcomes {
            if let Some(account) = &outcome.account {
                outcome.code = apply(state, change, &account.number);
            }
        }
        Ok(())
    })?;
    let changed: Vec<Arc<Account>> = outcomes
        .iter()
        .filter(|outcome| outcome.code == Outcome::DONE)
        .filter_map(|outcome| outcome.account.clone())
        .collect();
    if !changed.is_empty() {
        tell_of(actor, group, change, &changed, before);
    }
    Ok((outcomes, ticket))
}

fn may_change(state: &GroupState, number: &str, change: Change) -> Result<(), Refused> {
    if change == Change::Add && state.settings.all_may_add && state.role(number).is_some() {
        return Ok(());
    }
    super::must_be_admin(state, number)
}

fn apply(state: &mut GroupState, change: Change, number: &str) -> u16 {
    let role = match (change, state.role(number)) {
        (Change::Add, Some(_)) => return Outcome::ALREADY,
        (Change::Add, None) if state.members.len() >= MAX_MEMBERS => return Outcome::FULL,
        (Change::Add, None) => {
            state.requests.remove(number);
            Role::Member
        }
        (_, None) => return Outcome::UNKNOWN,
        (Change::Remove | Change::Demote, Some(Role::Owner)) => return Outcome::NOT_ALLOWED,
        (Change::Remove, Some(_)) => {
            state.members.remove(number);
            return Outcome::DONE;
        }
        (Change::Promote, Some(role)) => role.max(Role::Admin),
        (Change::Demote, Some(_)) => Role::Member,
    };
    state.members.insert(number.to_owned(), role);
    Outcome::DONE
}

/// Who was in the group before hears of it, and who is in it now.
fn tell_of(actor: Actor<'_>, group: &Group, change: Change, changed: &[Arc<Account>], before: Vec<String>) {
    let participants = changed.iter().map(|account| participant(account, None));
    let what: Node = NodeBuilder::new(change.tag()).children(participants).build();
    let mut told = group.members();
    told.extend(before);
    told.sort();
    told.dedup();
    tell(actor, group, &told, None, &what);
}

/// The actor goes. An owner who goes leaves the group without one.
pub(crate) fn leave(actor: Actor<'_>, group: &Group) -> Result<Ticket, Refused> {
    let network = actor.network;
    let before = group.members();
    let ((), ticket) = network.groups.change(&*network.store, group, |state| {
        let gone = state.members.remove(&actor.account.number);
        gone.map(drop).ok_or(Refused::Forbidden)
    })?;
    tell_of(
        actor,
        group,
        Change::Remove,
        std::slice::from_ref(actor.account),
        before,
    );
    Ok(ticket)
}

/// Puts a member's new account in the place of the old one, which is the actor.
pub(crate) fn replace_member(actor: Actor<'_>, group: &Group, new: &Arc<Account>) {
    let (network, old) = (actor.network, &actor.account.number);
    let replace = |number: &mut String| {
        if number == old {
            number.clone_from(&new.number);
        }
    };
    let changed = network.groups.change(&*network.store, group, |state| {
        if let Some(role) = state.members.remove(old) {
            state.members.insert(new.number.clone(), role);
        }
        replace(&mut state.creator);
        replace(&mut state.subject_by);
        if let Some(description) = &mut state.description {
            replace(&mut description.by);
        }
        Ok::<_, Refused>(())
    });
    if changed.is_ok() {
        let what = NodeBuilder::new("modify").children([participant(new, None)]);
        tell(actor, group, &group.members(), None, &what.build());
    }
}
