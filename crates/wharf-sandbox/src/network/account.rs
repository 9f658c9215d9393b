//! One account: the names it goes by, its phone, and what the server keeps for it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;
use wacore_binary::{Jid, Server};

use super::Network;
use super::contacts::{Contact, ContactRules};
use super::device::Device;
use super::queue::{Class, Queue, Queued};
use super::records;
use super::session::Session;
use crate::model::{Ban, Changed, DeviceId, LinkedDevice, PhoneDetail, PhoneInfo};
use crate::phone::Phone;
use crate::phone::identity::PhoneKeys;
use crate::phone::passkey::Passkey;
use crate::store::{Batch, Kind, Ticket};

/// Which of an account's two names a conversation uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Addressing {
    Number,
    Lid,
}

impl Addressing {
    pub(crate) fn of(jid: &Jid) -> Self {
        if jid.server == Server::Lid {
            Self::Lid
        } else {
            Self::Number
        }
    }

    pub(crate) fn other(self) -> Self {
        match self {
            Self::Number => Self::Lid,
            Self::Lid => Self::Number,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Account {
    pub number: String,
    pub lid: String,
    pub keys: PhoneKeys,
    /// What the phone itself keeps: sessions and chats. Held while it encrypts or decrypts.
    pub phone: tokio::sync::Mutex<Phone>,
    /// Something waits for the phone.
    pub wake: Notify,
    /// Notified whenever the phone's chats changed.
    pub shown: Notify,
    state: Mutex<AccountState>,
}

/// What the server keeps for an account.
#[derive(Debug, Default)]
pub(crate) struct AccountState {
    pub name: String,
    /// What the first client that registered with it called its owner, when that chose the account.
    pub registered_as: Option<String>,
    /// The account has another number now; this one is never given again.
    pub retired: bool,
    /// The phone confirms nothing.
    pub silent: bool,
    /// Companions must get its signature before they are linked.
    pub passkey: Option<Passkey>,
    /// What the phone shows while a companion links by passkey: the companion must show the same.
    pub linking_code: Option<String>,
    pub about: String,
    pub picture: Option<Picture>,
    /// Whether the phone is reachable.
    pub online: bool,
    pub ban: Option<Ban>,
    pub next_device: DeviceId,
    pub next_key_index: u32,
    pub devices: BTreeMap<DeviceId, Device>,
    /// What waits for the phone itself.
    pub inbox: Queue,
    /// Private halves of the one-time pre-keys the phone gave out.
    pub given_keys: HashMap<u32, [u8; 32]>,
    pub next_given_key: u32,
    /// Patches of each app-state collection; the first one is version 1.
    pub collections: BTreeMap<String, Vec<Bytes>>,
    /// What setters stored, by question and name.
    pub settings: BTreeMap<String, String>,
    /// Devices of others that want to hear when this account comes and goes, and how they call it. Forgotten when they
    /// or the sandbox go.
    pub subscribers: BTreeMap<(String, DeviceId), Jid>,
    /// What subscribers were told last.
    pub told_available: bool,
    /// When the account was last available, in seconds since 1970.
    pub last_seen: Option<u64>,
    /// "Typing" that devices may still hear when they come back, by who types.
    pub chat_states: HashMap<String, (Instant, Bytes)>,
    /// How strangers are treated.
    pub rules: ContactRules,
    /// By number.
    pub contacts: BTreeMap<String, Contact>,
    /// Accounts that asked for this account's devices and want to hear of changes.
    pub watchers: BTreeSet<String>,
    /// The signed list of valid devices, until a device comes or goes.
    pub key_index_list: Option<SignedDevices>,
}

/// What an account shows of itself.
#[derive(Debug, Clone)]
pub(crate) struct Picture {
    /// Another one for every picture.
    pub id: String,
    pub bytes: Bytes,
}

#[derive(Debug, Clone)]
pub(crate) struct SignedDevices {
    pub bytes: Vec<u8>,
    pub at: u64,
}

impl Account {
    pub(crate) fn new(number: String, lid: String, keys: PhoneKeys, state: AccountState, phone: Phone) -> Self {
        Self {
            number,
            lid,
            keys,
            phone: tokio::sync::Mutex::new(phone),
            wake: Notify::new(),
            shown: Notify::new(),
            state: Mutex::new(state),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, AccountState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn user_jid(&self, addressing: Addressing) -> Jid {
        match addressing {
            Addressing::Number => Jid::pn(self.number.as_str()),
            Addressing::Lid => Jid::lid(self.lid.as_str()),
        }
    }

    pub(crate) fn device_jid(&self, addressing: Addressing, device: DeviceId) -> Jid {
        self.user_jid(addressing).with_device(device)
    }

    /// Tells whoever watches that a chat of the phone changed.
    pub(crate) fn announce_chat(&self, network: &Network, chat: String) {
        self.shown.notify_waiters();
        network.announce(&self.number, Changed::Chat { chat });
    }

    pub(crate) fn info(&self) -> PhoneInfo {
        PhoneInfo {
            phone: self.number.clone(),
            lid: self.lid.clone(),
            name: self.state().name.clone(),
        }
    }

    pub(crate) fn detail(&self) -> PhoneDetail {
        let info = self.info();
        let state = self.state();
        let devices = state.devices.values().map(|device| LinkedDevice {
            device: device.id,
            platform: device.platform.clone(),
            online: device.session.is_some(),
        });
        PhoneDetail {
            info,
            online: state.online,
            ban: state.ban,
            linking_code: state.linking_code.clone(),
            devices: devices.collect(),
        }
    }

    /// Puts a stanza into a device's queue (0 is the phone) and wakes whoever serves it.
    /// `None` when there is no such device.
    pub(crate) fn deliver(&self, network: &Network, device: DeviceId, stanza: &Stanza) -> Option<Ticket> {
        let mut state = self.state();
        let mut batch = network.store.batch();
        let session = state.enqueue(&self.number, device, stanza, &mut batch)?;
        let ticket = network.store.submit(batch);
        state.stamp_last(device, ticket);
        drop(state);
        match session {
            Some(session) => session.wake.notify_one(),
            None if device == 0 => self.wake.notify_one(),
            None => {}
        }
        Some(ticket)
    }

    /// Removes what a device acknowledged.
    pub(crate) fn acknowledge(&self, network: &Network, device: DeviceId, class: Class, ids: &[String]) -> Ticket {
        let mut state = self.state();
        let mut batch = network.store.batch();
        if let Some(queue) = state.queue(device) {
            for sequence in ids.iter().flat_map(|id| queue.acknowledge(class, id)) {
                batch.delete(Kind::Stanza, || records::stanza_key(&self.number, device, sequence));
            }
        }
        network.store.submit(batch)
    }

    /// Writes the account's own record after a change of what it holds.
    pub(crate) fn save(&self, state: &AccountState, batch: &mut Batch) {
        batch.put(
            Kind::Account,
            || self.number.clone(),
            || records::encode_account(self, state),
        );
    }

    pub(crate) fn save_device(&self, device: &Device, batch: &mut Batch) {
        batch.put(
            Kind::Device,
            || records::device_key(&self.number, device.id),
            || records::encode_device(device),
        );
    }
}

/// A stanza on its way into a queue.
#[derive(Debug, Clone)]
pub(crate) struct Stanza {
    pub class: Class,
    pub id: String,
    pub bytes: Bytes,
    /// The line of the stanza log that this was copied from.
    pub observed: Option<u64>,
}

impl AccountState {
    pub(crate) fn queue(&mut self, device: DeviceId) -> Option<&mut Queue> {
        if device == 0 {
            Some(&mut self.inbox)
        } else {
            self.devices.get_mut(&device).map(|found| &mut found.queue)
        }
    }

    /// Every device id of the account, the phone included.
    pub(crate) fn device_ids(&self) -> Vec<DeviceId> {
        std::iter::once(0).chain(self.devices.keys().copied()).collect()
    }

    /// Whether the account shows this to nobody. Contacts are what phones keep to themselves: `contacts` is taken for all.
    pub(crate) fn hides(&self, what: &str) -> bool {
        let setting = |name: &str| self.settings.get(&format!("privacy/{name}")).map(String::as_str);
        match setting(what) {
            Some("match_last_seen") => setting("last") == Some("none"),
            value => value == Some("none"),
        }
    }

    /// How many chats the account started.
    pub(crate) fn started_chats(&self) -> u32 {
        let started = self.contacts.values().filter(|contact| contact.started);
        u32::try_from(started.count()).unwrap_or(u32::MAX)
    }

    /// The connection of a device, if it is connected.
    pub(crate) fn session(&self, device: DeviceId) -> Option<Arc<Session>> {
        self.devices.get(&device).and_then(|found| found.session.clone())
    }

    fn enqueue(
        &mut self,
        number: &str,
        device: DeviceId,
        stanza: &Stanza,
        batch: &mut Batch,
    ) -> Option<Option<Arc<Session>>> {
        let session = self.session(device);
        let queue = self.queue(device)?;
        let queued = Queued {
            sequence: queue.next_sequence(),
            class: stanza.class,
            id: stanza.id.clone(),
            bytes: stanza.bytes.clone(),
            observed: stanza.observed,
            after: 0,
        };
        batch.put(
            Kind::Stanza,
            || records::stanza_key(number, device, queued.sequence),
            || records::encode_stanza(&queued),
        );
        if let Some(dropped) = queue.push(queued) {
            batch.delete(Kind::Stanza, || records::stanza_key(number, device, dropped));
        }
        Some(session)
    }

    fn stamp_last(&mut self, device: DeviceId, ticket: Ticket) {
        if let Some(queue) = self.queue(device) {
            queue.stamp_last(ticket);
        }
    }
}
