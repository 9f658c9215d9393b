//! What became of verifications, as numbers. A unit that changes one counts it, and what it counted is written at its end,
//! after everything else and in the order of the keys: many units count on the same rows, and no two must wait for each
//! other. So the numbers commit with what they tell of, and reading them never looks at a verification.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use wharf_model::{Day, SessionId, WorkspaceId};

use super::row::Verification;
use crate::driver::value::{FromValue, Row, Value, params};
use crate::error::StorageError;
use crate::unit::tx::{ReadTx, Tx};

/// What is counted of verifications and their messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Verifications that were made.
    Created,
    /// Messages that were accepted: the first of a verification, and those after it.
    Sends,
    /// Messages that WhatsApp has.
    Sent,
    /// Messages that arrived.
    Delivered,
    /// Messages that were read.
    Read,
    /// Verifications whose right code came.
    Approved,
    /// Verifications whose time ran out.
    Expired,
    /// Verifications for which too many wrong codes came.
    Failed,
    /// Verifications that were taken back.
    Cancelled,
}

impl Counter {
    const COUNT: usize = Self::Cancelled as usize + 1;
}

/// A number for each [`Counter`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u64; Counter::COUNT]);

impl Counts {
    /// How many.
    pub const fn of(&self, counter: Counter) -> u64 {
        self.0[counter as usize]
    }

    /// One more.
    pub const fn count(&mut self, counter: Counter) {
        self.0[counter as usize] += 1;
    }

    /// Adds all of another.
    pub fn absorb(&mut self, other: &Self) {
        for (sum, number) in self.0.iter_mut().zip(other.0) {
            *sum += number;
        }
    }

    fn params(&self) -> [i64; Counter::COUNT] {
        self.0.map(|number| i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// What numbers are told apart by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// Whose they are.
    pub workspace_id: WorkspaceId,
    /// When the verification was made.
    pub day: Day,
    /// The country of the phone, where it is known.
    pub country: Option<String>,
    /// What for. `None`: of one of those beyond as many as a day has.
    pub purpose: Option<String>,
    /// The session that sends; of a verification the one that sent first.
    pub session_id: SessionId,
}

impl Cell {
    /// Where the end of a verification counts: beside its beginning, whoever sent last. `None`: it began as a test number, and
    /// counts nowhere.
    pub(super) fn of_end(verification: &Verification) -> Option<Self> {
        Some(Self {
            workspace_id: verification.workspace_id,
            day: Day::of(verification.created_at),
            country: verification.country.clone(),
            purpose: Some(verification.purpose.clone()),
            session_id: verification.first_session_id?,
        })
    }

    /// Where the last message of a verification counts. `None`: nothing was sent, or it counts nowhere.
    pub(super) fn of_send(verification: &Verification) -> Option<Self> {
        Some(Self {
            session_id: verification.session_id?,
            ..Self::of_end(verification)?
        })
    }
}

/// What takes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wait {
    /// From a message's acceptance to the word that it arrived.
    Delivered,
    /// From a verification's first message to the right code.
    Approved,
}

impl Wait {
    /// The stable name in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Approved => "approved",
        }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromValue for Wait {
    fn from_value(value: Value) -> Result<Self, StorageError> {
        let name = String::from_value(value)?;
        [Self::Delivered, Self::Approved]
            .into_iter()
            .find(|wait| wait.as_str() == name)
            .ok_or(StorageError::Unreadable("kind of a wait"))
    }
}

/// How many rows with a purpose a workspace has for a day at most.
const MOST_ROWS: u32 = 1_000;

/// Adds to a row that is there.
const ADD: &str = "update verification_stats set
    created = created + $6, sends = sends + $7, sent = sent + $8, delivered = delivered + $9, read = read + $10,
    approved = approved + $11, expired = expired + $12, failed = failed + $13, cancelled = cancelled + $14
    where workspace_id = $1 and day = $2 and country = $3 and purpose = $4 and session_id = $5";

/// Begins a row, or adds to one that somebody began meanwhile.
const BEGIN: &str =
    "insert into verification_stats (workspace_id, day, country, purpose, session_id, created, sends, sent, delivered,
         read, approved, expired, failed, cancelled)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
     on conflict (workspace_id, day, country, purpose, session_id) do update set
         created = verification_stats.created + excluded.created,
         sends = verification_stats.sends + excluded.sends,
         sent = verification_stats.sent + excluded.sent,
         delivered = verification_stats.delivered + excluded.delivered,
         read = verification_stats.read + excluded.read,
         approved = verification_stats.approved + excluded.approved,
         expired = verification_stats.expired + excluded.expired,
         failed = verification_stats.failed + excluded.failed,
         cancelled = verification_stats.cancelled + excluded.cancelled";

/// The upper bounds of the buckets, in milliseconds. What takes longer than the last one is in it, too: a code lives ten
/// minutes.
const BUCKETS: [u32; 13] = [
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 600_000,
];

fn bucket_of(took: Duration) -> u32 {
    let within = |bound: &u32| took <= Duration::from_millis(u64::from(*bound));
    BUCKETS.into_iter().find(within).unwrap_or(BUCKETS[BUCKETS.len() - 1])
}

/// How many waits of a day were within a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waited {
    /// For what.
    pub wait: Wait,
    /// The upper bound of the bucket, in milliseconds.
    pub bucket: u32,
    /// How many.
    pub count: u64,
}

/// What a unit has counted so far.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    counts: BTreeMap<Cell, Counts>,
    waits: BTreeMap<(WorkspaceId, Day, Wait, u32), u32>,
}

