//! All the places of one server: what an operator turned on, and how what lies elsewhere is read.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use tokio::sync::{Semaphore, oneshot};
use url::Url;
use wharf_model::{Random, SessionId, Timestamp, WorkspaceId};
use wharf_net::{FetchError, Fetcher, Limits, Reach};
use wharf_storage::StorageError;
use wharf_storage::audit::Requester;
use zeroize::Zeroizing;

use super::database::{Database, id_in};
use super::mega::{Account, File, Link, Mega, MegaError, NOT_FOUND};
use super::objects::{Bucket, Objects, ObjectsError};
use crate::{MAX_INPUT, Portable, export};

/// Characters of the longest text that may name credentials; credentials themselves are longer.
const LONGEST_NAME: usize = 512;
/// How long one exchange with a place may take.
const EXCHANGE: Duration = Duration::from_secs(15);
/// How long keeping or fetching something may take in all: less than a call of the API may.
const WITHIN: Duration = Duration::from_secs(25);
/// How many things are fetched at once, for all workspaces together.
const FETCHED_AT_ONCE: usize = 8;
/// Bytes of MEGA's longest answer: the listing of an account, some 300 for each file that it keeps.
const LISTING: usize = 64 * 1024 * 1024;

/// Section `vault`.
#[derive(Clone, Debug)]
pub struct VaultConfig {
    /// A folder that strings may be kept in.
    pub folder: Option<PathBuf>,
    /// A bucket that they may be kept in.
    pub bucket: Option<Bucket>,
    /// An account at MEGA that they may be kept in.
    pub mega: Option<Account>,
    /// Where MEGA's API answers.
    pub mega_api: Url,
}

/// What may be dialled.
#[derive(Clone, Copy, Debug)]
pub struct Reaches {
    /// Addresses that the operator configured.
    pub configured: Reach,
    /// Addresses that somebody else named.
    pub named: Reach,
}

/// Where a string is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// This server's database.
    Database {
        /// For how long.
        lasts: Duration,
        /// With a link that needs no key and works once.
        link: bool,
    },
    /// The operator's account at MEGA.
    Mega,
    /// The operator's bucket.
    S3,
    /// A folder of this server.
    Folder,
}

/// Whose credentials they are.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The workspace that may fetch them from the database again.
    pub workspace: WorkspaceId,
    /// The session, if they are of one.
    pub session: Option<SessionId>,
}

/// What credentials that were kept are fetched with.
#[derive(Clone)]
pub struct Receipt {
    /// What follows the brand of a short string.
    pub reference: Zeroizing<String>,
    /// The token of the link that works once.
    pub link: Option<String>,
    /// When they go; `None`: nobody takes them away.
    pub expires_at: Option<Timestamp>,
    kept: Kept,
}

/// Where they lie, for who takes them away again.
#[derive(Clone)]
enum Kept {
    Database(WorkspaceId),
    Mega(File),
    S3,
    Folder,
}

