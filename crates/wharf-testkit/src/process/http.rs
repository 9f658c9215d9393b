//! Calls to a program's HTTP API.

use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::Value;

use super::PATIENCE;
use super::error::ProcessError;
use super::stream::EventStream;

/// How often a condition is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(40);

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body as JSON; `null` when it is empty or something else.
    pub body: Value,
    /// The body as text.
    pub text: String,
    /// Whether it is the repeated answer to an earlier call with the same key.
    pub replayed: bool,
}

impl Answer {
    /// Whether the status is one of success.
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }
}

/// Calls one server.
#[derive(Clone, Debug)]
pub struct Remote {
    http: Client,
    base: String,
    key: Option<String>,
}

impl Remote {
    /// A caller with connections of its own.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn new(base: &str, key: Option<&str>) -> Result<Self, ProcessError> {
        // Somebody has to name the cryptography, although no call here is encrypted; a second name changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().build();
        let http = client.map_err(|source| ProcessError::NoAnswer {
            call: format!("a client for {base}"),
            source,
        })?;
        Ok(Self {
            http,
            base: base.to_owned(),
            key: key.map(str::to_owned),
        })
    }

    /// Where the server is.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// One call, whatever the answer.
    ///
    /// # Errors
    /// There is no answer within [`PATIENCE`].
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        idempotency_key: Option<&str>,
    ) -> Result<Answer, ProcessError> {
        let call = format!("{method} {path}");
        let mut request = self.request(method, path).timeout(PATIENCE);
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let no_answer = |source| ProcessError::NoAnswer {
            call: call.clone(),
            source,
        };
        let answer = request.send().await.map_err(&no_answer)?;
        let status = answer.status().as_u16();
        let replayed = answer.headers().contains_key("idempotency-replayed");
        let text = answer.text().await.map_err(no_answer)?;
        Ok(Answer {
            status,
            body: serde_json::from_str(&text).unwrap_or_default(),
            text,
            replayed,
        })
    }

    /// Reads something.
    ///
    /// # Errors
    /// No answer, or one that is no success.
    pub async fn get(&self, path: &str) -> Result<Value, ProcessError> {
        self.expect(Method::GET, path, None).await
    }

    /// Asks for something to be done.
    ///
    /// # Errors
    /// No answer, or one that is no success.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, ProcessError> {
        self.expect(Method::POST, path, Some(body)).await
    }

    /// Asks for something to be done, whatever the answer; a repeat with the same key is no second request.
    ///
    /// # Errors
    /// There is no answer within [`PATIENCE`].
    pub async fn attempt(
        &self,
        path: &str,
        body: &Value,
        idempotency_key: Option<&str>,
    ) -> Result<Answer, ProcessError> {
        self.call(Method::POST, path, Some(body), idempotency_key).await
    }

    /// Takes something away.
    ///
    /// # Errors
    /// No answer, or one that is no success.
    pub async fn delete(&self, path: &str) -> Result<Value, ProcessError> {
        self.expect(Method::DELETE, path, None).await
    }

    /// The text of a page.
    ///
    /// # Errors
    /// No answer, or one that is no success.
    pub async fn text(&self, path: &str) -> Result<String, ProcessError> {
        let answer = self.call(Method::GET, path, None, None).await?;
        success(&format!("GET {path}"), answer).map(|answer| answer.text)
    }

    /// Every entry of a list, page by page.
    ///
    /// # Errors
    /// No answer, or one that is no page.
    pub async fn all(&self, path: &str) -> Result<Vec<Value>, ProcessError> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}{joint}limit=100{cursor}")).await?;
            found.extend(page["data"].as_array().into_iter().flatten().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(found),
            }
        }
    }

    /// Follows a stream of server-sent events; `after` is the last id that was seen.
    ///
    /// # Errors
    /// No answer, or one that is no stream.
    pub async fn follow(&self, path: &str, after: Option<&str>) -> Result<EventStream, ProcessError> {
        let call = format!("GET {path} (stream)");
        let mut request = self.request(Method::GET, path).header("accept", "text/event-stream");
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let sent = tokio::time::timeout(PATIENCE, request.send()).await;
        let sent = sent.map_err(|_| ProcessError::Never(format!("{call} is answered")))?;
        let answer = sent.map_err(|source| ProcessError::NoAnswer {
            call: call.clone(),
            source,
        })?;
        let status = answer.status().as_u16();
        if status != 200 {
            let body = answer.text().await.unwrap_or_default();
            return Err(ProcessError::Refused { call, status, body });
        }
        Ok(EventStream::new(call, answer))
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    async fn expect(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, ProcessError> {
        let call = format!("{method} {path}");
        let answer = success(&call, self.call(method, path, body, None).await?)?;
        if answer.body.is_null() && !answer.text.is_empty() {
            let body = answer.text.chars().take(200).collect();
            return Err(ProcessError::Unreadable { call, body });
        }
        Ok(answer.body)
    }
}

fn success(call: &str, answer: Answer) -> Result<Answer, ProcessError> {
    if answer.is_success() {
        return Ok(answer);
    }
    Err(ProcessError::Refused {
        call: call.to_owned(),
        status: answer.status,
        body: answer.text,
    })
}

/// Asks until the condition holds; an error of the question itself ends the wait.
///
/// # Errors
/// The question failed, or the condition did not hold within `patience`.
pub async fn until<T, F>(condition: &str, patience: Duration, mut ask: impl FnMut() -> F) -> Result<T, ProcessError>
where
    F: Future<Output = Result<Option<T>, ProcessError>>,
{
    let found = async {
        let mut ticks = tokio::time::interval(LOOK_AGAIN);
        loop {
            ticks.tick().await;
            if let Some(found) = ask().await? {
                return Ok(found);
            }
        }
    };
    let in_time = tokio::time::timeout(patience, found).await;
    in_time.unwrap_or_else(|_| Err(ProcessError::Never(condition.to_owned())))
}
