//! The two HTTP APIs as the tests use them, and waiting for named conditions.

use std::time::Duration;

use http::Method;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

use crate::process::{PATIENCE, Wharf};

/// Calls one server.
#[derive(Clone)]
pub struct Remote {
    http: Client,
    base: String,
    key: Option<String>,
}

impl Remote {
    pub fn new(base: &str, key: Option<&str>) -> Self {
        // The binary installs its own; the test process needs one for its client.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self {
            http,
            base: base.to_owned(),
            key: key.map(str::to_owned),
        }
    }

    pub fn api(wharf: &Wharf) -> Self {
        Self::new(&wharf.url, wharf.api_key.as_deref())
    }

    pub fn sandbox(wharf: &Wharf) -> Self {
        Self::new(wharf.sandbox_url.as_deref().unwrap(), None)
    }

    /// One call; whatever the answer. `Err` when the server is gone.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Response, reqwest::Error> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await
    }

    pub async fn get(&self, path: &str) -> Value {
        self.json(Method::GET, path, None).await
    }

    /// The answer in the media type that is asked for, whatever it is.
    pub async fn get_as(&self, path: &str, accept: &str) -> Response {
        let mut request = self.http.get(format!("{}{path}", self.base)).header("accept", accept);
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        request.send().await.unwrap()
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        self.json(Method::POST, path, Some(&body)).await
    }

    pub async fn text(&self, path: &str) -> String {
        self.call(Method::GET, path, None).await.unwrap().text().await.unwrap()
    }

    async fn json(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let answer = self.call(method.clone(), path, body).await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap()
        }
    }

    /// All entries of a list, page by page.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let mut found = Vec::new();
        let mut cursor = String::new();
        let joint = if path.contains('?') { '&' } else { '?' };
        loop {
            let page = self.get(&format!("{path}{joint}limit=100{cursor}")).await;
            found.extend(page["data"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return found,
            }
        }
    }
}

/// Asks until the condition holds, and says which one did not.
pub async fn until<T, F: Future<Output = Option<T>>>(condition: &str, mut ask: impl FnMut() -> F) -> T {
    let found = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(40));
        loop {
            ticks.tick().await;
            if let Some(found) = ask().await {
                return found;
            }
        }
    };
    tokio::time::timeout(PATIENCE, found)
        .await
        .unwrap_or_else(|_| panic!("it never happened: {condition}"))
}

/// The only session's id.
pub async fn session_id(api: &Remote) -> String {
    api.get("/api/sessions").await["data"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Both pre-made phones, the one to link first.
pub async fn phones(sandbox: &Remote) -> Vec<String> {
    let listed = sandbox.get("/sandbox/api/phones").await;
    listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|phone| phone["phone"].as_str().unwrap().to_owned())
        .collect()
}

/// Waits until the session is ready.
pub async fn ready(api: &Remote, session: &str) -> Value {
    until("the session is ready", || async {
        let found = api.get(&format!("/api/sessions/{session}")).await;
        (found["status"] == "ready").then_some(found)
    })
    .await
}

/// Connects the session, scans its QR with the phone, waits until it is ready. Returns the QR's text.
pub async fn link(api: &Remote, sandbox: &Remote, session: &str, phone: &str) -> String {
    api.post(&format!("/api/sessions/{session}/connect"), json!({})).await;
    let qr = until("a QR is shown", || async {
        let answer = api
            .call(Method::GET, &format!("/api/sessions/{session}/qr"), None)
            .await
            .unwrap();
        if answer.status() == StatusCode::CONFLICT {
            return None;
        }
        let shown: Value = answer.json().await.unwrap();
        shown["qr"].as_str().map(str::to_owned)
    })
    .await;
    sandbox
        .post(&format!("/sandbox/api/phones/{phone}/scan"), json!({ "qr": qr }))
        .await;
    ready(api, session).await;
    qr
}

/// A text to send.
pub fn text_message(session: &str, to: &str, body: &str) -> Value {
    json!({ "session_id": session, "to": format!("+{to}"), "type": "text", "text": { "body": body } })
}

/// Waits until the message has come this far.
pub async fn message_is(api: &Remote, id: &str, status: &str) -> Value {
    until(&format!("message {id} is {status}"), || async {
        let found = api.get(&format!("/api/messages/{id}")).await;
        (found["status"] == status).then_some(found)
    })
    .await
}

/// The texts that a phone shows, all chats together.
pub async fn bubbles(sandbox: &Remote, phone: &str) -> Vec<String> {
    let chats = sandbox.get(&format!("/sandbox/api/phones/{phone}/chats")).await;
    let chats = chats["data"].as_array().unwrap().clone();
    let messages = chats.iter().flat_map(|chat| chat["messages"].as_array().unwrap());
    messages
        .map(|message| message["text"].as_str().unwrap().to_owned())
        .collect()
}
