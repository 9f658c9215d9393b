//! Tells which client version to present: the one that the version page names, asked at most once a day and process,
//! or the pinned one.

use std::time::Duration;

use http::{Request, StatusCode};
use tokio::sync::Mutex;
use wacore::version::parse_sw_js;
use wharf_model::{Clock, Timestamp};
use wharf_net::{FetchError, Fetcher};

use crate::config::ClientVersion;

/// How long an answer of the page stands.
const FRESH: Duration = Duration::from_secs(24 * 3600);

/// How long to leave a page alone that did not answer.
const PAUSE: Duration = Duration::from_secs(15 * 60);

/// See the module.
pub(crate) struct VersionSource {
    pinned: ClientVersion,
    page: Option<String>,
    fetcher: Fetcher,
    known: Mutex<Option<Known>>,
}

#[derive(Clone, Copy)]
struct Known {
    version: ClientVersion,
    until: Timestamp,
}

#[derive(Debug, thiserror::Error)]
enum PageError {
    #[error("the version page could not be fetched")]
    Fetch(#[source] FetchError),
    #[error("the version page answered with status {0}")]
    Status(u16),
    #[error("the version page has an address that is none")]
    Address(#[source] http::Error),
    #[error("the version page names no version")]
    NoVersion,
}

impl VersionSource {
    pub(crate) fn new(pinned: ClientVersion, page: Option<String>, fetcher: Fetcher) -> Self {
        Self {
            pinned,
            page,
            fetcher,
            known: Mutex::new(None),
        }
    }

    /// The version to present now. One caller asks the page, the others wait for its answer.
    pub(crate) async fn current(&self, clock: &dyn Clock) -> ClientVersion {
        let Some(page) = &self.page else { return self.pinned };
        let mut known = self.known.lock().await;
        if let Some(known) = known.filter(|known| clock.now() < known.until) {
            return known.version;
        }
        let previous = known.map_or(self.pinned, |known| known.version);
        let (version, fresh) = match self.ask(page).await {
            Ok(version) => (version, FRESH),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    version.tertiary = previous.tertiary,
                    "The version page did not tell the client version; the last known one is used"
                );
                (previous, PAUSE)
            }
        };
        *known = Some(Known {
            version,
            until: clock.now() + fresh,
        });
        version
    }

    async fn ask(&self, page: &str) -> Result<ClientVersion, PageError> {
        // The page answers browsers that open it, and nobody else.
        let request = Request::get(page).header("sec-fetch-site", "none").header(
            "user-agent",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
        );
        let request = request.body(Vec::new()).map_err(PageError::Address)?;
        let answer = self.fetcher.fetch(request).await.map_err(PageError::Fetch)?;
        if answer.status() != StatusCode::OK {
            return Err(PageError::Status(answer.status().as_u16()));
        }
        let text = String::from_utf8(answer.into_body()).map_err(|_| PageError::NoVersion)?;
        let (primary, secondary, tertiary) = parse_sw_js(&text).ok_or(PageError::NoVersion)?;
        Ok(ClientVersion {
            primary,
            secondary,
            tertiary,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use wharf_model::SystemEdges;
    use wharf_net::{Limits, Reach};

    use super::*;

    /// Serves one answer and counts how often it was asked for.
    async fn serve(answer: &'static str) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let page = format!("http://{}/sw.js", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let mut request = [0; 2048];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        (page, asked)
    }

    fn source(page: Option<String>) -> VersionSource {
        let fetcher = Fetcher::new(
            Reach::LoopbackOnly,
            Limits {
                time: Duration::from_secs(10),
                body: 1000,
            },
        )
        .unwrap();
        VersionSource::new(ClientVersion::PINNED, page, fetcher)
    }

    #[tokio::test]
    async fn the_page_is_asked_once_a_day() {
        let body = "HTTP/1.1 200 OK\r\ncontent-length: 26\r\nconnection: close\r\n\r\n{\"client_revision\":424242}";
        let (page, asked) = serve(body).await;
        let source = source(Some(page));
        for _ in 0..3 {
            assert_eq!(source.current(&SystemEdges).await.tertiary, 424_242);
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_page_that_fails_leaves_the_pinned_version_and_is_left_alone() {
        let (page, asked) = serve("HTTP/1.1 503 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
        let source = source(Some(page));
        for _ in 0..2 {
            assert_eq!(source.current(&SystemEdges).await, ClientVersion::PINNED);
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn without_a_page_the_pinned_version_is_presented() {
        assert_eq!(source(None).current(&SystemEdges).await, ClientVersion::PINNED);
    }
}
