//! What egress promises, over real sockets and real TLS, under real host names through `connect-to`.

mod bodies;
mod bombs;
mod cache;
mod connections;
mod https_first;
mod injection;
mod limits;
mod names;
mod outside;
mod policy;
mod polite;
mod proxied;
mod web;

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gleaner_limits::{KeyedLimiter, LimitRules};
use gleaner_model::clock::{FakeClock, UnixMillis};
use gleaner_model::key::{Key, ResolverName};
use gleaner_model::units::Span;
use tokio::time::Instant;
use url::Url;
use web::{Asked, Reply, Web};

use crate::dns::Lookup;
use crate::{Egress, EgressConfig, EgressError, PluginPolicy, Request, Response, Scope};

/// Sun, 06 Nov 1994 08:49:37 GMT.
const NOW: UnixMillis = UnixMillis(784_111_777_000);

/// Limits that no test meets.
const PLENTY: &str = "default-host = { rate = \"1000/s\", burst = 1000 }";

/// A DNS in which every name is private, counting what it is asked.
#[derive(Default)]
struct PrivateDns(AtomicUsize);

#[async_trait::async_trait]
impl Lookup for PrivateDns {
    async fn lookup(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(vec![[10, 0, 0, 7].into(), [127, 0, 0, 1].into()])
    }
}

/// A server, and an egress that reaches it as `*.example.org` and `www.example.net`, at 443 and 80, and as
/// `api.example.org:8443`. Every other name is private.
struct World {
    web: Web,
    egress: Egress,
    limiter: KeyedLimiter,
    clock: Arc<FakeClock>,
    dns: Arc<PrivateDns>,
}

impl World {
    async fn new(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::with(PLENTY, |_| {}, answer).await
    }

    async fn with(
        limits: &str,
        change: impl FnOnce(&mut EgressConfig),
        answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::build(limits, Some("someone@example.org"), |_, _| {}, change, answer).await
    }

    /// With names of its own.
    async fn mapped(
        limits: &str,
        map: impl FnOnce(&Web, &mut BTreeMap<String, String>),
        change: impl FnOnce(&mut EgressConfig),
        answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::build(limits, Some("someone@example.org"), map, change, answer).await
    }

    async fn build(
        limits: &str,
        contact: Option<&str>,
        map: impl FnOnce(&Web, &mut BTreeMap<String, String>),
        change: impl FnOnce(&mut EgressConfig),
        answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let web = Web::start(answer).await;
        let mut connect_to = BTreeMap::new();
        for name in ["*.example.org", "www.example.net", "www.example.com"] {
            connect_to.insert(format!("{name}:443"), web.tls.to_string());
            connect_to.insert(format!("{name}:80"), web.plain.to_string());
        }
        connect_to.insert("api.example.org:8443".to_owned(), web.tls.to_string());
        map(&web, &mut connect_to);
        let mut config = EgressConfig {
            connect_to: connect_to.try_into().unwrap(),
            extra_ca_certs: vec![web.ca.path().to_owned()],
            max_wait: Span(Duration::from_millis(300)),
            ..EgressConfig::default()
        };
        change(&mut config);
        let (clock, dns) = (FakeClock::at(NOW), Arc::new(PrivateDns::default()));
        let limiter = KeyedLimiter::new(toml::from_str::<LimitRules>(limits).unwrap(), clock.clone());
        let lookup = Arc::clone(&dns) as Arc<dyn Lookup>;
        let egress = Egress::with_lookup(&config, contact, limiter.clone(), clock.clone(), &lookup).unwrap();
        Self { web, egress, limiter, clock, dns }
    }

    async fn get(&self, url: &str, scope: &Scope) -> Result<Response, EgressError> {
        self.egress.send(Request::get(url.parse().unwrap(), 1 << 20), scope).await
    }

    /// A download's whole text.
    async fn text(&self, url: &str) -> Result<String, EgressError> {
        let body = self.get(url, &download()).await?.body.collect().await?;
        Ok(String::from_utf8(body.to_vec()).unwrap())
    }
}

fn download() -> Scope {
    Scope::download(Instant::now() + Duration::from_secs(60))
}

/// Lets time pass at once, for what waits for nothing else meanwhile.
async fn wait(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

fn policy(hosts: &[&str]) -> PluginPolicy {
    PluginPolicy {
        name: ResolverName::new("test").unwrap(),
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        injections: Vec::new(),
        max_requests: None,
        max_bytes: None,
    }
}

fn plugin(policy: PluginPolicy) -> Scope {
    Scope::plugin(Arc::new(policy), Instant::now() + Duration::from_secs(60))
}

fn host(url: &str) -> Key {
    Key::Host(gleaner_limits::host_key(url).unwrap())
}

fn urls(chain: &[Url]) -> Vec<&str> {
    chain.iter().map(Url::as_str).collect()
}
