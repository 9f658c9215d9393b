//! The address of a server: a `postgres://` URL, with what `sslmode` means here. The password in it is a secret: nothing
//! here shows more than host, port and database.
//!
//! - `disable`: no encryption.
//! - `prefer` (the default): encrypted when the server offers it. Certificates are not checked, so it protects from
//!   listeners and not from somebody who answers in the server's place.
//! - `require`: encrypted or not at all. Certificates are not checked either.
//! - `verify-full`: encrypted, by a certificate for the URL's host name under `sslrootcert` (a file of PEM certificates),
//!   or under the certificate authorities that browsers trust.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::tls::{MakeTlsConnect, NoTlsStream};
use tokio_postgres::{Client, Config, Connection, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::OpenError;

/// How long one attempt to reach the server may take.
pub(crate) const CONNECT: Duration = Duration::from_secs(2);

/// After how long without a sign of life a connection counts as lost.
const SILENCE: Duration = Duration::from_secs(10);

/// Where the database is and how to get there.
#[derive(Clone)]
pub(crate) struct Address {
    config: Config,
    tls: Option<MakeRustlsConnect>,
}

type TlsStream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// A connection whose other half somebody has to drive.
pub(crate) enum Driver {
    Plain(Box<Connection<Socket, NoTlsStream>>),
    Tls(Box<Connection<Socket, TlsStream>>),
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self, OpenError> {
        let bad = |what| OpenError::BadAddress(what);
        let (url, mode, root) = take_ssl(url)?;
        let mut config: Config = url
            .parse()
            .map_err(|_| bad("it must read postgres://USER:PASSWORD@HOST:PORT/DATABASE"))?;
        if config.get_hosts().is_empty() {
            return Err(bad("it names no host"));
        }
        if config.get_application_name().is_none() {
            config.application_name("wharf");
        }
        config.connect_timeout(CONNECT).tcp_user_timeout(SILENCE);
        config.keepalives(true).keepalives_idle(SILENCE);
        let tls = match mode.as_deref() {
            Some("disable") => None,
            None | Some("prefer" | "require") => Some(unverified()?),
            Some("verify-full") => Some(verified(root.as_deref())?),
            Some(_) => return Err(bad("sslmode is disable, prefer, require or verify-full")),
        };
        config.ssl_mode(match mode.as_deref() {
            Some("disable") => SslMode::Disable,
            Some("require" | "verify-full") => SslMode::Require,
            _ => SslMode::Prefer,
        });
        Ok(Self {
            config,
            tls: tls.map(MakeRustlsConnect::new),
        })
    }

    /// Makes a connection. Nothing comes of the client's questions until the driver runs.
    pub(crate) async fn connect(&self) -> Result<(Client, Driver), tokio_postgres::Error> {
        match &self.tls {
            None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                Ok((client, Driver::Plain(Box::new(connection))))
            }
            Some(tls) => {
                let (client, connection) = self.config.connect(tls.clone()).await?;
                Ok((client, Driver::Tls(Box::new(connection))))
            }
        }
    }

    /// Host, port and database, for people.
    pub(crate) fn shown(&self) -> String {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(name)) => name.clone(),
            #[cfg(unix)]
            Some(Host::Unix(path)) => path.display().to_string(),
            None => String::new(),
        };
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        let database = self.config.get_dbname().or(self.config.get_user()).unwrap_or_default();
        format!("{host}:{port}/{database}")
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Address({})", self.shown())
    }
}

/// Takes `sslmode` and `sslrootcert` out of the query: the library knows only some modes, and no files.
fn take_ssl(url: &str) -> Result<(String, Option<String>, Option<String>), OpenError> {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut mode, mut root, mut rest) = (None, None, Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value.to_owned()),
            Some(("sslrootcert", value)) => root = Some(percent_decoded(value)?),
            _ => rest.push(pair),
        }
    }
    let query = if rest.is_empty() {
        String::new()
    } else {
        format!("?{}", rest.join("&"))
    };
    Ok((format!("{base}{query}"), mode, root))
}

fn percent_decoded(text: &str) -> Result<String, OpenError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let hex = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        bytes.push(match byte {
            b'%' => match (hex(rest.next()), hex(rest.next())) {
                (Some(high), Some(low)) => u8::try_from(high * 16 + low).unwrap_or(b'?'),
                _ => return Err(OpenError::BadAddress("sslrootcert is not percent-encoded rightly")),
            },
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| OpenError::BadAddress("sslrootcert is not text"))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, OpenError> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| OpenError::Database(Arc::new(error)))
}

fn unverified() -> Result<ClientConfig, OpenError> {
    let verifier = Arc::new(AnyCertificate(provider()));
    let config = builder()?.dangerous().with_custom_certificate_verifier(verifier);
    Ok(config.with_no_client_auth())
}

fn verified(root: Option<&str>) -> Result<ClientConfig, OpenError> {
    let mut roots = RootCertStore::empty();
    match root {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(file) => {
            let unreadable = || OpenError::BadAddress("the file of sslrootcert holds no readable certificates");
            for certificate in CertificateDer::pem_file_iter(file).map_err(|_| unreadable())? {
                let added = certificate
                    .map_err(|_| unreadable())
                    .map(|certificate| roots.add(certificate));
                added?.map_err(|_| unreadable())?;
            }
            if roots.is_empty() {
                return Err(unreadable());
            }
        }
    }
    Ok(builder()?.with_root_certificates(roots).with_no_client_auth())
}

/// `prefer` and `require`: the connection is encrypted to whoever holds the key of the certificate, whose it may be.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn an_address_shows_no_password() {
        let address = Address::parse("postgres://me:secret@db.example:5433/wharf?sslmode=require").unwrap();
        assert_eq!(address.shown(), "db.example:5433/wharf");
        assert!(!format!("{address:?}").contains("secret"));
    }

    #[test]
    fn what_is_not_understood_is_said_without_the_address() {
        for url in [
            "postgres://me:secret@db/wharf?sslmode=verify-ca",
            "postgres://me:secret@db/wharf?sslmode=verify-full&sslrootcert=%2Fnot%2Fthere",
            "postgres://me:secret@db:port/wharf",
            "postgres://",
        ] {
            let error = Address::parse(url).unwrap_err().to_string();
            assert!(!error.contains("secret") && error.contains("address"), "{error}");
        }
    }
}
