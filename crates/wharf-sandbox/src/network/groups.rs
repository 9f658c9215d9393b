//! Groups: who is in them, and how they are set. A group's lock is its own, short, and never held while an account is
//! locked.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use serde::{Deserialize, Serialize};
use wacore_binary::{Jid, Server};

use super::records;
use crate::store::{Kind, Store, Ticket};

#[derive(Debug, Default)]
pub(crate) struct Groups {
    table: RwLock<Table>,
}

#[derive(Debug, Default)]
struct Table {
    by_id: BTreeMap<String, Arc<Group>>,
    /// The groups of an account.
    of_member: HashMap<String, BTreeSet<String>>,
    by_invite: HashMap<String, String>,
}

#[derive(Debug)]
pub(crate) struct Group {
    /// The user part of its JID.
    pub id: String,
    state: Mutex<GroupState>,
}

/// What a group is. Accounts are named by their numbers, times are seconds since 1970.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct GroupState {
    pub subject: String,
    pub subject_by: String,
    pub subject_at: u64,
    pub creator: String,
    pub created_at: u64,
    pub description: Option<Description>,
    pub members: BTreeMap<String, Role>,
    /// The code of the link by which anybody can join.
    pub invite: String,
    /// Who asked to join, and when.
    pub requests: BTreeMap<String, u64>,
    pub settings: Settings,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Description {
    pub id: String,
    pub text: String,
    pub by: String,
    pub at: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Only admins change subject, description and settings.
    pub locked: bool,
    /// Only admins send.
    pub announcement: bool,
    /// Who joins by the link has to be let in.
    pub approval: bool,
    /// Everybody may add members.
    pub all_may_add: bool,
    /// Seconds after which messages disappear; 0 for never.
    pub ephemeral: u32,
}

/// The order is the order of rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Role {
    Member,
    Admin,
    /// Who made the group; cannot be removed by others.
    Owner,
}

impl Group {
    pub(crate) fn state(&self) -> MutexGuard<'_, GroupState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn jid(&self) -> Jid {
        Jid::group(self.id.as_str())
    }

    /// The numbers of its members.
    pub(crate) fn members(&self) -> Vec<String> {
        self.state().members.keys().cloned().collect()
    }
}

impl GroupState {
    pub(crate) fn role(&self, number: &str) -> Option<Role> {
        self.members.get(number).copied()
    }

    /// Members may write, unless the group is for announcements: then admins only.
    pub(crate) fn may_write(&self, number: &str) -> bool {
        self.role(number).is_some() && (!self.settings.announcement || self.is_admin(number))
    }

    pub(crate) fn is_admin(&self, number: &str) -> bool {
        self.role(number).is_some_and(|role| role >= Role::Admin)
    }
}

impl Groups {
    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn by_jid(&self, jid: &Jid) -> Option<Arc<Group>> {
        (jid.server == Server::Group).then(|| self.read().by_id.get(jid.user.as_str()).cloned())?
    }

    pub(crate) fn by_invite(&self, code: &str) -> Option<Arc<Group>> {
        let table = self.read();
        table.by_id.get(table.by_invite.get(code)?).cloned()
    }

    /// The groups that an account is in.
    pub(crate) fn of_member(&self, number: &str) -> Vec<Arc<Group>> {
        let table = self.read();
        let ids = table.of_member.get(number).into_iter().flatten();
        ids.filter_map(|id| table.by_id.get(id).cloned()).collect()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Group>> {
        self.read().by_id.values().cloned().collect()
    }

    /// Adds a group. Ids are made up long enough never to meet.
    pub(crate) fn add(&self, store: &dyn Store, id: String, state: GroupState) -> (Arc<Group>, Ticket) {
        let ticket = save(store, &id, &state);
        (self.insert(id, state), ticket)
    }

    /// Reads a group back.
    pub(crate) fn insert(&self, id: String, state: GroupState) -> Arc<Group> {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.index(&id, &state);
        let state = Mutex::new(state);
        let group = Arc::new(Group { id: id.clone(), state });
        table.by_id.insert(id, Arc::clone(&group));
        group
    }

    /// Changes a group and writes it down; what the change refuses leaves it as it was. O(members).
    pub(crate) fn change<T, E>(
        &self,
        store: &dyn Store,
        group: &Group,
        change: impl FnOnce(&mut GroupState) -> Result<T, E>,
    ) -> Result<(T, Ticket), E> {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let mut state = group.state();
        let mut next = state.clone();
        let outcome = change(&mut next)?;
        table.forget(&group.id, &state);
        table.index(&group.id, &next);
        let ticket = save(store, &group.id, &next);
        *state = next;
        Ok((outcome, ticket))
    }
}

fn save(store: &dyn Store, id: &str, state: &GroupState) -> Ticket {
    let mut batch = store.batch();
    batch.put(Kind::Group, || id.to_owned(), || records::encode(state));
    store.submit(batch)
}

impl Table {
    fn index(&mut self, id: &str, state: &GroupState) {
        for number in state.members.keys() {
            let groups = self.of_member.entry(number.clone()).or_default();
            groups.insert(id.to_owned());
        }
        self.by_invite.insert(state.invite.clone(), id.to_owned());
    }

    fn forget(&mut self, id: &str, state: &GroupState) {
        for number in state.members.keys() {
            if let Some(groups) = self.of_member.get_mut(number) {
                groups.remove(id);
            }
        }
        self.by_invite.remove(&state.invite);
    }
}
