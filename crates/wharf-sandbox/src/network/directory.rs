//! Finds accounts by phone number and by hidden identifier.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use wacore_binary::{Jid, Server};

use super::account::Account;
use super::spelling::other_spelling;

#[derive(Debug, Default)]
pub(crate) struct Directory {
    accounts: RwLock<Accounts>,
}

#[derive(Debug, Default)]
struct Accounts {
    by_number: BTreeMap<String, Arc<Account>>,
    by_lid: HashMap<String, Arc<Account>>,
    /// Numbers that are never given again.
    retired: HashSet<String>,
}

impl Accounts {
    fn spelled(&self, number: &str) -> Option<&Arc<Account>> {
        let found = self.by_number.get(number);
        found.or_else(|| self.by_number.get(&other_spelling(number)?))
    }
}

impl Directory {
    /// Adds an account unless its number or identifier is taken.
    pub(crate) fn insert(&self, account: Arc<Account>) -> bool {
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        let spelled_otherwise = other_spelling(&account.number);
        if spelled_otherwise.is_some_and(|other| accounts.by_number.contains_key(&other)) {
            return false;
        }
        if accounts.retired.contains(&account.number)
            || accounts.by_number.contains_key(&account.number)
            || accounts.by_lid.contains_key(&account.lid)
        {
            return false;
        }
        accounts.by_lid.insert(account.lid.clone(), Arc::clone(&account));
        accounts.by_number.insert(account.number.clone(), account);
        true
    }

    /// Takes an account out for good.
    pub(crate) fn retire(&self, account: &Account) {
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        accounts.by_number.remove(&account.number);
        accounts.by_lid.remove(&account.lid);
        accounts.retired.insert(account.number.clone());
    }

    /// The account with this number, however it is spelled.
    pub(crate) fn by_number(&self, number: &str) -> Option<Arc<Account>> {
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        accounts.spelled(number).cloned()
    }

    /// The account a JID names, whichever of its two names is used.
    pub(crate) fn by_jid(&self, jid: &Jid) -> Option<Arc<Account>> {
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        match jid.server {
            Server::Pn | Server::Legacy => accounts.spelled(jid.user.as_str()).cloned(),
            Server::Lid => accounts.by_lid.get(jid.user.as_str()).cloned(),
            _ => None,
        }
    }

    pub(crate) fn all(&self) -> Vec<Arc<Account>> {
        self.accounts
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .by_number
            .values()
            .cloned()
            .collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.accounts
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .by_number
            .len()
    }
}
