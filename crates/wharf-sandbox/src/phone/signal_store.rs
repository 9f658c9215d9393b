//! The Signal half of a phone: one session per device of the network, keyed by the account's hidden identifier, so
//! that a peer may use either of its names. A known device with another identity key is an error, never adopted.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use rand::rngs::StdRng;
use wacore_libsignal::protocol::error::Result as SignalResult;
use wacore_libsignal::protocol::{
    CiphertextMessage, CiphertextMessageType, Direction, GenericSignedPreKey as _, IdentityChange, IdentityKey,
    IdentityKeyPair, IdentityKeyStore, KeyPair, PreKeyBundle, PreKeyId, PreKeyRecord, PreKeySignalMessage, PreKeyStore,
    PrivateKey, ProtocolAddress, PublicKey, SenderKeyDistributionMessage, SenderKeyName, SenderKeyRecord,
    SenderKeyStore, SessionRecord, SessionStore, SignalMessage, SignalProtocolError, SignedPreKeyId,
    SignedPreKeyRecord, SignedPreKeyStore, Timestamp, UsePQRatchet, create_sender_key_distribution_message,
    group_decrypt, group_encrypt, message_decrypt, message_encrypt, process_prekey_bundle,
    process_sender_key_distribution_message,
};

use super::identity::{PhoneKeys, SIGNED_KEY_ID, key_number};
use crate::model::DeviceId;
use crate::network::account::Account;
use crate::network::device::Bundle;
use crate::store::{Batch, Kind};

/// A ciphertext and how it is labelled on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub kind: &'static str,
    pub bytes: Vec<u8>,
}

/// A plaintext, and the one-time pre-key it used up.
#[derive(Debug)]
pub(crate) struct Opened {
    pub plaintext: Vec<u8>,
    pub used_key: Option<u32>,
}

#[derive(Debug)]
pub(crate) struct SignalStore {
    sessions: Sessions,
    identities: Identities,
    sender_keys: SenderKeys,
}

#[derive(Default)]
struct SenderKeys {
    records: HashMap<String, SenderKeyRecord>,
    changed: BTreeSet<String>,
}

impl std::fmt::Debug for SenderKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SenderKeys")
            .field("count", &self.records.len())
            .finish_non_exhaustive()
    }
}

struct Sessions {
    records: HashMap<String, SessionRecord>,
    changed: BTreeSet<String>,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions")
            .field("count", &self.records.len())
            .finish_non_exhaustive()
    }
}

struct Identities {
    own: IdentityKeyPair,
    registration: u32,
    known: HashMap<String, IdentityKey>,
    changed: BTreeSet<String>,
}

impl std::fmt::Debug for Identities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identities")
            .field("known", &self.known.len())
            .finish_non_exhaustive()
    }
}

/// Where a device's session is kept.
pub(crate) fn address(account: &Account, device: DeviceId) -> ProtocolAddress {
    ProtocolAddress::new(&account.lid, u32::from(device).into())
}

impl SignalStore {
    pub(crate) fn new(keys: &PhoneKeys) -> Self {
        Self {
            sessions: Sessions {
                records: HashMap::new(),
                changed: BTreeSet::new(),
            },
            identities: Identities {
                own: keys.identity_pair(),
                registration: keys.registration,
                known: HashMap::new(),
                changed: BTreeSet::new(),
            },
            sender_keys: SenderKeys::default(),
        }
    }

    pub(crate) fn restore_sender_key(&mut self, name: &str, bytes: &[u8]) -> SignalResult<()> {
        self.sender_keys
            .records
            .insert(name.to_owned(), SenderKeyRecord::deserialize(bytes)?);
        Ok(())
    }

    /// The key under which this phone writes to a group, as it is given to others; made when there is none.
    pub(crate) async fn sender_key(&mut self, name: &SenderKeyName, rng: &mut StdRng) -> SignalResult<Vec<u8>> {
        let key = create_sender_key_distribution_message(name, &mut self.sender_keys, rng).await?;
        Ok(key.serialized().to_vec())
    }

    pub(crate) fn forget_sender_key(&mut self, name: &SenderKeyName) {
        self.sender_keys.records.remove(name.cache_key());
        self.sender_keys.changed.insert(name.cache_key().to_owned());
    }

    /// Takes the key that another device writes under.
    pub(crate) async fn learn_sender_key(&mut self, name: &SenderKeyName, key: &[u8]) -> SignalResult<()> {
        let key = SenderKeyDistributionMessage::try_from(key)?;
        process_sender_key_distribution_message(name, &key, &mut self.sender_keys).await
    }

