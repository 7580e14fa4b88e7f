//! How exports reach a collector: one HTTP/1.1 connection, with the TLS that the program has anyway.
//!
//! The collector is the operator's own, and this no way out for anything else: it sends what the exporter gives it, and
//! follows no redirect. That nothing arrives is said once, and that it does again. Must never be waited for by work:
//! exporters have threads of their own.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
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
    /// What it is sent.
    signal: &'static str,
    is_failing: Arc<AtomicBool>,
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
        Ok(Self { client, runtime, timeout, signal: "traces and metrics", is_failing: Arc::default() })
    }

    /// For one signal, which may go elsewhere than the other.
    pub(super) fn of(&self, signal: &'static str) -> Self {
        Self { signal, is_failing: Arc::default(), ..self.clone() }
    }

    /// Whether the last export failed, and was complained of.
    pub(super) fn failing(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_failing)
    }

    /// Says what has changed since the last export.
    fn note(&self, collector: &str, failure: Option<String>) {
        let signal = self.signal;
        match (self.is_failing.swap(failure.is_some(), Relaxed), failure) {
            (false, Some(why)) => tracing::warn!("{}", lost(signal, collector, &why)),
            (true, None) => tracing::warn!("{}", found(signal, collector)),
            _ => {}
        }
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

/// What is said when exports begin to fail.
pub(super) fn lost(signal: &str, collector: &str, why: &str) -> String {
    format!(
        "{signal} do not reach the collector at {collector}: {why}; what it does not take is lost, and work goes on; see \
         [telemetry] and the OTEL_ variables"
    )
}

/// What is said when they arrive again.
pub(super) fn found(signal: &str, collector: &str) -> String {
    format!("{signal} reach the collector at {collector} again")
}

/// The last cause of an error: what happened, without the layers that pass it on.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
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
        let collector = request.uri().authority().map_or_else(String::new, |to| match to.port() {
            Some(port) => format!("{}:{port}", to.host()),
            None => to.host().to_owned(),
        });
        let sent = self.runtime.spawn(self.clone().send(request)).await?;
        let failure = match &sent {
            Err(error) => Some(root_cause(error.as_ref())),
            Ok(answer) => {
                Some(format!("it answered {}", answer.status())).filter(|_| !answer.status().is_success())
            }
        };
        self.note(&collector, failure);
        sent
    }
}
