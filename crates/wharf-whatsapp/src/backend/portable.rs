//! Between credentials and rows (protocol brief, section 13): what a session starts with that comes from elsewhere, and
//! what can be taken elsewhere of one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use wacore::libsignal::protocol::{KeyPair as EngineKeyPair, PrivateKey, PublicKey};
use wacore::libsignal::store::record_helpers::new_pre_key_record;
use wacore::libsignal::store::sender_key_name::SenderKeyName;
use wacore::store::Device;
use wacore::store::traits::{AppStateSyncKey, LidPnMappingEntry, TcTokenEntry};
use wacore::types::jid::JidExt as _;
use wacore_binary::{Jid as EngineJid, Server};
use waproto::whatsapp as wa;
use wharf_model::{Jid, JidServer, Random};
use wharf_storage::SessionKeys;
use wharf_storage::wa_state::StateRow;
use wharf_vault::{
    Address, ContactToken, Credentials, DeviceIdentity, Identity, KeyPair, Keys, LidMapping, Owner, Portable, PreKey,
    SenderKey, SignalSession, SignedPreKey, StateFormat, SyncKey,
};

use super::carry::renew_pre_keys;
use super::kinds::{DEVICE, IDENTITY, LID_MAPPING, PRE_KEY, SENDER_KEY, SESSION, SYNC_KEY, TC_TOKEN};
use super::rows::{from_json, open};
use super::{app_sync, device, protocol, signal};
use crate::conversions::{engine_jid, person_jid};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// How the mappings of phones and hidden ids were learned, in the engine's words.
const LEARNED_ELSEWHERE: &str = "other";

/// The form in which the engine keeps what it knows.
#[derive(Clone, Copy, Debug, Default)]
pub struct EngineFormat;

impl StateFormat for EngineFormat {
    fn rows(&self, keys: &SessionKeys, portable: &Portable, random: &dyn Random) -> Result<Vec<StateRow>, Error> {
        let mut device = linked_device(&portable.credentials)?;
        let newest = portable.keys.pre_keys.iter().map(|key| key.id).max().unwrap_or(0);
        device.next_pre_key_id = device.next_pre_key_id.max(newest.saturating_add(1));
        renew_pre_keys(&mut device, random);
        let mut rows = vec![device::device_row(keys, &device)?];
        rows.extend(signal_rows(keys, &portable.keys)?);
        rows.extend(account_rows(keys, &portable.keys)?);
        Ok(rows)
    }

    fn kinds(&self) -> &'static [&'static str] {
        &[
            DEVICE,
            PRE_KEY,
            SESSION,
            SENDER_KEY,
            IDENTITY,
            SYNC_KEY,
            LID_MAPPING,
            TC_TOKEN,
        ]
    }

    fn portable(&self, keys: &SessionKeys, rows: &[StateRow]) -> Result<Option<Portable>, Error> {
        collect(keys, rows)
    }
}

/// Collects what the rows say.
fn collect(keys: &SessionKeys, rows: &[StateRow]) -> Result<Option<Portable>, Error> {
    let (mut credentials, mut found, mut tokens) = (None, Keys::default(), Vec::new());
    for row in rows {
        let value = open(keys, row)?;
        match row.kind.as_str() {
            DEVICE => credentials = credentials_of(&device::read_device(&value)?),
            PRE_KEY => found.pre_keys.push(pre_key_of(&value)?),
            SESSION => {
                let (with, start) = address_in(&value);
                match with {
                    Some(with) => found.sessions.push(SignalSession {
                        with,
                        record: value[start..].to_vec().into(),
                    }),
                    None => found.unreadable += 1,
                }
            }
            SENDER_KEY => match sender_key_of(&value) {
                Some(key) => found.sender_keys.push(key),
                None => found.unreadable += 1,
            },
            IDENTITY => {
                let (of, start) = signal::address_of_identity(&value);
                if let Some(of) = of.and_then(parsed) {
                    let key = value[start..].try_into()?;
                    found.identities.push(Identity { of, key });
                }
            }
            SYNC_KEY => found.sync_keys.push(sync_key_of(&value)?),
            LID_MAPPING => found.lid_mappings.extend(mapping_of(&value)?),
            TC_TOKEN => tokens.push(protocol::token_of(&value)?),
            _ => {}
        }
    }
    let of_lids: HashSet<_> = found.lid_mappings.iter().map(|mapping| mapping.lid.user()).collect();
    let tokens = tokens
        .into_iter()
        .filter_map(|(user, entry)| token_of(&of_lids, &user, entry))
        .collect();
    found.contact_tokens = tokens;
    Ok(credentials.map(|credentials| Portable::new(credentials, found)))
}

