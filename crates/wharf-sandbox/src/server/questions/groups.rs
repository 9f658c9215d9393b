//! Questions about groups, to `@g.us` or to a group.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeRef};

use super::Question;
use crate::network::account::Addressing;
use crate::network::groups::{Group, Settings};
use crate::server::groups::{self, Actor, Change, Joined, NewGroup, Outcome, Refused, Setting};
use crate::server::{Client, Reply};
use crate::store::Ticket;
use crate::wire::node::{attr_is, children, content_bytes, jid_attr, text_attr};

/// What a question leads to: the child of the answer, if it has one, and when that may be shown.
type Answered = Result<(Option<Node>, Ticket), Refused>;

/// `None` when the question is not imitated.
pub(super) fn answer(client: &Client, question: &Question<'_>) -> Option<Reply> {
    let (to, child) = (jid_attr(question.node, "to")?, question.child?);
    let asked = Asked {
        actor: Actor {
            network: &client.network,
            account: &client.account,
            device: client.device,
        },
        set: question.kind == "set",
        child,
    };
    let answered = if to.user.is_empty() {
        asked.of_all_groups()?
    } else {
        asked.of_group(&to)?
    };
    Some(match answered {
        Ok((Some(child), after)) => Reply {
            after,
            ..question.found(child)
        },
        Ok((None, after)) => Reply {
            after,
            ..question.done()
        },
        Err(refused) => {
            let (code, text) = refused.wire();
            question.refuse(code, text)
        }
    })
}

struct Asked<'q> {
    actor: Actor<'q>,
    set: bool,
    child: &'q NodeRef<'q>,
}

impl Asked<'_> {
    fn of_all_groups(&self) -> Option<Answered> {
        match (self.set, &*self.child.tag) {
            (false, "participating") => Some(Ok((Some(self.participating()), 0))),
            (false, "invite") => Some(self.invited_to()),
            (true, "create") => Some(self.create()),
            (true, "leave") => Some(self.leave()),
            (true, "invite") => Some(self.join()),
            _ => None,
        }
    }

    fn of_group(&self, to: &Jid) -> Option<Answered> {
        let operation: fn(&Self, &Group) -> Answered = match (self.set, &*self.child.tag) {
            (false, "query") => |asked, group| Ok((Some(groups::group_node(asked.actor.network, group)), 0)),
            (false, "invite") => |asked, group| Ok((Some(invite_node(&groups::invite(asked.actor, group)?)), 0)),
            (false, "membership_approval_requests") => Self::requests,
            (true, "invite") => |asked, group| {
                let (code, after) = groups::reset_invite(asked.actor, group)?;
                Ok((Some(invite_node(&code)), after))
            },
            (true, "add" | "remove" | "promote" | "demote") => Self::change_members,
            (true, "membership_requests_action") => Self::decide,
            (true, "subject") => Self::rename,
            (true, "description") => Self::describe,
            (true, _) if setting(self.child).is_some() => Self::change_setting,
            _ => return None,
        };
        let group = groups::of_member(self.actor.network, &self.actor.account.number, to);
        Some(group.and_then(|group| operation(self, &group)))
    }

    fn participating(&self) -> Node {
        let network = self.actor.network;
        let own = network.groups.of_member(&self.actor.account.number);
        let nodes = own.iter().map(|group| groups::group_node(network, group));
        NodeBuilder::new("groups").children(nodes).build()
    }

    fn create(&self) -> Answered {
        let child = self.child;
        let mut settings = Settings::default();
        for setting in children(child).iter().filter_map(setting) {
            setting.apply(&mut settings);
        }
        let new = NewGroup {
            subject: text_attr(child, "subject").unwrap_or_default(),
            members: participants(child),
            settings,
            description: child.get_optional_child("description").and_then(description),
        };
        let (group, missing, after) = groups::create(self.actor, new)?;
        let mut node = groups::group_node(self.actor.network, &group);
        if let Some(wacore_binary::NodeContent::Nodes(nodes)) = &mut node.content {
            nodes.extend(missing.iter().map(groups::outcome_node));
        }
        Ok((Some(node), after))
    }

    /// Each group that is named; that it was left is told of each.
    fn leave(&self) -> Answered {
        let mut after = 0;
        let mut left = Vec::new();
        for id in children(self.child).iter().filter_map(|group| text_attr(group, "id")) {
            let jid = if id.contains('@') {
                id.parse().map_err(|_| Refused::NotFound)?
            } else {
                Jid::group(id.as_str())
            };
            let group = groups::of_member(self.actor.network, &self.actor.account.number, &jid)?;
            after = after.max(groups::leave(self.actor, &group)?);
            left.push(NodeBuilder::new("group").attr("id", id).build());
        }
        Ok((Some(NodeBuilder::new("leave").children(left).build()), after))
    }

    fn invited_to(&self) -> Answered {
        let code = text_attr(self.child, "code").unwrap_or_default();
        let network = self.actor.network;
        let group = network.groups.by_invite(&code).ok_or(Refused::NotFound)?;
        Ok((Some(groups::group_node(network, &group)), 0))
    }

    fn join(&self) -> Answered {
        let code = text_attr(self.child, "code").unwrap_or_default();
        let (group, joined, after) = groups::join(self.actor, &code)?;
        let tag = match joined {
            Joined::Member => "group",
            Joined::Asked => "membership_approval_request",
        };
        Ok((Some(NodeBuilder::new(tag).attr("jid", group.jid()).build()), after))
    }

    fn change_members(&self, group: &Group) -> Answered {
        let change = Change::named(&self.child.tag).ok_or(Refused::NotAcceptable)?;
        let (outcomes, after) = groups::change(self.actor, group, change, &participants(self.child))?;
        Ok((Some(outcomes_node(change.tag(), &outcomes)), after))
    }

    fn requests(&self, group: &Group) -> Answered {
        let network = self.actor.network;
        let requests = group.state().requests.clone();
        let nodes = requests.iter().filter_map(|(number, at)| {
            let account = network.directory.by_number(number)?;
            let node = NodeBuilder::new("membership_approval_request")
                .attr("jid", account.user_jid(Addressing::Lid))
                .attr("phone_number", account.user_jid(Addressing::Number))
                .attr("request_method", "invite_link")
                .attr("request_time", *at);
            Some(node.build())
        });
        let nodes: Vec<Node> = nodes.collect();
        let found = NodeBuilder::new("membership_approval_requests").children(nodes);
        Ok((Some(found.build()), 0))
    }

    fn decide(&self, group: &Group) -> Answered {
        let action = children(self.child).first().ok_or(Refused::NotAcceptable)?;
        let approve = match &*action.tag {
            "approve" => true,
            "reject" => false,
            _ => return Err(Refused::NotAcceptable),
        };
        let (outcomes, after) = groups::decide(self.actor, group, approve, &participants(action))?;
        let decided = outcomes_node(if approve { "approve" } else { "reject" }, &outcomes);
        let found = NodeBuilder::new("membership_requests_action").children([decided]);
        Ok((Some(found.build()), after))
    }

    fn rename(&self, group: &Group) -> Answered {
        let subject = content_bytes(self.child).and_then(|bytes| String::from_utf8(bytes).ok());
        let after = groups::rename(self.actor, group, &subject.unwrap_or_default())?;
        Ok((None, after))
    }

    fn describe(&self, group: &Group) -> Answered {
        let text = if attr_is(self.child, "delete", "true") {
            None
        } else {
            Some(description(self.child).ok_or(Refused::NotAcceptable)?.1)
        };
        let id = text_attr(self.child, "id").unwrap_or_default();
        let after = groups::describe(self.actor, group, &id, text.as_deref())?;
        Ok((None, after))
    }

    fn change_setting(&self, group: &Group) -> Answered {
        let setting = setting(self.child).ok_or(Refused::NotAcceptable)?;
        Ok((None, groups::set(self.actor, group, setting)?))
    }
}

