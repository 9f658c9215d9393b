//! Who knows whom, and what strangers may do. An account knows those it wrote with; how strangers are treated is a matter
//! of the account's rules. Two kinds of token let a stranger through: one that the account gave to somebody it wrote to,
//! and one that everybody can make who was given a salt by the network.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use utoipa::ToSchema;

use super::account::{Account, Addressing};
use crate::clock::unix_seconds;

/// How the network lets strangers reach an account, and the account reach strangers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ContactRules {
    /// Strangers need a token: without one their messages are refused with 463, and they do not see its picture and when it
    /// is there.
    pub restricted: bool,
    /// Those it wrote to may answer, with the token that they were given then.
    pub trusted_tokens: bool,
    /// So may whoever makes a token with the salt that the network gave.
    pub salted_tokens: bool,
    /// Its companions are told the salt with the history.
    pub salt_in_history: bool,
    /// Its companions are told the salt by app state.
    pub salt_in_app_state: bool,
    /// With how many strangers it may start a chat; the next one is refused with 475. Without a number with all.
    pub new_chats: Option<u32>,
    /// It may start none until then, in seconds since 1970: refused with 463.
    pub locked_until: Option<u64>,
    /// Switches of experiments that its companions are told, by number.
    pub experiments: BTreeMap<u32, String>,
}

impl Default for ContactRules {
    fn default() -> Self {
        Self {
            restricted: false,
            trusted_tokens: true,
            salted_tokens: true,
            salt_in_history: false,
            salt_in_app_state: false,
            new_chats: None,
            locked_until: None,
            experiments: BTreeMap::new(),
        }
    }
}

impl ContactRules {
    /// Whether the account may start no chat now.
    pub(crate) fn is_locked(&self) -> bool {
        self.locked_until.is_some_and(|until| unix_seconds() < until)
    }
}

/// What an account has to do with another one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contact {
    /// They wrote with each other.
    pub wrote: bool,
    /// This account wrote first.
    pub started: bool,
    /// This account gave its token to the other one.
    pub gave_token: bool,
}

/// What a stranger shows to be let through.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    pub trusted: Option<Vec<u8>>,
    pub salted: Option<Vec<u8>>,
}

/// Whether an account lets somebody through who shows these tokens.
pub(crate) fn lets_through(account: &Account, stranger: &Account, shown: &Shown) -> bool {
    let state = account.state();
    if !state.rules.restricted || account.number == stranger.number {
        return true;
    }
    let contact = state.contacts.get(&stranger.number);
    let given = contact.is_some_and(|contact| contact.gave_token);
    let trusted =
        state.rules.trusted_tokens && given && shown.trusted.as_deref() == Some(&trusted_token(account, stranger)[..]);
    let salted = state.rules.salted_tokens && shown.salted.as_deref() == Some(&salted_token(stranger, account)[..]);
    trusted || salted
}

/// The token that an account gives to somebody it writes to. Always the same one, so that nothing needs to be kept.
pub(crate) fn trusted_token(giver: &Account, taker: &Account) -> [u8; 32] {
    derive(giver.keys.identity.private_key.serialize(), &["trusted", &taker.lid])
}

/// The salt that an account's companions make tokens with.
pub(crate) fn salt(account: &Account) -> [u8; 32] {
    derive(account.keys.identity.private_key.serialize(), &["salt"])
}

/// The token that an account makes for a stranger: the code of the stranger's hidden identifier under its own salt.
pub(crate) fn salted_token(sender: &Account, stranger: &Account) -> [u8; 32] {
    derive(&salt(sender), &[&stranger.user_jid(Addressing::Lid).to_string()])
}

fn derive(key: &[u8; 32], parts: &[&str]) -> [u8; 32] {
    // HMAC pads a short key with zeros to its block; doing that here leaves nothing that could fail.
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    parts.iter().for_each(|part| mac.update(part.as_bytes()));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rand::SeedableRng as _;
    use rand::rngs::StdRng;
    use wacore::iq::tctoken::compute_cs_token;

    use super::*;
    use crate::config::SandboxConfig;
    use crate::model::NewPhone;
    use crate::network::Network;
    use crate::sandbox::phones;
    use crate::store::MemoryStore;
    use crate::wire::certificate::ServerKeys;

    #[test]
    fn a_token_made_with_the_salt_opens_the_door_while_it_counts() {
        let mut rng = StdRng::seed_from_u64(7);
        let keys = ServerKeys::generate(&mut rng).unwrap();
        let network = Network::new(keys, &SandboxConfig::default(), Arc::new(MemoryStore::new()), rng);
        let [alice, bob] = [(); 2].map(|()| phones::add(&network, &NewPhone::default(), None).unwrap());
        alice.state().rules.restricted = true;
        // As clients make it.
        let token = compute_cs_token(&salt(&bob), &format!("{}@lid", alice.lid));
        let shown = Shown {
            salted: Some(token),
            ..Shown::default()
        };
        assert!(lets_through(&alice, &bob, &shown));
        assert!(!lets_through(&alice, &bob, &Shown::default()));
        alice.state().rules.salted_tokens = false;
        assert!(!lets_through(&alice, &bob, &shown));
    }
}
