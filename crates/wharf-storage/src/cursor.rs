//! Opaque cursors: a place and a check, in base32. The check refuses cursors of another list or workspace, so that
//! a mixed-up cursor is an error and not a silent gap. A cursor of the event log names its feed too: after a restore the
//! same places hold other events.

use std::fmt;

use data_encoding::BASE32HEX_NOPAD;
use sha2::{Digest, Sha256};
use wharf_model::WorkspaceId;

use crate::error::StorageError;

/// A position in a list or in the event log, as text; clients keep it and give it back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cursor(String);

/// Names one life of the event log. A restore begins a new one, because what came after the backup is gone and its
/// places are given again. A log that was never restored has the id of zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FeedId(pub(crate) [u8; Self::LEN]);

impl FeedId {
    pub(crate) const LEN: usize = 8;
}

impl Cursor {
    /// A cursor that a client gave back. It is checked where it is used.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What a client is given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn new(list: &str, workspace: WorkspaceId, seq: i64) -> Self {
        let mut bytes = seq.to_be_bytes().to_vec();
        bytes.extend_from_slice(&check(list, workspace, seq));
        Self(BASE32HEX_NOPAD.encode(&bytes).to_ascii_lowercase())
    }

    pub(crate) fn seq(&self, list: &str, workspace: WorkspaceId) -> Result<i64, StorageError> {
        let bytes = BASE32HEX_NOPAD
            .decode(self.0.to_ascii_uppercase().as_bytes())
            .map_err(|_| StorageError::BadCursor)?;
        let (seq, found) = bytes.split_first_chunk::<8>().ok_or(StorageError::BadCursor)?;
        let seq = i64::from_be_bytes(*seq);
        if found == check(list, workspace, seq) {
            Ok(seq)
        } else {
            Err(StorageError::BadCursor)
        }
    }

    /// A cursor of the event log: its place, as the dialect writes it, within one feed.
    pub(crate) fn of_event(feed: FeedId, workspace: WorkspaceId, place: &[u8]) -> Self {
        let bytes = [place, &feed.0, &event_check(feed, workspace, place)].concat();
        Self(BASE32HEX_NOPAD.encode(&bytes).to_ascii_lowercase())
    }

    /// The place of a cursor that [`Self::of_event`] made.
    ///
    /// # Errors
    /// [`StorageError::CursorExpired`] when it is of another feed, whatever dialect that one was on.
    pub(crate) fn event_place<const N: usize>(
        &self,
        feed: FeedId,
        workspace: WorkspaceId,
    ) -> Result<[u8; N], StorageError> {
        let bytes = BASE32HEX_NOPAD
            .decode(self.0.to_ascii_uppercase().as_bytes())
            .map_err(|_| StorageError::BadCursor)?;
        let (rest, found) = bytes.split_last_chunk::<4>().ok_or(StorageError::BadCursor)?;
        let (place, of) = rest.split_last_chunk().ok_or(StorageError::BadCursor)?;
        let of = FeedId(*of);
        if *found != event_check(of, workspace, place) {
            return Err(StorageError::BadCursor);
        }
        if of != feed {
            return Err(StorageError::CursorExpired);
        }
        place.try_into().map_err(|_| StorageError::BadCursor)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check(list: &str, workspace: WorkspaceId, seq: i64) -> [u8; 4] {
    let mut hash = Sha256::new();
    hash.update(list.as_bytes());
    hash.update(workspace.as_bytes());
    hash.update(seq.to_be_bytes());
    let full: [u8; 32] = hash.finalize().into();
    [full[0], full[1], full[2], full[3]]
}

fn event_check(feed: FeedId, workspace: WorkspaceId, place: &[u8]) -> [u8; 4] {
    let mut hash = Sha256::new();
    hash.update(b"events");
    hash.update(workspace.as_bytes());
    hash.update(feed.0);
    hash.update(place);
    let full: [u8; 32] = hash.finalize().into();
    [full[0], full[1], full[2], full[3]]
}

/// What a list call asks for.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// Where the last page ended; `None` for the first.
    pub after: Option<Cursor>,
    /// How many rows at most, 1 to 1,000.
    pub limit: u32,
}

impl PageRequest {
    /// The first page.
    pub const fn first(limit: u32) -> Self {
        Self { after: None, limit }
    }

    /// One more row than asked for, to know whether there is another page.
    pub(crate) fn fetch(&self) -> i64 {
        i64::from(self.limit.clamp(1, 1000)) + 1
    }

    /// The row number to start below, for lists that show the newest first.
    pub(crate) fn below(&self, list: &str, workspace: WorkspaceId) -> Result<i64, StorageError> {
        self.after
            .as_ref()
            .map_or(Ok(i64::MAX), |cursor| cursor.seq(list, workspace))
    }
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where the next page starts; `None` when this was the last.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// Cuts the extra row of [`PageRequest::fetch`] off and makes the cursor.
    pub(crate) fn cut(mut rows: Vec<(i64, T)>, request: &PageRequest, list: &str, workspace: WorkspaceId) -> Self {
        let limit = usize::try_from(request.fetch() - 1).unwrap_or(1);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().map(|(seq, _)| *seq);
        let next = if more {
            last.map(|seq| Cursor::new(list, workspace, seq))
        } else {
            None
        };
        Self {
            rows: rows.into_iter().map(|(_, row)| row).collect(),
            next,
        }
    }
}
