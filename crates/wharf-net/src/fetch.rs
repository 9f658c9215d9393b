//! HTTP with limits of time and size, at checked addresses, without redirects. Never reads proxy settings from the
//! environment.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, ClientBuilder, Url};
use wharf_model::{Proxy, ProxyKind};

use crate::reach::{Reach, ResolveError, resolve};

/// Why nothing was fetched. Every answer of a server, also a bad one, is not an error.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Not a URL.
    #[error("not a URL")]
    BadUrl,
    /// The name gave no address that may be asked.
    #[error("the host gave no address that may be asked")]
    Resolve(#[from] ResolveError),
    /// TLS cannot be set up.
    #[error("TLS could not be set up")]
    Tls(#[source] rustls::Error),
    /// The exchange failed. The URL is left out: it may hold a secret.
    #[error("the HTTP exchange failed")]
    Exchange(#[source] reqwest::Error),
    /// The answer is longer than the limit.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        Self::Exchange(error.without_url())
    }
}

/// What an exchange may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the first byte to the last.
    pub time: Duration,
    /// Bytes of an answer's body.
    pub body: usize,
}

/// Asks within limits. A clone shares the connections.
#[derive(Clone, Debug)]
pub struct Fetcher {
    client: Client,
    reach: Reach,
    body_limit: usize,
}

impl Fetcher {
    /// # Errors
    /// [`FetchError::Tls`] or [`FetchError::Exchange`] when the client cannot be set up.
    pub fn new(reach: Reach, limits: Limits) -> Result<Self, FetchError> {
        let client = builder(limits.time)?
            .dns_resolver(GuardedResolver(reach))
            .no_proxy()
            .build()?;
        Ok(Self {
            client,
            reach,
            body_limit: limits.body,
        })
    }

    /// As [`Fetcher::new`], through a proxy, which looks names up. `to_proxy` is what the proxy's own address may be.
    ///
    /// # Errors
    /// As [`Fetcher::new`].
    pub fn through(proxy: &Proxy, to_proxy: Reach, reach: Reach, limits: Limits) -> Result<Self, FetchError> {
        let scheme = match proxy.kind() {
            ProxyKind::Http => "http",
            ProxyKind::Socks5 => "socks5h",
        };
        let mut through = reqwest::Proxy::all(format!("{scheme}://{}:{}", proxy.host(), proxy.port()))?;
        if let Some(who) = proxy.credentials() {
            through = through.basic_auth(&who.user, &who.password);
        }
        // The only name that is looked up here is the proxy's own.
        let client = builder(limits.time)?
            .dns_resolver(GuardedResolver(to_proxy))
            .proxy(through)
            .build()?;
        Ok(Self {
            client,
            reach,
            body_limit: limits.body,
        })
    }

    /// One exchange; whatever status it ends with.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn fetch(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, FetchError> {
        let request = reqwest::Request::try_from(request).map_err(|_| FetchError::BadUrl)?;
        self.check_host(request.url()).await?;
        self.read(self.client.execute(request).await?).await
    }

    /// A host given as a number never reaches the resolver, and a proxy looks names up itself: a build that is held to
    /// loopback asks all the same.
    async fn check_host(&self, url: &Url) -> Result<(), FetchError> {
        let host = url.host_str().ok_or(FetchError::BadUrl)?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if bare.parse::<std::net::IpAddr>().is_ok() || self.reach == Reach::LoopbackOnly {
            resolve(bare, 0, self.reach).await?;
        }
        Ok(())
    }

    async fn read(&self, mut response: reqwest::Response) -> Result<Response<Vec<u8>>, FetchError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > self.body_limit {
                return Err(FetchError::TooLarge(self.body_limit));
            }
            body.extend_from_slice(&chunk);
        }
        let mut answer = Response::new(body);
        *answer.status_mut() = response.status();
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        Ok(answer)
    }
}

fn builder(timeout: Duration) -> Result<ClientBuilder, FetchError> {
    Ok(Client::builder()
        .tls_backend_preconfigured(tls()?)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(timeout.min(Duration::from_secs(15)))
        .timeout(timeout))
}

/// TLS with the web's roots. The provider is named, so that no process-wide default is needed.
fn tls() -> Result<rustls::ClientConfig, FetchError> {
    let mut roots = rustls::RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(builder
        .map_err(FetchError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// Looks names up and gives out checked addresses only.
struct GuardedResolver(Reach);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = resolve(name.as_str(), 0, reach).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    const SECOND: Duration = Duration::from_secs(10);

    /// Answers every connection with the same bytes.
    async fn serve(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/page", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 2048];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        url
    }

    fn fetcher(reach: Reach, body: usize) -> Fetcher {
        Fetcher::new(reach, Limits { time: SECOND, body }).unwrap()
    }

    async fn get(fetcher: &Fetcher, url: &str) -> Result<Response<Vec<u8>>, FetchError> {
        fetcher.fetch(Request::get(url).body(Vec::new()).unwrap()).await
    }

    #[tokio::test]
    async fn an_answer_is_an_answer_whatever_its_status() {
        let url = serve("HTTP/1.1 410 Gone\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno").await;
        let fetcher = fetcher(Reach::LoopbackOnly, 100);
        let answer = get(&fetcher, &url).await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.body().as_slice()),
            (410, b"no".as_slice())
        );
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let answer =
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let url = serve(answer).await;
        let fetcher = fetcher(Reach::LoopbackOnly, 100);
        assert_eq!(get(&fetcher, &url).await.unwrap().status(), 302);
    }

    #[tokio::test]
    async fn a_long_answer_is_cut_off() {
        let url = serve("HTTP/1.1 200 OK\r\ncontent-length: 20\r\nconnection: close\r\n\r\n01234567890123456789").await;
        let fetcher = fetcher(Reach::LoopbackOnly, 10);
        assert!(matches!(get(&fetcher, &url).await, Err(FetchError::TooLarge(10))));
    }

    #[tokio::test]
    async fn an_inner_address_is_refused_by_number_and_by_name() {
        let fetcher = fetcher(Reach::PublicOnly, 10);
        let by_number = get(&fetcher, "http://127.0.0.1:1/").await;
        assert!(matches!(by_number, Err(FetchError::Resolve(ResolveError::Refused(_)))));
        assert!(matches!(
            get(&fetcher, "http://localhost:1/").await,
            Err(FetchError::Exchange(_))
        ));
    }
}
