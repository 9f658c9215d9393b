//! Sender keys: a phone seals a message to a group once, and gives its key to each device that does not have it yet.

use std::collections::BTreeSet;
use std::sync::Arc;

use rand::rngs::StdRng;
use wacore::messages::MessageUtils;
use wacore_binary::Node;
use wacore_libsignal::protocol::SenderKeyName;
use waproto::whatsapp::Message;
use waproto::whatsapp::message::SenderKeyDistributionMessage;

use super::Phone;
use super::outbox::{Copy, seal, sealed_node};
use super::signal_store::address;
use crate::error::SandboxError;
use crate::model::DeviceId;
use crate::network::Network;
use crate::network::account::Account;
use crate::network::groups::Group;

/// Under what the key of a device for a group is kept.
pub(super) fn name(group: &str, account: &Account, device: DeviceId) -> SenderKeyName {
    SenderKeyName::from_parts(group, address(account, device).as_str())
}

/// Seals a message for everybody's devices but this phone.
pub(super) async fn seal_for_group(
    network: &Network,
    account: &Arc<Account>,
    phone: &mut Phone,
    group: &Group,
    message: &Message,
    rng: &mut StdRng,
) -> Result<Vec<Copy>, SandboxError> {
    let members = group.members();
    let members = members.iter().filter_map(|number| network.directory.by_number(number));
    let devices: Vec<(Arc<Account>, DeviceId)> = members
        .flat_map(|member| {
            let devices = member.state().device_ids();
            devices.into_iter().map(move |device| (Arc::clone(&member), device))
        })
        .filter(|(member, device)| member.number != account.number || *device != 0)
        .collect();
    let jid = group.jid().to_string();
    let present = devices
        .iter()
        .map(|(member, device)| (member.number.clone(), *device))
        .collect();
    phone.forget_key_of_left(&jid, account, &present);
    let key = key_message(phone, &jid, account, rng).await?;
    let key = MessageUtils::encode_and_pad(&key);
    let plaintext = MessageUtils::encode_and_pad(message);
    let common = phone
        .signal
        .seal_for_group(&name(&jid, account, 0), &plaintext, rng)
        .await;
    let common = sealed_node(&common?, 0);
    let mut copies = Vec::with_capacity(devices.len());
    for (member, device) in devices {
        let mut nodes = key_for(network, phone, (&jid, &key), (&member, device), rng).await;
        nodes.push(common.clone());
        copies.push(Copy {
            account: member,
            device,
            nodes,
        });
    }
    Ok(copies)
}

/// The phone's key for a group as a message, made when there is none.
pub(super) async fn key_message(
    phone: &mut Phone,
    group: &str,
    account: &Account,
    rng: &mut StdRng,
) -> Result<Message, SandboxError> {
    let key = phone.signal.sender_key(&name(group, account, 0), rng).await?;
    Ok(Message {
        sender_key_distribution_message: buffa::MessageField::some(SenderKeyDistributionMessage {
            group_id: Some(group.to_owned()),
            axolotl_sender_key_distribution_message: Some(key),
        }),
        ..Default::default()
    })
}

/// Nothing for a device that has the key. One that it cannot be sealed for does without, and will ask.
async fn key_for(
    network: &Network,
    phone: &mut Phone,
    (group, key): (&str, &[u8]),
    (member, device): (&Arc<Account>, DeviceId),
    rng: &mut StdRng,
) -> Vec<Node> {
    let told = (member.number.clone(), device);
    if phone.told_keys(group).contains(&told) {
        return Vec::new();
    }
    match seal(network, phone, member, device, key, rng).await {
        Ok(sealed) => {
            phone.told_keys(group).insert(told);
            vec![sealed_node(&sealed, 0)]
        }
        Err(failure) => {
            tracing::warn!(error = %failure, device, "a phone could not give its group key to a device");
            Vec::new()
        }
    }
}

impl Phone {
    /// The devices that got this phone's key for a group since the sandbox was started.
    fn told_keys(&mut self, group: &str) -> &mut BTreeSet<(String, DeviceId)> {
        self.told_keys.entry(group.to_owned()).or_default()
    }

    /// Whoever left must not read on: then a new key is made, and everybody gets it.
    fn forget_key_of_left(&mut self, group: &str, account: &Account, present: &BTreeSet<(String, DeviceId)>) {
        if !self.told_keys(group).is_subset(present) {
            self.told_keys(group).clear();
            self.signal.forget_sender_key(&name(group, account, 0));
        }
    }
}
