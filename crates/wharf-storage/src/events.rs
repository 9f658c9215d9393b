//! The event log: append-only, one total order per workspace that readers can trust. An event is appended in the unit
//! of work that makes the change which it tells of, and readers hear of it only when they can read it: after the
//! commit, and on PostgreSQL after every transaction that is older.

use wharf_model::{EventId, EventKind, SessionId, Timestamp, WorkspaceId};

use crate::cursor::{Cursor, FeedId};
use crate::driver::Sql;
use crate::driver::value::{Row, params};
use crate::error::{SealError, StorageError};
use crate::seal::{Place, Sealed};
use crate::storage::Storage;
use crate::unit::tx::{ReadTx, Tx};

/// How many rows one statement reads while it looks for events that a filter lets through.
const WINDOW: i64 = 500;

/// How many windows one call reads before it answers with what it has, so that a rare type cannot hold a reader.
const WINDOWS: usize = 10;

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// The session that it is about.
    pub session_id: Option<SessionId>,
    /// What happened.
    pub kind: EventKind,
    /// Sealed JSON: by `SessionKeys::seal_event` what must die with its session, by `WorkspaceKeys::seal_event` the
    /// rest. [`Storage::open_event`] finds the key.
    pub data: Sealed,
    /// When.
    pub created_at: Timestamp,
}

/// An event with its place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedEvent {
    /// The event.
    pub event: Event,
    /// Its place: `seq` and `Last-Event-ID` on the wire, and the cursor that reads on behind it.
    pub cursor: Cursor,
}

/// Which events a reader wants.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// These kinds; empty is all.
    pub kinds: Vec<EventKind>,
    /// Of this session only.
    pub session: Option<SessionId>,
}

/// What a read of the log found.
#[derive(Clone, Debug)]
pub struct EventPage {
    /// In the order of the log.
    pub events: Vec<LoggedEvent>,
    /// Where to read on; also past events that the filter held back.
    pub cursor: Cursor,
    /// Nothing more was there. Wait for [`Storage::changes`] before reading on.
    pub caught_up: bool,
}

/// Appends an event to the log.
///
/// # Errors
/// The database failed.
pub async fn append(tx: &mut Tx, event: &Event) -> Result<(), StorageError> {
    tx.send(
        "insert into events (id, workspace_id, session_id, kind, data, created_at) values ($1, $2, $3, $4, $5, $6)",
        params![
            &event.id,
            &event.workspace_id,
            &event.session_id,
            event.kind,
            &event.data,
            event.created_at
        ],
    )
    .await?;
    tx.notes().events = true;
    Ok(())
}

/// The cursor of the log's end: what a reader starts from who wants only what is new.
///
/// # Errors
/// The database failed.
pub async fn end(tx: &mut ReadTx, workspace: WorkspaceId) -> Result<Cursor, StorageError> {
    let last = tx.first(LAST, params![&workspace]).await?;
    let spot = last.map_or(Ok(Spot::default()), |mut row| Spot::read(&mut row))?;
    Ok(spot.cursor(feed(tx).await?, workspace))
}

/// The events behind a cursor, `None` for the oldest that is kept. A cursor whose event was pruned reads on behind it.
///
/// # Errors
/// [`StorageError::BadCursor`], [`StorageError::CursorExpired`], or the database failed.
pub async fn read(
    tx: &mut ReadTx,
    workspace: WorkspaceId,
    after: Option<&Cursor>,
    filter: &EventFilter,
    limit: u32,
) -> Result<EventPage, StorageError> {
    let feed = feed(tx).await?;
    let mut spot = after.map_or(Ok(Spot::default()), |after| Spot::of(after, feed, workspace))?;
    let limit = limit.clamp(1, 1000) as usize;
    let window = if filter.is_open() {
        i64::try_from(limit).unwrap_or(WINDOW)
    } else {
        WINDOW
    };
    let (mut events, mut caught_up) = (Vec::new(), false);
    for _ in 0..WINDOWS {
        let rows = window_after(tx, workspace, spot, window).await?;
        let short = (rows.len() as i64) < window;
        let read_all = filter.take_into(&mut events, rows, &mut spot, limit);
        caught_up = short && read_all;
        if caught_up || events.len() >= limit {
            break;
        }
    }
    let events = events.into_iter().map(|(spot, event)| LoggedEvent {
        event,
        cursor: spot.cursor(feed, workspace),
    });
    Ok(EventPage {
        events: events.collect(),
        cursor: spot.cursor(feed, workspace),
        caught_up,
    })
}

/// Deletes at most `limit` of the oldest events that were made before `before`, in every workspace. Says how many.
///
/// # Errors
/// The database failed.
pub async fn prune(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64, StorageError> {
    // The log is in order of time, so the oldest rows are the first ones; the inner limit keeps this from reading on.
    tx.execute(
        "delete from events where seq in (
             select seq from (select seq, created_at from events order by seq limit $2) oldest where created_at < $1)",
        params![before, i64::from(limit)],
    )
    .await
}

