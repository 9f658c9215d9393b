//! Addresses: E.164 phone numbers, WhatsApp's own jids, and the `to` of a send.

use std::fmt;
use std::str::FromStr;

/// Why a text is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not 7 to 15 digits with a country code in front.
    #[error("not a phone number: expected a country code and 7 to 15 digits in all, such as +15551234567")]
    Phone,
    /// Not a jid that Wharf can send to.
    #[error("not a WhatsApp address: expected `user@s.whatsapp.net`, `user@lid` or `id@g.us`")]
    Jid,
}

/// An E.164 number: 7 to 15 digits, country code first, kept without the `+`.
///
/// Only the shape is checked (ITU-T E.164: at most 15 digits, no country code starts with 0). Whether a number is
/// valid in its country is WhatsApp's to say: numbers that every phone library calls invalid have accounts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phone(String);

impl Phone {
    /// The digits, without `+`.
    pub fn digits(&self) -> &str {
        &self.0
    }

    /// How else the number is written, where two spellings lead to one account (protocol brief, section 8): Brazil puts a 9
    /// in front of mobile numbers, Argentina one behind the country code; Mexico used to put a 1 there.
    pub fn other_spelling(&self) -> Option<Self> {
        let digits = &*self.0;
        let other = match digits.split_at_checked(2)? {
            ("55", national) => brazilian(national)?,
            ("52", national) => with_or_without(national, "1", 10)?,
            ("54", national) => with_or_without(national, "9", 10)?,
            _ => return None,
        };
        Some(Self(format!("{}{other}", &digits[..2])))
    }

    /// The jid that a number is addressed by.
    pub fn to_jid(&self) -> Jid {
        Jid {
            user: self.0.clone(),
            server: JidServer::Phone,
        }
    }
}

/// Two digits for the area, then eight, or nine that start with a 9. Only mobile numbers have two spellings, whose eight digits
/// start with 6 to 9: the same digits behind a 9 are another subscriber's where they start as those of a fixed line do.
fn brazilian(national: &str) -> Option<String> {
    let (area, local) = national.split_at_checked(2)?;
    let eight = local.get(local.len().checked_sub(8)?..)?;
    let is_mobile = eight.starts_with(['6', '7', '8', '9']);
    is_mobile.then_some(())?;
    Some(format!("{area}{}", with_or_without(local, "9", 8)?))
}

/// The number with the prefix if it has none, and without it if it has one; `length` digits without.
fn with_or_without(number: &str, prefix: &str, length: usize) -> Option<String> {
    match number.strip_prefix(prefix) {
        Some(bare) if bare.len() == length => Some(bare.to_owned()),
        _ if number.len() == length => Some(format!("{prefix}{number}")),
        _ => None,
    }
}

impl FromStr for Phone {
    type Err = AddressError;

    /// Takes `+` in front and the usual separators (space, hyphen, dot, parentheses) between digits.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let body = text.strip_prefix('+').unwrap_or(text);
        let digits: String = body
            .chars()
            .filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')'))
            .collect();
        let digits_only = digits.bytes().all(|byte| byte.is_ascii_digit());
        if digits_only && (7..=15).contains(&digits.len()) && !digits.starts_with('0') {
            Ok(Self(digits))
        } else {
            Err(AddressError::Phone)
        }
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.0)
    }
}

/// Logs are written with `Debug`: the number itself must not reach them.
impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phone(***)")
    }
}

/// The kinds of jid that Wharf speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JidServer {
    /// `@s.whatsapp.net`: a person by phone number.
    Phone,
    /// `@lid`: a person by hidden id.
    Lid,
    /// `@g.us`: a group.
    Group,
}

impl JidServer {
    /// The text behind the `@`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Phone => "s.whatsapp.net",
            Self::Lid => "lid",
            Self::Group => "g.us",
        }
    }
}

/// WhatsApp's address of a chat: `user@server`, without a device.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Jid {
    user: String,
    server: JidServer,
}

impl Jid {
    /// A jid from parts that are already known to be sound.
    ///
    /// # Errors
    /// [`AddressError::Jid`] for a user part that no such server has.
    pub fn new(user: &str, server: JidServer) -> Result<Self, AddressError> {
        let fits = match server {
            JidServer::Phone => (5..=15).contains(&user.len()) && user.bytes().all(|byte| byte.is_ascii_digit()),
            JidServer::Lid => (1..=20).contains(&user.len()) && user.bytes().all(|byte| byte.is_ascii_digit()),
            JidServer::Group => {
                (1..=40).contains(&user.len()) && user.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
            }
        };
        if fits {
            Ok(Self {
                user: user.to_owned(),
                server,
            })
        } else {
            Err(AddressError::Jid)
        }
    }

    /// The part before the `@`.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The part behind the `@`.
    pub const fn server(&self) -> JidServer {
        self.server
    }
}

impl FromStr for Jid {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (user, server) = text.split_once('@').ok_or(AddressError::Jid)?;
        let server = match server {
            "s.whatsapp.net" | "c.us" => JidServer::Phone,
            "lid" => JidServer::Lid,
            "g.us" => JidServer::Group,
            _ => return Err(AddressError::Jid),
        };
        Self::new(user, server)
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.user, self.server.as_str())
    }
}

/// Logs are written with `Debug`: the number inside must not reach them.
impl fmt::Debug for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jid(***@{})", self.server.as_str())
    }
}

/// The `to` of a send: a phone number or a jid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// A number; WhatsApp says which account it is.
    Phone(Phone),
    /// An address that WhatsApp gave.
    Jid(Jid),
}

impl Recipient {
    /// Where the message goes.
    pub fn to_jid(&self) -> Jid {
        match self {
            Self::Phone(phone) => phone.to_jid(),
            Self::Jid(jid) => jid.clone(),
        }
    }
}

impl FromStr for Recipient {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.contains('@') {
            text.parse().map(Self::Jid)
        } else {
            text.parse().map(Self::Phone)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn takes_numbers_as_people_write_them() {
        for text in ["+1 (555) 123-4567", "15551234567", " +1.555.123.4567 "] {
            assert_eq!(text.parse::<Phone>().unwrap().digits(), "15551234567", "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_number() {
        for text in [
            "",
            "+",
            "12345",
            "0049123456789",
            "1234567890123456",
            "+1555x234567",
            "١٢٣٤٥٦٧٨",
        ] {
            assert_eq!(text.parse::<Phone>(), Err(AddressError::Phone), "{text}");
        }
    }

    #[test]
    fn a_mobile_number_has_another_spelling_and_a_fixed_line_has_none() {
        for (number, other) in [
            ("5531987654321", Some("553187654321")),
            ("553187654321", Some("5531987654321")),
            ("551134567890", None),
            ("5511934567890", None),
            ("5215512345678", Some("525512345678")),
            ("15551234567", None),
        ] {
            let phone: Phone = number.parse().unwrap();
            let found = phone.other_spelling();
            assert_eq!(found.as_ref().map(Phone::digits), other, "{number}");
        }
    }

    #[test]
    fn a_jid_reads_back_as_itself() {
        for text in [
            "15551234567@s.whatsapp.net",
            "100000012345678@lid",
            "120363021033254949@g.us",
        ] {
            assert_eq!(text.parse::<Jid>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn logs_never_show_the_number() {
        let recipient: Recipient = "+15551234567".parse().unwrap();
        assert!(!format!("{recipient:?} {:?}", recipient.to_jid()).contains("555"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC*") {
            let _ = text.parse::<Recipient>();
        }
    }
}
