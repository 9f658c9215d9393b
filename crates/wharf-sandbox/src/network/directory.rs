//! Finds accounts by phone number and by hidden identifier.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use wacore_binary::{Jid, Server};

use super::account::Account;

#[derive(Debug, Default)]
pub(crate) struct Directory {
    accounts: RwLock<Accounts>,
}

#[derive(Debug, Default)]
struct Accounts {
    by_number: BTreeMap<String, Arc<Account>>,
    by_lid: HashMap<String, Arc<Account>>,
}

impl Directory {
    /// Adds an account unless its number or identifier is taken.
    pub(crate) fn insert(&self, account: Arc<Account>) -> bool {
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        if accounts.by_number.contains_key(&account.number) || accounts.by_lid.contains_key(&account.lid) {
            return false;
        }
        accounts.by_lid.insert(account.lid.clone(), Arc::clone(&account));
        accounts.by_number.insert(account.number.clone(), account);
        true
    }

    pub(crate) fn by_number(&self, number: &str) -> Option<Arc<Account>> {
        self.accounts
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .by_number
            .get(number)
            .cloned()
    }

    /// The account a JID names, whichever of its two names is used.
    pub(crate) fn by_jid(&self, jid: &Jid) -> Option<Arc<Account>> {
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        match jid.server {
            Server::Pn | Server::Legacy => accounts.by_number.get(jid.user.as_str()).cloned(),
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
