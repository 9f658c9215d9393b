//! S3-compatible storage, or a folder: a session's `creds.json` as an object under a random name. Who knows the name can
//! fetch it from here only through this server; the bucket and the folder are to be private.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use http_body_util::BodyExt as _;
use object_store::aws::AmazonS3Builder;
use object_store::client::{
    ClientOptions, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService,
};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Name;
use object_store::{BackoffConfig, ObjectStore, ObjectStoreExt as _, RetryConfig};
use secrecy::{ExposeSecret as _, SecretString};
use std::time::Duration;
use url::Url;
use wharf_model::Random;
use wharf_net::{FetchError, Fetcher};
use zeroize::Zeroizing;

use super::random_id;
use crate::MAX_INPUT;

/// What an object's name ends with.
const SUFFIX: &str = ".json";
/// How long and how often a bucket is asked again that is busy or away.
const RETRIES: usize = 3;
const RETRYING: Duration = Duration::from_secs(20);

/// S3-compatible storage: Amazon's own, MEGA S4, R2, MinIO and others.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// Where it answers, such as `https://s3.g.s4.mega.io`; without it Amazon's own address of the region.
    pub endpoint: Option<Url>,
    /// The region that requests are signed for; those who have none take `us-east-1`, or `auto`.
    pub region: String,
    /// The bucket's name.
    pub name: String,
    /// What stands in front of every object's name.
    pub prefix: String,
    /// Who signs.
    pub access_key_id: String,
    /// What he signs with.
    pub secret_access_key: SecretString,
}

/// Why an object was not kept or given. The message of the storage is in the source, for the log.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsError {
    /// Others on this machine could read the accounts.
    #[error("the folder is open to other users of this machine; take their rights away: chmod 700")]
    OpenFolder,
    /// The folder cannot be looked at or made.
    #[error("the folder cannot be used")]
    Folder(#[source] std::io::Error),
    /// The settings make no storage.
    #[error("the settings of the storage are not usable")]
    Settings(#[source] object_store::Error),
    /// It did not answer, or refused.
    #[error("the storage did not take or give the file")]
    Storage(#[from] object_store::Error),
    /// Larger than credentials ever are.
    #[error("the file in the storage is larger than credentials ever are")]
    TooLarge,
}

/// Keeps files in a bucket or a folder.
#[derive(Clone, Debug)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: Name,
    random: Arc<dyn Random>,
}

impl Objects {
    /// A bucket; what is sent goes through `fetcher`.
    ///
    /// # Errors
    /// [`ObjectsError::Settings`].
    pub fn bucket(bucket: &Bucket, fetcher: Fetcher, random: Arc<dyn Random>) -> Result<Self, ObjectsError> {
        let mut builder = AmazonS3Builder::new()
            .with_http_connector(Guarded(fetcher))
            .with_region(&bucket.region)
            .with_bucket_name(&bucket.name)
            .with_access_key_id(&bucket.access_key_id)
            .with_secret_access_key(bucket.secret_access_key.expose_secret())
            .with_retry(RetryConfig {
                backoff: BackoffConfig::default(),
                max_retries: RETRIES,
                retry_timeout: RETRYING,
            });
        if let Some(endpoint) = &bucket.endpoint {
            builder = builder
                .with_endpoint(endpoint.as_str().trim_end_matches('/'))
                .with_allow_http(endpoint.scheme() == "http");
        }
        Ok(Self {
            store: Arc::new(builder.build().map_err(ObjectsError::Settings)?),
            prefix: Name::from(bucket.prefix.as_str()),
            random,
        })
    }

    /// A folder, made when it is not there. One that others can read is not taken.
    ///
    /// # Errors
    /// [`ObjectsError::OpenFolder`], [`ObjectsError::Folder`] or [`ObjectsError::Settings`].
    pub fn folder(folder: &Path, random: Arc<dyn Random>) -> Result<Self, ObjectsError> {
        let making = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        let made = making.and_then(|()| folder.metadata()).map_err(ObjectsError::Folder)?;
        if made.permissions().mode() & 0o077 != 0 {
            return Err(ObjectsError::OpenFolder);
        }
        let store = LocalFileSystem::new_with_prefix(folder).map_err(ObjectsError::Settings)?;
        Ok(Self {
            store: Arc::new(store.with_fsync(true)),
            prefix: Name::default(),
            random,
        })
    }

    /// Keeps the content and says under which id.
    ///
    /// # Errors
    /// [`ObjectsError::Storage`].
    pub async fn keep(&self, content: &[u8]) -> Result<String, ObjectsError> {
        let id = random_id(&*self.random);
        self.store.put(&self.name(&id), content.to_vec().into()).await?;
        Ok(id)
    }

    /// The content under an id.
    ///
    /// # Errors
    /// See [`ObjectsError`].
    pub async fn fetch(&self, id: &str) -> Result<Option<Zeroizing<Vec<u8>>>, ObjectsError> {
        let found = match self.store.get(&self.name(id)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if found.meta.size > MAX_INPUT as u64 {
            return Err(ObjectsError::TooLarge);
        }
        Ok(Some(Zeroizing::new(found.bytes().await?.to_vec())))
    }

    /// Deletes what is under an id.
    ///
    /// # Errors
    /// [`ObjectsError::Storage`].
    pub async fn delete(&self, id: &str) -> Result<(), ObjectsError> {
        Ok(self.store.delete(&self.name(id)).await?)
    }

    fn name(&self, id: &str) -> Name {
        self.prefix.clone().join(format!("{id}{SUFFIX}"))
    }
}

/// The way out of this process, for a library that would make its own.
#[derive(Clone, Debug)]
struct Guarded(Fetcher);

impl HttpConnector for Guarded {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Guarded {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let request = http::Request::from_parts(head, body.to_vec());
        let answer = self.0.fetch(request).await.map_err(failed)?;
        Ok(answer.map(|body| {
            let whole = http_body_util::Full::new(bytes::Bytes::from(body));
            HttpResponseBody::new(whole.map_err(|never| match never {}))
        }))
    }
}

fn failed(error: FetchError) -> HttpError {
    let kind = match &error {
        FetchError::BadUrl | FetchError::Tls(_) | FetchError::TooLarge(_) => HttpErrorKind::Unknown,
        FetchError::Resolve(_) => HttpErrorKind::Connect,
        FetchError::Exchange(_) => HttpErrorKind::Request,
    };
    HttpError::new(kind, error)
}
