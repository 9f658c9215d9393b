//! `creds.json` (`AuthenticationCreds` of Baileys).

use serde_json::{Map, Value};
use wharf_model::{Jid, JidServer};
use zeroize::Zeroizing;

use super::keys::PRE_KEY_IDS;
use super::{bytes, number, pair};
use crate::check::Check;
use crate::credentials::{Credentials, DeviceIdentity, Owner, SignedPreKey};
use crate::error::VaultError;

const PAIR: [&str; 2] = ["It is there.", "It is missing, or is no pair of keys of 32 bytes."];

/// Reads what is there and says of each part whether it is. Credentials come out when nothing is missing.
///
/// # Errors
/// [`VaultError::Damaged`] when this is no JSON object.
pub(crate) fn read(json: &[u8]) -> Result<(Vec<Check>, Option<Credentials>), VaultError> {
    let object: Map<String, Value> = serde_json::from_slice(json).map_err(|_| VaultError::Damaged("creds.json"))?;
    let mut checks = Vec::new();
    let noise = told(&mut checks, "noise_key", pair(object.get("noiseKey")), PAIR);
    let identity = told(&mut checks, "identity_key", pair(object.get("signedIdentityKey")), PAIR);
    let signed_pre_key = told(
        &mut checks,
        "signed_pre_key",
        signed_pre_key(object.get("signedPreKey")),
        [
            "It is there.",
            "It is missing, or lacks its id, its keys or its signature of 64 bytes.",
        ],
    );
    let registration_id = told(
        &mut checks,
        "registration_id",
        number(object.get("registrationId")),
        ["It is there.", "It is missing, or is no number."],
    );
    let account = told(
        &mut checks,
        "account",
        account(object.get("account")),
        [
            "What ties the device to the account is there.",
            "What ties the device to the account is missing: these credentials were never linked, or lost it.",
        ],
    );
    let owner = told(
        &mut checks,
        "owner",
        owner(object.get("me")),
        [
            "The account's number and device are there.",
            "The account's number is missing: these credentials were never linked.",
        ],
    );
    let credentials = (|| {
        Some(Credentials {
            noise: noise?,
            identity: identity?,
            signed_pre_key: signed_pre_key?,
            registration_id: registration_id?,
            account: account?,
            owner: owner?,
            linking_secret: object.get("advSecretKey").and_then(bytes::exactly).map(Zeroizing::new),
            next_pre_key_id: number(object.get("nextPreKeyId"))
                .filter(|id| PRE_KEY_IDS.contains(id))
                .unwrap_or(1),
            routing_info: object.get("routingInfo").and_then(bytes::read),
        })
    })();
    Ok((checks, credentials))
}

/// Writes down whether a part is there.
fn told<T>(checks: &mut Vec<Check>, name: &'static str, part: Option<T>, sentences: [&'static str; 2]) -> Option<T> {
    checks.push(Check::of(name, part.is_some(), sentences));
    part
}

fn signed_pre_key(value: Option<&Value>) -> Option<SignedPreKey> {
    let value = value?;
    Some(SignedPreKey {
        id: number(value.get("keyId"))?,
        pair: pair(value.get("keyPair"))?,
        signature: bytes::exactly(value.get("signature")?)?,
    })
}

fn account(value: Option<&Value>) -> Option<DeviceIdentity> {
    let value = value?;
    Some(DeviceIdentity {
        details: bytes::read(value.get("details")?)?,
        account_key: bytes::public_key(value.get("accountSignatureKey")?)?,
        account_signature: bytes::exactly(value.get("accountSignature")?)?,
        device_signature: bytes::exactly(value.get("deviceSignature")?)?,
    })
}

fn owner(value: Option<&Value>) -> Option<Owner> {
    let value = value?;
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let (phone, device) = address(text("id")?)?;
    if phone.server() != JidServer::Phone {
        return None;
    }
    Some(Owner {
        phone,
        lid: text("lid").and_then(address).map(|(lid, _)| lid),
        device,
        name: text("name").map(str::to_owned),
    })
}

/// `USER:DEVICE@SERVER`.
fn address(text: &str) -> Option<(Jid, u16)> {
    let (user, server) = text.split_once('@')?;
    let (user, device) = user.split_once(':').unwrap_or((user, "0"));
    Some((format!("{user}@{server}").parse().ok()?, device.parse().ok()?))
}
