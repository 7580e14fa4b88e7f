//! The certificate authority of the simulated web: one CA, and a certificate for every host name that a client asks for.
//!
//! Must never write a private key to disk: the CA lives as long as the process.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SigningKey};
use tokio_rustls::TlsAcceptor;

/// Issues certificates by server name; every certificate shares one key.
pub(super) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
    leaf_key: KeyPair,
    signing_key: Arc<dyn SigningKey>,
    issued: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl Authority {
    pub(super) fn new() -> Result<Self> {
        let key = KeyPair::generate().context("cannot make a key for the CA")?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "Gleaner simulated web");
        let pem = params.self_signed(&key).context("cannot make the CA")?.pem();

        let leaf_key = KeyPair::generate().context("cannot make a key for the hosts")?;
        let der = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
        let signing_key = ring::sign::any_supported_type(&der)?;
        Ok(Self { pem, issuer: Issuer::new(params, key), leaf_key, signing_key, issued: Mutex::default() })
    }

    pub(super) fn pem(&self) -> String {
        self.pem.clone()
    }

    /// A TLS acceptor that speaks HTTP/2 and HTTP/1.1.
    pub(super) fn into_acceptor(self) -> Result<TlsAcceptor> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    fn issue(&self, host: &str) -> Result<Arc<CertifiedKey>> {
        let mut params = CertificateParams::new(vec![host.to_owned()])?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        let leaf = params.signed_by(&self.leaf_key, &self.issuer)?;
        Ok(Arc::new(CertifiedKey::new(vec![leaf.der().clone()], Arc::clone(&self.signing_key))))
    }
}

impl ResolvesServerCert for Authority {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // A client that connects to an address names no server. It is served all the same, so that a request which
        // the egress policy should have refused would be answered, and seen.
        let host = hello.server_name().unwrap_or("127.0.0.1");
        let mut issued = self.issued.lock().expect("no thread panicked while it issued a certificate");
        if let Some(known) = issued.get(host) {
            return Some(Arc::clone(known));
        }
        let fresh = self.issue(host).ok()?;
        issued.insert(host.to_owned(), Arc::clone(&fresh));
        Some(fresh)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}
