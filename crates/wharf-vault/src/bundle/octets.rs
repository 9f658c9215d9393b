//! Bytes as CBOR byte strings (RFC 8949, major type 2): serde writes them as lists of numbers, at twice the size.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};
use serde_bytes::{ByteBuf, Bytes};
use zeroize::{Zeroize, Zeroizing};

/// What a byte string can hold.
pub(crate) trait Octets: Sized {
    fn octets(&self) -> &[u8];

    /// `None`: not that many bytes.
    fn from_octets(octets: Vec<u8>) -> Option<Self>;
}

impl Octets for Vec<u8> {
    fn octets(&self) -> &[u8] {
        self
    }

    fn from_octets(octets: Vec<u8>) -> Option<Self> {
        Some(octets)
    }
}

impl<const LENGTH: usize> Octets for [u8; LENGTH] {
    fn octets(&self) -> &[u8] {
        self
    }

    fn from_octets(octets: Vec<u8>) -> Option<Self> {
        octets.try_into().ok()
    }
}

impl<T: Octets + Zeroize> Octets for Zeroizing<T> {
    fn octets(&self) -> &[u8] {
        T::octets(self)
    }

    fn from_octets(octets: Vec<u8>) -> Option<Self> {
        T::from_octets(octets).map(Zeroizing::new)
    }
}

pub(crate) fn serialize<T: Octets, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(value.octets())
}

pub(crate) fn deserialize<'de, T: Octets, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let octets = ByteBuf::deserialize(deserializer)?.into_vec();
    T::from_octets(octets).ok_or_else(|| D::Error::custom("a byte string of another length"))
}

/// The same where there may be none.
pub(crate) mod maybe {
    use super::{ByteBuf, Bytes, Deserialize, Deserializer, Octets, Serializer};
    use serde::Serialize as _;
    use serde::de::Error as _;

    pub(crate) fn serialize<T: Octets, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        value
            .as_ref()
            .map(|value| Bytes::new(value.octets()))
            .serialize(serializer)
    }

    pub(crate) fn deserialize<'de, T: Octets, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
        let Some(octets) = Option::<ByteBuf>::deserialize(deserializer)? else {
            return Ok(None);
        };
        let value = T::from_octets(octets.into_vec());
        value
            .map(Some)
            .ok_or_else(|| D::Error::custom("a byte string of another length"))
    }
}

/// Addresses as their text.
pub(crate) mod jid {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};
    use wharf_model::Jid;

    pub(crate) fn serialize<S: Serializer>(jid: &Jid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(jid)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Jid, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }

    /// The same where there may be none.
    pub(crate) mod maybe {
        use serde::de::Error as _;
        use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};
        use wharf_model::Jid;

        pub(crate) fn serialize<S: Serializer>(jid: &Option<Jid>, serializer: S) -> Result<S::Ok, S::Error> {
            jid.as_ref().map(ToString::to_string).serialize(serializer)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Jid>, D::Error> {
            let text = Option::<String>::deserialize(deserializer)?;
            text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
        }
    }
}
