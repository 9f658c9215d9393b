//! HTTP for the engine: a plain client that trusts one certificate more than others do.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use reqwest::Method;
use wacore::net::{HttpClient, HttpRequest, HttpResponse};

#[derive(Debug, Clone)]
pub struct Http(reqwest::Client);

impl Http {
    pub fn trusting(certificate: &[u8]) -> Result<Self> {
        use rustls::pki_types::CertificateDer;
        use rustls::pki_types::pem::PemObject as _;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(certificate).context("no certificate")?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .build()?;
        Ok(Self(client))
    }
}

#[async_trait]
impl HttpClient for Http {
    async fn execute(&self, request: HttpRequest) -> Result<HttpResponse> {
        let mut builder = self
            .0
            .request(Method::from_bytes(request.method.as_bytes())?, &request.url);
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        let response = builder.send().await?;
        Ok(HttpResponse {
            status_code: response.status().as_u16(),
            body: response.bytes().await?.to_vec(),
        })
    }
}
