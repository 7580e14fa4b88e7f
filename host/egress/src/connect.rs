//! How names become addresses: `connect-to` first, else DNS, with every address checked.
//!
//! The addresses that are returned here are those that are connected to, so that no second lookup can say
//! something else. Must never return an address that is not public for a name that is not mapped.
//!
//! reqwest's resolver is told a name without its port, and a port in the URL overrides the port that the
//! resolver answers. Hence there is one client for every port that `connect-to` names, whose [`Route`] knows
//! that port, and one client for everything that is not mapped, whose `Route` maps nothing. Where a mapped URL
//! has an explicit port, [`address_request`] writes the target's port into the URL and the real one
//! into the `Host` header.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::header::HOST;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::config::{ConnectTo, EgressConfig};
use crate::error::EgressError;
use crate::guard;

/// Looks names up. Tests bring their own.
#[async_trait::async_trait]
pub(crate) trait Lookup: Send + Sync {
    /// The addresses of a name.
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver.
pub(crate) struct SystemLookup;

#[async_trait::async_trait]
impl Lookup for SystemLookup {
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Why a name leads nowhere. Found again in the causes of reqwest's error.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum RouteError {
    #[error("only addresses that are not public, like {0}")]
    Private(IpAddr),
    #[error("{0}")]
    NoAddress(String),
}

/// Where a mapped URL is sent instead. Addresses in URLs are never mapped.
pub(crate) fn target(connect_to: &ConnectTo, url: &Url) -> Option<SocketAddr> {
    match url.host()? {
        Host::Domain(name) => connect_to.target(name, url.port_or_known_default()?),
        Host::Ipv4(_) | Host::Ipv6(_) => None,
    }
}

/// The clients, one per way to resolve; see the head of this file.
#[derive(Debug)]
pub(crate) struct Clients {
    direct: reqwest::Client,
    mapped: Vec<(u16, reqwest::Client)>,
    connect_to: Arc<ConnectTo>,
}

impl Clients {
    pub(crate) fn new(
        config: &EgressConfig,
        user_agent: &HeaderValue,
        lookup: &Arc<dyn Lookup>,
    ) -> Result<Self, EgressError> {
        // Another provider may be installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let connect_to = Arc::new(config.connect_to.clone());
        let roots = extra_roots(config)?;
        let client = |port: Option<u16>| {
            let route = Route { port, connect_to: Arc::clone(&connect_to), lookup: Arc::clone(lookup) };
            let builder = reqwest::Client::builder()
                .user_agent(user_agent.clone())
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .referer(false)
                .no_proxy()
                // Servers close idle connections after a minute or so; a request must not meet that moment.
                .pool_idle_timeout(Duration::from_secs(30))
                .connect_timeout(config.connect_timeout.0)
                .tls_certs_merge(roots.clone())
                .dns_resolver(Arc::new(route));
            // HTTP/2 has no Host header to carry the real port in.
            let builder = if port.is_none_or(|port| port == 443) { builder } else { builder.http1_only() };
            builder.build().map_err(|error| {
                EgressError::Config(format!(
                    "no HTTP client: {}; install the system's CA certificates or set extra-ca-certs",
                    root_cause(&error)
                ))
            })
        };
        let mut ports: Vec<u16> = connect_to.ports().collect();
        ports.sort_unstable();
        ports.dedup();
        let mapped = ports.into_iter().map(|port| Ok((port, client(Some(port))?)));
        let mapped = mapped.collect::<Result<_, EgressError>>()?;
        Ok(Self { direct: client(None)?, mapped, connect_to })
    }

    /// The client for a URL.
    pub(crate) fn client(&self, url: &Url) -> &reqwest::Client {
        let port = url.port_or_known_default().filter(|_| target(&self.connect_to, url).is_some());
        let mapped = port.and_then(|port| self.mapped.iter().find(|(of, _)| *of == port));
        mapped.map_or(&self.direct, |(_, client)| client)
    }

    /// Points a request for a mapped URL with an explicit port to the target's port.
    pub(crate) fn address_request(&self, request: &mut reqwest::Request) -> Result<(), EgressError> {
        let (Some(target), Some(port)) = (target(&self.connect_to, request.url()), request.url().port())
        else {
            return Ok(());
        };
        let name = request.url().host_str().unwrap_or_default();
        let host = HeaderValue::try_from(format!("{name}:{port}"))
            .map_err(|_| EgressError::Denied { rule: format!("{name:?} is no host name") })?;
        request.headers_mut().insert(HOST, host);
        // Fails only for URLs without a host, and this one has a name.
        let _ = request.url_mut().set_port(Some(target.port()));
        Ok(())
    }
}

fn extra_roots(config: &EgressConfig) -> Result<Vec<reqwest::Certificate>, EgressError> {
    let mut roots = Vec::new();
    for path in &config.extra_ca_certs {
        let problem = |source| EgressError::CaCerts { path: path.clone(), source };
        let pem = std::fs::read(path).map_err(problem)?;
        let found =
            reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| problem(io::Error::other(error)))?;
        if found.is_empty() {
            return Err(problem(io::Error::other("there is no certificate in it")));
        }
        roots.extend(found);
    }
    Ok(roots)
}

/// The last cause of an error: what happened, without the layers that pass it on or the URL.
pub(crate) fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// Resolves for one client.
struct Route {
    /// The port of all mapped URLs that its client is given; none: its client is given no mapped URL.
    port: Option<u16>,
    connect_to: Arc<ConnectTo>,
    lookup: Arc<dyn Lookup>,
}

impl Resolve for Route {
    fn resolve(&self, name: Name) -> Resolving {
        let target = self.port.and_then(|port| self.connect_to.target(name.as_str(), port));
        let lookup = Arc::clone(&self.lookup);
        Box::pin(async move {
            let addresses = match target {
                Some(target) => vec![target],
                None => checked(&*lookup, name.as_str()).await?,
            };
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// The public addresses of a name, with port 0 for the one of the URL.
async fn checked(lookup: &dyn Lookup, name: &str) -> Result<Vec<SocketAddr>, RouteError> {
    let all = lookup.lookup(name).await.map_err(|error| RouteError::NoAddress(error.to_string()))?;
    let public: Vec<_> = all
        .iter()
        .filter(|address| guard::is_public(**address))
        .map(|address| (*address, 0).into())
        .collect();
    match all.first() {
        _ if !public.is_empty() => Ok(public),
        Some(private) => Err(RouteError::Private(*private)),
        None => Err(RouteError::NoAddress("the name exists, without addresses".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(Vec<IpAddr>);

    #[async_trait::async_trait]
    impl Lookup for Fixed {
        async fn lookup(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            Ok(self.0.clone())
        }
    }

    async fn resolve(addresses: &[&str]) -> Result<Vec<String>, RouteError> {
        let fixed = Fixed(addresses.iter().map(|text| text.parse().unwrap()).collect());
        let checked = checked(&fixed, "example.org").await?;
        Ok(checked.iter().map(ToString::to_string).collect())
    }

    #[tokio::test]
    async fn private_addresses_are_taken_out() {
        assert_eq!(resolve(&["10.0.0.1", "8.8.8.8", "::1"]).await.unwrap(), ["8.8.8.8:0"]);
        assert!(matches!(resolve(&["::1", "10.0.0.1"]).await, Err(RouteError::Private(_))));
        assert!(matches!(resolve(&[]).await, Err(RouteError::NoAddress(_))));
    }
}
