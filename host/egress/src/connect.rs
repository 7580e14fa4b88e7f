//! How names become addresses: `connect-to` first, else DNS, with every address checked; and who shares connections.
//!
//! The addresses that are returned here are those that are connected to, so that no second lookup can say
//! something else; what DNS keeps is checked anew each time. Where there are several, hyper tries them as RFC 8305
//! says. Must never return an address that is not public for a name that is not mapped.
//!
//! Connections are pooled by policy: each plugin has its own, and so have all downloads together, so that nothing that
//! sticks to a connection or a TLS session goes from one to another; connections without a checked certificate are
//! apart once more.
//!
//! reqwest's resolver is told a name without its port, and a port in the URL overrides the port that the
//! resolver answers. Hence there is one client for every port that `connect-to` names, whose [`Route`] knows
//! that port, and one client for everything that is not mapped, whose `Route` maps nothing. Where a mapped URL
//! has an explicit port, [`address_request`] writes the target's port into the URL and the real one
//! into the `Host` header. A client that uses a proxy looks up no name but the proxy's.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gleaner_model::key::ResolverName;
use http::HeaderValue;
use http::header::HOST;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::time::Instant;
use url::{Host, Url};

use crate::config::{ConnectTo, EgressConfig};
use crate::connecting::Timing;
use crate::dns::Lookup;
use crate::error::EgressError;
use crate::proxy::{self, ProxyUrl};
use crate::scope::{Role, Scope};
use crate::trust::Trust;

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

/// Whose connections these are, and how they are made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Pool {
    /// A plugin; none: all downloads.
    owner: Option<ResolverName>,
    way: Way,
    /// Whether certificates are checked.
    verified: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Way {
    /// To where DNS says.
    Direct,
    /// To where `connect-to` says for a port.
    Mapped(u16),
    Proxied,
}

/// The clients, one per pool, made when they are first needed; see the head of this file.
pub(crate) struct Clients {
    config: EgressConfig,
    user_agent: HeaderValue,
    trust: Trust,
    connect_to: Arc<ConnectTo>,
    lookup: Arc<dyn Lookup>,
    made: Mutex<HashMap<Pool, reqwest::Client>>,
}

impl Clients {
    pub(crate) fn new(
        config: &EgressConfig,
        user_agent: &HeaderValue,
        lookup: &Arc<dyn Lookup>,
    ) -> Result<Self, EgressError> {
        for host in config.insecure_hosts.iter() {
            tracing::warn!("the certificate of {host} is not checked, since it is in egress.insecure-hosts");
        }
        let clients = Self {
            config: config.clone(),
            user_agent: user_agent.clone(),
            trust: Trust::read(config)?,
            connect_to: Arc::new(config.connect_to.clone()),
            lookup: Arc::clone(lookup),
            made: Mutex::default(),
        };
        // What cannot work is better said now than with the first request.
        clients.of(Pool { owner: None, way: Way::Direct, verified: true })?;
        Ok(clients)
    }

    /// The client for a URL, on whose behalf it is asked.
    pub(crate) fn client(&self, url: &Url, scope: &Scope) -> Result<reqwest::Client, EgressError> {
        let mapped = target(&self.connect_to, url).and(url.port_or_known_default());
        let way = match mapped {
            Some(port) => Way::Mapped(port),
            None if proxy::covers(&self.config, url) => Way::Proxied,
            None => Way::Direct,
        };
        let verified = !self.is_insecure(url, scope);
        if !verified {
            let host = url.host_str().unwrap_or_default();
            tracing::warn!("{host} is asked without checking its certificate (egress.insecure-hosts)");
        }
        self.of(Pool { owner: scope.owner().cloned(), way, verified })
    }

    /// Looks a URL's name up and tells how long that took; none where nothing is looked up for it.
    pub(crate) async fn look_up(&self, url: &Url) -> Option<io::Result<Duration>> {
        let is_direct = target(&self.connect_to, url).is_none() && !proxy::covers(&self.config, url);
        let name = url.domain().filter(|_| is_direct)?;
        let since = Instant::now();
        Some(self.lookup.lookup(name).await.map(|_| since.elapsed()))
    }

