//! Restoring a backup: check, then write, then say what there is.

use std::path::PathBuf;

use wharf_model::SessionId;

use super::make::{is_own_meta, on_thread, put_meta};
use super::opened::Opened;
use super::tables::{Reader, TABLES, Values, insert, settle};
use super::target::{Empty, Target};
use super::{BackupError, Carry, OnProgress, Progress, Restored};
use crate::config::StorageConfig;
use crate::cursor::FeedId;
use crate::driver::Connection;
use crate::driver::value::{Row, Value};
use crate::error::StorageError;
use crate::events::FEED;
use crate::seal::SessionKeys;
use crate::wa_state::StateRow;

/// Restores a backup into the empty place that the configuration names. Times, ids and numbers stay; sessions have no
/// owner; the log of events begins a new feed, in which cursors from before are refused.
///
/// # Errors
/// One plain sentence; nothing was restored.
pub async fn restore(
    file: PathBuf,
    config: StorageConfig,
    carry: Carry,
    mut on_progress: OnProgress,
) -> Result<Restored, BackupError> {
    on_thread(async move {
        let empty = Empty::find(&config).await?;
        let mut backup = Opened::open(&file, &config).await?;
        backup.verify().await?;
        let mut feed = FeedId::default();
        config.random.fill(&mut feed.0);
        let mut target = Target::take(empty, &config).await?;
        let restored = Filling::new(&mut backup, &carry)
            .fill(target.connection(), feed, &mut on_progress)
            .await?;
        target.finish().await?;
        Ok(restored)
    })
    .await
}

/// One restore on its way.
struct Filling<'a> {
    backup: &'a mut Opened,
    carry: &'a Carry,
    /// The keys of the session whose rows are read: they come session by session.
    keys: Option<SessionKeys>,
    restored: Restored,
}

impl<'a> Filling<'a> {
    fn new(backup: &'a mut Opened, carry: &'a Carry) -> Self {
        let restored = Restored {
            made_at: backup.made_at,
            sessions: 0,
            messages: 0,
            events: 0,
            state_dropped: 0,
            written: Progress::default(),
        };
        Self {
            backup,
            carry,
            keys: None,
            restored,
        }
    }

    async fn fill(
        mut self,
        to: &mut Connection,
        feed: FeedId,
        on_progress: &mut OnProgress,
    ) -> Result<Restored, BackupError> {
        for table in TABLES {
            let mut reader = Reader::new(table);
            while let Some(rows) = reader.next(&mut self.backup.connection).await? {
                for row in rows {
                    if let Some(row) = self.carried(table.name, row).await? {
                        insert(to, table, &row, &mut self.restored.written).await?;
                    }
                }
                settle(to).await?;
                on_progress(self.restored.written);
            }
        }
        put_meta(to, FEED, &feed.0).await?;
        to.execute("update sessions set owner = null, lease_until = null", &[])
            .await?;
        Ok(self.restored)
    }

    /// The row as it is restored.
    async fn carried(&mut self, table: &str, row: Values) -> Result<Option<Values>, BackupError> {
        match table {
            "meta" if is_own_meta(&row) || row.first() == Some(&Value::Text(FEED.to_owned())) => return Ok(None),
            "wa_state" => return self.state(row).await,
            "sessions" => self.restored.sessions += 1,
            "messages" => self.restored.messages += 1,
            "events" => self.restored.events += 1,
            _ => {}
        }
        Ok(Some(row))
    }

    /// Protocol state goes through its owner's hands.
    async fn state(&mut self, row: Values) -> Result<Option<Values>, BackupError> {
        let (session, row) = read_state(row)?;
        let keys = match self.keys.take() {
            Some(keys) if keys.session() == session => keys,
            _ => self.backup.session_keys(session).await?,
        };
        let carried = (self.carry)(&keys, row).map_err(BackupError::State);
        self.keys = Some(keys);
        let carried = carried?;
        self.restored.state_dropped += u64::from(carried.is_none());
        Ok(carried.map(|row| write_state(session, row)))
    }
}

fn read_state(row: Values) -> Result<(SessionId, StateRow), StorageError> {
    let mut row = Row::new(row);
    let session = row.take()?;
    let state = StateRow {
        kind: row.take()?,
        key: row.take()?,
        owner: row.take()?,
        rank: row.take()?,
        expires_at: row.take()?,
        value: row.take()?,
    };
    Ok((session, state))
}

fn write_state(session: SessionId, row: StateRow) -> Values {
    let bytes = |bytes: Option<Vec<u8>>| bytes.map_or(Value::Null, Value::Blob);
    let number = |number: Option<i64>| number.map_or(Value::Null, Value::Integer);
    vec![
        Value::Blob(session.as_bytes().to_vec()),
        Value::Text(row.kind),
        Value::Blob(row.key),
        bytes(row.owner),
        number(row.rank),
        number(row.expires_at.map(|at| at.as_millis())),
        Value::Blob(row.value.as_bytes().to_vec()),
    ]
}
