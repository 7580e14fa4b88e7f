//! A small HTTP client for tests of the simulated web itself: one connection per request, TLS checked against its CA.
//!
//! Not a suite. Must never be used to test the host: that has its own way out.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use gleaner_tests::simweb::SimWeb;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response, StatusCode, body};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

/// Speaks HTTP/1.1 or HTTP/2 to one simulated web.
#[derive(Clone)]
pub(crate) struct Client {
    addr: SocketAddr,
    plain_addr: SocketAddr,
    tls: TlsConnector,
    h2: bool,
}

/// What came back, as far as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: hyper::HeaderMap,
    pub(crate) body: Bytes,
    /// Whether the body ended before its end.
    pub(crate) cut: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    pub(crate) fn http1(sim: &SimWeb) -> Self {
        Self::new(sim.addr(), sim.plain_addr(), sim.ca_pem(), false)
    }

    pub(crate) fn http2(sim: &SimWeb) -> Self {
        Self::new(sim.addr(), sim.plain_addr(), sim.ca_pem(), true)
    }

    pub(crate) fn new(addr: SocketAddr, plain_addr: SocketAddr, ca_pem: &str, h2: bool) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![if h2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        Self { addr, plain_addr, tls: TlsConnector::from(Arc::new(config)), h2 }
    }

    /// Gets `url`, or says why there was no answer at all.
    pub(crate) async fn try_get(&self, url: &str) -> anyhow::Result<Answer> {
        let url = Url::parse(url)?;
        let host = url.host_str().unwrap().to_owned();
        self.get_as(&host, &url).await
    }

    pub(crate) async fn get(&self, url: &str) -> Answer {
        self.try_get(url).await.unwrap_or_else(|error| panic!("{url}: {error:#}"))
    }

    /// Gets `url` over a connection that was made for another server name.
    pub(crate) async fn get_as(&self, server_name: &str, url: &Url) -> anyhow::Result<Answer> {
        let mut response = if url.scheme() == "http" {
            self.send(TcpStream::connect(self.plain_addr).await?, url).await?
        } else {
            let stream = TcpStream::connect(self.addr).await?;
            let stream = self.tls.connect(ServerName::try_from(server_name.to_owned())?, stream).await?;
            self.send(stream, url).await?
        };
        let mut body = Vec::new();
        let mut cut = false;
        while let Some(frame) = response.frame().await {
            match frame {
                Ok(frame) => body.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Err(_) => {
                    cut = true;
                    break;
                }
            }
        }
        Ok(Answer { status: response.status(), headers: response.headers().clone(), body: body.into(), cut })
    }

    async fn send<S>(&self, stream: S, url: &Url) -> anyhow::Result<Response<body::Incoming>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let request = Request::builder().header("user-agent", "a test");
        let stream = TokioIo::new(stream);
        if self.h2 && url.scheme() == "https" {
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await?;
            tokio::spawn(connection);
            Ok(sender.send_request(request.uri(url.as_str()).body(Empty::<Bytes>::new())?).await?)
        } else {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
            tokio::spawn(connection);
            let request = request.header("host", authority).uri(&url[url::Position::BeforePath..]);
            Ok(sender.send_request(request.body(Empty::<Bytes>::new())?).await?)
        }
    }
}
