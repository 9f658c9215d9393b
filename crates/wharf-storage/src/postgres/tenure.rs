//! Owning the database: a session-level advisory lock on a connection of its own, watched every second.
//!
//! The fence: every connection of the pool holds a second lock, shared, and looks when it is made whether the first one
//! is still its owner's. A new owner ends every connection that holds the second lock before it goes on. So nothing
//! that an owner began is committed once another one serves, however late it wakes up; and a unit of work pays nothing
//! for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_postgres::{AsyncMessage, Client, Notification};

use super::address::{Address, Driver};
use super::herald::{CHANNEL, Herald};
use crate::driver::postgres::from_postgres;
use crate::error::{OpenError, StorageError};

/// `WHAR` and what the lock is for, as the two halves of an advisory lock's key.
pub(crate) const OWNER: i64 = 0x5748_4152_0000_0001;
const WRITERS: i64 = 0x5748_4152_0000_0002;

/// How often the owner's connection is asked for a sign of life, and how long it may take.
const BEAT: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a start waits for the lock: the server may not have noticed yet that the last owner died.
const HANDOVER: Duration = Duration::from_secs(3);

/// How often a lost lock is asked for again.
const AGAIN: Duration = Duration::from_millis(250);

/// Whether this process owns the database, and so may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// It does.
    Held,
    /// The lock was lost, or the server cannot be reached: nothing is written until it is held again.
    Lost,
    /// Another process has it: this one must end.
    Taken,
}

/// One time of ownership. Connections belong to the one that they were made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tenure {
    pub(crate) number: u64,
    /// The server's process that holds the lock.
    pub(crate) backend: i32,
}

/// What is known about the tenure, for everybody who must know.
#[derive(Debug)]
pub(crate) struct Standing {
    tenure: watch::Sender<Option<Tenure>>,
    public: watch::Sender<Ownership>,
}

/// The connection that holds the lock.
pub(crate) struct Owner {
    client: Client,
    notifications: mpsc::UnboundedReceiver<Notification>,
    backend: i32,
    /// With the process number, what tells our own dead connection from another owner's.
    since: String,
}

impl Standing {
    pub(crate) fn new() -> Self {
        Self {
            tenure: watch::Sender::new(None),
            public: watch::Sender::new(Ownership::Lost),
        }
    }

    pub(crate) fn public(&self) -> &watch::Sender<Ownership> {
        &self.public
    }

    pub(crate) fn now(&self) -> Option<Tenure> {
        *self.tenure.borrow()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Option<Tenure>> {
        self.tenure.subscribe()
    }

    pub(crate) fn held(&self, number: u64, backend: i32) {
        self.tenure.send_replace(Some(Tenure { number, backend }));
        self.public.send_replace(Ownership::Held);
    }

    fn lost(&self, as_what: Ownership) {
        self.tenure.send_replace(None);
        self.public.send_replace(as_what);
    }
}

/// What came of asking for the lock.
pub(crate) enum Asked {
    Held(Owner),
    HeldByAnother,
}

impl Owner {
    /// Takes the lock for a start, waiting a little for an owner that just died.
    pub(crate) async fn take(address: &Address) -> Result<Self, OpenError> {
        let until = Instant::now() + HANDOVER;
        let mut candidate = Candidate::connect(address).await.map_err(unreachable_server)?;
        loop {
            if candidate.try_lock().await.map_err(database)? {
                return candidate.own().await.map_err(database);
            }
            if Instant::now() >= until {
                return Err(OpenError::Locked(address.shown().into()));
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn backend(&self) -> i32 {
        self.backend
    }

    /// Serves until the connection fails or `stop` says so (`true`).
    async fn serve(&mut self, herald: &Herald, stop: &mut watch::Receiver<bool>) -> bool {
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stopped(stop) => return true,
                heard = self.notifications.recv() => match heard {
                    Some(notification) => herald.heard(&notification),
                    None => return false,
                },
                _ = beat.tick() => match tokio::time::timeout(PATIENCE, self.newest_event()).await {
                    // The sign of life is a look at the log, too: a wake-up that was lost is made up for here.
                    Ok(Ok(newest)) => herald.seen(newest),
                    Ok(Err(_)) | Err(_) => return false,
                },
            }
        }
    }

    async fn newest_event(&self) -> Result<u64, tokio_postgres::Error> {
        let sql = "select txid::text from events order by seq desc limit 1";
        let row = self.client.query_opt(sql, &[]).await?;
        let text: Option<String> = row.map(|row| row.try_get(0)).transpose()?;
        Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
    }
}

/// A connection that asks for the lock.
struct Candidate {
    client: Client,
    notifications: mpsc::UnboundedReceiver<Notification>,
}

impl Candidate {
    async fn connect(address: &Address) -> Result<Self, StorageError> {
        let (client, driver) = address.connect().await.map_err(from_postgres)?;
        let (heard, notifications) = mpsc::unbounded_channel();
        tokio::spawn(driver.drive(Some(heard)));
        let settings = format!("{SETTINGS}; set lock_timeout = 5000; set statement_timeout = 10000");
        client.batch_execute(&settings).await.map_err(from_postgres)?;
        Ok(Self { client, notifications })
    }

