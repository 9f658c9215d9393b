//! How phones come into the network: on purpose, or because a client says whom it belongs to.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use rand::rngs::StdRng;

use super::{Sandbox, scenario};
use crate::error::SandboxError;
use crate::model::{Changed, NewPhone, PhoneInfo};
use crate::network::Network;
use crate::network::account::{Account, AccountState};
use crate::network::contacts::{self, ContactRules};
use crate::network::records;
use crate::phone::Phone;
use crate::phone::app_state::{self, CRITICAL_COLLECTION, Entry, SALT_COLLECTION};
use crate::phone::identity::PhoneKeys;
use crate::phone::passkey::Passkey;
use crate::server::standing;
use crate::store::Kind;

/// Made-up numbers are `155501` and five digits, the range North America keeps for fiction.
const MADE_UP_PREFIX: &str = "155501";
const MADE_UP_NUMBERS: u64 = 100_000;
/// Characters of the longest name that a phone is given, and of the longest that a client brings.
const MAX_NAME: usize = 64;
const MAX_REGISTERED: usize = 1024;
/// Switches of experiments that one account may be in.
const MAX_EXPERIMENTS: usize = 1000;

impl Sandbox {
    /// Creates a phone, online, with nothing linked to it.
    pub async fn create_phone(&self, new: NewPhone) -> Result<PhoneInfo, SandboxError> {
        let account = {
            let _one_at_a_time = self.creating.lock().unwrap_or_else(PoisonError::into_inner);
            add(&self.network, &new, None)?
        };
        self.begin_phone(account).await
    }

    /// The phone whose first client registered under that name; made when there is none.
    pub(super) async fn phone_named(&self, name: &str) -> Result<PhoneInfo, SandboxError> {
        let account = {
            let _one_at_a_time = self.creating.lock().unwrap_or_else(PoisonError::into_inner);
            let all = self.network.directory.all();
            let registered = |account: &&Arc<Account>| account.state().registered_as.as_deref() == Some(name);
            if let Some(found) = all.iter().find(registered) {
                return Ok(found.info());
            }
            // Who drives such a client expects nothing of a phone but its keys.
            let new = NewPhone {
                name: Some(name.to_owned()),
                silent: true,
                rules: scenario::rules(name),
                ..NewPhone::default()
            };
            add(&self.network, &new, Some(name))?
        };
        self.begin_phone(account).await
    }

    /// How strangers of the phone's account are treated, and the account among strangers.
    pub fn contact_rules(&self, phone: &str) -> Result<ContactRules, SandboxError> {
        Ok(self.account(phone)?.state().rules.clone())
    }

    /// Other rules from now on; companions hear of what concerns them. Switches of experiments they read when they log in.
    pub async fn set_contact_rules(&self, phone: &str, rules: ContactRules) -> Result<(), SandboxError> {
        if rules.experiments.len() > MAX_EXPERIMENTS {
            return Err(SandboxError::InvalidRules);
        }
        let account = self.account(phone)?;
        let before = {
            let mut state = account.state();
            let before = std::mem::replace(&mut state.rules, rules.clone());
            let mut batch = self.network.store.batch();
            account.save(&state, &mut batch);
            self.network.store.submit(batch);
            before
        };
        if rules.salt_in_app_state && !before.salt_in_app_state {
            write_salt(&self.network, &account);
        }
        standing::rules_changed(&self.network, &account, &before);
        self.flush().await
    }

    pub(super) async fn begin_phone(&self, account: Arc<Account>) -> Result<PhoneInfo, SandboxError> {
        self.run_phone(Arc::clone(&account));
        self.network.announce(&account.number, Changed::Phone);
        self.flush().await?;
        Ok(account.info())
    }
}

