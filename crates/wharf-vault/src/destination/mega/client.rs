//! The exchange with MEGA: log-in with its proof of work, one file up, one file down.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use http::header::CONTENT_TYPE;
use http::{Request, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use url::Url;
use wharf_model::Random;
use wharf_net::Fetcher;
use zeroize::Zeroizing;

use super::crypto::{self, BLOCK, PasswordKey, SealedAccount};
use super::{AGAIN, Link, MegaError, QUOTA, SESSION_ENDED, hashcash};
use crate::MAX_INPUT;

/// How often a request is made that MEGA is too busy for.
const TRIES: u32 = 5;
/// The wait before the second try; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// What a node of a file listing is when it is the account's own drive.
const DRIVE: i64 = 2;
/// Where MEGA asks for work, and where the answer goes.
const HASHCASH: &str = "X-Hashcash";
/// MEGA's own status: the address, or the account, has used up what it may transfer.
const OVER_QUOTA: u16 = 509;
/// The name of the file that a string is kept in.
const NAME: &str = "creds.json";

/// Who keeps files.
#[derive(Clone)]
pub struct Account {
    /// The address that he signs in with.
    pub email: String,
    /// His password.
    pub password: SecretString,
}

/// Whose it is must not reach a log either.
impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").finish_non_exhaustive()
    }
}

/// A file that was kept.
#[derive(Clone, Debug)]
pub struct File {
    /// Names it to others, and opens it.
    pub link: Link,
    /// Names it to MEGA.
    node: String,
}

/// Keeps files in an account, and reads those that links name, whoever keeps them.
#[derive(Debug)]
pub struct Mega {
    fetcher: Fetcher,
    random: Arc<dyn Random>,
    api: Url,
    account: Option<Account>,
    /// Numbers requests, as MEGA wants it.
    asked: AtomicU64,
    login: Mutex<Option<Arc<Login>>>,
}

struct Login {
    id: String,
    master_key: Zeroizing<[u8; BLOCK]>,
    drive: String,
}

/// What opens the account must not reach a log.
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

impl Mega {
    /// At `api` (`https://g.api.mega.co.nz/` is MEGA's own); without an account it reads only.
    pub fn new(fetcher: Fetcher, random: Arc<dyn Random>, api: Url, account: Option<Account>) -> Self {
        let mut first = [0; 4];
        random.fill(&mut first);
        Self {
            fetcher,
            random,
            api,
            account,
            asked: AtomicU64::new(u32::from_be_bytes(first).into()),
            login: Mutex::new(None),
        }
    }

    /// Keeps the content as a file of the account.
    ///
    /// # Errors
    /// See [`MegaError`]; nothing is kept then that anybody has a key for.
    pub async fn keep(&self, content: &[u8]) -> Result<File, MegaError> {
        let login = self.login().await?;
        match self.keep_in(&login, content).await {
            Err(MegaError::Refused(SESSION_ENDED)) => {
                let login = self.login_instead_of(&login).await?;
                self.keep_in(&login, content).await
            }
            kept => kept,
        }
    }

    /// Deletes a file for good.
    ///
    /// # Errors
    /// See [`MegaError`].
    pub async fn delete(&self, file: &File) -> Result<(), MegaError> {
        let command = json!({ "a": "d", "n": file.node });
        let login = self.login().await?;
        let deleted = match self.ask::<Value>(Some(&login), command.clone()).await {
            Err(MegaError::Refused(SESSION_ENDED)) => {
                let login = self.login_instead_of(&login).await?;
                self.ask(Some(&login), command).await
            }
            deleted => deleted,
        };
        deleted.map(drop)
    }

