//! Owns the virtual phones: they keep keys, sessions and chats, link companions, and encrypt and decrypt for real.
//! A phone sees the network only as device 0 of its account: what reaches it lies in its queue until it is online.

pub(crate) mod adv;
pub(crate) mod app_state;
mod bootstrap;
pub(crate) mod chats;
mod compose;
mod content;
mod effects;
pub(crate) mod files;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod group_keys;
mod history;
pub(crate) mod identity;
mod inbox;
pub(crate) mod outbox;
pub(crate) mod pair_code;
pub(crate) mod passkey;
mod report;
mod retries;
pub(crate) mod signal_store;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use rand::rngs::StdRng;

use crate::model::DeviceId;
use crate::network::Network;
use crate::network::account::Account;
use chats::Chats;
use identity::PhoneKeys;
use signal_store::SignalStore;

/// Bootstrap messages kept for companions that ask for one again.
const MAX_PEER_SENT: usize = 64;

/// What a phone keeps for itself.
#[derive(Debug)]
pub(crate) struct Phone {
    pub signal: SignalStore,
    pub chats: Chats,
    /// Messages to own companions that no chat shows, by id, so that a retry can be answered.
    peer_sent: VecDeque<(String, Vec<u8>)>,
    /// By group: who has this phone's key.
    told_keys: HashMap<String, BTreeSet<(String, DeviceId)>>,
}

impl Phone {
    pub(crate) fn new(keys: &PhoneKeys) -> Self {
        Self {
            signal: SignalStore::new(keys),
            chats: Chats::default(),
            peer_sent: VecDeque::new(),
            told_keys: HashMap::new(),
        }
    }

    fn remember_peer_message(&mut self, id: &str, plaintext: &[u8]) {
        if self.peer_sent.len() == MAX_PEER_SENT {
            self.peer_sent.pop_front();
        }
        self.peer_sent.push_back((id.to_owned(), plaintext.to_vec()));
    }

    fn peer_message(&self, id: &str) -> Option<Vec<u8>> {
        self.peer_sent
            .iter()
            .find(|(sent, _)| sent == id)
            .map(|(_, plaintext)| plaintext.clone())
    }
}

/// Lives as long as the sandbox: whenever something waits and the phone is online, it works it off.
pub(crate) async fn run(network: Arc<Network>, account: Arc<Account>) {
    let mut rng = network.rng();
    loop {
        work_off(&network, &account, &mut rng).await;
        tokio::select! {
            () = account.wake.notified() => {}
            () = network.stop.cancelled() => return,
        }
    }
}

/// Does all that waits for the phone, unless it is offline.
async fn work_off(network: &Network, account: &Arc<Account>, rng: &mut StdRng) {
    while account.state().online {
        let greeted = bootstrap::greet_next(network, account, rng).await;
        let received = inbox::receive_next(network, account, rng).await;
        if !greeted && !received {
            return;
        }
    }
}
