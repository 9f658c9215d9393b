//! TLS for media, and for clients that insist on it: a certificate made at the start, signed by nobody.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::TlsAcceptor;

use crate::error::SandboxError;

/// The names by which the sandbox can be reached.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A certificate, made anew at every start.
pub(crate) struct Certified {
    pub acceptor: TlsAcceptor,
    /// For clients that want to be told whom to trust.
    pub pem: String,
}

pub(crate) fn certify() -> Result<Certified, SandboxError> {
    let broken = |failure: &dyn std::fmt::Display| SandboxError::Crypto(failure.to_string());
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(NAMES.map(str::to_owned)).map_err(|failure| broken(&failure))?;
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(vec![cert.der().clone()], key.into())
        })
        .map_err(|failure| broken(&failure))?;
    Ok(Certified {
        acceptor: TlsAcceptor::from(Arc::new(config)),
        pem: cert.pem(),
    })
}