    async fn keep_in(&self, login: &Login, content: &[u8]) -> Result<File, MegaError> {
        let place: UploadPlace = self
            .ask(
                Some(login),
                json!({ "a": "u", "ssl": 2, "s": content.len(), "ms": 0, "r": 0, "e": 0, "v": 2 }),
            )
            .await?;
        let (mut key, mut nonce) = (Zeroizing::new([0; BLOCK]), [0; 8]);
        self.random.fill(&mut *key);
        self.random.fill(&mut nonce);
        let (sealed, key) = crypto::seal(content, key, nonce);
        let handle = self.upload(&place.p, sealed).await?;
        let node = json!({
            "h": BASE64URL_NOPAD.encode(&handle),
            "t": 0,
            "a": BASE64URL_NOPAD.encode(&crypto::attributes(&key, NAME)),
            "k": BASE64URL_NOPAD.encode(&crypto::wrap(&login.master_key, &key.merged())),
        });
        let made: Listing = self
            .ask(Some(login), json!({ "a": "p", "t": login.drive, "n": [node] }))
            .await?;
        let node = made.f.first().ok_or(MegaError::Unexpected("a new file"))?;
        let file: String = self.ask(Some(login), json!({ "a": "l", "n": node.h })).await?;
        Ok(File {
            link: Link::new(file, &key),
            node: node.h.clone(),
        })
    }

    /// What MEGA calls the finished upload.
    async fn upload(&self, place: &str, sealed: Vec<u8>) -> Result<Vec<u8>, MegaError> {
        let name = self.transfer(&format!("{place}/0"), Some(sealed)).await?;
        match std::str::from_utf8(&name)
            .ok()
            .and_then(|text| text.trim().parse().ok())
        {
            Some(code) => Err(MegaError::Refused(code)),
            None if name.is_empty() => Err(MegaError::Unexpected("a finished upload")),
            None => Ok(name),
        }
    }

    /// The content of the file that a link names.
    ///
    /// # Errors
    /// See [`MegaError`].
    pub async fn fetch(&self, link: &Link) -> Result<Zeroizing<Vec<u8>>, MegaError> {
        let found: FilePlace = self
            .ask(None, json!({ "a": "g", "g": 1, "ssl": 2, "p": link.file }))
            .await?;
        let key = link.key();
        let attributes = BASE64URL_NOPAD.decode(found.at.as_bytes());
        if !attributes.is_ok_and(|attributes| crypto::opens(&key, &attributes)) {
            return Err(MegaError::Damaged);
        }
        let last = found.s.checked_sub(1).ok_or(MegaError::Damaged)?;
        if found.s > MAX_INPUT {
            return Err(MegaError::TooLarge);
        }
        let sealed = self.transfer(&format!("{}/0-{last}", found.g), None).await?;
        if sealed.len() != found.s {
            return Err(MegaError::Damaged);
        }
        crypto::open(&key, &sealed)
    }

    /// The log-in that stands, or a new one.
    async fn login(&self) -> Result<Arc<Login>, MegaError> {
        let mut standing = self.login.lock().await;
        if let Some(login) = &*standing {
            return Ok(Arc::clone(login));
        }
        let account = self.account.clone().ok_or(MegaError::Unexpected("an account"))?;
        let login = Arc::new(self.log_in(account).await?);
        *standing = Some(Arc::clone(&login));
        Ok(login)
    }

    /// A new log-in after MEGA has ended one.
    async fn login_instead_of(&self, ended: &Arc<Login>) -> Result<Arc<Login>, MegaError> {
        {
            let mut standing = self.login.lock().await;
            if standing.as_ref().is_some_and(|login| Arc::ptr_eq(login, ended)) {
                *standing = None;
            }
        }
        self.login().await
    }

    async fn log_in(&self, account: Account) -> Result<Login, MegaError> {
        let email = account.email.to_lowercase();
        let salted: Salted = self.ask(None, json!({ "a": "us0", "user": email })).await?;
        // Accounts of version 1 are older than 2018 and are moved to the second by MEGA's own client at a log-in.
        let (2, Some(salt)) = (salted.v, salted.s) else {
            return Err(MegaError::Unexpected("an account"));
        };
        let salt = bytes(&salt)?;
        let key = blocking(move || PasswordKey::derive(account.password.expose_secret(), &salt)).await?;
        let opened: LoggedIn = self
            .ask(None, json!({ "a": "us", "user": email, "uh": key.proof() }))
            .await?;
        let sealed = SealedAccount {
            master_key: bytes(&opened.k)?,
            private_key: bytes(&opened.privk)?,
            session_id: bytes(&opened.csid)?,
        };
        let (master_key, id) = blocking(move || key.open(&sealed)).await??;
        let mut login = Login {
            id,
            master_key,
            drive: String::new(),
        };
        let listing: Listing = self.ask(Some(&login), json!({ "a": "f", "c": 1 })).await?;
        let drive = listing.f.into_iter().find(|node| node.t == DRIVE);
        login.drive = drive.ok_or(MegaError::Unexpected("a drive"))?.h;
        Ok(login)
    }