/// Adds an account with a phone that nobody runs yet. Two callers at once could make up the same number.
pub(crate) fn add(
    network: &Network,
    new: &NewPhone,
    registered_as: Option<&str>,
) -> Result<Arc<Account>, SandboxError> {
    let number = match &new.phone {
        Some(phone) => valid_number(phone)?,
        None => make_up_number(network)?,
    };
    let name = new.name.clone().unwrap_or_else(|| number.clone());
    // What clients call themselves can be a whole sentence, and is kept as it is: they are told it again.
    let longest = if registered_as.is_some() {
        MAX_REGISTERED
    } else {
        MAX_NAME
    };
    if name.is_empty() || name.chars().count() > longest {
        return Err(SandboxError::InvalidName);
    }
    let mut rng = network.rng();
    let keys = PhoneKeys::generate(&mut rng).map_err(|failure| SandboxError::Crypto(failure.to_string()))?;
    let passkey = match new.passkey.then(|| Passkey::generate(&mut rng)) {
        Some(None) => return Err(SandboxError::Crypto("no random numbers for a passkey".to_owned())),
        passkey => passkey.flatten(),
    };
    let state = AccountState {
        name,
        registered_as: registered_as.map(str::to_owned),
        silent: new.silent,
        passkey,
        rules: new.rules.clone(),
        online: true,
        next_device: 1,
        next_key_index: 1,
        ..AccountState::default()
    };
    let account = Account::new(number, network.lid(), keys.clone(), state, Phone::new(&keys));
    enter(network, account, &mut rng)
}

/// Adds an account that is another one under a new number.
pub(super) fn add_moved(network: &Network, old: &Account, number: &str) -> Result<Arc<Account>, SandboxError> {
    let number = valid_number(number)?;
    let mut rng = network.rng();
    let state = {
        let old = old.state();
        AccountState {
            name: old.name.clone(),
            registered_as: old.registered_as.clone(),
            silent: old.silent,
            passkey: old.passkey.clone(),
            about: old.about.clone(),
            rules: old.rules.clone(),
            settings: old.settings.clone(),
            online: old.online,
            next_device: 1,
            next_key_index: 1,
            ..AccountState::default()
        }
    };
    let keys = &old.keys;
    let account = Account::new(number, network.lid(), keys.clone(), state, Phone::new(keys));
    enter(network, account, &mut rng)
}

/// Nobody answers under this number any more.
pub(super) fn retire(network: &Network, old: &Account) {
    let mut state = old.state();
    state.retired = true;
    state.online = false;
    let mut batch = network.store.batch();
    old.save(&state, &mut batch);
    network.store.submit(batch);
    network.directory.retire(old);
}

/// Puts a new account into the directory, with what its companions are told first.
fn enter(network: &Network, account: Account, rng: &mut StdRng) -> Result<Arc<Account>, SandboxError> {
    let (name, writes_salt) = {
        let state = account.state();
        (Entry::push_name(&state.name), state.rules.salt_in_app_state)
    };
    // A companion that finds the collection empty is told so, but only this gives it its name.
    let genesis = app_state::next_patch(&account.keys, CRITICAL_COLLECTION, &[], &name, rng);
    let genesis = Bytes::from(genesis);
    account
        .state()
        .collections
        .insert(CRITICAL_COLLECTION.to_owned(), vec![genesis.clone()]);
    let account = Arc::new(account);
    if !network.directory.insert(Arc::clone(&account)) {
        return Err(SandboxError::PhoneTaken(account.number.clone()));
    }
    let mut batch = network.store.batch();
    let state = account.state();
    account.save(&state, &mut batch);
    let key = || records::patch_key(&account.number, CRITICAL_COLLECTION, 1);
    batch.put(Kind::Patch, key, || genesis.to_vec());
    network.store.submit(batch);
    drop(state);
    if writes_salt {
        write_salt(network, &account);
    }
    Ok(account)
}

/// Tells the companions the salt of the account by app state.
fn write_salt(network: &Network, account: &Account) {
    let entry = Entry::salt(&contacts::salt(account));
    app_state::write(network, account, SALT_COLLECTION, &entry);
}

fn make_up_number(network: &Network) -> Result<String, SandboxError> {
    let start = u64::try_from(network.directory.len()).unwrap_or(0) + 1;
    let numbers = (0..MADE_UP_NUMBERS).map(|step| format!("{MADE_UP_PREFIX}{:05}", (start + step) % MADE_UP_NUMBERS));
    let mut free = numbers.filter(|number| network.directory.by_number(number).is_none());
    free.next()
        .ok_or_else(|| SandboxError::PhoneTaken(MADE_UP_PREFIX.to_owned()))
}

fn valid_number(phone: &str) -> Result<String, SandboxError> {
    let number = phone.strip_prefix('+').unwrap_or(phone);
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    if digits && (7..=15).contains(&number.len()) && !number.starts_with('0') {
        return Ok(number.to_owned());
    }
    Err(SandboxError::InvalidPhone(phone.to_owned()))
}
