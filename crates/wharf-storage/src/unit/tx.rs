//! What the closure of a unit holds: a transaction to write in, or a snapshot to read from.

use std::ops::{Deref, DerefMut};

use wharf_model::SessionId;

use crate::driver::value::{Param, Row};
use crate::driver::{Connection, Sql};
use crate::error::StorageError;
use crate::postgres::lock::Lock;
use crate::sessions::Fence;
use crate::verifications::stats::{self, Tallies};

/// A snapshot of the database. Every repository function that only reads takes this; a [`Tx`] derefs to it, so the
/// same functions serve inside a unit of work and there see what the unit wrote.
#[derive(Debug)]
pub struct ReadTx {
    connection: Connection,
}

impl ReadTx {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    pub(crate) async fn query(&mut self, sql: impl Into<Sql>, params: &[Param<'_>]) -> Result<Vec<Row>, StorageError> {
        self.connection.query(sql, params).await
    }

    /// The first row, if there is one.
    pub(crate) async fn first(
        &mut self,
        sql: impl Into<Sql>,
        params: &[Param<'_>],
    ) -> Result<Option<Row>, StorageError> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    pub(crate) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    pub(crate) fn into_connection(self) -> Connection {
        self.connection
    }
}

/// The transaction of one unit of work. Reads as a [`ReadTx`] does.
#[derive(Debug)]
pub struct Tx {
    read: ReadTx,
    notes: Notes,
    /// What this unit has locked already.
    locks: Vec<Lock>,
    /// Whose epoch this unit has checked already.
    fence: Option<Fence>,
}

/// What a unit wants to be known once it is durable, and not before.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Events were appended.
    pub(crate) events: bool,
    /// Sessions that have something new to send.
    pub(crate) outbound: Vec<SessionId>,
    /// Sessions whose keys were destroyed or replaced.
    pub(crate) forgotten: Vec<SessionId>,
    /// What the unit has counted and not written yet.
    pub(crate) tallies: Tallies,
}

impl Notes {
    /// Adds another unit's notes; both are of the same commit.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.events |= other.events;
        self.forgotten.extend(other.forgotten);
        for session in other.outbound {
            self.nudge(session);
        }
    }

    /// One nudge per session and commit is enough: whoever wakes reads everything that waits.
    pub(crate) fn nudge(&mut self, session: SessionId) {
        if !self.outbound.contains(&session) {
            self.outbound.push(session);
        }
    }
}

impl Tx {
    pub(crate) fn new(connection: Connection) -> Self {
        Self {
            read: ReadTx::new(connection),
            notes: Notes::default(),
            locks: Vec::new(),
            fence: None,
        }
    }

    pub(crate) async fn execute(&mut self, sql: impl Into<Sql>, params: &[Param<'_>]) -> Result<u64, StorageError> {
        self.read.connection.execute(sql, params).await
    }

    /// A statement whose answer nobody asks for; see [`Connection::send`].
    pub(crate) async fn send(&mut self, sql: impl Into<Sql>, params: &[Param<'_>]) -> Result<(), StorageError> {
        self.read.connection.send(sql, params).await
    }

    /// Keeps other units out until this one has ended. What is read after it cannot change meanwhile. On SQLite there
    /// is one writer, and nothing to keep out.
    pub(crate) async fn lock(&mut self, lock: Lock) -> Result<(), StorageError> {
        if matches!(self.read.connection, Connection::Sqlite(_)) || self.locks.iter().any(|held| held.covers(lock)) {
            return Ok(());
        }
        self.locks.push(lock);
        self.send(lock.sql(), &[Param::Integer(lock.number())]).await
    }

    /// Whether `fence` was checked in this unit; the lock that comes with the check keeps it true.
    pub(crate) fn knows(&self, fence: &Fence) -> bool {
        self.fence.as_ref() == Some(fence)
    }

    pub(crate) fn learn(&mut self, fence: Option<Fence>) {
        self.fence = fence;
    }

    pub(crate) fn notes(&mut self) -> &mut Notes {
        &mut self.notes
    }

    /// Writes what the unit counted, once it has done everything else.
    pub(crate) async fn write_tallies(&mut self) -> Result<(), StorageError> {
        let tallies = std::mem::take(&mut self.notes.tallies);
        stats::write(self, tallies).await
    }

    /// Ends a unit on a connection that serves the next one too.
    pub(crate) fn take_notes(&mut self) -> Notes {
        self.fence = None;
        std::mem::take(&mut self.notes)
    }

    pub(crate) fn into_parts(self) -> (Connection, Notes) {
        (self.read.connection, self.notes)
    }
}

impl Deref for Tx {
    type Target = ReadTx;

    fn deref(&self) -> &ReadTx {
        &self.read
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut ReadTx {
        &mut self.read
    }
}