/// `None` of a device that was never linked.
fn credentials_of(device: &Device) -> Option<Credentials> {
    let (pn, account) = (device.pn.as_ref()?, device.account.as_deref()?);
    let account = DeviceIdentity {
        details: account.details.clone()?,
        account_key: account.account_signature_key.as_deref()?.try_into().ok()?,
        account_signature: account.account_signature.as_deref()?.try_into().ok()?,
        device_signature: account.device_signature.as_deref()?.try_into().ok()?,
    };
    Some(Credentials {
        noise: bare_pair(&device.noise_key)?,
        identity: bare_pair(&device.identity_key)?,
        signed_pre_key: SignedPreKey {
            id: device.signed_pre_key_id,
            pair: bare_pair(&device.signed_pre_key)?,
            signature: device.signed_pre_key_signature,
        },
        registration_id: device.registration_id,
        account,
        owner: Owner {
            phone: person_jid(pn)?,
            lid: device.lid.as_ref().and_then(person_jid),
            device: pn.device,
            name: Some(device.push_name.clone()).filter(|name| !name.is_empty()),
        },
        linking_secret: Some(device.adv_secret_key.into()),
        next_pre_key_id: device.next_pre_key_id,
        routing_info: device.edge_routing_info.clone(),
    })
}

fn bare_pair(pair: &EngineKeyPair) -> Option<KeyPair> {
    Some(KeyPair {
        private: <[u8; 32]>::try_from(pair.private_key.serialize().as_ref()).ok()?.into(),
        public: pair.public_key.public_key_bytes().try_into().ok()?,
    })
}

fn pre_key_of(value: &[u8]) -> Result<PreKey, Error> {
    let record = waproto::codec::pre_key_record_decode(signal::pre_key_record(value))?;
    let half = |half: Option<Vec<u8>>| half.ok_or("a stored pre-key lacks a half");
    let public = half(record.public_key)?;
    Ok(PreKey {
        id: record.id.unwrap_or_default(),
        pair: KeyPair {
            private: <[u8; 32]>::try_from(half(record.private_key)?.as_slice())?.into(),
            // Older ones begin with the type of the curve.
            public: public[public.len().saturating_sub(32)..].try_into()?,
        },
    })
}

fn sync_key_of(value: &[u8]) -> Result<SyncKey, Error> {
    let (id, key) = app_sync::sync_key_of(value)?;
    Ok(SyncKey {
        id,
        key: key.key_data.into(),
        fingerprint: key.fingerprint,
        made_at: key.timestamp,
    })
}

fn mapping_of(value: &[u8]) -> Result<Option<LidMapping>, Error> {
    let entry: LidPnMappingEntry = from_json(value)?;
    let phone = Jid::new(&entry.phone_number, JidServer::Phone);
    let lid = Jid::new(&entry.lid, JidServer::Lid);
    Ok(phone.ok().zip(lid.ok()).map(|(phone, lid)| LidMapping { phone, lid }))
}

/// The engine keeps tokens by user, without a server: the hidden id, or the phone of a contact without one. `None` for a
/// token that we gave and never got.
fn token_of(of_lids: &HashSet<&str>, user: &str, entry: TcTokenEntry) -> Option<ContactToken> {
    let server = if of_lids.contains(user) {
        JidServer::Lid
    } else {
        JidServer::Phone
    };
    let of = Jid::new(user, server).ok().filter(|_| !entry.token.is_empty())?;
    Some(ContactToken {
        of,
        token: entry.token.into(),
        given_at: entry.token_timestamp,
    })
}