    pub(crate) async fn seal_for_group(
        &mut self,
        name: &SenderKeyName,
        plaintext: &[u8],
        rng: &mut StdRng,
    ) -> SignalResult<Sealed> {
        let message = group_encrypt(&mut self.sender_keys, name, plaintext, rng).await?;
        Ok(Sealed {
            kind: "skmsg",
            bytes: message.serialized().to_vec(),
        })
    }

    pub(crate) async fn open_from_group(&mut self, name: &SenderKeyName, sealed: &[u8]) -> SignalResult<Opened> {
        Ok(Opened {
            plaintext: group_decrypt(sealed, &mut self.sender_keys, name).await?,
            used_key: None,
        })
    }

    pub(crate) fn restore_session(&mut self, name: &str, bytes: &[u8]) -> SignalResult<()> {
        self.sessions
            .records
            .insert(name.to_owned(), SessionRecord::deserialize(bytes)?);
        Ok(())
    }

    pub(crate) fn restore_identity(&mut self, name: &str, bytes: &[u8]) -> SignalResult<()> {
        self.identities
            .known
            .insert(name.to_owned(), IdentityKey::decode(bytes)?);
        Ok(())
    }

    pub(crate) fn has_session(&self, peer: &ProtocolAddress) -> bool {
        self.sessions.records.contains_key(peer.as_str())
    }

    /// Starts a session; one that is there is kept for what comes late.
    pub(crate) async fn start(
        &mut self,
        peer: &ProtocolAddress,
        bundle: &Bundle,
        rng: &mut StdRng,
    ) -> SignalResult<()> {
        let bundle = to_signal_bundle(peer, bundle)?;
        process_prekey_bundle(
            peer,
            &mut self.sessions,
            &mut self.identities,
            &bundle,
            rng,
            UsePQRatchet::No,
        )
        .await?;
        Ok(())
    }

    pub(crate) async fn seal(&mut self, peer: &ProtocolAddress, plaintext: &[u8]) -> SignalResult<Sealed> {
        let message = message_encrypt(plaintext, peer, &mut self.sessions, &mut self.identities).await?;
        let kind = match message.message_type() {
            CiphertextMessageType::PreKey => "pkmsg",
            _ => "msg",
        };
        Ok(Sealed {
            kind,
            bytes: message.serialize().to_vec(),
        })
    }

    pub(crate) async fn open(
        &mut self,
        own: &Account,
        peer: &ProtocolAddress,
        sealed: (&str, &[u8]),
        rng: &mut StdRng,
    ) -> SignalResult<Opened> {
        let message = parse(sealed)?;
        let result = message_decrypt(
            &message,
            peer,
            &mut self.sessions,
            &mut self.identities,
            &mut GivenKeys { account: own },
            &SignedKeys { keys: &own.keys },
            rng,
            UsePQRatchet::No,
        )
        .await?;
        Ok(Opened {
            plaintext: result.plaintext,
            used_key: result.consumed_prekey_id.map(u32::from),
        })
    }

    /// Writes what changed since the last call.
    pub(crate) fn save(&mut self, number: &str, batch: &mut Batch) {
        for name in std::mem::take(&mut self.sessions.changed) {
            if let Some(record) = self.sessions.records.get(&name) {
                batch.put(
                    Kind::Session,
                    || format!("{number}/{name}"),
                    || {
                        let mut bytes = Vec::new();
                        record.serialize_into(&mut bytes);
                        bytes
                    },
                );
            }
        }
        for name in std::mem::take(&mut self.sender_keys.changed) {
            let key = || format!("{number}/{name}");
            match self.sender_keys.records.get(&name).map(SenderKeyRecord::serialize) {
                Some(Ok(bytes)) => batch.put(Kind::SenderKey, key, || bytes),
                Some(Err(failure)) => tracing::error!(error = %failure, "a sender key cannot be written"),
                None => batch.delete(Kind::SenderKey, key),
            }
        }
        for name in std::mem::take(&mut self.identities.changed) {
            if let Some(identity) = self.identities.known.get(&name) {
                batch.put(
                    Kind::Identity,
                    || format!("{number}/{name}"),
                    || identity.serialize().to_vec(),
                );
            }
        }
    }
}

fn parse((kind, bytes): (&str, &[u8])) -> SignalResult<CiphertextMessage> {
    match kind {
        "pkmsg" => PreKeySignalMessage::try_from(bytes).map(CiphertextMessage::PreKeySignalMessage),
        "msg" => SignalMessage::try_from(bytes).map(CiphertextMessage::SignalMessage),
        other => Err(SignalProtocolError::InvalidArgument(format!(
            "unsupported ciphertext {other}"
        ))),
    }
}

