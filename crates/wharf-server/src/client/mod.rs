//! Owns the HTTP client behind the commands. Promises that every failure is one plain sentence with an exit code.
//! Never opens the database: commands see what any other client sees.

mod sse;

use std::time::Duration;

use anyhow::{Context, Result};
use http::{Method, StatusCode};
use reqwest::{RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::outcome::{Outcome, Stop};

pub use sse::EventStream;

/// A server and the key to it.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    key: Option<SecretString>,
}

/// What the server says when it refuses (RFC 9457).
#[derive(Debug, Deserialize)]
struct Problem {
    code: Option<String>,
    detail: Option<String>,
    title: Option<String>,
    #[serde(default)]
    errors: Vec<FieldProblem>,
}

#[derive(Debug, Deserialize)]
struct FieldProblem {
    #[serde(default)]
    pointer: String,
    #[serde(default)]
    detail: String,
}

impl Client {
    /// A client of the server at `url`.
    ///
    /// # Errors
    /// When the system gives no randomness or no sockets.
    pub fn new(url: &str, key: Option<SecretString>) -> Result<Self> {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .no_proxy()
            .build()
            .context("the HTTP client could not be set up")?;
        Ok(Self {
            http,
            url: url.trim_end_matches('/').to_owned(),
            key,
        })
    }

    /// Whether a Wharf answers there.
    pub async fn is_alive(&self) -> bool {
        let asked = self
            .http
            .get(format!("{}/healthz", self.url))
            .timeout(Duration::from_secs(2))
            .send()
            .await;
        asked.is_ok_and(|answer| answer.status().is_success())
    }

    /// Asks for something.
    ///
    /// # Errors
    /// [`Stop`] when nobody answers or the server refuses.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.read(self.request(Method::GET, path)).await
    }

    /// Asks for something to be done.
    ///
    /// # Errors
    /// [`Stop`] when nobody answers or the server refuses.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        self.read(self.request(Method::POST, path).json(body)).await
    }

    /// Asks for something to be taken away.
    ///
    /// # Errors
    /// [`Stop`] when nobody answers or the server refuses.
    pub async fn delete(&self, path: &str) -> Result<()> {
        self.call(self.request(Method::DELETE, path)).await.map(drop)
    }

    /// Listens to server-sent events.
    ///
    /// # Errors
    /// [`Stop`] when nobody answers or the server refuses.
    pub async fn events(&self, path: &str) -> Result<EventStream> {
        let request = self.http.request(Method::GET, format!("{}{path}", self.url));
        let request = self.signed(request).header(http::header::ACCEPT, "text/event-stream");
        Ok(EventStream::new(self.call(request).await?))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        self.signed(request).timeout(Duration::from_secs(60))
    }

    fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.key {
            Some(key) => request.bearer_auth(key.expose_secret()),
            None => request,
        }
    }

    async fn read<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        let answer = self.call(request).await?;
        answer
            .json()
            .await
            .context("the server's answer could not be read; is it a Wharf of another version?")
    }

    async fn call(&self, request: RequestBuilder) -> Result<Response> {
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        if answer.status().is_success() {
            Ok(answer)
        } else {
            Err(refusal(answer).await.into())
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Stop {
        let why = if error.is_timeout() {
            "did not answer in time"
        } else {
            "does not answer"
        };
        Stop::new(
            Outcome::Unreachable,
            format!("the server at {} {why}; is `wharf serve` running?", self.url),
        )
    }
}

async fn refusal(answer: Response) -> Stop {
    let status = answer.status();
    let problem = answer.json::<Problem>().await.ok();
    Stop::new(Outcome::Refused, sentence(status, problem))
}

fn sentence(status: StatusCode, problem: Option<Problem>) -> String {
    let Some(problem) = problem else {
        return format!("the server refused with status {status}");
    };
    let code = problem.code.unwrap_or_else(|| status.as_u16().to_string());
    let detail = problem.detail.or(problem.title).unwrap_or_else(|| status.to_string());
    let fields: String = problem
        .errors
        .iter()
        .map(|field| format!("; {} {}", field.pointer, field.detail))
        .collect();
    format!("the server refused ({code}): {detail}{fields}")
}
