//! A server that sends exactly the bytes it is told to, whatever HTTP says, over TLS whose certificates may be wrong.
//!
//! Must never put anything right: what a row of a table says is what a client gets.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What is done on a connection, one after the other; at the end it is closed as it should be.
#[derive(Debug, Clone)]
pub enum Act {
    /// Sends these bytes.
    Send(Bytes),
    /// Sends these bytes again and again, with a pause before each, until the client goes.
    Forever(Bytes, Duration),
    /// Does nothing until the client goes.
    Hang,
    /// Ends the connection without saying so in TLS.
    Cut,
}

/// Serves one script to each host name, on one address.
#[derive(Debug)]
pub struct RawWeb {
    addr: SocketAddr,
    ca_pem: String,
    heads: Heads,
    listener: JoinHandle<()>,
}

type Heads = Arc<Mutex<Vec<(String, String)>>>;

impl RawWeb {
    /// Starts on a free port of 127.0.0.1, on the current tokio runtime. Hosts that begin with `expired.`,
    /// `other-name.` and `self-signed.` have such a certificate, all others a sound one.
    pub async fn start(scripts: HashMap<String, Vec<Act>>) -> Result<Self> {
        let certificates = Certificates::new()?;
        let ca_pem = certificates.pem.clone();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(certificates));
        let tls = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for the raw web")?;
        let addr = listener.local_addr()?;
        let (scripts, heads) = (Arc::new(scripts), Heads::default());
        let seen = Arc::clone(&heads);
        let listener = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Errors tell what a client did to its own connection.
                tokio::spawn(connection(stream, tls.clone(), Arc::clone(&scripts), Arc::clone(&seen)));
            }
        });
        Ok(Self { addr, ca_pem, heads, listener })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The certificate of its CA.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The heads of all requests to hosts whose name begins so, as they came.
    pub fn heads(&self, host: &str) -> Vec<String> {
        let heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        heads.iter().filter(|(of, _)| of.starts_with(host)).map(|(_, head)| head.clone()).collect()
    }
}

impl Drop for RawWeb {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn connection(
    stream: TcpStream,
    tls: TlsAcceptor,
    scripts: Arc<HashMap<String, Vec<Act>>>,
    heads: Heads,
) -> Result<()> {
    let mut stream = tls.accept(stream).await?;
    let host = stream.get_ref().1.server_name().unwrap_or_default().to_owned();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    heads.lock().unwrap_or_else(PoisonError::into_inner).push((host.clone(), head));
    for act in scripts.get(&host).into_iter().flatten() {
        match act {
            Act::Send(bytes) => stream.write_all(bytes).await?,
            Act::Forever(bytes, pause) => loop {
                tokio::time::sleep(*pause).await;
                stream.write_all(bytes).await?;
                stream.flush().await?;
            },
            Act::Hang => while stream.read_u8().await.is_ok() {},
            Act::Cut => {
                stream.flush().await?;
                return Ok(());
            }
        }
    }
    stream.shutdown().await?;
    // Until the client has read all of it and goes: closing earlier could take the last bytes back.
    while stream.read_u8().await.is_ok() {}
    Ok(())
}

/// A CA, and what it vouches for or not.
struct Certificates {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
    key: KeyPair,
}

impl Certificates {
    fn new() -> Result<Self> {
        let (ca_key, key) = (KeyPair::generate()?, KeyPair::generate()?);
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let pem = params.self_signed(&ca_key)?.pem();
        Ok(Self { pem, issuer: Issuer::new(params, ca_key), key })
    }

    fn issue(&self, host: &str) -> Result<CertifiedKey> {
        let fault = host.split('.').next().unwrap_or_default();
        let name = if fault == "other-name" { "elsewhere.example.org" } else { host };
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        if fault == "expired" {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        }
        let leaf = match fault {
            "self-signed" => params.self_signed(&self.key)?,
            _ => params.signed_by(&self.key, &self.issuer)?,
        };
        let der = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        Ok(CertifiedKey::new(vec![leaf.der().clone()], ring::sign::any_supported_type(&der)?))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.issue(hello.server_name()?).ok().map(Arc::new)
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}