    async fn try_lock(&mut self) -> Result<bool, StorageError> {
        let row = self
            .client
            .query_one("select pg_try_advisory_lock($1)", &[&OWNER])
            .await;
        row.and_then(|row| row.try_get(0)).map_err(from_postgres)
    }

    /// Ends what an earlier owner left behind, and listens.
    async fn own(self) -> Result<Owner, StorageError> {
        self.end_writers().await?;
        let row = self.client.query_one(SELF, &[]).await.map_err(from_postgres)?;
        let (backend, since) = (row.try_get(0), row.try_get(1));
        self.client
            .batch_execute(&format!("listen {CHANNEL}"))
            .await
            .map_err(from_postgres)?;
        Ok(Owner {
            client: self.client,
            notifications: self.notifications,
            backend: backend.map_err(from_postgres)?,
            since: since.map_err(from_postgres)?,
        })
    }

    /// Whoever holds the writers' lock belongs to an owner that is none any more. The exclusive lock is the proof that
    /// they are gone; it is given back at once.
    async fn end_writers(&self) -> Result<(), StorageError> {
        let end = "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted
                       and pid <> pg_backend_pid() and database = (select oid from pg_database
                           where datname = current_database())
                       and classid::bigint = $1::bigint >> 32 and objid::bigint = $1::bigint & 4294967295 and objsubid = 1";
        self.client.query(end, &[&WRITERS]).await.map_err(from_postgres)?;
        let prove = "select pg_advisory_lock($1)";
        self.client.query(prove, &[&WRITERS]).await.map_err(from_postgres)?;
        let give_back = "select pg_advisory_unlock($1)";
        self.client.query(give_back, &[&WRITERS]).await.map_err(from_postgres)?;
        Ok(())
    }

