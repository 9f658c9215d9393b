//! What the engine is told: where WhatsApp is, which client to present and how long to wait.

use std::time::Duration;

use wharf_model::Device;

/// The version that a client presents, as WhatsApp Web counts: `2.3000.N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientVersion {
    /// 2 since years.
    pub primary: u32,
    /// 3000 since years.
    pub secondary: u32,
    /// The revision.
    pub tertiary: u32,
}

impl ClientVersion {
    /// The version that this release was tested with, used when the version page cannot be read.
    pub const PINNED: Self = Self {
        primary: 2,
        secondary: 3000,
        tertiary: 1_042_742_319,
    };

    pub(crate) const fn parts(self) -> (u32, u32, u32) {
        (self.primary, self.secondary, self.tertiary)
    }
}

/// Configuration of the engine. The server reads files and environment; this crate gets the result.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// The chat server. In a sandbox build its name must resolve to loopback and nothing else.
    pub chat_url: String,
    /// The version presented when there is no version page, or when it cannot be read.
    pub version: ClientVersion,
    /// The page that tells the current version; asked at most once a day. `None` always presents `version`.
    pub version_page: Option<String>,
    /// What the list of linked devices shows of sessions that do not say it themselves.
    pub device: Device,
    /// Hosts of proxies that may be dialled wherever they are; others must be public. Of no effect in a sandbox build,
    /// which is held to loopback.
    pub proxy_hosts: Vec<String>,
    /// How many one-time pre-keys an upload fills up to. They rest in storage, not in memory.
    pub wanted_pre_key_count: usize,
    /// How long dialling may take: name, TCP, TLS and WebSocket together.
    pub connect_timeout: Duration,
    /// How long one HTTP exchange may take.
    pub http_timeout: Duration,
    /// The largest HTTP body that is read.
    pub http_body_limit: usize,
    /// How long sent messages stay answerable to retry receipts.
    pub sent_message_ttl: Duration,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            chat_url: wacore::net::WHATSAPP_WEB_WS_URL.to_owned(),
            version: ClientVersion::PINNED,
            // The real page is out of reach of a sandbox build.
            version_page: (!cfg!(feature = "sandbox")).then(|| "https://web.whatsapp.com/sw.js".to_owned()),
            device: Device::default(),
            proxy_hosts: Vec::new(),
            // What WhatsApp Web itself uploads; a simulated network has no use for that many.
            wanted_pre_key_count: if cfg!(feature = "sandbox") { 50 } else { 812 },
            connect_timeout: Duration::from_secs(15),
            http_timeout: Duration::from_secs(120),
            http_body_limit: 128 * 1024 * 1024,
            sent_message_ttl: Duration::from_secs(30 * 24 * 3600),
        }
    }
}
