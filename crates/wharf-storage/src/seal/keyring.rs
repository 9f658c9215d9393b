//! Unwrapped keys in memory: the master key, and the data keys that were used lately.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wharf_model::{SessionId, WorkspaceId};

use super::{MasterKey, SessionKeys, WorkspaceKeys};

/// How many sessions' keys stay unwrapped: two generations of this size.
const GENERATION: usize = 4096;

#[derive(Debug)]
pub(crate) struct Keyring(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    master: MasterKey,
    /// The master key of a rotation that has begun.
    coming: Option<MasterKey>,
    sessions: Recent<SessionId, SessionKeys>,
    workspaces: Recent<WorkspaceId, WorkspaceKeys>,
    /// Counts what was forgotten: keys read before a shredding must not come back after it.
    forgotten: u64,
}

impl Keyring {
    pub(crate) fn new(master: MasterKey) -> Self {
        Self(Mutex::new(Inner {
            master,
            coming: None,
            sessions: Recent::new(),
            workspaces: Recent::new(),
            forgotten: 0,
        }))
    }

    pub(crate) fn master(&self) -> MasterKey {
        self.lock().master.clone()
    }

    /// The master key in force, and the one that a rotation may have put in force since.
    pub(crate) fn masters(&self) -> (MasterKey, Option<MasterKey>) {
        let inner = self.lock();
        (inner.master.clone(), inner.coming.clone())
    }

    pub(crate) fn expect_master(&self, master: MasterKey) {
        self.lock().coming = Some(master);
    }

    pub(crate) fn replace_master(&self, master: MasterKey) {
        let mut inner = self.lock();
        inner.master = master;
        inner.coming = None;
    }

    /// To be asked before the rows are read, and given back with the keys.
    pub(crate) fn forgotten(&self) -> u64 {
        self.lock().forgotten
    }

    pub(crate) fn session(&self, id: SessionId) -> Option<Arc<SessionKeys>> {
        self.lock().sessions.get(id)
    }

    pub(crate) fn workspace(&self, id: WorkspaceId) -> Option<Arc<WorkspaceKeys>> {
        self.lock().workspaces.get(id)
    }

    pub(crate) fn keep_session(&self, id: SessionId, keys: &Arc<SessionKeys>, forgotten: u64) {
        let mut inner = self.lock();
        if inner.forgotten == forgotten {
            inner.sessions.insert(id, Arc::clone(keys));
        }
    }

    pub(crate) fn keep_workspace(&self, id: WorkspaceId, keys: &Arc<WorkspaceKeys>) {
        self.lock().workspaces.insert(id, Arc::clone(keys));
    }

    pub(crate) fn forget(&self, sessions: &[SessionId]) {
        let mut inner = self.lock();
        inner.forgotten += 1;
        for id in sessions {
            inner.sessions.remove(id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was used lately, in two generations: when the young one is full it becomes the old one, and what is found in
/// the old one moves to the young one. As good as an exact order of use here, and half a screen long.
#[derive(Debug)]
struct Recent<K, V> {
    young: HashMap<K, Arc<V>>,
    old: HashMap<K, Arc<V>>,
}

impl<K: Eq + Hash + Copy, V> Recent<K, V> {
    fn new() -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }

    fn get(&mut self, key: K) -> Option<Arc<V>> {
        if let Some(value) = self.young.get(&key) {
            return Some(Arc::clone(value));
        }
        let value = self.old.remove(&key)?;
        self.insert(key, Arc::clone(&value));
        Some(value)
    }

    fn insert(&mut self, key: K, value: Arc<V>) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }
}
