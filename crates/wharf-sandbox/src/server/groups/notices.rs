//! Who hears what happened to a group.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::Actor;
use crate::clock::unix_seconds;
use crate::model::DeviceId;
use crate::network::account::Addressing;
use crate::network::groups::Group;
use crate::server::notifications::tell_companions;

/// Tells the companions of these accounts. `except` is a device of the actor that knows already.
pub(super) fn tell(actor: Actor<'_>, group: &Group, told: &[String], except: Option<DeviceId>, what: &Node) {
    let network = actor.network;
    let name = actor.account.state().name.clone();
    for account in told.iter().filter_map(|number| network.directory.by_number(number)) {
        let id = network.stanza_id(&account.number);
        let notice = NodeBuilder::new("notification")
            .attr("from", group.jid())
            .attr("type", "w:gp2")
            .attr("id", id.as_str())
            .attr("t", unix_seconds())
            .attr("participant", actor.account.user_jid(Addressing::Lid))
            .attr("participant_pn", actor.account.user_jid(Addressing::Number))
            .attr("notify", name.as_str())
            .attr("addressing_mode", "lid")
            .children([what.clone()])
            .build();
        let except = except.filter(|_| account.number == actor.account.number);
        tell_companions(network, &account, except, &id, &notice);
    }
}
