//! Builds the accounts from the records of an earlier run.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::Network;
use super::account::{Account, AccountState};
use super::records::{self, corrupt};
use crate::error::StoreError;
use crate::model::DeviceId;
use crate::phone::Phone;
use crate::phone::chats::StoredMessage;
use crate::phone::identity::PhoneKeys;
use crate::store::{Kind, Record};

/// An account while its records are read.
struct Draft {
    lid: String,
    keys: PhoneKeys,
    state: AccountState,
    phone: Phone,
}

/// Puts every account of the records into the directory, and groups and files in their places. Records come ordered by
/// kind, accounts before what is theirs; what belongs to an account that is gone is skipped.
pub(crate) fn restore(records: &[Record], network: &Network) -> Result<(), StoreError> {
    let (shared, of_accounts): (Vec<&Record>, Vec<&Record>) = records
        .iter()
        .partition(|record| matches!(record.kind, Kind::Network | Kind::Media | Kind::Group));
    for record in shared {
        restore_shared(record, network)?;
    }
    let mut drafts: BTreeMap<String, Draft> = BTreeMap::new();
    for record in of_accounts {
        let (number, rest) = record.key.split_once('/').unwrap_or((&record.key, ""));
        if record.kind == Kind::Account {
            drafts.insert(number.to_owned(), read_account(record)?);
        } else if let Some(draft) = drafts.get_mut(number) {
            draft.add(record, rest)?;
        }
    }
    for (number, draft) in drafts {
        let retired = draft.state.retired;
        let account = Account::new(number, draft.lid, draft.keys, draft.state, draft.phone);
        if retired {
            network.directory.retire(&account);
        } else {
            network.directory.insert(Arc::new(account));
        }
    }
    Ok(())
}

fn restore_shared(record: &Record, network: &Network) -> Result<(), StoreError> {
    match record.kind {
        Kind::Media => {
            let (path, bytes) = records::decode_media(record)?;
            network.media.restore(&record.key, path, bytes);
        }
        Kind::Group => {
            network.groups.insert(record.key.clone(), records::decode(record)?);
        }
        _ => {}
    }
    Ok(())
}

fn read_account(record: &Record) -> Result<Draft, StoreError> {
    let (found, keys) = records::decode_account(record)?;
    let state = AccountState {
        name: found.name,
        about: found.about,
        online: found.online,
        ban: found.ban,
        registered_as: found.registered_as,
        retired: found.retired,
        silent: found.silent,
        passkey: found.passkey,
        next_device: found.next_device,
        next_key_index: found.next_key_index,
        next_given_key: found.next_given_key,
        settings: found.settings,
        rules: found.rules,
        ..AccountState::default()
    };
    Ok(Draft {
        lid: found.lid,
        phone: Phone::new(&keys),
        keys,
        state,
    })
}

impl Draft {
    fn add(&mut self, record: &Record, rest: &str) -> Result<(), StoreError> {
        match record.kind {
            Kind::Network | Kind::Account | Kind::Media | Kind::Group => Ok(()),
            Kind::SenderKey => {
                let restored = self.phone.signal.restore_sender_key(rest, &record.value);
                restored.map_err(|failure| corrupt(record, &failure.to_string()))
            }
            Kind::Device => self.add_device(record, rest),
            Kind::PreKey => self.add_one_time_key(record, rest),
            Kind::Session => {
                let restored = self.phone.signal.restore_session(rest, &record.value);
                restored.map_err(|failure| corrupt(record, &failure.to_string()))
            }
            Kind::Identity => {
                let restored = self.phone.signal.restore_identity(rest, &record.value);
                restored.map_err(|failure| corrupt(record, &failure.to_string()))
            }
            Kind::PhoneKey => self.add_given_key(record, rest),
            Kind::Stanza => self.add_stanza(record, rest),
            Kind::Message => {
                let (chat, _place) = split(record, rest)?;
                let message: StoredMessage = records::decode(record)?;
                self.phone.chats.restore(chat, message);
                Ok(())
            }
            Kind::Patch => {
                let (collection, _version) = split(record, rest)?;
                let patches = self.state.collections.entry(collection.to_owned()).or_default();
                patches.push(Bytes::copy_from_slice(&record.value));
                Ok(())
            }
            Kind::Picture => {
                self.state.picture = Some(records::decode_picture(record)?);
                Ok(())
            }
            Kind::Contact => {
                self.state.contacts.insert(rest.to_owned(), records::decode(record)?);
                Ok(())
            }
            Kind::Watcher => {
                self.state.watchers.insert(rest.to_owned());
                Ok(())
            }
        }
    }

    fn add_device(&mut self, record: &Record, rest: &str) -> Result<(), StoreError> {
        let id = device_id(record, rest)?;
        self.state.devices.insert(id, records::decode_device(record, id)?);
        Ok(())
    }

    fn add_one_time_key(&mut self, record: &Record, rest: &str) -> Result<(), StoreError> {
        let id = device_id(record, split(record, rest)?.0)?;
        let key = records::decode_one_time_key(record)?;
        if let Some(device) = self.state.devices.get_mut(&id) {
            device.one_time_keys.push_back(key);
        }
        Ok(())
    }

    fn add_given_key(&mut self, record: &Record, rest: &str) -> Result<(), StoreError> {
        let id = u32::from_str_radix(rest, 16).map_err(|_| corrupt(record, "bad key id"))?;
        let private = record
            .value
            .as_slice()
            .try_into()
            .map_err(|_| corrupt(record, "not 32 bytes"))?;
        self.state.given_keys.insert(id, private);
        Ok(())
    }

    fn add_stanza(&mut self, record: &Record, rest: &str) -> Result<(), StoreError> {
        let (device, sequence) = split(record, rest)?;
        let sequence = u64::from_str_radix(sequence, 16).map_err(|_| corrupt(record, "bad sequence"))?;
        let stanza = records::decode_stanza(record, sequence)?;
        if let Some(queue) = self.state.queue(device_id(record, device)?) {
            queue.push(stanza);
        }
        Ok(())
    }
}

fn split<'r>(record: &Record, rest: &'r str) -> Result<(&'r str, &'r str), StoreError> {
    rest.rsplit_once('/').ok_or_else(|| corrupt(record, "short key"))
}

fn device_id(record: &Record, text: &str) -> Result<DeviceId, StoreError> {
    text.parse().map_err(|_| corrupt(record, "bad device number"))
}
