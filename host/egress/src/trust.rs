//! Whose word for it is taken that a host is who it says: the system's certificates and those of `extra-ca-certs`, read once.
//!
//! Every pool of connections has a TLS configuration of its own, with sessions of its own; what they share is the
//! certificates alone. Must never trust a host whose certificate they do not cover.

use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;

use crate::config::EgressConfig;
use crate::error::EgressError;

/// Certificates that others' are checked by.
#[derive(Debug)]
pub(crate) struct Trust(Arc<Verifier>);

impl Trust {
    /// Reads them, which takes some milliseconds.
    ///
    /// # Errors
    /// When a file of `extra-ca-certs` cannot be used, or there are none at all.
    pub(crate) fn read(config: &EgressConfig) -> Result<Self, EgressError> {
        // Another provider may be installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let extra = extra_roots(config)?;
        let provider = CryptoProvider::get_default().map(Arc::clone);
        let provider = provider.unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
        let verifier = Verifier::new_with_extra_roots(extra, provider).map_err(|error| {
            EgressError::Config(format!(
                "no HTTP client: {error}; install the system's CA certificates or set extra-ca-certs"
            ))
        })?;
        Ok(Self(Arc::new(verifier)))
    }

    /// For one pool; `protocols` as ALPN has them, the best first.
    pub(crate) fn tls(&self, protocols: &[&str]) -> ClientConfig {
        let builder = ClientConfig::builder().dangerous();
        let verifier = Arc::<Verifier>::clone(&self.0);
        let mut tls = builder.with_custom_certificate_verifier(verifier).with_no_client_auth();
        tls.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        tls
    }
}

fn extra_roots(config: &EgressConfig) -> Result<Vec<CertificateDer<'static>>, EgressError> {
    let mut roots = Vec::new();
    for path in &config.extra_ca_certs {
        let problem = |source| EgressError::CaCerts { path: path.clone(), source };
        let pem = std::fs::read(path).map_err(problem)?;
        let found: Vec<_> = CertificateDer::pem_slice_iter(&pem)
            .collect::<Result<_, _>>()
            .map_err(|error| problem(io::Error::other(error)))?;
        if found.is_empty() {
            return Err(problem(io::Error::other("there is no certificate in it")));
        }
        roots.extend(found);
    }
    Ok(roots)
}
