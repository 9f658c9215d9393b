//! Session strings: a brand, a delimiter, and base64 of something.

use zeroize::Zeroizing;

use super::{Layer, is_bundle, is_known};
use crate::base64::decode;
use crate::error::{Fetch, VaultError};

/// Bytes of the longest brand with its delimiter.
const LONGEST_BRAND: usize = 64;
/// What ends a brand. An underscore may also be a letter of the url-safe alphabet, so that every place is tried.
const DELIMITERS: &[u8] = b"~;:_-=|., ";
/// Characters that are enough to see how the decoded content begins: three bytes of it.
const HEAD: usize = 4;
/// Lengths of the two halves of a MEGA link.
const MEGA_FILE: usize = 8;
const MEGA_KEY: usize = 43;
/// Characters of the longest id that a server keeps credentials under; too few for credentials, and more than a link to MEGA
/// has behind its brand.
const LONGEST_ID: usize = 64;

/// What the text holds. A brand and the base64 are added to the layers.
pub(super) fn payload(text: &[u8], layers: &mut Vec<Layer>) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let text = cleaned(text)?;
    let promising: Vec<usize> = starts(&text).filter(|&start| is_promising(&text[start..])).collect();
    let decoded = promising
        .iter()
        .find_map(|&start| Some((start, decode(&text[start..])?)));
    match decoded {
        Some((start, content)) => {
            layers.extend((start > 0).then_some(Layer::Prefix));
            layers.push(Layer::Base64);
            Ok(content)
        }
        None if promising.is_empty() => Err(elsewhere(&text)),
        None => Err(VaultError::Damaged("session string")),
    }
}

/// Whether this may be base64 of something that leads to credentials. One id in a hundred begins like base64 of JSON, or goes on
/// so behind one of its underscores; that a short text begins like a bundle is no accident.
fn is_promising(text: &[u8]) -> bool {
    let begins_like = if text.len() > LONGEST_ID { is_known } else { is_bundle };
    decode(&text[..text.len().min(HEAD)]).is_some_and(|head| begins_like(&head))
}

/// The text without white space, dots that stand for what follows, and the difference between the alphabets.
fn cleaned(text: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let mut text: Zeroizing<Vec<u8>> = Zeroizing::new(
        text.iter()
            .copied()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect(),
    );
    while text.last() == Some(&b'.') {
        text.pop();
    }
    if text.is_empty() {
        return Err(VaultError::Empty);
    }
    Ok(text)
}

/// Where the payload may begin: at once, or behind a delimiter.
fn starts(text: &[u8]) -> impl Iterator<Item = usize> {
    let behind = text.iter().take(LONGEST_BRAND).enumerate();
    let behind = behind
        .filter(|(_, byte)| DELIMITERS.contains(byte))
        .map(|(place, _)| place + 1);
    std::iter::once(0).chain(behind)
}

/// Text that holds no credentials may still name them.
fn elsewhere(text: &[u8]) -> VaultError {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let tail = text
        .len()
        .checked_sub(MEGA_FILE + 1 + MEGA_KEY)
        .map(|start| &text[start..]);
    let is_mega = tail.is_some_and(|tail| {
        let (file, key) = tail.split_at(MEGA_FILE);
        file.iter().all(word) && key[0] == b'#' && key[1..].iter().all(word)
    });
    let id = text.rsplit(|byte| matches!(byte, b'~' | b';')).next().unwrap_or(text);
    if is_mega {
        VaultError::Elsewhere(Fetch::Mega)
    } else if id.len() < text.len() && (1..=LONGEST_ID).contains(&id.len()) && id.iter().all(word) {
        VaultError::Elsewhere(Fetch::Id)
    } else {
        VaultError::Unrecognised
    }
}
