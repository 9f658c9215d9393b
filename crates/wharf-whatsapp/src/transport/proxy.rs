//! A way to the chat server through a session's proxy, opened by hyper-util: `CONNECT` or SOCKS 5. The proxy looks the
//! server's name up. Promises to dial no proxy that [`crate::guard`] did not check.

use std::net::SocketAddr;
use std::sync::Arc;

use data_encoding::BASE64;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::ServiceExt as _;
use wharf_model::{Proxy, ProxyCredentials, ProxyKind};

use super::dial::connect;
use wharf_net::ResolveError;

use crate::guard::ProxyGuard;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Why there is no way through a proxy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProxyFailure {
    /// It may not be dialled, or its name gave no address.
    #[error("the session's proxy gave no address")]
    Resolve(#[source] ResolveError),
    /// It did not answer, or refuses.
    #[error("the session's proxy opened no way to the chat server")]
    NoWay(#[source] Error),
}

/// A connection to `host` through the proxy.
pub(super) async fn tunnel(
    proxy: &Proxy,
    guard: &ProxyGuard,
    host: &str,
    port: u16,
) -> Result<TcpStream, ProxyFailure> {
    let addresses = guard.resolve(proxy).await.map_err(ProxyFailure::Resolve)?;
    let opened = open(proxy, addresses, host, port).await;
    opened.map_err(ProxyFailure::NoWay)
}

async fn open(proxy: &Proxy, addresses: Vec<SocketAddr>, host: &str, port: u16) -> Result<TcpStream, Error> {
    let (at, to) = (address(proxy.host(), proxy.port())?, address(host, port)?);
    let addresses: Arc<[SocketAddr]> = addresses.into();
    // Whatever is asked for, the addresses that were checked are dialled.
    let dial = tower::service_fn(move |_: Uri| {
        let addresses = Arc::clone(&addresses);
        async move { connect(&addresses).await.map(TokioIo::new) }
    });
    let stream = match (proxy.kind(), proxy.credentials()) {
        (ProxyKind::Http, None) => Tunnel::new(at, dial).oneshot(to).await?,
        (ProxyKind::Http, Some(who)) => Tunnel::new(at, dial).with_auth(basic(who)?).oneshot(to).await?,
        (ProxyKind::Socks5, None) => SocksV5::new(at, dial).oneshot(to).await?,
        (ProxyKind::Socks5, Some(who)) => {
            let asking = SocksV5::new(at, dial).with_auth(who.user.clone(), who.password.clone());
            asking.oneshot(to).await?
        }
    };
    Ok(stream.into_inner())
}

/// The form in which hyper-util takes addresses; the scheme means nothing.
fn address(host: &str, port: u16) -> Result<Uri, Error> {
    let authority: Authority = format!("{host}:{port}").parse()?;
    let parts = Uri::builder().scheme(Scheme::HTTPS).authority(authority);
    Ok(parts.path_and_query(PathAndQuery::from_static("/")).build()?)
}

/// RFC 7617.
fn basic(who: &ProxyCredentials) -> Result<HeaderValue, Error> {
    let encoded = BASE64.encode(format!("{}:{}", who.user, who.password).as_bytes());
    Ok(format!("Basic {encoded}").parse()?)
}
