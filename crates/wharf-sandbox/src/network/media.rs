//! Files that clients uploaded: ciphertext, kept as it came. Promises that a file is what its token says, and that all of
//! them together never take more than [`ROOM`]: the oldest give way.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use bytes::{Bytes, BytesMut};
use rand::RngExt as _;
use rand::rngs::StdRng;
use sha2::{Digest as _, Sha256};

/// The largest file, in bytes.
pub(crate) const MAX_FILE: usize = 64 * 1024 * 1024;
/// What all files may take together, in bytes.
const ROOM: usize = 4 * MAX_FILE;
/// Uploads that broke off and may go on.
const MAX_UNFINISHED: usize = 16;
/// Addresses of one file; every refresh adds one.
const MAX_PATHS: usize = 16;
/// How long an upload pass lasts, in seconds, as official servers say.
pub(crate) const PASS_LASTS: u64 = 21_600;

#[derive(Debug, Default)]
pub(crate) struct Media {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By token.
    files: HashMap<String, File>,
    /// Tokens, the oldest first.
    order: VecDeque<String>,
    taken: usize,
    /// By the address that a file is fetched at.
    paths: HashMap<String, Place>,
    unfinished: VecDeque<(String, BytesMut)>,
    /// By account: one pass is enough.
    passes: HashMap<String, Pass>,
}

#[derive(Debug)]
struct File {
    bytes: Bytes,
    /// Every address that it ever had; the last is the one that is told.
    paths: VecDeque<String>,
}

#[derive(Debug)]
struct Place {
    token: String,
    expired: bool,
}

#[derive(Debug, Clone)]
struct Pass {
    auth: String,
    until: u64,
}

/// How far an upload has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The file is there, at this address.
    Complete(String),
    /// So many bytes are.
    Partial(usize),
    Nothing,
}

/// Why a file cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Unknown,
    Expired,
}

/// What a file that was kept is called, and what had to give way to it.
#[derive(Debug)]
pub(crate) struct Kept {
    pub path: String,
    pub dropped: Vec<String>,
}

/// The name that clients give a ciphertext: its SHA-256 in URL-safe base64.
pub(crate) fn token_of(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(bytes))
}

impl Media {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The account's pass for uploads; a new one when less than half of its time is left.
    pub(crate) fn pass(&self, number: &str, now: u64, rng: &mut StdRng) -> String {
        let mut state = self.state();
        if let Some(pass) = state
            .passes
            .get(number)
            .filter(|pass| pass.until > now + PASS_LASTS / 2)
        {
            return pass.auth.clone();
        }
        let auth = format!("{number}-{}", BASE64_URL_SAFE_NO_PAD.encode(rng.random::<[u8; 24]>()));
        let pass = Pass {
            auth: auth.clone(),
            until: now + PASS_LASTS,
        };
        state.passes.insert(number.to_owned(), pass);
        auth
    }

    pub(crate) fn admits(&self, auth: &str, now: u64) -> bool {
        let number = auth.split('-').next().unwrap_or_default();
        let state = self.state();
        let pass = state.passes.get(number);
        pass.is_some_and(|pass| pass.auth == auth && pass.until > now)
    }

    pub(crate) fn progress(&self, token: &str) -> Progress {
        let state = self.state();
        if let Some(path) = state.current_path(token) {
            return Progress::Complete(path);
        }
        let begun = state.unfinished.iter().find(|(known, _)| known == token);
        begun.map_or(Progress::Nothing, |(_, bytes)| Progress::Partial(bytes.len()))
    }

    /// What is there of an upload that goes on at this offset. `None` when that is not how far it came.
    pub(crate) fn resume(&self, token: &str, offset: usize) -> Option<BytesMut> {
        let mut state = self.state();
        let begun = state.unfinished.iter().position(|(known, _)| known == token);
        let bytes = begun
            .and_then(|place| state.unfinished.remove(place))
            .map(|(_, bytes)| bytes);
        match offset {
            0 => Some(BytesMut::new()),
            _ => bytes.filter(|bytes| bytes.len() == offset),
        }
    }

    /// Keeps what came of an upload that broke off.
    pub(crate) fn pause(&self, token: String, bytes: BytesMut) {
        let mut state = self.state();
        if state.unfinished.len() == MAX_UNFINISHED {
            state.unfinished.pop_front();
        }
        state.unfinished.push_back((token, bytes));
    }

    /// Keeps a whole file. The caller has compared its hash with its token.
    pub(crate) fn keep(&self, token: &str, bytes: Bytes, rng: &mut StdRng) -> Kept {
        let mut state = self.state();
        if let Some(path) = state.current_path(token) {
            return Kept {
                path,
                dropped: Vec::new(),
            };
        }
        state.add(token, bytes);
        let path = state.give_path(token, new_path(rng));
        let mut dropped = Vec::new();
        while state.taken > ROOM && state.order.len() > 1 {
            dropped.extend(state.drop_oldest());
        }
        Kept { path, dropped }
    }

    /// Reads a file back.
    pub(crate) fn restore(&self, token: &str, path: String, bytes: Bytes) {
        let mut state = self.state();
        state.add(token, bytes);
        state.give_path(token, path);
    }

