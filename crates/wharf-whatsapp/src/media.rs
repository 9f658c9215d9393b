//! The engine's HTTP: WhatsApp's media hosts and nothing else. Media locations come from senders.

use async_trait::async_trait;
use http::{HeaderName, HeaderValue, Request};
use url::Url;
use wacore::net::{HttpClient, HttpRequest, HttpResponse};
use wharf_net::{FetchError, Fetcher};

/// Why no media was asked for.
#[derive(Debug, thiserror::Error)]
enum MediaError {
    /// Not a URL.
    #[error("not a URL")]
    BadUrl,
    /// A host that is not WhatsApp's, or not over TLS.
    #[error("media is fetched from WhatsApp's hosts only")]
    ForeignHost,
    /// A method or a header that is none.
    #[error("the request cannot be made")]
    Request(#[from] http::Error),
    /// There is no answer.
    #[error(transparent)]
    Fetch(#[from] FetchError),
}

/// See the module.
pub(crate) struct MediaHttp(Fetcher);

impl MediaHttp {
    pub(crate) const fn new(fetcher: Fetcher) -> Self {
        Self(fetcher)
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, MediaError> {
        let url = media_url(&request.url)?;
        let mut to_send = Request::builder().method(request.method.as_str()).uri(url.as_str());
        for (name, value) in &request.headers {
            let name: HeaderName = name.parse().map_err(http::Error::from)?;
            let value: HeaderValue = value.parse().map_err(http::Error::from)?;
            to_send = to_send.header(name, value);
        }
        let answer = self
            .0
            .fetch(to_send.body(request.body.map(Vec::from).unwrap_or_default())?)
            .await?;
        Ok(HttpResponse {
            status_code: answer.status().as_u16(),
            body: answer.into_body(),
        })
    }
}

#[async_trait]
impl HttpClient for MediaHttp {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        Ok(self.exchange(request).await?)
    }
}

/// Only WhatsApp's media hosts over TLS; in a sandbox build the address alone decides, see [`crate::guard::media`].
fn media_url(text: &str) -> Result<Url, MediaError> {
    let url: Url = text.parse().map_err(|_| MediaError::BadUrl)?;
    let host = url.host_str().ok_or(MediaError::BadUrl)?;
    let whatsapp = host.ends_with(".whatsapp.net") && url.scheme() == "https" && url.port().is_none();
    if whatsapp || cfg!(feature = "sandbox") {
        Ok(url)
    } else {
        Err(MediaError::ForeignHost)
    }
}

#[cfg(test)]
#[cfg(not(feature = "sandbox"))]
mod tests {
    use super::*;

    #[test]
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
