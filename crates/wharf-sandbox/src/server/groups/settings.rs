//! Subject, description and switches of a group.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::members::MAX_SUBJECT;
use super::notices::tell;
use super::shape::approval;
use super::{Actor, Refused, may_edit, must_be_admin};
use crate::clock::unix_seconds;
use crate::network::account::Addressing;
use crate::network::groups::{Description, Group, GroupState, Settings};
use crate::store::Ticket;

/// Characters of the longest description, as official clients allow.
const MAX_DESCRIPTION: usize = 2048;

/// A switch, and where it is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    Locked(bool),
    Announcement(bool),
    Approval(bool),
    AllMayAdd(bool),
    /// Seconds; 0 for never.
    Ephemeral(u32),
}

impl Setting {
    pub(crate) fn apply(self, settings: &mut Settings) {
        match self {
            Self::Locked(on) => settings.locked = on,
            Self::Announcement(on) => settings.announcement = on,
            Self::Approval(on) => settings.approval = on,
            Self::AllMayAdd(on) => settings.all_may_add = on,
            Self::Ephemeral(seconds) => settings.ephemeral = seconds,
        }
    }

    fn node(self) -> Node {
        let leaf = |tag| NodeBuilder::new(tag).build();
        match self {
            Self::Locked(on) => leaf(if on { "locked" } else { "unlocked" }),
            Self::Announcement(on) => leaf(if on { "announcement" } else { "not_announcement" }),
            Self::Approval(on) => approval(on),
            Self::AllMayAdd(all) => {
                let mode = if all { "all_member_add" } else { "admin_add" };
                NodeBuilder::new("member_add_mode").string_content(mode).build()
            }
            Self::Ephemeral(0) => leaf("not_ephemeral"),
            Self::Ephemeral(seconds) => NodeBuilder::new("ephemeral").attr("expiration", seconds).build(),
        }
    }
}

pub(crate) fn set(actor: Actor<'_>, group: &Group, setting: Setting) -> Result<Ticket, Refused> {
    let may: fn(&GroupState, &str) -> Result<(), Refused> = match setting {
        Setting::Ephemeral(_) => may_edit,
        _ => must_be_admin,
    };
    edit(
        actor,
        group,
        may,
        |state| setting.apply(&mut state.settings),
        || setting.node(),
    )
}

pub(crate) fn rename(actor: Actor<'_>, group: &Group, subject: &str) -> Result<Ticket, Refused> {
    if subject.is_empty() || subject.chars().count() > MAX_SUBJECT {
        return Err(Refused::NotAcceptable);
    }
    let now = unix_seconds();
    let apply = |state: &mut GroupState| {
        subject.clone_into(&mut state.subject);
        state.subject_by.clone_from(&actor.account.number);
        state.subject_at = now;
    };
    let what = || {
        NodeBuilder::new("subject")
            .attr("subject", subject)
            .attr("s_t", now)
            .attr("s_o", actor.account.user_jid(Addressing::Lid))
            .attr("s_o_pn", actor.account.user_jid(Addressing::Number))
            .build()
    };
    edit(actor, group, may_edit, apply, what)
}

/// A description with its id, or none.
pub(crate) fn describe(actor: Actor<'_>, group: &Group, id: &str, text: Option<&str>) -> Result<Ticket, Refused> {
    if text.is_some_and(|text| text.chars().count() > MAX_DESCRIPTION) {
        return Err(Refused::NotAcceptable);
    }
    let now = unix_seconds();
    let apply = |state: &mut GroupState| {
        state.description = text.map(|text| Description {
            id: id.to_owned(),
            text: text.to_owned(),
            by: actor.account.number.clone(),
            at: now,
        });
    };
    let what = || {
        let inside = match text {
            Some(text) => NodeBuilder::new("body").string_content(text),
            None => NodeBuilder::new("delete"),
        };
        NodeBuilder::new("description")
            .attr("id", id)
            .children([inside.build()])
            .build()
    };
    edit(actor, group, may_edit, apply, what)
}

fn edit(
    actor: Actor<'_>,
    group: &Group,
    may: fn(&GroupState, &str) -> Result<(), Refused>,
    apply: impl FnOnce(&mut GroupState),
    what: impl FnOnce() -> Node,
) -> Result<Ticket, Refused> {
    let network = actor.network;
    let ((), ticket) = network.groups.change(&*network.store, group, |state| {
        may(state, &actor.account.number)?;
        apply(state);
        Ok(())
    })?;
    tell(actor, group, &group.members(), None, &what());
    Ok(ticket)
}