/// Logs are written with `Debug`: who has a reference has the credentials.
impl std::fmt::Debug for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receipt")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Why credentials were not kept somewhere, or not fetched from there.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The operator did not turn it on.
    #[error("this server has no such place for session strings")]
    NotConfigured,
    /// MEGA.
    #[error(transparent)]
    Mega(#[from] MegaError),
    /// The bucket or the folder.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// The page that the text names.
    #[error("the page could not be fetched")]
    Page(#[from] FetchError),
    /// The page answered, with something else.
    #[error("the page answered with status {0}")]
    Status(u16),
    /// The session string could not be written.
    #[error("the session string could not be written")]
    NotWritten(#[source] std::io::Error),
    /// It takes longer than anybody waits.
    #[error("it took longer than {} s", WITHIN.as_secs())]
    TooSlow,
    /// Others are being served.
    #[error("too many others fetch something now; try again in a moment")]
    Busy,
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The places of a server. A clone shares them.
#[derive(Clone, Debug)]
pub struct Places {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    database: Option<Database>,
    mega: Mega,
    keeps_at_mega: bool,
    bucket: Option<Objects>,
    folder: Option<Objects>,
    pages: Fetcher,
    fetching: Semaphore,
}

impl Places {
    /// Opens no connection.
    ///
    /// # Errors
    /// The settings of the bucket or the folder are not usable, or TLS is not.
    pub fn new(
        config: VaultConfig,
        reaches: Reaches,
        database: Option<Database>,
        random: Arc<dyn Random>,
    ) -> Result<Self, PlaceError> {
        let limits = Limits {
            time: EXCHANGE,
            // An answer is a little longer than what it carries.
            body: MAX_INPUT + 4096,
        };
        let configured = Fetcher::new(reaches.configured, limits)?;
        let named = Fetcher::new(reaches.named, limits)?;
        let of_mega = Limits {
            body: LISTING,
            ..limits
        };
        let of_mega = Fetcher::new(reaches.named, of_mega)?;
        let keeps_at_mega = config.mega.is_some();
        let bucket = config
            .bucket
            .map(|bucket| Objects::bucket(&bucket, configured.clone(), Arc::clone(&random)));
        let folder = config
            .folder
            .map(|folder| Objects::folder(&folder, Arc::clone(&random)));
        let inner = Inner {
            database,
            mega: Mega::new(of_mega, random, config.mega_api, config.mega),
            keeps_at_mega,
            bucket: bucket.transpose()?,
            folder: folder.transpose()?,
            pages: named,
            fetching: Semaphore::new(FETCHED_AT_ONCE),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether the operator turned a place on.
    pub fn offers(&self, place: Place) -> bool {
        match place {
            Place::Database { .. } => self.inner.database.is_some(),
            Place::Mega => self.inner.keeps_at_mega,
            Place::S3 => self.inner.bucket.is_some(),
            Place::Folder => self.inner.folder.is_some(),
        }
    }

    /// Keeps credentials. The database keeps a session string with the brand in front, the others `creds.json`. What is
    /// kept when nobody waits for it any more is taken away again.
    ///
    /// # Errors
    /// See [`PlaceError`].
    pub async fn keep(
        &self,
        place: Place,
        origin: Origin,
        portable: &Portable,
        brand: &str,
    ) -> Result<Receipt, PlaceError> {
        let content = match place {
            Place::Database { .. } => {
                let string = export::session_string(portable, brand).map_err(PlaceError::NotWritten)?;
                Zeroizing::new(string.as_bytes().to_vec())
            }
            Place::Mega | Place::S3 | Place::Folder => export::baileys_creds(portable),
        };
        let (done, kept) = oneshot::channel();
        let places = self.clone();
        tokio::spawn(async move {
            let kept = places.keep_content(place, origin, &content).await;
            if let Err(Ok(receipt)) = done.send(kept) {
                places.take_back(&receipt).await;
            }
        });
        match tokio::time::timeout(WITHIN, kept).await {
            Ok(Ok(kept)) => kept,
            Ok(Err(_)) | Err(_) => Err(PlaceError::TooSlow),
        }
    }

    async fn keep_content(&self, place: Place, origin: Origin, content: &[u8]) -> Result<Receipt, PlaceError> {
        let inner = &self.inner;
        let plain = |reference, kept| Receipt {
            reference,
            link: None,
            expires_at: None,
            kept,
        };
        Ok(match place {
            Place::Database { lasts, link } => {
                let string = std::str::from_utf8(content).map_err(|_| StorageError::Unreadable("session string"))?;
                let ticket = inner.database()?.keep(origin, string, lasts, link).await?;
                Receipt {
                    reference: Zeroizing::new(ticket.id),
                    link: ticket.link,
                    expires_at: Some(ticket.expires_at),
                    kept: Kept::Database(origin.workspace),
                }
            }
            Place::Mega if inner.keeps_at_mega => {
                let file = inner.mega.keep(content).await?;
                plain(file.link.expose(), Kept::Mega(file))
            }
            Place::Mega => return Err(PlaceError::NotConfigured),
            Place::S3 => plain(inner.bucket()?.keep(content).await?.into(), Kept::S3),
            Place::Folder => plain(inner.folder()?.keep(content).await?.into(), Kept::Folder),
        })
    }

    async fn take_back(&self, receipt: &Receipt) {
        if let Err(error) = self.forget(receipt).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "A session string that nobody has is still where it was kept"
            );
        }
    }

    /// Takes credentials away again that nobody is going to use.
    ///
    /// # Errors
    /// See [`PlaceError`]; they are still there then.
    pub async fn forget(&self, receipt: &Receipt) -> Result<(), PlaceError> {
        let (inner, id) = (&self.inner, receipt.reference.as_str());
        match &receipt.kept {
            Kept::Database(workspace) => {
                let forgotten = inner.database()?.forget(*workspace, id, Requester::server());
                forgotten.await.map(drop)?;
            }
            Kept::Mega(file) => inner.mega.delete(file).await?,
            Kept::S3 => inner.bucket()?.delete(id).await?,
            Kept::Folder => inner.folder()?.delete(id).await?,
        }
        Ok(())
    }

    /// The credentials that a text names instead of holding them; `None` when it names none that are found. An id of this
    /// server is looked up in its database; anything further away is asked only when `asked` says so.
    ///
    /// # Errors
    /// See [`PlaceError`].
    pub async fn fetch(
        &self,
        workspace: WorkspaceId,
        text: &str,
        asked: bool,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, PlaceError> {
        let text = text.trim();
        if text.len() > LONGEST_NAME {
            return Ok(None);
        }
        if let (Some(id), Some(database)) = (id_in(text), &self.inner.database)
            && let Some(kept) = database.fetch(workspace, id).await?
        {
            return Ok(Some(Zeroizing::new(kept.string.as_bytes().to_vec())));
        }
        if !asked {
            return Ok(None);
        }
        let _turn = self.inner.fetching.try_acquire().map_err(|_| PlaceError::Busy)?;
        let fetching = tokio::time::timeout(WITHIN, self.fetch_elsewhere(text)).await;
        fetching.unwrap_or(Err(PlaceError::TooSlow))
    }

    async fn fetch_elsewhere(&self, text: &str) -> Result<Option<Zeroizing<Vec<u8>>>, PlaceError> {
        if let Ok(link) = text.parse::<Link>() {
            return Ok(Some(self.inner.mega.fetch(&link).await?));
        }
        if let Some(id) = id_in(text) {
            for objects in [&self.inner.folder, &self.inner.bucket].into_iter().flatten() {
                if let Some(found) = objects.fetch(id).await? {
                    return Ok(Some(found));
                }
            }
        }
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Some(self.page(&url).await?)),
            _ => Ok(None),
        }
    }

    async fn page(&self, url: &Url) -> Result<Zeroizing<Vec<u8>>, PlaceError> {
        let request = Request::get(url.as_str()).body(Vec::new());
        let answer = self.inner.pages.fetch(request.map_err(|_| FetchError::BadUrl)?).await?;
        match answer.status().as_u16() {
            200 => Ok(Zeroizing::new(answer.into_body())),
            other => Err(PlaceError::Status(other)),
        }
    }
}

impl Inner {
    fn database(&self) -> Result<&Database, PlaceError> {
        self.database.as_ref().ok_or(PlaceError::NotConfigured)
    }

    fn bucket(&self) -> Result<&Objects, PlaceError> {
        self.bucket.as_ref().ok_or(PlaceError::NotConfigured)
    }

    fn folder(&self) -> Result<&Objects, PlaceError> {
        self.folder.as_ref().ok_or(PlaceError::NotConfigured)
    }
}

impl PlaceError {
    /// Whether what somebody named is at fault, rather than who keeps it.
    pub const fn is_of_the_name(&self) -> bool {
        matches!(
            self,
            Self::Page(_)
                | Self::Status(_)
                | Self::Mega(MegaError::Damaged | MegaError::TooLarge | MegaError::Refused(NOT_FOUND))
                | Self::Objects(ObjectsError::TooLarge)
        )
    }
}