    /// Whether the host need not prove who it is: only where the operator says so, and where nothing but a public
    /// file or page can be had from it.
    pub(crate) fn is_insecure(&self, url: &Url, scope: &Scope) -> bool {
        url.scheme() == "https"
            && url.domain().is_some_and(|name| self.config.insecure_hosts.has(name))
            && scope.role(url) != Role::Metadata
            && scope.injections(url).next().is_none()
    }

    fn of(&self, pool: Pool) -> Result<reqwest::Client, EgressError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = made.get(&pool) {
            return Ok(client.clone());
        }
        let client = self.make(&pool)?;
        made.insert(pool, client.clone());
        Ok(client)
    }

    fn make(&self, pool: &Pool) -> Result<reqwest::Client, EgressError> {
        let proxy = self.config.proxy.as_ref();
        let route = Route {
            way: pool.way,
            connect_to: Arc::clone(&self.connect_to),
            lookup: Arc::clone(&self.lookup),
            proxy: proxy.and_then(ProxyUrl::name).map(str::to_owned),
        };
        let builder = reqwest::Client::builder()
            .user_agent(self.user_agent.clone())
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            // Also none of the environment's.
            .no_proxy()
            .pool_idle_timeout(self.config.idle_connection_timeout.0)
            .pool_max_idle_per_host(self.config.idle_connections)
            .connect_timeout(self.config.connect_timeout.0)
            .connector_layer(Timing)
            .dns_resolver(Arc::new(route));
        // HTTP/2 has no Host header to carry the real port in.
        let is_old = matches!(pool.way, Way::Mapped(port) if port != 443);
        let builder = if is_old { builder.http1_only() } else { builder };
        let builder = if pool.verified {
            let protocols: &[&str] = if is_old { &["http/1.1"] } else { &["h2", "http/1.1"] };
            builder.tls_backend_preconfigured(self.trust.tls(protocols))
        } else {
            builder.tls_danger_accept_invalid_certs(true)
        };
        let builder = match (pool.way, proxy) {
            (Way::Proxied, Some(proxy)) => {
                let proxy = reqwest::Proxy::all(proxy.url().clone());
                builder.proxy(proxy.map_err(|error| EgressError::Config(format!("proxy: {error}")))?)
            }
            _ => builder,
        };
        builder
            .build()
            .map_err(|error| EgressError::Config(format!("no HTTP client: {}", root_cause(&error))))
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

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").field("made", &self.made).finish_non_exhaustive()
    }
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
    /// A client is given only URLs that go this way.
    way: Way,
    connect_to: Arc<ConnectTo>,
    lookup: Arc<dyn Lookup>,
    /// The proxy's name.
    proxy: Option<String>,
}

impl Resolve for Route {
    fn resolve(&self, name: Name) -> Resolving {
        let target = match self.way {
            Way::Mapped(port) => self.connect_to.target(name.as_str(), port),
            Way::Direct | Way::Proxied => None,
        };
        let proxied = self.way == Way::Proxied;
        let is_proxy = proxied && self.proxy.as_deref() == Some(name.as_str());
        let lookup = Arc::clone(&self.lookup);
        Box::pin(async move {
            let addresses = match target {
                Some(target) => vec![target],
                // The operator's choice, wherever it is.
                None if is_proxy => {
                    looked_up(&*lookup, name.as_str()).await?.into_iter().map(at_url).collect()
                }
                None if proxied => {
                    let detail = "only the proxy's name is looked up for requests that go through it";
                    return Err(RouteError::NoAddress(detail.to_owned()).into());
                }
                None => checked(&*lookup, name.as_str()).await?,
            };
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// With port 0 for the one of the URL.
fn at_url(address: IpAddr) -> SocketAddr {
    (address, 0).into()
}

async fn looked_up(lookup: &dyn Lookup, name: &str) -> Result<Vec<IpAddr>, RouteError> {
    lookup.lookup(name).await.map_err(|error| RouteError::NoAddress(error.to_string()))
}

/// The public addresses of a name.
async fn checked(lookup: &dyn Lookup, name: &str) -> Result<Vec<SocketAddr>, RouteError> {
    let all = looked_up(lookup, name).await?;
    let public: Vec<_> = all.iter().copied().filter(|address| lookup.permits(*address)).map(at_url).collect();
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
