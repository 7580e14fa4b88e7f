//! How exports reach a collector: one HTTP/1.1 connection, with the TLS that the program has anyway.
//!
//! The collector is the operator's own, and this no way out for anything else: it sends what the exporter gives it, and
//! follows no redirect. Must never be waited for by work: exporters have threads of their own.

use std::io;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{HttpClient, HttpError};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::Handle;

/// The most of an answer that is read.
const MOST_BYTES: usize = 1 << 20;

/// A client for one collector.
#[derive(Debug, Clone)]
pub(super) struct Collector {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// Where connections are worked on: exporters' threads have no runtime.
    runtime: Handle,
    timeout: Duration,
}

impl Collector {
    /// A collector shows a certificate of those in `certificate`, else of those that the system trusts.
    ///
    /// # Errors
    /// When there are no certificates to check others by.
    pub(super) fn new(runtime: Handle, timeout: Duration, certificate: Option<&Path>) -> io::Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = HttpsConnectorBuilder::new();
        let builder = match certificate {
            Some(file) => builder.with_tls_config(
                ClientConfig::builder().with_root_certificates(read(file)?).with_no_client_auth(),
            ),
            None => builder.try_with_platform_verifier().map_err(io::Error::other)?,
        };
        let connector = builder.https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, runtime, timeout })
    }

    async fn send(self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let exchange = async {
            let (head, body) = self.client.request(request.map(Full::new)).await?.into_parts();
            let body = Limited::new(body, MOST_BYTES).collect().await?.to_bytes();
            Ok(Response::from_parts(head, body))
        };
        tokio::time::timeout(self.timeout, exchange).await?
    }
}

/// The certificates of a PEM file.
pub(super) fn read(file: &Path) -> io::Result<RootCertStore> {
    let problem = |what: String| {
        let file = file.display();
        io::Error::other(format!("OTEL_EXPORTER_OTLP_CERTIFICATE names {file}, {what}"))
    };
    let broken = |error: &dyn std::fmt::Display| problem(format!("which cannot be read: {error}"));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| broken(&error))? {
        roots.add(certificate.map_err(|error| broken(&error))?).map_err(|error| broken(&error))?;
    }
    if roots.is_empty() {
        return Err(problem("which has no certificate in it: give one as PEM".to_owned()));
    }
    Ok(roots)
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.runtime.spawn(self.clone().send(request)).await?
    }
}
