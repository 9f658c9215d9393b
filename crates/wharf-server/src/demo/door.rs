//! Owns signing in to the demo page: a one-time code from the link becomes a cookie that scripts cannot read. Promises
//! that a code works once and not for long, and that only hashes of cookies are kept on disk.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::header::{COOKIE, HeaderMap, SET_COOKIE};
use http::{HeaderValue, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use wharf_api::{Caller, CookieLogin, Scope};
use wharf_model::{Clock, Random, Timestamp, WorkspaceId};

use super::state::DemoState;
use crate::gate;

/// How long the printed link works.
const CODE_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// How long a browser stays signed in, in seconds.
const COOKIE_AGE: u32 = 30 * 24 * 60 * 60;

/// How many browsers stay signed in; the oldest is forgotten first.
const MAX_COOKIES: usize = 32;

type Hash = [u8; 32];

/// Who may come in.
#[derive(Debug)]
pub struct Door {
    dir: PathBuf,
    cookie_name: String,
    workspace: WorkspaceId,
    key: SecretString,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    code: Mutex<Option<(Hash, Timestamp)>>,
    state: Mutex<DemoState>,
}

/// What a door is made of.
#[derive(Debug)]
pub struct DoorParts {
    /// The data directory.
    pub dir: PathBuf,
    /// Cookies of one host are shared by all its ports: the port keeps two demos apart.
    pub port: u16,
    /// The tenant that a signed-in browser belongs to.
    pub workspace: WorkspaceId,
    /// What opens the simulated network to programs.
    pub key: SecretString,
    /// What was remembered.
    pub state: DemoState,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For codes and cookies.
    pub random: Arc<dyn Random>,
}

impl Door {
    /// A door that nobody has a code for yet.
    pub fn new(parts: DoorParts) -> Self {
        let DoorParts {
            dir,
            port,
            workspace,
            key,
            state,
            clock,
            random,
        } = parts;
        let cookie_name = format!("wharf_demo_{port}");
        let (code, state) = (Mutex::new(None), Mutex::new(state));
        Self {
            dir,
            cookie_name,
            workspace,
            key,
            clock,
            random,
            code,
            state,
        }
    }

    /// A new code; an older one stops working.
    pub fn issue_code(&self) -> String {
        let code = self.secret();
        let expiry = self.clock.now() + CODE_LIFETIME;
        *self.code.lock().unwrap_or_else(PoisonError::into_inner) = Some((hash(&code), expiry));
        code
    }

    /// What opens the simulated network to programs.
    pub fn key(&self) -> &SecretString {
        &self.key
    }

    /// Whether the request carries a cookie of this door.
    pub fn knows(&self, headers: &HeaderMap) -> bool {
        self.cookie(headers).is_some_and(|value| self.is_known(value))
    }

    fn is_known(&self, value: &str) -> bool {
        let found = hash(value);
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.cookies.iter().any(|known| bool::from(known.ct_eq(&found)))
    }

    /// Takes a code and gives a cookie; `None` when the code is wrong, used or too old.
    fn admit(&self, code: &str) -> Result<Option<String>> {
        if !self.take_code(code) {
            return Ok(None);
        }
        let cookie = self.secret();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let surplus = (state.cookies.len() + 1).saturating_sub(MAX_COOKIES);
        state.cookies.drain(..surplus);
        state.cookies.push(hash(&cookie));
        state.write(&self.dir)?;
        Ok(Some(cookie))
    }

    fn take_code(&self, code: &str) -> bool {
        let mut kept = self.code.lock().unwrap_or_else(PoisonError::into_inner);
        let fits =
            |(known, expiry): (Hash, Timestamp)| self.clock.now() < expiry && bool::from(known.ct_eq(&hash(code)));
        let fits = kept.is_some_and(fits);
        if fits {
            *kept = None;
        }
        fits
    }

    fn cookie<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let pairs = headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok());
        let mut pairs = pairs
            .flat_map(|text| text.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        pairs
            .find(|(name, _)| *name == self.cookie_name)
            .map(|(_, value)| value)
    }

    fn secret(&self) -> String {
        let mut bytes = [0; 32];
        self.random.fill(&mut bytes);
        data_encoding::BASE64URL_NOPAD.encode(&bytes)
    }
}