/// The address is `GROUP:SENDER`, where both have a server.
fn sender_key_of(value: &[u8]) -> Option<SenderKey> {
    let (address, start) = signal::address_of(value);
    let (group, sender) = address?.split_once(':')?;
    Some(SenderKey {
        group: group.parse().ok()?,
        of: parsed(sender)?,
        record: value[start..].to_vec().into(),
    })
}

/// Whom a value is about, and where it begins; `None` for one that was stored before values said so, and for devices
/// that other programs have no address for.
fn address_in(value: &[u8]) -> (Option<Address>, usize) {
    let (address, start) = signal::address_of(value);
    (address.and_then(parsed), start)
}

/// The engine writes phones as `USER[:DEVICE]@c.us.0` in addresses, and nowhere else.
fn parsed(address: &str) -> Option<Address> {
    let jid: EngineJid = address.rsplit_once('.')?.0.parse().ok()?;
    let is_plain = matches!(jid.server, Server::Legacy | Server::Lid);
    Some(Address {
        jid: person_jid(&jid).filter(|_| is_plain)?,
        device: jid.device,
    })
}

/// What the credentials do not say stays as the engine makes it for a new device.
pub(crate) fn linked_device(credentials: &Credentials) -> Result<Device, Error> {
    let owner = &credentials.owner;
    let mut device = Device::new();
    device.pn = Some(engine_jid(&owner.phone).with_device(owner.device));
    device.lid = owner.lid.as_ref().map(|lid| engine_jid(lid).with_device(owner.device));
    device.registration_id = credentials.registration_id;
    device.noise_key = pair(&credentials.noise)?;
    device.identity_key = pair(&credentials.identity)?;
    device.signed_pre_key = pair(&credentials.signed_pre_key.pair)?;
    device.signed_pre_key_id = credentials.signed_pre_key.id;
    device.signed_pre_key_signature = credentials.signed_pre_key.signature;
    device.account = Some(Arc::new(signed_identity(&credentials.account)));
    device.push_name = owner.name.clone().unwrap_or_default();
    device.edge_routing_info.clone_from(&credentials.routing_info);
    device.next_pre_key_id = credentials.next_pre_key_id;
    // Begins to count when it is first looked at.
    device.last_signed_pre_key_rotation_ms = 0;
    if let Some(secret) = &credentials.linking_secret {
        device.adv_secret_key = **secret;
    }
    Ok(device)
}

fn pair(pair: &KeyPair) -> Result<EngineKeyPair, Error> {
    Ok(EngineKeyPair::new(
        PublicKey::from_djb_public_key_bytes(&pair.public)?,
        PrivateKey::deserialize(&*pair.private)?,
    ))
}

fn signed_identity(identity: &DeviceIdentity) -> wa::ADVSignedDeviceIdentity {
    wa::ADVSignedDeviceIdentity {
        details: Some(identity.details.clone()),
        account_signature_key: Some(identity.account_key.to_vec()),
        account_signature: Some(identity.account_signature.to_vec()),
        device_signature: Some(identity.device_signature.to_vec()),
    }
}

/// What others' messages are read and written with.
fn signal_rows(keys: &SessionKeys, portable: &Keys) -> Result<Vec<StateRow>, Error> {
    let mut rows = Vec::with_capacity(portable.pre_keys.len() + portable.sessions.len() + portable.identities.len());
    for PreKey { id, pair: key } in &portable.pre_keys {
        let record = waproto::codec::pre_key_record_to_vec(&new_pre_key_record(*id, &pair(key)?));
        rows.push(signal::pre_key_row(keys, *id, &record, true)?);
    }
    for session in &portable.sessions {
        rows.push(signal::address_row(
            keys,
            SESSION,
            &address(&session.with),
            &session.record,
        )?);
    }
    for key in &portable.sender_keys {
        let name = SenderKeyName::from_parts(&key.group.to_string(), &address(&key.of));
        rows.push(signal::sender_key_row(keys, name.cache_key(), &key.record)?);
    }
    for identity in &portable.identities {
        rows.push(signal::address_row(
            keys,
            IDENTITY,
            &address(&identity.of),
            &identity.key,
        )?);
    }
    Ok(rows)
}

