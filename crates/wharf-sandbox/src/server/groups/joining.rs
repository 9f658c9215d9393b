//! Links by which people join, and requests of those who have to be let in.

use std::sync::Arc;

use wacore_binary::Jid;
use wacore_binary::builder::NodeBuilder;

use super::members::Change;
use super::notices::tell;
use super::shape::participant;
use super::{Actor, Outcome, Refused, members, must_be_admin};
use crate::clock::unix_seconds;
use crate::network::account::Addressing;
use crate::network::groups::{Group, GroupState, Role};
use crate::store::Ticket;

/// What came of following a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joined {
    Member,
    /// An admin has to let the account in.
    Asked,
}

/// The code of the group's link.
pub(crate) fn invite(actor: Actor<'_>, group: &Group) -> Result<String, Refused> {
    let state = group.state();
    must_be_admin(&state, &actor.account.number)?;
    Ok(state.invite.clone())
}

/// Another code; the old one leads nowhere from now on.
pub(crate) fn reset_invite(actor: Actor<'_>, group: &Group) -> Result<(String, Ticket), Refused> {
    let network = actor.network;
    let code = network.invite_code(&actor.account.number);
    let ((), ticket) = network.groups.change(&*network.store, group, |state| {
        must_be_admin(state, &actor.account.number)?;
        state.invite.clone_from(&code);
        Ok(())
    })?;
    Ok((code, ticket))
}

/// Follows a link.
pub(crate) fn join(actor: Actor<'_>, code: &str) -> Result<(Arc<Group>, Joined, Ticket), Refused> {
    let network = actor.network;
    let group = network.groups.by_invite(code).ok_or(Refused::NotFound)?;
    let own = &actor.account.number;
    let (joined, ticket) = network
        .groups
        .change(&*network.store, &group, |state: &mut GroupState| {
            if state.settings.approval && state.role(own).is_none() {
                state.requests.insert(own.clone(), unix_seconds());
                return Ok(Joined::Asked);
            }
            state.members.entry(own.clone()).or_insert(Role::Member);
            Ok::<_, Refused>(Joined::Member)
        })?;
    match joined {
        Joined::Member => {
            let what = NodeBuilder::new("add")
                .attr("reason", "invite")
                .children([participant(actor.account, None)]);
            tell(actor, &group, &group.members(), None, &what.build());
        }
        Joined::Asked => tell_admins(actor, &group),
    }
    Ok((group, joined, ticket))
}

fn tell_admins(actor: Actor<'_>, group: &Group) {
    let state = group.state().clone();
    let admins: Vec<String> = state
        .members
        .keys()
        .filter(|number| state.is_admin(number))
        .cloned()
        .collect();
    let user = NodeBuilder::new("requested_user")
        .attr("jid", actor.account.user_jid(Addressing::Lid))
        .attr("phone_number", actor.account.user_jid(Addressing::Number));
    let what = NodeBuilder::new("created_membership_requests")
        .attr("request_method", "invite_link")
        .children([user.build()]);
    tell(actor, group, &admins, None, &what.build());
}

/// An admin lets accounts in, or turns them away.
pub(crate) fn decide(
    actor: Actor<'_>,
    group: &Group,
    approve: bool,
    jids: &[Jid],
) -> Result<(Vec<Outcome>, Ticket), Refused> {
    let network = actor.network;
    let asked = group.state().requests.clone();
    let waits = |jid: &&Jid| {
        let account = network.directory.by_jid(jid);
        account.is_some_and(|account| asked.contains_key(&account.number))
    };
    if approve {
        let waiting: Vec<Jid> = jids.iter().filter(waits).cloned().collect();
        return members::change(actor, group, Change::Add, &waiting);
    }
    let outcomes: Vec<Outcome> = jids
        .iter()
        .map(|jid| Outcome::of_request(network, jid, &asked))
        .collect();
    let ((), ticket) = network.groups.change(&*network.store, group, |state| {
        must_be_admin(state, &actor.account.number)?;
        for account in outcomes.iter().filter_map(|outcome| outcome.account.as_ref()) {
            state.requests.remove(&account.number);
        }
        Ok(())
    })?;
    Ok((outcomes, ticket))
}
