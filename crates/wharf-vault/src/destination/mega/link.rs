//! A file's id and key, as session strings and links write them: `id#key`.

use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

use super::crypto::FileKey;

/// Characters of a file's id.
const ID: usize = 8;

/// Names a file and opens it. Who has it has the file.
#[derive(Clone, PartialEq, Eq)]
pub struct Link {
    pub(super) file: String,
    key: Zeroizing<[u8; 32]>,
}

impl Link {
    pub(super) fn new(file: String, key: &FileKey) -> Self {
        Self {
            file,
            key: key.merged(),
        }
    }

    pub(super) fn key(&self) -> FileKey {
        FileKey::read(&self.key)
    }

    /// `id#key`, to put behind a brand.
    pub fn expose(&self) -> Zeroizing<String> {
        let key = Zeroizing::new(BASE64URL_NOPAD.encode(&*self.key));
        Zeroizing::new(format!("{}#{}", self.file, *key))
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

/// There is no `id#key` in it.
#[derive(Debug, thiserror::Error)]
#[error("this names no file at MEGA")]
pub struct NoLink;

/// Also out of `https://mega.nz/file/id#key` and `BRAND~id#key`.
impl FromStr for Link {
    type Err = NoLink;

    fn from_str(text: &str) -> Result<Self, NoLink> {
        let (before, key) = text.trim().rsplit_once('#').ok_or(NoLink)?;
        let start = before.len().checked_sub(ID).ok_or(NoLink)?;
        let file = before.get(start..).ok_or(NoLink)?;
        let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let decoded = Zeroizing::new(BASE64URL_NOPAD.decode(key.as_bytes()).map_err(|_| NoLink)?);
        let mut key = Zeroizing::new([0; 32]);
        if decoded.len() != key.len() || !file.bytes().all(word) {
            return Err(NoLink);
        }
        key.copy_from_slice(&decoded);
        Ok(Self {
            file: file.to_owned(),
            key,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_read_in_each_of_its_forms() {
        let key = BASE64URL_NOPAD.encode(&[3; 32]);
        let bare = format!("AbCd-_12#{key}");
        for text in [
            bare.clone(),
            format!("https://mega.nz/file/{bare}"),
            format!(" BRAND~{bare}\n"),
        ] {
            let link: Link = text.parse().unwrap();
            assert_eq!(*link.expose(), bare);
        }
    }

    #[test]
    fn other_texts_are_none() {
        let key = BASE64URL_NOPAD.encode(&[3; 32]);
        for text in [
            "",
            "#",
            "AbCd-_12#",
            "short#AAAA",
            &format!("Ab d-_12#{key}"),
            &format!("éééé#{key}"),
            &key,
        ] {
            assert!(text.parse::<Link>().is_err(), "{text}");
        }
    }
}
