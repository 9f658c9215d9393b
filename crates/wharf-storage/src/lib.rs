//! Owns what Wharf keeps: the database, its schema, the keys that seal it, and every statement of SQL.
//!
//! Promises: a unit of work commits as a whole or leaves nothing, and is durable before its caller hears of it; events
//! commit with the change that they tell of; no credential, message or address of a person is stored unsealed; a
//! database that cannot be used is left as it is. Never serves HTTP, never talks to WhatsApp, never decides policy.
//!
//! # How to use it
//! Everything goes through [`Storage`]. Writes are closures over a [`Tx`], reads over a [`ReadTx`] (a `Tx` serves as one
//! too); the functions of the modules below are what a closure calls. Seal before the closure, open after it.
//!
//! ```
//! use wharf_model::{Network, SessionId};
//! use wharf_storage::{Queue, Storage, StorageConfig, StorageError, sessions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! let storage = Storage::open(StorageConfig::new(dir.path(), Network::Sandbox)).await?;
//! let workspace = storage.ensure_default_workspace().await?.id;
//! let id = SessionId::generate(&**storage.clock(), &**storage.random());
//! let (_keys, new_keys) = storage.new_session_keys(id)?;
//! let session = sessions::NewSession {
//!     id,
//!     workspace_id: workspace,
//!     name: "support".to_owned(),
//!     network: Network::Sandbox,
//!     device: None,
//!     pacing: None,
//!     metadata: None,
//!     proxy: None,
//!     keys: new_keys,
//!     fingerprint: None,
//!     epoch: 0,
//!     created_by: None,
//!     created_at: storage.clock().now(),
//! };
//! // One unit of work: everything in it commits together.
//! storage
//!     .write(Queue::Normal, move |tx| {
//!         Box::pin(async move {
//!             sessions::create(tx, &session).await?;
//!             // events::append(tx, &event).await?, messages::insert_outbound(tx, &message).await?, ...
//!             Ok(())
//!         })
//!     })
//!     .await?;
//! let found = storage.read(move |tx| Box::pin(sessions::get(tx, workspace, id))).await?;
//! assert_eq!(found.map(|session| session.name).as_deref(), Some("support"));
//! storage.close().await;
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! A unit that a caller wants rolled back for a reason of its own returns [`StorageError::rejected`]. Wake-ups come
//! after commits only: [`Storage::changes`] for the event log, [`Storage::outbound_nudges`] for sessions with something
//! to send.

pub mod api_keys;
pub mod audit;
pub mod backup;
mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
mod cursor;
mod data_keys;
mod driver;
mod error;
pub mod events;
pub mod idempotency;
mod json;
mod lock;
pub mod messages;
mod migrate;
mod open;
pub mod otp_texts;
pub mod plans;
mod postgres;
pub mod receptions;
mod seal;
pub mod sessions;
mod storage;
mod unit;
pub mod usage;
pub mod vault;
pub mod verifications;
pub mod wa_state;
pub mod workspaces;

pub use config::{Durability, StorageConfig};
pub use cursor::{Cursor, Page, PageRequest};
pub use data_keys::NewSessionKeys;
pub use error::{Cause, OpenError, SealError, StorageError};
pub use postgres::Ownership;
pub use seal::{Blind, CodeMac, KeyId, MasterKey, Place, Sealed, SealingKey, SessionKeys, WorkspaceKeys, WrappedKey};
pub use storage::{QueueDepths, Storage};
pub use unit::Queue;
pub use unit::tx::{ReadTx, Tx};