    /// One command; asked again while MEGA is busy, and once its work is done.
    async fn ask<T: DeserializeOwned>(&self, login: Option<&Login>, command: Value) -> Result<T, MegaError> {
        let mut url = self.api.join("cs").map_err(|_| MegaError::Unexpected("an address"))?;
        let number = self.asked.fetch_add(1, Ordering::Relaxed).to_string();
        url.query_pairs_mut().append_pair("id", &number);
        if let Some(login) = login {
            url.query_pairs_mut().append_pair("sid", &login.id);
        }
        let body = Value::Array(vec![command]).to_string().into_bytes();
        let mut worked = None;
        for tried in 0..TRIES {
            if tried > 0 && worked.is_none() {
                tokio::time::sleep(FIRST_WAIT * (1 << (tried - 1))).await;
            }
            let mut request = Request::post(url.as_str()).header(CONTENT_TYPE, "application/json");
            if let Some(token) = worked.take() {
                request = request.header(HASHCASH, token);
            }
            let answer = self.send(request.body(body.clone())).await?;
            if let Some(challenge) = answer.headers().get(HASHCASH) {
                let challenge = challenge
                    .to_str()
                    .map_err(|_| MegaError::Unexpected("a challenge"))?
                    .to_owned();
                worked = Some(blocking(move || hashcash::solve(&challenge)).await??);
                continue;
            }
            match number_in(answer.body()) {
                Some(AGAIN) => {}
                Some(code) if code < 0 => return Err(MegaError::Refused(code)),
                // Some orders are answered with 0.
                Some(code) => {
                    return serde_json::from_value(code.into()).map_err(|_| MegaError::Unexpected("an answer"));
                }
                None => return only_one(answer.body()),
            }
        }
        Err(MegaError::Refused(AGAIN))
    }

    /// A piece of a file, up or down.
    async fn transfer(&self, address: &str, body: Option<Vec<u8>>) -> Result<Vec<u8>, MegaError> {
        let request = match body {
            None => Request::get(address).body(Vec::new()),
            Some(body) => Request::post(address).body(body),
        };
        let answer = self.send(request).await?;
        match answer.status().as_u16() {
            200 => Ok(answer.into_body()),
            OVER_QUOTA => Err(MegaError::Refused(QUOTA)),
            _ => Err(MegaError::Unexpected("a transfer")),
        }
    }

    async fn send(&self, request: Result<Request<Vec<u8>>, http::Error>) -> Result<Response<Vec<u8>>, MegaError> {
        let request = request.map_err(|_| MegaError::Unexpected("an address"))?;
        Ok(self.fetcher.fetch(request).await?)
    }
}

/// An answer is a number, or a list with one element, which may be a number, too.
fn number_in(body: &[u8]) -> Option<i64> {
    let listed = || serde_json::from_slice::<(i64,)>(body).map(|(number,)| number);
    serde_json::from_slice(body).or_else(|_| listed()).ok()
}

/// The one element of a list. A listing is long: nothing is kept of it but what is asked for.
fn only_one<T: DeserializeOwned>(body: &[u8]) -> Result<T, MegaError> {
    let listed: Result<(T,), _> = serde_json::from_slice(body);
    listed.map(|(one,)| one).map_err(|_| MegaError::Unexpected("an answer"))
}

fn bytes(text: &str) -> Result<Vec<u8>, MegaError> {
    let decoded = BASE64URL_NOPAD.decode(text.as_bytes());
    decoded.map_err(|_| MegaError::Unexpected("a key"))
}

/// Long work beside the runtime.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, MegaError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| MegaError::Unexpected("an end of its work"))
}

#[derive(Deserialize)]
struct Salted {
    v: u8,
    s: Option<String>,
}

#[derive(Deserialize)]
struct LoggedIn {
    k: String,
    privk: String,
    csid: String,
}

#[derive(Deserialize)]
struct Listing {
    f: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    h: String,
    t: i64,
}

#[derive(Deserialize)]
struct UploadPlace {
    p: String,
}

#[derive(Deserialize)]
struct FilePlace {
    s: usize,
    at: String,
    g: String,
}