fn to_signal_bundle(peer: &ProtocolAddress, bundle: &Bundle) -> SignalResult<PreKeyBundle> {
    let one_time = match &bundle.one_time_key {
        Some(key) => Some((
            key_number(key.id).into(),
            PublicKey::from_djb_public_key_bytes(&key.public)?,
        )),
        None => None,
    };
    PreKeyBundle::new(
        bundle.registration,
        peer.device_id(),
        one_time,
        key_number(bundle.signed_key.id).into(),
        PublicKey::from_djb_public_key_bytes(&bundle.signed_key.public)?,
        bundle.signed_key.signature.to_vec(),
        IdentityKey::new(PublicKey::from_djb_public_key_bytes(&bundle.identity)?),
    )
}

#[async_trait]
impl SessionStore for Sessions {
    async fn load_session(&self, address: &ProtocolAddress) -> SignalResult<Option<SessionRecord>> {
        Ok(self.records.get(address.as_str()).cloned())
    }

    async fn has_session(&self, address: &ProtocolAddress) -> SignalResult<bool> {
        Ok(self.records.contains_key(address.as_str()))
    }

    async fn store_session(&mut self, address: &ProtocolAddress, record: SessionRecord) -> SignalResult<()> {
        self.changed.insert(address.as_str().to_owned());
        self.records.insert(address.as_str().to_owned(), record);
        Ok(())
    }
}

#[async_trait]
impl SenderKeyStore for SenderKeys {
    async fn store_sender_key(&mut self, name: &SenderKeyName, record: SenderKeyRecord) -> SignalResult<()> {
        self.changed.insert(name.cache_key().to_owned());
        self.records.insert(name.cache_key().to_owned(), record);
        Ok(())
    }

    async fn load_sender_key(&self, name: &SenderKeyName) -> SignalResult<Option<SenderKeyRecord>> {
        Ok(self.records.get(name.cache_key()).cloned())
    }
}

#[async_trait]
impl IdentityKeyStore for Identities {
    async fn get_identity_key_pair(&self) -> SignalResult<IdentityKeyPair> {
        Ok(self.own.clone())
    }

    async fn get_local_registration_id(&self) -> SignalResult<u32> {
        Ok(self.registration)
    }

    async fn save_identity(
        &mut self,
        address: &ProtocolAddress,
        identity: &IdentityKey,
    ) -> SignalResult<IdentityChange> {
        let name = address.as_str().to_owned();
        let unchanged = self
            .known
            .insert(name.clone(), *identity)
            .is_none_or(|known| known == *identity);
        self.changed.insert(name);
        Ok(if unchanged {
            IdentityChange::NewOrUnchanged
        } else {
            IdentityChange::ReplacedExisting
        })
    }

    async fn is_trusted_identity(
        &self,
        address: &ProtocolAddress,
        identity: &IdentityKey,
        _direction: Direction,
    ) -> SignalResult<bool> {
        Ok(self.known.get(address.as_str()).is_none_or(|known| known == identity))
    }

    async fn get_identity(&self, address: &ProtocolAddress) -> SignalResult<Option<IdentityKey>> {
        Ok(self.known.get(address.as_str()).copied())
    }
}

/// The one-time pre-keys of the account. The server gives them out, so they lie with the account's state.
struct GivenKeys<'a> {
    account: &'a Account,
}

#[async_trait]
impl PreKeyStore for GivenKeys<'_> {
    async fn get_pre_key(&self, id: PreKeyId) -> SignalResult<PreKeyRecord> {
        let private = self.account.state().given_keys.get(&u32::from(id)).copied();
        let private = private.ok_or(SignalProtocolError::InvalidPreKeyId)?;
        let pair = KeyPair::try_from(PrivateKey::deserialize(&private)?)?;
        Ok(PreKeyRecord::new(id, &pair))
    }

    async fn save_pre_key(&mut self, _id: PreKeyId, _record: &PreKeyRecord) -> SignalResult<()> {
        Ok(())
    }

    // The key is removed in the same commit as the session it started, see the inbox.
    async fn remove_pre_key(&mut self, _id: PreKeyId) -> SignalResult<()> {
        Ok(())
    }
}

struct SignedKeys<'a> {
    keys: &'a PhoneKeys,
}

#[async_trait]
impl SignedPreKeyStore for SignedKeys<'_> {
    async fn get_signed_pre_key(&self, id: SignedPreKeyId) -> SignalResult<SignedPreKeyRecord> {
        if u32::from(id) != SIGNED_KEY_ID {
            return Err(SignalProtocolError::InvalidSignedPreKeyId);
        }
        let at = Timestamp::from_epoch_millis(0);
        Ok(SignedPreKeyRecord::new(
            id,
            at,
            &self.keys.signed,
            &self.keys.signed_signature,
        ))
    }

    async fn save_signed_pre_key(&mut self, _id: SignedPreKeyId, _record: &SignedPreKeyRecord) -> SignalResult<()> {
        Ok(())
    }
}