/// Counts one more, at the end of the unit.
pub fn count(tx: &mut Tx, cell: Cell, counter: Counter) {
    tx.notes().tallies.counts.entry(cell).or_default().count(counter);
}

/// Notes how long something took, at the end of the unit.
pub fn note_latency(tx: &mut Tx, workspace: WorkspaceId, day: Day, wait: Wait, took: Duration) {
    let key = (workspace, day, wait, bucket_of(took));
    *tx.notes().tallies.waits.entry(key).or_default() += 1;
}

/// Writes what a unit counted. The last thing that it does. Rows that are there come first, each in one statement; then those
/// that are new, so that all units take the rows of a day in the same order.
pub(crate) async fn write(tx: &mut Tx, tallies: Tallies) -> Result<(), StorageError> {
    let mut new = Vec::new();
    for (cell, counts) in tallies.counts {
        if add(tx, ADD, &cell, &counts).await? == 0 {
            new.push((cell, counts));
        }
    }
    for (cell, counts) in new {
        let cell = admitted(tx, cell).await?;
        add(tx, BEGIN, &cell, &counts).await?;
    }
    for ((workspace, day, wait, bucket), count) in tallies.waits {
        tx.send(
            "insert into verification_latency (workspace_id, day, kind, bucket, count) values ($1, $2, $3, $4, $5)
             on conflict (workspace_id, day, kind, bucket) do update set
                 count = verification_latency.count + excluded.count",
            params![&workspace, day, wait.as_str(), bucket, count],
        )
        .await?;
    }
    Ok(())
}

/// Where a new row is to count: without its purpose, once the day has as many rows as it may. Callers choose purposes freely,
/// and each would stay as long as the numbers do.
async fn admitted(tx: &mut Tx, cell: Cell) -> Result<Cell, StorageError> {
    let sql =
        "select day from verification_stats where workspace_id = $1 and day = $2 and purpose <> '' limit 1 offset $3";
    let last = tx
        .first(sql, params![&cell.workspace_id, cell.day, MOST_ROWS - 1])
        .await?;
    Ok(match last {
        Some(_) => Cell { purpose: None, ..cell },
        None => cell,
    })
}

/// Adds to the row of a cell. Says how many rows that changed.
async fn add(tx: &mut Tx, sql: &'static str, cell: &Cell, counts: &Counts) -> Result<u64, StorageError> {
    let [
        created,
        sends,
        sent,
        delivered,
        read,
        approved,
        expired,
        failed,
        cancelled,
    ] = counts.params();
    tx.execute(
        sql,
        params![
            &cell.workspace_id,
            cell.day,
            cell.country.as_deref().unwrap_or_default(),
            cell.purpose.as_deref().unwrap_or_default(),
            &cell.session_id,
            created,
            sends,
            sent,
            delivered,
            read,
            approved,
            expired,
            failed,
            cancelled
        ],
    )
    .await
}

/// The numbers of a workspace from one day to another, both included, oldest first. Reads a row for each day, country,
/// purpose and session.
///
/// # Errors
/// The database failed.
pub async fn stats(
    tx: &mut ReadTx,
    workspace: WorkspaceId,
    from: Day,
    to: Day,
) -> Result<Vec<(Cell, Counts)>, StorageError> {
    let sql =
        "select day, country, purpose, session_id, created, sends, sent, delivered, read, approved, expired, failed,
                   cancelled
               from verification_stats where workspace_id = $1 and day >= $2 and day <= $3
               order by day, country, purpose, session_id";
    let rows = tx.query(sql, params![&workspace, from, to]).await?;
    rows.into_iter()
        .map(|mut row| {
            let cell = Cell {
                workspace_id: workspace,
                day: row.take()?,
                country: Some(row.take()?).filter(|country: &String| !country.is_empty()),
                purpose: Some(row.take()?).filter(|purpose: &String| !purpose.is_empty()),
                session_id: row.take()?,
            };
            Ok((cell, counts_of(&mut row)?))
        })
        .collect()
}

/// The columns stand in the order of the counters.
fn counts_of(row: &mut Row) -> Result<Counts, StorageError> {
    let mut counts = Counts::default();
    for number in &mut counts.0 {
        *number = row.take()?;
    }
    Ok(counts)
}

/// How long deliveries and approvals took from one day to another, both included; a bucket comes once for each day.
///
/// # Errors
/// The database failed.
pub async fn latencies(
    tx: &mut ReadTx,
    workspace: WorkspaceId,
    from: Day,
    to: Day,
) -> Result<Vec<Waited>, StorageError> {
    let sql =
        "select kind, bucket, count from verification_latency where workspace_id = $1 and day >= $2 and day <= $3";
    let rows = tx.query(sql, params![&workspace, from, to]).await?;
    rows.into_iter()
        .map(|mut row| {
            Ok(Waited {
                wait: row.take()?,
                bucket: row.take()?,
                count: row.take()?,
            })
        })
        .collect()
}

/// Deletes the numbers of the oldest day before `first`, of every workspace.
///
/// # Errors
/// The database failed.
pub async fn delete_oldest_day(tx: &mut Tx, first: Day) -> Result<(), StorageError> {
    for sql in [
        "delete from verification_stats where day = (select min(day) from verification_stats where day < $1)",
        "delete from verification_latency where day = (select min(day) from verification_latency where day < $1)",
    ] {
        tx.send(sql, params![first]).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_in_the_first_bucket_that_holds_it() {
        for (millis, bucket) in [
            (0, 100),
            (100, 100),
            (101, 200),
            (500_001, 600_000),
            (9_999_999, 600_000),
        ] {
            assert_eq!(bucket_of(Duration::from_millis(millis)), bucket, "{millis}");
        }
    }
}
