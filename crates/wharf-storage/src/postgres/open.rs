//! Opening a database on a server: lock, inspection, migration, in that order. Promises that a database that cannot be
//! used (of another program, too new, of the other network, under another key) is left as it was.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_postgres::Client;

use super::address::Address;
use super::migrate;
use super::tenure::Owner;
use crate::config::StorageConfig;
use crate::driver::postgres::from_postgres;
use crate::error::{OpenError, SealError, StorageError};
use crate::lock::OwnerLock;
use crate::migrate::{MIGRATIONS, Migration, compare};
use crate::seal::MasterKey;

/// `xid8` and its functions are younger than what came before.
const OLDEST: i32 = 130_000;

/// What runs units of work.
pub(crate) struct Opened {
    pub(crate) address: Address,
    pub(crate) owner: Owner,
    pub(crate) master: MasterKey,
    pub(crate) dir: OwnerLock,
}

pub(crate) async fn open(config: &StorageConfig, url: &str) -> Result<Opened, OpenError> {
    let address = Address::parse(url)?;
    // Made up here it would be lost with this machine, and everything in the database with it.
    let master = config.master_key.clone().ok_or(OpenError::MasterKeyRequired)?;
    let dir = config.dir.clone();
    let dir = tokio::task::spawn_blocking(move || crate::open::make_dir(&dir).and_then(|()| OwnerLock::take(&dir)))
        .await
        .map_err(|error| OpenError::Database(Arc::new(error)))??;
    let owner = Owner::take(&address).await?;
    let place = PathBuf::from(address.shown());
    prepare(owner.client(), config, &master, place, MIGRATIONS).await?;
    Ok(Opened {
        address,
        owner,
        master,
        dir,
    })
}

/// Makes the schema, or finds out whether the one that is there can be used, and brings it up to date.
async fn prepare(
    client: &Client,
    config: &StorageConfig,
    master: &MasterKey,
    place: PathBuf,
    known: &[Migration],
) -> Result<(), OpenError> {
    look_at_server(client).await?;
    if is_fresh(client, &place).await? {
        let filled = migrate::in_transaction(client, fill_new(client, config, master, known)).await;
        filled.map_err(database)?;
    } else {
        inspect(client, config, master, place, known).await?;
        migrate::apply(client, known, config.clock.now()).await?;
    }
    // This process is alone: whatever was in progress when the last one ended will never be finished.
    let unfinished = "delete from idempotency where state = 'in_progress'";
    client.batch_execute(unfinished).await.map_err(failed)
}

pub(crate) async fn look_at_server(client: &Client) -> Result<(), OpenError> {
    let sql = "select current_setting('server_version_num')::int, current_setting('server_version'),
                   current_setting('fsync')";
    let row = client.query_one(sql, &[]).await.map_err(failed)?;
    let (number, version): (i32, String) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
    if number < OLDEST {
        return Err(OpenError::OldServer(version));
    }
    if row.try_get::<_, String>(2).map_err(failed)? == "off" {
        tracing::warn!("The database server runs with fsync=off: a loss of power may destroy the database");
    }
    Ok(())
}

/// Nothing of ours is there. Something of somebody else's under one of our names is refused.
pub(crate) async fn is_fresh(client: &Client, place: &std::path::Path) -> Result<bool, OpenError> {
    let sql = "select count(*) filter (where to_regclass(name) is not null),
                   to_regclass('schema_migrations') is not null and to_regclass('meta') is not null
               from unnest(array['schema_migrations', 'meta', 'workspaces', 'data_keys', 'api_keys', 'sessions',
                   'session_history', 'messages', 'message_status', 'events', 'idempotency', 'wa_state']) as name";
    let row = client.query_one(sql, &[]).await.map_err(failed)?;
    let (found, ours): (i64, bool) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
    match (found, ours) {
        (0, _) => Ok(true),
        (_, true) => Ok(false),
        (_, false) => Err(OpenError::Foreign(place.to_owned())),
    }
}

async fn fill_new(
    client: &Client,
    config: &StorageConfig,
    master: &MasterKey,
    known: &[Migration],
) -> Result<(), StorageError> {
    client.batch_execute(migrate::APPLIED).await.map_err(from_postgres)?;
    for migration in known {
        migrate::step(client, migration, config.clock.now()).await?;
    }
    for (key, value) in [
        ("network", config.network.as_str().as_bytes()),
        ("master_key_id", &master.id()?.as_bytes()[..]),
        ("master_key_check", &master.check_value()?),
    ] {
        let sql = "insert into meta (key, value) values ($1, $2)";
        client.execute(sql, &[&key, &value]).await.map_err(from_postgres)?;
    }
    Ok(())
}

/// Versions, network, master key. Writes nothing.
async fn inspect(
    client: &Client,
    config: &StorageConfig,
    master: &MasterKey,
    place: PathBuf,
    known: &[Migration],
) -> Result<(), OpenError> {
    // Tables that do not answer as ours do are somebody else's; a connection that broke says nothing about them.
    let foreign = |error| match error {
        StorageError::Unavailable(_) => database(error),
        _ => OpenError::Foreign(place.clone()),
    };
    compare(&migrate::applied(client).await.map_err(foreign)?, known, |migration| {
        migration.postgres
    })?;
    let network = meta(client, "network").await.map_err(foreign)?;
    if network != config.network.as_str().as_bytes() {
        return Err(OpenError::OtherNetwork {
            found: String::from_utf8_lossy(&network).into_owned(),
            wanted: config.network.as_str().to_owned(),
        });
    }
    let value = meta(client, "master_key_check").await.map_err(foreign)?;
    if master.matches(&value).map_err(sealing)? {
        Ok(())
    } else {
        Err(OpenError::WrongMasterKey(place))
    }
}

async fn meta(client: &Client, key: &str) -> Result<Vec<u8>, StorageError> {
    let sql = "select value from meta where key = $1";
    let row = client.query_one(sql, &[&key]).await.map_err(from_postgres)?;
    row.try_get(0).map_err(from_postgres)
}

fn failed(error: tokio_postgres::Error) -> OpenError {
    database(from_postgres(error))
}

fn database(error: StorageError) -> OpenError {
    OpenError::Database(Arc::new(error))
}

fn sealing(error: SealError) -> OpenError {
    OpenError::Database(Arc::new(error))
}
