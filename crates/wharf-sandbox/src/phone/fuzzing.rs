//! What a phone does with bytes of others, for fuzzing.

use std::sync::Arc;

use rand::rngs::StdRng;
use wacore::messages::decode_plaintext;
use wacore_binary::Jid;

use super::inbox::{self, Head};
use super::signal_store::address;
use super::{files, group_keys};
use crate::network::Network;
use crate::network::account::{Account, Addressing};
use crate::wire::ciphertext::label;

const CIPHERTEXTS: [&str; 3] = ["pkmsg", "msg", "skmsg"];

/// Does all that waits for the phone.
pub(crate) async fn work_off(network: &Network, account: &Arc<Account>) {
    super::work_off(network, account, &mut network.rng()).await;
}

/// A message that decrypted to these bytes, from a device of each of these accounts, alone and in a group.
pub(crate) async fn read_plaintext(network: &Network, account: &Arc<Account>, senders: &[&Arc<Account>], bytes: &[u8]) {
    let Ok(message) = decode_plaintext(bytes, 2) else {
        return;
    };
    let mut rng = network.rng();
    for (sender, group) in senders
        .iter()
        .flat_map(|sender| [(sender, None), (sender, Some(Jid::group("1")))])
    {
        let head = Head {
            id: format!("{}-{}", sender.number, group.is_some()),
            from: sender.device_jid(Addressing::Lid, 1),
            group,
            sender: Arc::clone(sender),
            device: 1,
            at: 0,
            observed: None,
        };
        let mut phone = account.phone.lock().await;
        let mut batch = network.store.batch();
        inbox::take(
            network,
            account,
            &mut phone,
            &head,
            message.clone(),
            &mut batch,
            &mut rng,
        )
        .await;
        if let Some(stored) = phone.chats.by_id(&head.id) {
            let _no_such_file = files::open(network, &stored.content());
        }
    }
}

/// A ciphertext of somebody with these bytes, of each kind, and the same bytes as the key of a group.
pub(crate) async fn read_ciphertext(account: &Account, sender: &Arc<Account>, bytes: &[u8], rng: &mut StdRng) {
    let mut phone = account.phone.lock().await;
    for kind in CIPHERTEXTS {
        let _nothing = label(kind, bytes);
        let opened = phone
            .signal
            .open(account, &address(sender, 1), (kind, bytes), rng)
            .await;
        drop(opened);
    }
    let name = group_keys::name("1@g.us", sender, 1);
    let learned = phone.signal.learn_sender_key(&name, bytes).await;
    let opened = phone.signal.open_from_group(&name, bytes).await;
    drop((learned, opened));
}