impl Storage {
    /// The data of an event; `None` when the session that sealed it was deleted since.
    ///
    /// # Errors
    /// The value was changed or moved, or the database failed.
    pub async fn open_event(&self, event: &Event) -> Result<Option<Vec<u8>>, StorageError> {
        let place = Place::event(event.id);
        let workspace = self.workspace_keys(event.workspace_id).await?;
        if event.data.key_id() == Some(workspace.id()) {
            return Ok(Some(workspace.open(&place, &event.data)?));
        }
        let Some(session) = event.session_id else {
            return Err(SealError::OtherKey.into());
        };
        match self.session_keys(session).await {
            Ok(keys) => Ok(Some(keys.open(&place, &event.data)?)),
            Err(StorageError::Seal(SealError::Shredded)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl EventFilter {
    fn is_open(&self) -> bool {
        self.kinds.is_empty() && self.session.is_none()
    }

    fn lets(&self, event: &Event) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&event.kind))
            && self.session.is_none_or(|session| event.session_id == Some(session))
    }

    /// Takes what fits, moves `spot` over what was looked at, and says whether that was all.
    fn take_into(&self, events: &mut Vec<Placed>, rows: Vec<Placed>, spot: &mut Spot, limit: usize) -> bool {
        for (place, event) in rows {
            if events.len() >= limit {
                return false;
            }
            *spot = place;
            if self.lets(&event) {
                events.push((place, event));
            }
        }
        true
    }
}

/// Under this name the feed stands in the table `meta`, when it is not the first one.
pub(crate) const FEED: &str = "feed";

/// Which life of the log this is; see [`FeedId`].
pub(crate) async fn feed(tx: &mut ReadTx) -> Result<FeedId, StorageError> {
    let row = tx.first("select value from meta where key = $1", params![FEED]).await?;
    row.map_or(Ok(FeedId::default()), |mut row| row.take().map(FeedId))
}

/// A place in the log. SQLite's one writer gives numbers in the order of commits: there the number alone is the place.
/// PostgreSQL gives them in any order, and the transaction's own number goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Spot {
    txid: u64,
    seq: i64,
}

type Placed = (Spot, Event);

impl Spot {
    fn of(cursor: &Cursor, feed: FeedId, workspace: WorkspaceId) -> Result<Self, StorageError> {
        match cursor.event_place::<8>(feed, workspace) {
            Ok(seq) => Ok(Self {
                txid: 0,
                seq: i64::from_be_bytes(seq),
            }),
            Err(StorageError::BadCursor) => {
                let [a, b, c, d, e, f, g, h, seq @ ..] = cursor.event_place::<16>(feed, workspace)?;
                Ok(Self {
                    txid: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
                    seq: i64::from_be_bytes(seq),
                })
            }
            Err(error) => Err(error),
        }
    }

    fn cursor(self, feed: FeedId, workspace: WorkspaceId) -> Cursor {
        match self.txid {
            0 => Cursor::of_event(feed, workspace, &self.seq.to_be_bytes()),
            txid => Cursor::of_event(feed, workspace, &[txid.to_be_bytes(), self.seq.to_be_bytes()].concat()),
        }
    }

    fn read(row: &mut Row) -> Result<Self, StorageError> {
        let txid: String = row.take()?;
        Ok(Self {
            txid: txid
                .parse()
                .map_err(|_| StorageError::Unreadable("transaction number"))?,
            seq: row.take()?,
        })
    }
}

macro_rules! columns {
    () => {
        "seq, id, workspace_id, session_id, kind, data, created_at"
    };
}

// PostgreSQL differs: a transaction that began early may commit late, with a lower place than what readers have seen
// since. So they take only what is older than every transaction that still runs. The order names the table, because a
// bare `txid` would be the text of the first column.
const LAST: Sql = Sql {
    sqlite: "select '0', seq from events where workspace_id = $1 order by seq desc limit 1",
    postgres: "select txid::text, seq from events where workspace_id = $1
                   and txid < pg_snapshot_xmin(pg_current_snapshot())
               order by events.txid desc, events.seq desc limit 1",
};

const AFTER: Sql = Sql {
    sqlite: concat!(
        "select '0', ",
        columns!(),
        " from events where workspace_id = $1 and $2 = '0' and seq > $3 order by seq limit $4"
    ),
    postgres: concat!(
        "select txid::text, ",
        columns!(),
        " from events where workspace_id = $1 and (txid, seq) > ($2::text::xid8, $3)
              and txid < pg_snapshot_xmin(pg_current_snapshot())
          order by events.txid, events.seq limit $4"
    ),
};

async fn window_after(
    tx: &mut ReadTx,
    workspace: WorkspaceId,
    after: Spot,
    limit: i64,
) -> Result<Vec<Placed>, StorageError> {
    let txid = after.txid.to_string();
    let rows = tx.query(AFTER, params![&workspace, &txid, after.seq, limit]).await?;
    rows.into_iter().map(|mut row| read_row(&mut row)).collect()
}

fn read_row(row: &mut Row) -> Result<Placed, StorageError> {
    let spot = Spot::read(row)?;
    let event = Event {
        id: row.take()?,
        workspace_id: row.take()?,
        session_id: row.take()?,
        kind: row.take()?,
        data: row.take()?,
        created_at: row.take()?,
    };
    Ok((spot, event))
}
