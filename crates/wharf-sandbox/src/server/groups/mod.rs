//! What can be done with groups, by clients and by phones: who may do it, what changes, and who hears of it
//! (protocol brief, section 12). Groups are addressed by hidden identifier.

mod joining;
mod members;
mod notices;
mod settings;
mod shape;

pub(crate) use joining::{Joined, decide, invite, join, reset_invite};
pub(crate) use members::{Change, NewGroup, Outcome, change, create, leave, replace_member};
pub(crate) use settings::{Setting, describe, rename, set};
pub(crate) use shape::{group_node, outcome_node};

use std::sync::Arc;

use crate::model::DeviceId;
use crate::network::Network;
use crate::network::account::Account;
use crate::network::groups::{Group, GroupState};

/// Who does it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Actor<'a> {
    pub network: &'a Network,
    pub account: &'a Arc<Account>,
    /// 0 is the phone.
    pub device: DeviceId,
}

/// Why it is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("only admins may do that")]
    NotAuthorized,
    #[error("only members may do that")]
    Forbidden,
    #[error("there is no such group, member or link")]
    NotFound,
    #[error("that makes no sense")]
    NotAcceptable,
}

impl Refused {
    /// Code and text of the error that clients get.
    pub(crate) fn wire(self) -> (u16, &'static str) {
        match self {
            Self::NotAuthorized => (401, "not-authorized"),
            Self::Forbidden => (403, "forbidden"),
            Self::NotFound => (404, "item-not-found"),
            Self::NotAcceptable => (406, "not-acceptable"),
        }
    }
}

/// The group, if the account is in it.
pub(crate) fn of_member(network: &Network, number: &str, jid: &wacore_binary::Jid) -> Result<Arc<Group>, Refused> {
    let group = network.groups.by_jid(jid).ok_or(Refused::NotFound)?;
    let member = group.state().role(number).is_some();
    member.then_some(group).ok_or(Refused::Forbidden)
}

/// Members may, unless the group is locked: then admins only.
fn may_edit(state: &GroupState, number: &str) -> Result<(), Refused> {
    match state.role(number) {
        None => Err(Refused::Forbidden),
        Some(_) if state.settings.locked && !state.is_admin(number) => Err(Refused::NotAuthorized),
        Some(_) => Ok(()),
    }
}

fn must_be_admin(state: &GroupState, number: &str) -> Result<(), Refused> {
    match state.role(number) {
        None => Err(Refused::Forbidden),
        Some(_) if !state.is_admin(number) => Err(Refused::NotAuthorized),
        Some(_) => Ok(()),
    }
}