fn invite_node(code: &str) -> Node {
    NodeBuilder::new("invite").attr("code", code).build()
}

fn outcomes_node(tag: &'static str, outcomes: &[Outcome]) -> Node {
    let nodes = outcomes.iter().map(groups::outcome_node);
    NodeBuilder::new(tag).children(nodes).build()
}

fn participants(node: &NodeRef<'_>) -> Vec<Jid> {
    let participants = children(node).iter().filter(|child| child.tag == "participant");
    participants.filter_map(|child| jid_attr(child, "jid")).collect()
}

/// Id and text.
fn description(node: &NodeRef<'_>) -> Option<(String, String)> {
    let body = content_bytes(node.get_optional_child("body")?)?;
    Some((text_attr(node, "id").unwrap_or_default(), String::from_utf8(body).ok()?))
}

/// The switch that a node puts, in a question of its own or when a group is made.
fn setting(node: &NodeRef<'_>) -> Option<Setting> {
    match &*node.tag {
        "locked" => Some(Setting::Locked(true)),
        "unlocked" => Some(Setting::Locked(false)),
        "announcement" => Some(Setting::Announcement(true)),
        "not_announcement" => Some(Setting::Announcement(false)),
        "not_ephemeral" => Some(Setting::Ephemeral(0)),
        "ephemeral" => text_attr(node, "expiration")?.parse().ok().map(Setting::Ephemeral),
        "membership_approval_mode" => {
            let join = node.get_optional_child("group_join")?;
            Some(Setting::Approval(attr_is(join, "state", "on")))
        }
        "member_add_mode" => Some(Setting::AllMayAdd(content_bytes(node)? == b"all_member_add")),
        _ => None,
    }
}
