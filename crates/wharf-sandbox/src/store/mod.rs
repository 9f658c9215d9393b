//! Owns what survives a stop. Promises that a ticket is reported durable only after its records are committed,
//! and that the records of one batch are committed together or not at all. Never decides what a record means.

mod file;
mod memory;

pub(crate) use file::FileStore;
pub(crate) use memory::MemoryStore;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Which collection a record belongs to. The numbers are in the file: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Keys of the network itself.
    Network = 0,
    /// One account: numbers, keys, name, counters.
    Account = 1,
    /// One linked device.
    Device = 2,
    /// An uploaded one-time pre-key of a linked device.
    PreKey = 3,
    /// A phone's Signal session.
    Session = 4,
    /// An identity key a phone trusts.
    Identity = 5,
    /// The private half of a one-time pre-key a phone gave out.
    PhoneKey = 6,
    /// A stanza waiting for a device.
    Stanza = 7,
    /// A message in a phone's chat.
    Message = 8,
    /// A patch of an app-state collection.
    Patch = 9,
    /// An account that asked for another account's devices.
    Watcher = 10,
    /// The picture that an account shows.
    Picture = 11,
    /// An uploaded file.
    Media = 12,
    /// A group.
    Group = 13,
    /// A sender key that a phone has, its own or another device's.
    SenderKey = 14,
    /// What an account has to do with another one.
    Contact = 15,
}

impl Kind {
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        const ALL: [Kind; 16] = [
            Kind::Network,
            Kind::Account,
            Kind::Device,
            Kind::PreKey,
            Kind::Session,
            Kind::Identity,
            Kind::PhoneKey,
            Kind::Stanza,
            Kind::Message,
            Kind::Patch,
            Kind::Watcher,
            Kind::Picture,
            Kind::Media,
            Kind::Group,
            Kind::SenderKey,
            Kind::Contact,
        ];
        ALL.get(usize::from(number)).copied()
    }
}

/// A record as it was read back.
#[derive(Debug)]
pub(crate) struct Record {
    pub kind: Kind,
    pub key: String,
    pub value: Vec<u8>,
}

/// One write: a new value, or `None` to delete.
#[derive(Debug)]
pub(crate) struct Write {
    kind: Kind,
    key: String,
    value: Option<Vec<u8>>,
}

/// Writes that belong together. A batch of a store that keeps nothing never evaluates keys and values.
#[derive(Debug)]
pub(crate) struct Batch {
    writes: Option<Vec<Write>>,
}

impl Batch {
    pub(crate) fn put(&mut self, kind: Kind, key: impl FnOnce() -> String, value: impl FnOnce() -> Vec<u8>) {
        if let Some(writes) = &mut self.writes {
            writes.push(Write {
                kind,
                key: key(),
                value: Some(value()),
            });
        }
    }

    pub(crate) fn delete(&mut self, kind: Kind, key: impl FnOnce() -> String) {
        if let Some(writes) = &mut self.writes {
            writes.push(Write {
                kind,
                key: key(),
                value: None,
            });
        }
    }
}

/// A point in the order of commits. Whatever was submitted up to it is durable once the store reports it.
pub(crate) type Ticket = u64;

/// The interface both stores share.
pub(crate) trait Store: Send + Sync + std::fmt::Debug {
    /// An empty batch of the right sort for this store.
    fn batch(&self) -> Batch;
    /// Hands a batch over. Call it while holding the lock of what the records describe: the order of calls is
    /// the order of commits, so a later state can never be overwritten by an earlier one.
    fn submit(&self, batch: Batch) -> Ticket;
    /// The highest ticket that is durable.
    fn durable(&self) -> watch::Receiver<Ticket>;
    /// Cancelled when a commit failed: nothing becomes durable any more.
    fn failed(&self) -> CancellationToken;
    /// Commits what is left and stops writing. Blocks for the last commit.
    fn close(&self);
}
