//! Dials the chat server.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderValue, Uri, header};
use tokio::net::TcpStream;
use tokio_websockets::{ClientBuilder, Connector, Limits, MaybeTlsStream, WebSocketStream};
use wharf_model::Proxy;

use super::proxy::{self, ProxyFailure};
use wharf_net::{Reach, ResolveError, resolve};

use crate::guard::ProxyGuard;

/// A frame is at most 2^24 bytes; the server may put several into one message.
const MESSAGE_LIMIT: usize = 32 * 1024 * 1024;

/// An open WebSocket.
pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Why there is no connection. No text in it names an address.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    /// The configured address is not a `ws` or `wss` URL.
    #[error("the chat server's address is not a ws:// or wss:// URL")]
    BadUrl,
    /// The name gave no address that may be dialled.
    #[error("the chat server's name gave no address")]
    Resolve(#[source] ResolveError),
    /// No address answered.
    #[error("the chat server did not answer")]
    Connect(#[source] io::Error),
    /// The session's proxy is in the way.
    #[error(transparent)]
    Proxy(#[from] ProxyFailure),
    /// TLS failed: the server's certificate, or no TLS there.
    #[error("TLS with the chat server failed")]
    Tls(#[source] tokio_websockets::Error),
    /// The server refused the WebSocket.
    #[error("the chat server refused the WebSocket")]
    Upgrade(#[source] tokio_websockets::Error),
    /// It took too long.
    #[error("dialling the chat server took longer than {0:?}")]
    TimedOut(Duration),
}

/// Knows where the chat server is.
pub(crate) struct Dialer {
    url: String,
    reach: Reach,
    proxies: ProxyGuard,
    timeout: Duration,
    tls: Connector,
}

impl Dialer {
    pub(crate) fn new(url: String, reach: Reach, proxies: ProxyGuard, timeout: Duration) -> Self {
        Self {
            url,
            reach,
            proxies,
            timeout,
            tls: whatsapp_rust_tokio_transport::default_tls_connector(),
        }
    }

    /// One attempt, through a proxy if there is one.
    pub(crate) async fn dial(&self, proxy: Option<&Proxy>) -> Result<Socket, DialError> {
        tokio::time::timeout(self.timeout, self.attempt(proxy))
            .await
            .map_err(|_| DialError::TimedOut(self.timeout))?
    }

    async fn attempt(&self, proxy: Option<&Proxy>) -> Result<Socket, DialError> {
        let uri: Uri = self.url.parse().map_err(|_| DialError::BadUrl)?;
        let secure = is_secure(&uri)?;
        let host = uri.host().ok_or(DialError::BadUrl)?.to_owned();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let stream = match proxy {
            Some(proxy) => self.through(proxy, &host, port).await?,
            None => connect(&self.resolve(&host, port).await?)
                .await
                .map_err(DialError::Connect)?,
        };
        let stream = self.secure(secure, &host, stream).await?;
        upgrade(uri, stream).await
    }

    async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
        resolve(host, port, self.reach).await.map_err(DialError::Resolve)
    }

    /// The proxy looks the server's name up: who uses one does not want to ask himself. A build that is held to loopback
    /// asks all the same.
    async fn through(&self, proxy: &Proxy, host: &str, port: u16) -> Result<TcpStream, DialError> {
        if self.reach == Reach::LoopbackOnly {
            self.resolve(host, port).await?;
        }
        Ok(proxy::tunnel(proxy, &self.proxies, host, port).await?)
    }

    async fn secure(
        &self,
        secure: bool,
        host: &str,
        stream: TcpStream,
    ) -> Result<MaybeTlsStream<TcpStream>, DialError> {
        let connector = if secure { &self.tls } else { &Connector::Plain };
        connector.wrap(host, stream).await.map_err(DialError::Tls)
    }
}

fn is_secure(uri: &Uri) -> Result<bool, DialError> {
    match uri.scheme_str() {
        Some("wss") => Ok(true),
        Some("ws") => Ok(false),
        _ => Err(DialError::BadUrl),
    }
}

/// Tries each address in turn.
pub(super) async fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn upgrade(uri: Uri, stream: MaybeTlsStream<TcpStream>) -> Result<Socket, DialError> {
    let origin = HeaderValue::from_static(wacore::net::WHATSAPP_WEB_ORIGIN);
    let (socket, _) = ClientBuilder::from_uri(uri)
        .limits(Limits::default().max_payload_len(Some(MESSAGE_LIMIT)))
        .add_header(header::ORIGIN, origin)
        .map_err(DialError::Upgrade)?
        .connect_on(stream)
        .await
        .map_err(DialError::Upgrade)?;
    Ok(socket)
}

impl DialError {
    /// Whether this build may not dial there at all, so that trying again is useless.
    pub(crate) const fn is_refused(&self) -> bool {
        matches!(
            self,
            Self::BadUrl
                | Self::Resolve(ResolveError::Refused(_))
                | Self::Proxy(ProxyFailure::Resolve(ResolveError::Refused(_)))
        )
    }

    /// Whether it is the session's proxy that failed.
    pub(crate) const fn is_of_proxy(&self) -> bool {
        matches!(self, Self::Proxy(_))
    }
}
