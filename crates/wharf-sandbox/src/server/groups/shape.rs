//! How groups and their members are written.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::Outcome;
use crate::network::Network;
use crate::network::account::{Account, Addressing};
use crate::network::groups::{Group, GroupState, Role};

/// `<group>` with everything that a member may know.
pub(crate) fn group_node(network: &Network, group: &Group) -> Node {
    let state = group.state().clone();
    let jid_of = |number: &str, addressing| {
        let account = network.directory.by_number(number);
        account.map(|account| account.user_jid(addressing))
    };
    let mut node = NodeBuilder::new("group")
        .attr("id", group.id.as_str())
        .attr("subject", state.subject.as_str())
        .attr("s_t", state.subject_at)
        .attr("creation", state.created_at)
        .attr("addressing_mode", "lid")
        .attr("size", state.members.len());
    for (by, names) in [
        (&state.subject_by, ["s_o", "s_o_pn"]),
        (&state.creator, ["creator", "creator_pn"]),
    ] {
        for (name, addressing) in names.into_iter().zip([Addressing::Lid, Addressing::Number]) {
            if let Some(jid) = jid_of(by, addressing) {
                node = node.attr(name, jid);
            }
        }
    }
    let members = state.members.iter().filter_map(|(number, role)| {
        let account = network.directory.by_number(number)?;
        Some(participant(&account, Some(*role)))
    });
    let members: Vec<Node> = members.collect();
    node.children(members.into_iter().chain(features(network, &state)))
        .build()
}

/// What stands beside the members; what is off is left out.
fn features(network: &Network, state: &GroupState) -> Vec<Node> {
    let settings = state.settings;
    let leaf = |tag| NodeBuilder::new(tag).build();
    let add_mode = if settings.all_may_add {
        "all_member_add"
    } else {
        "admin_add"
    };
    let mut nodes = vec![NodeBuilder::new("member_add_mode").string_content(add_mode).build()];
    if settings.locked {
        nodes.push(leaf("locked"));
    }
    if settings.announcement {
        nodes.push(leaf("announcement"));
    }
    if settings.ephemeral > 0 {
        nodes.push(
            NodeBuilder::new("ephemeral")
                .attr("expiration", settings.ephemeral)
                .build(),
        );
    }
    if settings.approval {
        nodes.push(approval(true));
    }
    if let Some(description) = &state.description {
        let body = NodeBuilder::new("body")
            .string_content(description.text.as_str())
            .build();
        let mut node = NodeBuilder::new("description")
            .attr("id", description.id.as_str())
            .attr("t", description.at);
        if let Some(author) = network.directory.by_number(&description.by) {
            node = node
                .attr("participant", author.user_jid(Addressing::Lid))
                .attr("participant_pn", author.user_jid(Addressing::Number));
        }
        nodes.push(node.children([body]).build());
    }
    nodes
}

pub(super) fn approval(on: bool) -> Node {
    let state = NodeBuilder::new("group_join").attr("state", if on { "on" } else { "off" });
    NodeBuilder::new("membership_approval_mode")
        .children([state.build()])
        .build()
}

/// `<participant>` under both of its names.
pub(super) fn participant(account: &Account, role: Option<Role>) -> Node {
    let node = NodeBuilder::new("participant")
        .attr("jid", account.user_jid(Addressing::Lid))
        .attr("phone_number", account.user_jid(Addressing::Number));
    match role {
        Some(Role::Owner) => node.attr("type", "superadmin"),
        Some(Role::Admin) => node.attr("type", "admin"),
        Some(Role::Member) | None => node,
    }
    .build()
}

/// What became of one of the members that a client named. Clients look for `error`; some for `type`, which is 200 then.
pub(crate) fn outcome_node(outcome: &Outcome) -> Node {
    let node = match &outcome.account {
        Some(account) => NodeBuilder::new("participant")
            .attr("jid", account.user_jid(Addressing::Lid))
            .attr("phone_number", account.user_jid(Addressing::Number)),
        None => NodeBuilder::new("participant").attr("jid", &outcome.asked),
    };
    let name = if outcome.code == Outcome::DONE { "type" } else { "error" };
    node.attr(name, outcome.code).build()
}
