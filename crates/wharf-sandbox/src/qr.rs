//! Reads what a client shows as a QR code.

use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::error::SandboxError;

/// The parts of a linking code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LinkingCode {
    pub reference: String,
    pub noise: [u8; 32],
    pub identity: [u8; 32],
    pub adv_secret: [u8; 32],
}

impl LinkingCode {
    /// `REF,noise,identity,secret[,client type]`; Baileys 7 puts an address up to `#` in front.
    pub(crate) fn parse(text: &str) -> Result<Self, SandboxError> {
        let text = text.trim();
        let text = text.rsplit_once('#').map_or(text, |(_address, code)| code);
        let mut parts = text.split(',');
        let reference = parts
            .next()
            .filter(|part| !part.is_empty())
            .ok_or(SandboxError::InvalidQr)?
            .to_owned();
        let mut key = || parts.next().and_then(decode_key).ok_or(SandboxError::InvalidQr);
        Ok(Self {
            reference,
            noise: key()?,
            identity: key()?,
            adv_secret: key()?,
        })
    }
}

fn decode_key(text: &str) -> Option<[u8; 32]> {
    BASE64_STANDARD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code() -> String {
        let key = |byte: u8| BASE64_STANDARD.encode([byte; 32]);
        format!("2@ref,{},{},{}", key(1), key(2), key(3))
    }

    #[test]
    fn both_forms_of_a_code_are_read() {
        let plain = LinkingCode::parse(&code()).unwrap();
        assert_eq!(plain.reference, "2@ref");
        assert_eq!(
            (plain.noise, plain.identity, plain.adv_secret),
            ([1; 32], [2; 32], [3; 32])
        );
        let address = format!("https://wa.me/settings/linked_devices#{},1", code());
        assert_eq!(LinkingCode::parse(&address).unwrap(), plain);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "hello", ",,,", "ref,AAAA,AAAA,AAAA", "https://example.org"] {
            assert_eq!(LinkingCode::parse(text).unwrap_err().code(), "invalid_qr");
        }
    }
}
