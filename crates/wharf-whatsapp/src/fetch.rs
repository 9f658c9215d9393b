//! Owns HTTP: WhatsApp's media hosts for the engine, and the version page. Media locations come from senders, so only
//! WhatsApp's own hosts are asked, at addresses that [`crate::guard`] checked, without redirects, within limits of
//! time and size. Never reads proxy settings from the environment.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, ClientBuilder, Method, Url};
use wacore::net::{HttpClient, HttpRequest, HttpResponse};
use wharf_model::{Proxy, ProxyKind};

use crate::guard::{ProxyGuard, Reach, ResolveError, resolve};

/// Why nothing was fetched. Every answer of a server, also a bad one, is not an error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// Not a URL.
    #[error("not a URL")]
    BadUrl,
    /// A host that is not WhatsApp's, or not over TLS.
    #[error("media is fetched from WhatsApp's hosts only")]
    ForeignHost,
    /// The name gave no address that may be asked.
    #[error("the host gave no address that may be asked")]
    Resolve(#[from] ResolveError),
    /// Neither GET nor POST.
    #[error("unknown HTTP method")]
    Method,
    /// TLS cannot be set up.
    #[error("TLS could not be set up")]
    Tls(#[source] rustls::Error),
    /// The exchange failed. The URL is left out: it holds the media's token.
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

/// Asks within limits.
pub(crate) struct Fetcher {
    client: Client,
    reach: Reach,
    body_limit: usize,
}

impl Fetcher {
    /// # Errors
    /// [`FetchError::Tls`] or [`FetchError::Exchange`] when the client cannot be set up.
    pub(crate) fn new(reach: Reach, timeout: Duration, body_limit: usize) -> Result<Self, FetchError> {
        let client = builder(timeout)?
            .dns_resolver(GuardedResolver(reach))
            .no_proxy()
            .build()?;
        Ok(Self {
            client,
            reach,
            body_limit,
        })
    }

    /// As [`Fetcher::new`], through a proxy, which looks names up.
    ///
    /// # Errors
    /// As [`Fetcher::new`].
    pub(crate) fn through(
        proxy: &Proxy,
        guard: &ProxyGuard,
        reach: Reach,
        timeout: Duration,
        body_limit: usize,
    ) -> Result<Self, FetchError> {
        let scheme = match proxy.kind() {
            ProxyKind::Http => "http",
            ProxyKind::Socks5 => "socks5h",
        };
        let mut through = reqwest::Proxy::all(format!("{scheme}://{}:{}", proxy.host(), proxy.port()))?;
        if let Some(who) = proxy.credentials() {
            through = through.basic_auth(&who.user, &who.password);
        }
        // The only name that is looked up here is the proxy's own.
        let resolver = GuardedResolver(guard.reach(proxy.host()));
        let client = builder(timeout)?.dns_resolver(resolver).proxy(through).build()?;
        Ok(Self {
            client,
            reach,
            body_limit,
        })
    }

    /// One exchange; whatever status it ends with.
    pub(crate) async fn fetch(&self, url: Url, request: HttpRequest) -> Result<HttpResponse, FetchError> {
        self.check_number(&url).await?;
        let method = match request.method.as_str() {
            "GET" => Method::GET,
            "POST" => Method::POST,
            _ => return Err(FetchError::Method),
        };
        let mut builder = self.client.request(method, url);
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        self.read(builder.send().await?).await
    }

    /// A host given as a number never reaches the resolver.
    async fn check_number(&self, url: &Url) -> Result<(), FetchError> {
        let host = url.host_str().ok_or(FetchError::BadUrl)?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if bare.parse::<std::net::IpAddr>().is_ok() {
            resolve(bare, 0, self.reach).await?;
        }
        Ok(())
    }

    async fn read(&self, mut response: reqwest::Response) -> Result<HttpResponse, FetchError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > self.body_limit {
                return Err(FetchError::TooLarge(self.body_limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(HttpResponse {
            status_code: response.status().as_u16(),
            body,
        })
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

/// The engine's HTTP client: media, and nothing else.
pub(crate) struct MediaHttp(Fetcher);

impl MediaHttp {
    pub(crate) const fn new(fetcher: Fetcher) -> Self {
        Self(fetcher)
    }
}

#[async_trait]
impl HttpClient for MediaHttp {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        let url = media_url(&request.url)?;
        Ok(self.0.fetch(url, request).await?)
    }
}

/// Only WhatsApp's media hosts over TLS; in a sandbox build the address alone decides, see [`Reach::media`].
fn media_url(text: &str) -> Result<Url, FetchError> {
    let url: Url = text.parse().map_err(|_| FetchError::BadUrl)?;
    let host = url.host_str().ok_or(FetchError::BadUrl)?;
    let whatsapp = host.ends_with(".whatsapp.net") && url.scheme() == "https" && url.port().is_none();
    if whatsapp || cfg!(feature = "sandbox") {
        Ok(url)
    } else {
        Err(FetchError::ForeignHost)
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

    async fn get(fetcher: &Fetcher, url: &str) -> Result<HttpResponse, FetchError> {
        fetcher.fetch(url.parse().unwrap(), HttpRequest::get(url)).await
    }

    #[tokio::test]
    async fn an_answer_is_an_answer_whatever_its_status() {
        let url = serve("HTTP/1.1 410 Gone\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno").await;
        let fetcher = Fetcher::new(Reach::LoopbackOnly, SECOND, 100).unwrap();
        let answer = get(&fetcher, &url).await.unwrap();
        assert_eq!((answer.status_code, answer.body.as_slice()), (410, b"no".as_slice()));
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let answer =
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let url = serve(answer).await;
        let fetcher = Fetcher::new(Reach::LoopbackOnly, SECOND, 100).unwrap();
        assert_eq!(get(&fetcher, &url).await.unwrap().status_code, 302);
    }

    #[tokio::test]
    async fn a_long_answer_is_cut_off() {
        let url = serve("HTTP/1.1 200 OK\r\ncontent-length: 20\r\nconnection: close\r\n\r\n01234567890123456789").await;
        let fetcher = Fetcher::new(Reach::LoopbackOnly, SECOND, 10).unwrap();
        assert!(matches!(get(&fetcher, &url).await, Err(FetchError::TooLarge(10))));
    }

    #[tokio::test]
    async fn an_inner_address_is_refused_by_number_and_by_name() {
        let fetcher = Fetcher::new(Reach::PublicOnly, SECOND, 10).unwrap();
        let by_number = get(&fetcher, "http://127.0.0.1:1/").await;
        assert!(matches!(by_number, Err(FetchError::Resolve(ResolveError::Refused(_)))));
        assert!(matches!(
            get(&fetcher, "http://localhost:1/").await,
            Err(FetchError::Exchange(_))
        ));
    }

    #[test]
    #[cfg(not(feature = "sandbox"))]
    fn only_whatsapps_hosts_have_media() {
        assert!(media_url("https://mmg.whatsapp.net/v/t62").is_ok());
        assert!(media_url("https://media-fra3-1.cdn.whatsapp.net/m1/v").is_ok());
        for foreign in [
            "http://mmg.whatsapp.net/x",
            "https://whatsapp.net.example.com/x",
            "https://evilwhatsapp.net/x",
            "https://127.0.0.1/x",
            "https://mmg.whatsapp.net:8443/x",
            "file:///etc/passwd",
        ] {
            assert!(media_url(foreign).is_err(), "{foreign}");
        }
    }
}
