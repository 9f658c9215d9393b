//! A proxy that a session's connections go through.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use url::Url;

/// The longest text of a proxy, in bytes.
pub const MAX_PROXY: usize = 2048;

/// The longest user name and the longest password, in bytes (RFC 1929 section 2 counts with one byte).
const MAX_CREDENTIAL: usize = 255;

/// What is spoken with a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    /// `CONNECT` (RFC 9110 section 9.3.6), with basic authentication.
    Http,
    /// SOCKS 5 (RFC 1928), with user name and password (RFC 1929); the proxy looks names up.
    Socks5,
}

/// Who asks a proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyCredentials {
    /// The user's name.
    pub user: String,
    /// Its password.
    pub password: String,
}

/// Logs are written with `Debug`.
impl fmt::Debug for ProxyCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyCredentials(***)")
    }
}

/// An address of the form `http://user:password@host:port` or `socks5://user:password@host:port`. `Display` and `Debug`
/// leave user and password out.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    kind: ProxyKind,
    host: String,
    port: u16,
    credentials: Option<ProxyCredentials>,
    url: Url,
}

/// A text that names no proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// Longer than [`MAX_PROXY`], or not a URL.
    #[error("a proxy is a URL such as http://user:password@host:port")]
    NotAUrl,
    /// Neither `http` nor `socks5`.
    #[error("a proxy's scheme is http or socks5")]
    Scheme,
    /// No host.
    #[error("a proxy has a host")]
    Host,
    /// More than an address.
    #[error("a proxy has no path, query or fragment")]
    Surplus,
    /// User or password too long, not UTF-8, or a colon in the name.
    #[error("a proxy's user name and password have at most 255 bytes of UTF-8 each, and no colon is in the name")]
    Credentials,
}

impl Proxy {
    /// What is spoken with it.
    pub const fn kind(&self) -> ProxyKind {
        self.kind
    }

    /// Its name or address; an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port; 80 or 1080 when the text has none.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Who asks it.
    pub const fn credentials(&self) -> Option<&ProxyCredentials> {
        self.credentials.as_ref()
    }

    /// The whole text, password included: to be sealed.
    pub fn secret_url(&self) -> &str {
        self.url.as_str()
    }
}

impl FromStr for Proxy {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        if text.len() > MAX_PROXY {
            return Err(ProxyError::NotAUrl);
        }
        let url = Url::parse(text).map_err(|_| ProxyError::NotAUrl)?;
        let (kind, usual_port) = match url.scheme() {
            "http" => (ProxyKind::Http, 80),
            "socks5" | "socks5h" => (ProxyKind::Socks5, 1080),
            _ => return Err(ProxyError::Scheme),
        };
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(ProxyError::Surplus);
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(ProxyError::Host)?;
        Ok(Self {
            kind,
            host: host.to_owned(),
            port: url.port().unwrap_or(usual_port),
            credentials: credentials(&url)?,
            url,
        })
    }
}

fn credentials(url: &Url) -> Result<Option<ProxyCredentials>, ProxyError> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let decoded = |text: &str| {
        let text = percent_decode_str(text).decode_utf8();
        let text = text.map_err(|_| ProxyError::Credentials)?.into_owned();
        (text.len() <= MAX_CREDENTIAL)
            .then_some(text)
            .ok_or(ProxyError::Credentials)
    };
    let user = decoded(url.username())?;
    if user.contains(':') {
        return Err(ProxyError::Credentials);
    }
    let password = decoded(url.password().unwrap_or_default())?;
    Ok(Some(ProxyCredentials { user, password }))
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            ProxyKind::Http => "http",
            ProxyKind::Socks5 => "socks5",
        };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_and_its_secrets_are_not_shown() {
        let proxy: Proxy = "socks5://ann:p%40ss@proxy.example".parse().unwrap();
        assert_eq!(
            (proxy.kind(), proxy.host(), proxy.port()),
            (ProxyKind::Socks5, "proxy.example", 1080)
        );
        let credentials = proxy.credentials().unwrap();
        assert_eq!(
            (credentials.user.as_str(), credentials.password.as_str()),
            ("ann", "p@ss")
        );
        assert_eq!(proxy.to_string(), "socks5://proxy.example:1080");
        assert!(!format!("{proxy:?} {credentials:?}").contains("ann"));
        assert_eq!(proxy.secret_url().parse::<Proxy>(), Ok(proxy));
    }

    #[test]
    fn an_address_of_version_6_keeps_its_brackets() {
        let proxy: Proxy = "http://[2001:db8::1]:3128".parse().unwrap();
        assert_eq!(
            (proxy.host(), proxy.port(), proxy.credentials()),
            ("[2001:db8::1]", 3128, None)
        );
        assert_eq!(proxy.to_string(), "http://[2001:db8::1]:3128");
    }

    #[test]
    fn what_is_no_proxy_is_refused_with_its_reason() {
        let long = format!("http://{}:x@host", "a".repeat(256));
        for (text, error) in [
            ("", ProxyError::NotAUrl),
            ("proxy.example:3128", ProxyError::Scheme),
            ("https://proxy.example", ProxyError::Scheme),
            ("socks5://", ProxyError::Host),
            ("http://proxy.example/path", ProxyError::Surplus),
            ("http://proxy.example?x", ProxyError::Surplus),
            ("http://a%3Ab:c@proxy.example", ProxyError::Credentials),
            ("http://%ff:c@proxy.example", ProxyError::Credentials),
            (long.as_str(), ProxyError::Credentials),
            (&"x".repeat(MAX_PROXY + 1), ProxyError::NotAUrl),
        ] {
            assert_eq!(text.parse::<Proxy>(), Err(error), "{text}");
        }
    }
}
