//! The form that Baileys keeps: `creds.json`, and beside it a file for each key (protocol brief, section 13).

mod bytes;
pub(crate) mod creds;
mod fingerprint;
pub(crate) mod keys;
pub(crate) mod names;
mod sender_key;
mod session;
pub(crate) mod write;

use serde_json::Value;
use zeroize::Zeroizing;

use crate::credentials::KeyPair;

fn pair(value: Option<&Value>) -> Option<KeyPair> {
    let value = value?;
    Some(KeyPair {
        private: Zeroizing::new(bytes::exactly(value.get("private")?)?),
        public: bytes::public_key(value.get("public")?)?,
    })
}

fn number(value: Option<&Value>) -> Option<u32> {
    u32::try_from(value?.as_u64()?).ok()
}