/// A signed-in browser is the demo's owner: it may do everything.
#[async_trait]
impl CookieLogin for Door {
    fn cookie_name(&self) -> &str {
        &self.cookie_name
    }

    async fn caller(&self, value: &str) -> Option<Caller> {
        self.is_known(value)
            .then(|| Caller::page(self.workspace, vec![Scope::Admin]))
    }
}

fn hash(text: &str) -> Hash {
    Sha256::digest(text.as_bytes()).into()
}

/// The sign-in.
pub fn router(door: Arc<Door>) -> Router {
    Router::new().route("/demo/login", post(login)).with_state(door)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    code: SecretString,
}

async fn login(State(door): State<Arc<Door>>, headers: HeaderMap, Json(login): Json<Login>) -> Response {
    if !gate::is_same_origin(&headers) {
        return gate::refuse(
            StatusCode::FORBIDDEN,
            "cross_site_refused",
            "Only the page itself may sign in.",
        );
    }
    match door.admit(login.code.expose_secret()) {
        Ok(Some(cookie)) => welcome(&door.cookie_name, &cookie),
        Ok(None) => gate::refuse(
            StatusCode::UNAUTHORIZED,
            "code_invalid",
            "The code was used before, or is too old.",
        ),
        Err(error) => {
            tracing::error!(error = %format!("{error:#}"), "a browser could not be signed in");
            gate::refuse(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal_error",
                "The sign-in could not be stored.",
            )
        }
    }
}

fn welcome(name: &str, cookie: &str) -> Response {
    let cookie = format!("{name}={cookie}; Path=/; HttpOnly; SameSite=Strict; Max-Age={COOKIE_AGE}");
    match HeaderValue::try_from(cookie) {
        Ok(value) => ([(SET_COOKIE, value)], Json(json!({ "signed_in": true }))).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_model::SystemEdges;

    #[derive(Debug)]
    struct At(Mutex<Timestamp>);

    impl Clock for At {
        fn now(&self) -> Timestamp {
            *self.0.lock().unwrap()
        }
    }

    fn door(dir: &std::path::Path, clock: Arc<dyn Clock>) -> Door {
        Door::new(DoorParts {
            dir: dir.to_owned(),
            port: 1,
            workspace: WorkspaceId::generate(&SystemEdges, &SystemEdges),
            key: SecretString::from("k"),
            state: DemoState::read(dir).unwrap(),
            clock,
            random: Arc::new(SystemEdges),
        })
    }

    fn carrying(cookie: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, format!("other=1; wharf_demo_1={cookie}").parse().unwrap());
        headers
    }

    #[test]
    fn a_code_works_once_and_its_cookie_outlives_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let first = door(dir.path(), Arc::new(SystemEdges));
        let code = first.issue_code();
        let cookie = first.admit(&code).unwrap().unwrap();
        assert!(first.admit(&code).unwrap().is_none());
        assert!(first.knows(&carrying(&cookie)));
        assert!(!first.knows(&carrying("guess")) && !first.knows(&HeaderMap::new()));
        assert!(door(dir.path(), Arc::new(SystemEdges)).knows(&carrying(&cookie)));
        let stored = std::fs::read_to_string(DemoState::path(dir.path())).unwrap();
        assert!(!stored.contains(&cookie));
    }

    #[test]
    fn a_code_grows_old() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(At(Mutex::new(Timestamp::from_secs(1000))));
        let door = door(dir.path(), Arc::<At>::clone(&clock));
        let code = door.issue_code();
        *clock.0.lock().unwrap() = Timestamp::from_secs(1000) + CODE_LIFETIME;
        assert!(door.admit(&code).unwrap().is_none());
    }
}