/// What is known of the account and its contacts.
fn account_rows(keys: &SessionKeys, portable: &Keys) -> Result<Vec<StateRow>, Error> {
    let mut rows = Vec::new();
    let mut sync_keys: Vec<_> = portable.sync_keys.iter().collect();
    sync_keys.sort_by_key(|key| key.made_at);
    for (rank, sync_key) in (1..).zip(sync_keys) {
        let key = AppStateSyncKey {
            key_data: sync_key.key.to_vec(),
            fingerprint: sync_key.fingerprint.clone(),
            timestamp: sync_key.made_at,
        };
        rows.push(app_sync::sync_key_row(keys, &sync_key.id, key, rank)?);
    }
    let mut ranks = HashMap::new();
    for mapping in &portable.lid_mappings {
        let entry = LidPnMappingEntry {
            lid: mapping.lid.user().to_owned(),
            phone_number: mapping.phone.user().to_owned(),
            created_at: 0,
            updated_at: 0,
            learning_source: LEARNED_ELSEWHERE.to_owned(),
        };
        let rank = ranks.entry(mapping.phone.user()).or_insert(0);
        *rank += 1;
        rows.push(protocol::mapping_row(keys, &entry, *rank)?);
    }
    let lids: HashMap<_, _> = portable
        .lid_mappings
        .iter()
        .map(|mapping| (&mapping.phone, &mapping.lid))
        .collect();
    for token in &portable.contact_tokens {
        let of = lids.get(&token.of).copied().unwrap_or(&token.of);
        let entry = TcTokenEntry {
            token: token.token.to_vec(),
            token_timestamp: token.given_at,
            sender_timestamp: None,
        };
        rows.push(protocol::token_row(keys, of.user().to_owned(), entry)?);
    }
    Ok(rows)
}

/// As the engine names it among its sessions.
fn address(address: &Address) -> String {
    engine_jid(&address.jid)
        .with_device(address.device)
        .to_protocol_address_string()
}

#[cfg(test)]
mod tests {
    use wacore::store::traits::{AppSyncStore as _, DeviceStore as _, ProtocolStore as _, SignalStore as _};
    use wharf_model::SystemEdges;
    use wharf_storage::{Queue, wa_state};

    use super::*;
    use crate::backend::rows::{Extras, seal};
    use crate::backend::tests::House;

    fn jid(user: &str, server: JidServer) -> Jid {
        Jid::new(user, server).unwrap()
    }

    fn address(user: &str, server: JidServer, device: u16) -> Address {
        let jid = jid(user, server);
        Address { jid, device }
    }

    /// A device that was linked, as far as its own keys go.
    fn credentials() -> Credentials {
        let mut device = Device::new();
        device.pn = Some("15550100001:12@s.whatsapp.net".parse().unwrap());
        device.lid = Some("100000000000001:12@lid".parse().unwrap());
        device.push_name = "Ann".to_owned();
        device.account = Some(Arc::new(wa::ADVSignedDeviceIdentity {
            details: Some(b"details".to_vec()),
            account_signature_key: Some(vec![1; 32]),
            account_signature: Some(vec![2; 64]),
            device_signature: Some(vec![3; 64]),
        }));
        credentials_of(&device).unwrap()
    }

