//! API keys as texts: how they are made, read and hashed. Promises that a mistyped, cut or foreign key is refused
//! without a look-up, and that what is stored does not give the key back. Never stores or logs one.
//!
//! A key is `wharf_live_` or `wharf_test_`, 32 characters of base62 (190 bits) and 6 characters of base62 that are the
//! CRC-32 of everything before them. A secret scanner finds them with `wharf_(live|test)_[0-9A-Za-z]{38}`.

use std::fmt;

use sha2::{Digest, Sha256};
use wharf_model::{Network, Random};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ENTROPY_CHARS: usize = 32;
const CHECK_CHARS: usize = 6;
/// How much of the random part is shown afterwards, to tell keys apart.
const SHOWN_CHARS: usize = 8;

/// The SHA-256 of a key's text: what storage keeps and looks up. The text has 190 bits of entropy, so that no salt and
/// no slow hash is needed.
pub type KeyHash = [u8; 32];

/// A key's text. Prints `***`; its only way out is [`ApiKey::reveal`].
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    text: String,
}

/// Why a text is not a key of this build. Said before any look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not of the form, or the checksum does not fit: cut, mistyped or invented.
    #[error("not an API key: the form or the checksum is wrong")]
    Malformed,
    /// A key of the other network.
    #[error("an API key of the other network")]
    OtherNetwork,
}

impl ApiKey {
    /// A new key for a network.
    pub fn generate(network: Network, random: &dyn Random) -> Self {
        let mut text = network.api_key_prefix().to_owned();
        for _ in 0..ENTROPY_CHARS {
            text.push(symbol(random.below(62)));
        }
        let check = checksum(&text);
        text.push_str(&check);
        Self { text }
    }

    /// Reads a key of this network.
    ///
    /// # Errors
    /// [`KeyError`] for everything else; nothing was looked up then.
    pub fn parse(text: &str, network: Network) -> Result<Self, KeyError> {
        let found = [Network::Live, Network::Sandbox]
            .into_iter()
            .find(|network| text.starts_with(network.api_key_prefix()))
            .ok_or(KeyError::Malformed)?;
        let tail = text.strip_prefix(found.api_key_prefix()).ok_or(KeyError::Malformed)?;
        if tail.len() != ENTROPY_CHARS + CHECK_CHARS || !tail.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(KeyError::Malformed);
        }
        let (body, check) = text.split_at(text.len() - CHECK_CHARS);
        if checksum(body) != check {
            return Err(KeyError::Malformed);
        }
        if found != network {
            return Err(KeyError::OtherNetwork);
        }
        Ok(Self { text: text.to_owned() })
    }

    /// The whole text, to be shown once.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// The part that may be shown afterwards.
    pub fn prefix(&self) -> String {
        let shown = self.text.len() - ENTROPY_CHARS - CHECK_CHARS + SHOWN_CHARS;
        self.text.chars().take(shown).collect()
    }

    /// What storage keeps.
    pub fn hash(&self) -> KeyHash {
        Sha256::digest(self.text.as_bytes()).into()
    }
}

/// Logs are written with `Debug`: the key must not reach them.
impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(***)")
    }
}

fn checksum(text: &str) -> String {
    let mut rest = u64::from(crc32fast::hash(text.as_bytes()));
    let mut check = [b'0'; CHECK_CHARS];
    for place in check.iter_mut().rev() {
        *place = symbol_byte(rest % 62);
        rest /= 62;
    }
    check.iter().copied().map(char::from).collect()
}

fn symbol_byte(index: u64) -> u8 {
    usize::try_from(index)
        .ok()
        .and_then(|index| ALPHABET.get(index))
        .copied()
        .unwrap_or(b'0')
}

fn symbol(index: u64) -> char {
    char::from(symbol_byte(index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wharf_model::SystemEdges;

    #[test]
    fn a_key_reads_back_as_itself() {
        for network in [Network::Live, Network::Sandbox] {
            let key = ApiKey::generate(network, &SystemEdges);
            assert_eq!(ApiKey::parse(key.reveal(), network), Ok(key.clone()));
            assert!(key.reveal().starts_with(&key.prefix()));
            assert_eq!(key.prefix().len(), network.api_key_prefix().len() + 8);
        }
    }

    #[test]
    fn one_changed_character_is_noticed() {
        let key = ApiKey::generate(Network::Sandbox, &SystemEdges);
        let start = Network::Sandbox.api_key_prefix().len();
        for place in start..key.reveal().len() {
            let mut text = key.reveal().as_bytes().to_vec();
            text[place] = if text[place] == b'x' { b'y' } else { b'x' };
            let text = String::from_utf8(text).unwrap();
            assert_eq!(
                ApiKey::parse(&text, Network::Sandbox),
                Err(KeyError::Malformed),
                "{place}"
            );
        }
    }

    #[test]
    fn a_key_of_the_other_network_is_told_apart() {
        let key = ApiKey::generate(Network::Live, &SystemEdges);
        assert_eq!(
            ApiKey::parse(key.reveal(), Network::Sandbox),
            Err(KeyError::OtherNetwork)
        );
    }

    #[test]
    fn logs_never_show_the_key() {
        let key = ApiKey::generate(Network::Live, &SystemEdges);
        assert_eq!(format!("{key:?}"), "ApiKey(***)");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC*") {
            let _ = ApiKey::parse(&text, Network::Live);
            let _ = ApiKey::parse(&format!("wharf_live_{text}"), Network::Live);
        }
    }
}