    /// When the lock is held by a connection of ours that the server has not noticed the end of, ends that one.
    async fn end_own_ghost(&self, backend: i32, since: &str) -> Result<bool, StorageError> {
        let sql = "select pg_terminate_backend(l.pid) from pg_locks l join pg_stat_activity a on a.pid = l.pid
                   where l.locktype = 'advisory' and l.granted and l.database = (select oid from pg_database
                           where datname = current_database())
                       and l.classid::bigint = $1::bigint >> 32 and l.objid::bigint = $1::bigint & 4294967295 and l.objsubid = 1
                       and l.pid = $2 and a.backend_start::text = $3";
        let ended = self.client.query(sql, &[&OWNER, &backend, &since]).await;
        Ok(!ended.map_err(from_postgres)?.is_empty())
    }
}

const SELF: &str =
    "select pg_backend_pid(), (select backend_start::text from pg_stat_activity where pid = pg_backend_pid())";

/// What every connection of ours is told first. The server ends a connection whose other side is gone within seconds,
/// so that its locks do not outlive it for long.
pub(crate) const SETTINGS: &str = "set default_transaction_isolation = 'read committed';
    set timezone = 'UTC'; set client_min_messages = warning;
    set tcp_keepalives_idle = 5; set tcp_keepalives_interval = 2; set tcp_keepalives_count = 3";

/// Asked by a new connection of the pool: takes the shared lock, then looks whether the owner's is still the owner's.
pub(crate) fn enrol(tenure: Tenure) -> String {
    format!(
        "select pg_advisory_lock_shared({WRITERS});
         select 1 from pg_locks where locktype = 'advisory' and granted and mode = 'ExclusiveLock'
             and database = (select oid from pg_database where datname = current_database())
             and classid::bigint = {OWNER} >> 32 and objid::bigint = {OWNER} & 4294967295 and objsubid = 1
             and pid = {}",
        tenure.backend
    )
}

/// Keeps the lock, and asks for it again whenever it is lost, until `stop`.
pub(crate) async fn keep(
    address: Address,
    mut owner: Owner,
    standing: Arc<Standing>,
    herald: Arc<Herald>,
    on_loss: impl Fn() + Send,
    mut stop: watch::Receiver<bool>,
) {
    let mut number = 1;
    loop {
        if owner.serve(&herald, &mut stop).await {
            return;
        }
        standing.lost(Ownership::Lost);
        on_loss();
        tracing::error!("The database is lost: nothing is written until it is there again and still ours");
        let (backend, since) = (owner.backend, owner.since.clone());
        drop(owner);
        owner = tokio::select! {
            () = stopped(&mut stop) => return,
            regained = regain(&address, backend, &since) => match regained {
                Asked::Held(owner) => owner,
                Asked::HeldByAnother => {
                    tracing::error!("Another wharf owns the database now; this one must end");
                    return standing.lost(Ownership::Taken);
                }
            },
        };
        number += 1;
        standing.held(number, owner.backend);
        herald.look();
        tracing::warn!("The database is there again and ours");
    }
}

/// Resolves when everything is to end; also when nobody is left who could say so.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Asks until there is an answer.
async fn regain(address: &Address, backend: i32, since: &str) -> Asked {
    loop {
        match try_regain(address, backend, since).await {
            Ok(Some(asked)) => return asked,
            Ok(None) => {}
            Err(error) => tracing::debug!(error = %error, "the database cannot be had yet"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn try_regain(address: &Address, backend: i32, since: &str) -> Result<Option<Asked>, StorageError> {
    let mut candidate = Candidate::connect(address).await?;
    if candidate.try_lock().await? {
        return candidate.own().await.map(|owner| Some(Asked::Held(owner)));
    }
    if candidate.end_own_ghost(backend, since).await? {
        return Ok(None);
    }
    // Between the two questions the lock may have become free.
    if candidate.try_lock().await? {
        return candidate.own().await.map(|owner| Some(Asked::Held(owner)));
    }
    Ok(Some(Asked::HeldByAnother))
}

impl Driver {
    /// Moves bytes until the connection ends; what the server says unasked goes to `heard`.
    pub(crate) async fn drive(self, heard: Option<mpsc::UnboundedSender<Notification>>) {
        let ended = match self {
            Self::Plain(mut connection) => pass_on(move |cx| connection.poll_message(cx), heard).await,
            Self::Tls(mut connection) => pass_on(move |cx| connection.poll_message(cx), heard).await,
        };
        if let Err(error) = ended {
            tracing::debug!(error = %error, "a connection to the database ended");
        }
    }
}

async fn pass_on(
    mut poll: impl FnMut(
        &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<AsyncMessage, tokio_postgres::Error>>>,
    heard: Option<mpsc::UnboundedSender<Notification>>,
) -> Result<(), tokio_postgres::Error> {
    while let Some(message) = std::future::poll_fn(&mut poll).await {
        if let (AsyncMessage::Notification(notification), Some(heard)) = (message?, &heard) {
            // Nobody listens any more: the owner is being given up.
            let _ = heard.send(notification);
        }
    }
    Ok(())
}

pub(crate) fn unreachable_server(error: StorageError) -> OpenError {
    OpenError::Unreachable(Arc::new(error))
}

fn database(error: StorageError) -> OpenError {
    OpenError::Database(Arc::new(error))
}