    /// Two of a kind where phones and hidden ids are written differently.
    fn portable() -> Portable {
        let key = bare_pair(&Device::new().noise_key).unwrap();
        let (phone, lid) = ("15550100002", "100000000000002");
        let session = |with, byte| SignalSession {
            with,
            record: vec![byte; 3].into(),
        };
        let identity = |of, byte| Identity { of, key: [byte; 32] };
        let token = |of, byte| ContactToken {
            of,
            token: vec![byte; 3].into(),
            given_at: 1_700_000_000,
        };
        let keys = Keys {
            pre_keys: vec![PreKey { id: 7, pair: key }],
            sessions: vec![
                session(address(phone, JidServer::Phone, 0), 10),
                session(address(lid, JidServer::Lid, 3), 11),
            ],
            sender_keys: vec![SenderKey {
                group: jid("120363000000000001", JidServer::Group),
                of: address(lid, JidServer::Lid, 0),
                record: vec![12; 3].into(),
            }],
            identities: vec![
                identity(address(phone, JidServer::Phone, 2), 4),
                identity(address(lid, JidServer::Lid, 0), 5),
            ],
            sync_keys: vec![SyncKey {
                id: vec![1, 2],
                key: vec![6; 32].into(),
                fingerprint: vec![8, 5],
                made_at: 1_700_000_000,
            }],
            lid_mappings: vec![LidMapping {
                phone: jid(phone, JidServer::Phone),
                lid: jid(lid, JidServer::Lid),
            }],
            contact_tokens: vec![
                token(jid(lid, JidServer::Lid), 7),
                token(jid("15550100003", JidServer::Phone), 8),
            ],
            unreadable: 0,
        };
        Portable::new(credentials(), keys)
    }

    /// What was made of credentials is found by the engine under its own names, and comes out again.
    #[tokio::test]
    async fn the_engine_finds_what_came_along_and_it_can_go_on() {
        let house = House::new().await;
        let backend = house.backend().await;
        let (keys, fence) = (backend.shared_keys(), backend.fence);
        let taken = portable();
        let rows = EngineFormat.rows(&keys, &taken, &SystemEdges).unwrap();
        let stored = rows.clone();
        let write = house.storage.write(Queue::Normal, move |tx| {
            Box::pin(async move { wa_state::put_many(tx, &fence, &stored).await })
        });
        write.await.unwrap();

        let device = backend.load().await.unwrap().unwrap();
        assert!(device.is_registered() && !device.server_has_prekeys);
        assert!(device.next_pre_key_id > 7 && device.push_name == "Ann");
        let session = |name| backend.get_session(name);
        assert_eq!(session("15550100002@c.us.0").await.unwrap().unwrap(), [10; 3][..]);
        assert_eq!(session("100000000000002:3@lid.0").await.unwrap().unwrap(), [11; 3][..]);
        let group = "120363000000000001@g.us:100000000000002@lid.0";
        assert_eq!(backend.get_sender_key(group).await.unwrap().unwrap(), [12; 3]);
        assert_eq!(
            backend.load_identity("15550100002:2@c.us.0").await.unwrap(),
            Some([4; 32])
        );
        assert!(backend.load_prekey(7).await.unwrap().is_some());
        assert_eq!(backend.get_sync_key(&[1, 2]).await.unwrap().unwrap().key_data, [6; 32]);
        let mapping = backend.get_pn_mapping("15550100002").await.unwrap().unwrap();
        assert_eq!(mapping.lid, "100000000000002");
        for (user, byte) in [("100000000000002", 7), ("15550100003", 8)] {
            assert_eq!(backend.get_tc_token(user).await.unwrap().unwrap().token, [byte; 3]);
        }

        let back = EngineFormat.portable(&keys, &rows).unwrap().unwrap();
        assert!(back.keys == taken.keys, "{:?} {:?}", back.keys, taken.keys);
        assert_eq!(back.fingerprint(), taken.fingerprint());
        let renewed = Credentials {
            next_pre_key_id: taken.credentials.next_pre_key_id,
            ..back.credentials
        };
        assert!(renewed == taken.credentials);
    }

    /// Rows of before do not say whom they are with: they are counted, not passed over in silence.
    #[tokio::test]
    async fn conversations_without_an_address_are_counted() {
        let house = House::new().await;
        let keys = house.backend().await.shared_keys();
        let mut rows = EngineFormat.rows(&keys, &portable(), &SystemEdges).unwrap();
        for kind in [SESSION, SENDER_KEY] {
            let old = seal(&keys, kind, b"old".to_vec(), Extras::default(), b"record").unwrap();
            rows.push(old);
        }
        let back = EngineFormat.portable(&keys, &rows).unwrap().unwrap();
        assert_eq!((back.keys.sessions.len(), back.keys.unreadable), (2, 2));
    }

    #[test]
    fn a_device_that_was_never_linked_has_nothing_to_take_along() {
        assert!(credentials_of(&Device::new()).is_none());
    }
}