    pub(crate) fn fetch(&self, path: &str) -> Result<Bytes, Missing> {
        let state = self.state();
        let place = state.paths.get(path).ok_or(Missing::Unknown)?;
        if place.expired {
            return Err(Missing::Expired);
        }
        let file = state.files.get(&place.token).ok_or(Missing::Unknown)?;
        Ok(file.bytes.clone())
    }

    /// From now on no address that was told works; how many did.
    pub(crate) fn expire(&self) -> usize {
        let mut state = self.state();
        let valid = state.paths.values_mut().filter(|place| !place.expired);
        valid.map(|place| place.expired = true).count()
    }

    /// The file of an address under an address that works: what a phone does that is asked to upload it again.
    pub(crate) fn renew(&self, path: &str, rng: &mut StdRng) -> Option<String> {
        let mut state = self.state();
        let token = state.paths.get(path)?.token.clone();
        if let Some(current) = state.current_path(&token) {
            return Some(current);
        }
        Some(state.give_path(&token, new_path(rng)))
    }
}

fn new_path(rng: &mut StdRng) -> String {
    format!("{:032x}.enc", rng.random::<u128>())
}

impl State {
    /// The address of a file that works.
    fn current_path(&self, token: &str) -> Option<String> {
        let path = self.files.get(token)?.paths.back()?;
        self.paths
            .get(path)
            .filter(|place| !place.expired)
            .map(|_| path.clone())
    }

    fn add(&mut self, token: &str, bytes: Bytes) {
        // It can be there with addresses that do not work any more.
        if self.files.contains_key(token) {
            return;
        }
        self.taken += bytes.len();
        self.order.push_back(token.to_owned());
        let paths = VecDeque::new();
        self.files.insert(token.to_owned(), File { bytes, paths });
    }

    fn give_path(&mut self, token: &str, path: String) -> String {
        if let Some(file) = self.files.get_mut(token) {
            file.paths.push_back(path.clone());
            if file.paths.len() > MAX_PATHS
                && let Some(oldest) = file.paths.pop_front()
            {
                self.paths.remove(&oldest);
            }
            let place = Place {
                token: token.to_owned(),
                expired: false,
            };
            self.paths.insert(path.clone(), place);
        }
        path
    }

    fn drop_oldest(&mut self) -> Option<String> {
        let token = self.order.pop_front()?;
        let file = self.files.remove(&token)?;
        self.taken -= file.bytes.len();
        for path in &file.paths {
            self.paths.remove(path);
        }
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    fn rng() -> StdRng {
        StdRng::seed_from_u64(1)
    }

    fn kept(media: &Media, bytes: Vec<u8>) -> Kept {
        media.keep(&token_of(&bytes), bytes.into(), &mut rng())
    }

    #[test]
    fn an_expired_address_is_told_from_an_unknown_one_and_renewed() {
        let media = Media::default();
        let path = kept(&media, b"file".to_vec()).path;
        assert_eq!(media.fetch(&path).unwrap(), "file");
        assert_eq!(media.fetch("other"), Err(Missing::Unknown));
        assert_eq!(media.expire(), 1);
        assert_eq!(media.fetch(&path), Err(Missing::Expired));
        let renewed = media.renew(&path, &mut StdRng::seed_from_u64(2)).unwrap();
        assert_eq!(media.fetch(&renewed).unwrap(), "file");
        assert_eq!(media.fetch(&path), Err(Missing::Expired));
    }

    #[test]
    fn the_oldest_files_give_way() {
        let media = Media::default();
        let first = kept(&media, vec![0; MAX_FILE]);
        for fill in 1..=3 {
            assert!(kept_as(&media, fill).dropped.is_empty());
        }
        let last = kept_as(&media, 4);
        assert_eq!(last.dropped, [token_of(&vec![0; MAX_FILE])]);
        assert_eq!(media.fetch(&first.path), Err(Missing::Unknown));
        assert!(media.fetch(&last.path).is_ok());
    }

    fn kept_as(media: &Media, fill: u8) -> Kept {
        let bytes = vec![fill; MAX_FILE];
        media.keep(&token_of(&bytes), bytes.into(), &mut StdRng::seed_from_u64(fill.into()))
    }

    #[test]
    fn an_upload_goes_on_where_it_broke_off_and_nowhere_else() {
        let media = Media::default();
        media.pause("t".to_owned(), BytesMut::from(&b"half"[..]));
        assert_eq!(media.progress("t"), Progress::Partial(4));
        assert_eq!(media.resume("t", 4).unwrap(), "half");
        media.pause("t".to_owned(), BytesMut::from(&b"half"[..]));
        assert!(media.resume("t", 3).is_none());
        assert_eq!(media.progress("t"), Progress::Nothing);
    }

    #[test]
    fn a_pass_ends() {
        let media = Media::default();
        let pass = media.pass("1", 100, &mut rng());
        assert_eq!(media.pass("1", 101, &mut rng()), pass);
        assert!(media.admits(&pass, 100 + PASS_LASTS - 1));
        assert!(!media.admits(&pass, 100 + PASS_LASTS) && !media.admits("", 100));
    }
}
