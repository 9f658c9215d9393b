//! The simulated network in this process: its file in the data directory, the phones that a newcomer finds, its API.

use std::path::Path;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;
use wharf_sandbox::{NewPhone, Sandbox, SandboxConfig, StoreConfig};
use wharf_whatsapp::EngineConfig;

/// The first one is to be linked; ticks and replies need somebody else.
const PHONES: [&str; 2] = ["Your phone", "A friend"];

/// The running network.
#[derive(Debug)]
pub struct DemoNetwork {
    sandbox: Sandbox,
    url: String,
}

impl DemoNetwork {
    /// Starts it on what the last start left behind.
    ///
    /// # Errors
    /// One sentence when its file or a port cannot be used.
    pub async fn start(dir: &Path) -> Result<Self> {
        let config = SandboxConfig {
            store: StoreConfig::File(dir.join("sandbox.db")),
            ..SandboxConfig::default()
        };
        let sandbox = Sandbox::start(config)
            .await
            .context("the simulated network could not start")?;
        let url = sandbox.control_url().context("the simulated network has no address")?;
        if sandbox.phones().await.is_empty() {
            for name in PHONES {
                sandbox
                    .create_phone(NewPhone {
                        phone: None,
                        name: Some(name.to_owned()),
                        ..NewPhone::default()
                    })
                    .await?;
            }
        }
        Ok(Self { sandbox, url })
    }

    /// Where its own API is, for programs.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where other clients find it.
    pub fn chat_url(&self) -> String {
        self.sandbox.chat_url()
    }

    /// The engine, pointed at this network.
    pub fn engine(&self, configured: &EngineConfig) -> EngineConfig {
        EngineConfig {
            chat_url: self.sandbox.chat_url(),
            version_page: None,
            ..configured.clone()
        }
    }

    /// Its API, for the page; event streams end when `stop` is cancelled.
    pub fn router(&self, stop: CancellationToken) -> Router {
        let ending = axum::middleware::from_fn_with_state(stop, end_streams);
        self.sandbox.control_router().layer(ending)
    }

    /// Ends every connection and commits what is left.
    pub async fn stop(&self) {
        self.sandbox.stop().await;
    }
}

/// A stream without an end would hold up every stop.
async fn end_streams(State(stop): State<CancellationToken>, request: Request, next: Next) -> Response {
    let (parts, body) = next.run(request).await.into_parts();
    let ending = body.into_data_stream().take_until(stop.cancelled_owned());
    Response::from_parts(parts, Body::from_stream(ending))
}
