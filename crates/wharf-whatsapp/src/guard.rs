//! What this crate may dial. A build with the `sandbox` feature accepts any server certificate, so it may reach loopback
//! and nothing else; the HTTP client of a release build may reach public addresses only, because media locations come
//! from senders.

use std::net::SocketAddr;
use std::sync::Arc;

use wharf_model::Proxy;
use wharf_net::{Reach, ResolveError, resolve};

/// What the chat server may be.
pub(crate) const fn chat() -> Reach {
    if cfg!(feature = "sandbox") {
        Reach::LoopbackOnly
    } else {
        Reach::Anywhere
    }
}

/// What media hosts may be, and the proxy of a session: senders name the ones, callers of the API the other.
pub(crate) const fn media() -> Reach {
    if cfg!(feature = "sandbox") {
        Reach::LoopbackOnly
    } else {
        Reach::PublicOnly
    }
}

/// Decides which proxies may be dialled: public ones, and those whose hosts the operator named. A build that is held to
/// loopback stays there.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProxyGuard {
    named: Arc<[String]>,
}

impl ProxyGuard {
    /// Names as they stand in a proxy's text, addresses of version 6 in brackets.
    pub(crate) fn new(named: Vec<String>) -> Self {
        Self { named: named.into() }
    }

    /// What this host may be.
    pub(crate) fn reach(&self, host: &str) -> Reach {
        let is_named = self.named.iter().any(|named| named.eq_ignore_ascii_case(host));
        match media() {
            Reach::PublicOnly if is_named => Reach::Anywhere,
            reach => reach,
        }
    }

    /// The addresses to dial.
    pub(crate) async fn resolve(&self, proxy: &Proxy) -> Result<Vec<SocketAddr>, ResolveError> {
        resolve(proxy.host(), proxy.port(), self.reach(proxy.host())).await
    }
}
