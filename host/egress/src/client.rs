//! Sending: every hop checked, limited, sent and judged.
//!
//! Must never send a hop before its checks, or ask for a permit while it holds another.

mod explain;
mod hop;
mod reach;
mod robots_first;
mod through;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gleaner_limits::{KeyedLimiter, Permit, Why};
use gleaner_model::clock::SharedClock;
use gleaner_model::key::{HostKey, Key};
use gleaner_model::manifest::Transport;

use gleaner_model::retry_after;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use tokio::time::Instant;
use url::Url;

use crate::announced;
use crate::body::{Body, Terms};
use crate::cache::Cache;
use crate::config::EgressConfig;
use crate::connect::{self, Clients};
use crate::connecting;
use crate::dns::{Dns, Lookup};
use crate::errand::Errand;
use crate::error::{EgressError, Stage};
use crate::guard;
use crate::https_first::Schemes;
use crate::listener::{Exchange, Listener};
use crate::proxy;
use crate::redirect::{self, Hop};
use crate::robots::Robots;
use crate::scope::{Injection, Scope};
use crate::unpack::{ACCEPTED, Packing};
use hop::{Answered, Way};
use through::Unasked;

pub use reach::Reached;

/// Headers that are egress's to set.
const NOT_FOR_CALLERS: [&str; 13] = [
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method of the first hop; redirects may change it.
    pub method: Method,
    /// http or https. A fragment is dropped.
    pub url: Url,
    /// Headers beyond those that egress sets. For downloads, `Accept-Encoding: identity` is added.
    pub headers: HeaderMap,
    /// The body.
    pub body: Option<Bytes>,
    /// From now to the last byte, waits and redirects included; none: `egress.timeout` for plugins, the
    /// scope's deadline for downloads. The scope's deadline holds in any case.
    pub timeout: Option<Duration>,
    /// The most bytes the body may have, counted after decompression.
    pub max_bytes: u64,
}

impl Request {
    /// A GET without further headers.
    pub fn get(url: Url, max_bytes: u64) -> Self {
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: None, timeout: None, max_bytes }
    }
}

/// What came back: any status but a followed redirect, 429, and 503 with `Retry-After`.
#[derive(Debug)]
pub struct Response {
    /// The status of the last hop.
    pub status: StatusCode,
    /// Every URL on the way, the one that answered last. Without injected secrets. One that was asked for over https
    /// instead stands before what was asked then.
    pub chain: Vec<Url>,
    /// How well the least protected hop was protected.
    pub transport: Transport,
    /// The headers of the last hop.
    pub headers: HeaderMap,
    /// The body of the last hop.
    pub body: Body,
    /// Time spent waiting for limits, over all hops.
    pub waited: Duration,
    /// Of that, making the connection of the last hop: name, connection, TLS; none where there was one already.
    pub connect: Option<Duration>,
    /// From sending the last hop to its headers.
    pub first_byte: Duration,
    /// Whether the last hop's answer is one that was kept, used as it was: fresh, or since its host cannot answer.
    pub from_cache: bool,
}

/// The one way out. Clones share connections and limits.
#[derive(Debug, Clone)]
pub struct Egress(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: EgressConfig,
    has_contact: bool,
    limiter: KeyedLimiter,
    clock: SharedClock,
    clients: Clients,
    robots: Robots,
    schemes: Schemes,
    cache: Cache,
    listener: Listener,
}

impl Egress {
    /// Prepares clients, certificates included. `contact` is an e-mail address for the `User-Agent`; without
    /// it only hosts of `connect-to` can be asked.
    ///
    /// # Errors
    /// When a file of certificates cannot be read, there are no certificates at all, or the contact cannot
    /// stand in a header.
    pub fn new(
        config: &EgressConfig,
        contact: Option<&str>,
        limiter: KeyedLimiter,
        clock: SharedClock,
    ) -> Result<Self, EgressError> {
        let dns = Dns::new(config.name_servers.addresses());
        let dns = dns.map_err(|error| EgressError::Config(format!("no DNS: {error}; see name-servers")))?;
        Self::with_lookup(config, contact, limiter, clock, &(Arc::new(dns) as Arc<dyn Lookup>))
    }

    pub(crate) fn with_lookup(
        config: &EgressConfig,
        contact: Option<&str>,
        limiter: KeyedLimiter,
        clock: SharedClock,
        lookup: &Arc<dyn Lookup>,
    ) -> Result<Self, EgressError> {
        let contact = contact.map(str::trim).filter(|contact| !contact.is_empty());
        let to = contact.map(|contact| format!(" (+mailto:{contact})")).unwrap_or_default();
        let user_agent = HeaderValue::try_from(format!("gleaner/{}{to}", env!("CARGO_PKG_VERSION")))
            .map_err(|_| {
                let contact = contact.unwrap_or_default();
                EgressError::Config(format!(
                    "contact {contact:?} cannot stand in a header; write an e-mail address like you@example.org"
                ))
            })?;
        let clients = Clients::new(config, &user_agent, lookup)?;
        let (config, has_contact) = (config.clone(), contact.is_some());
        let cache = Cache::new(&config.cache, &user_agent, Arc::clone(&clock));
        let (robots, schemes) = (Robots::default(), Schemes::default());
        let listener = Listener::default();
        Ok(Self(Arc::new(Inner {
            config,
            has_contact,
            limiter,
            clock,
            clients,
            robots,
            schemes,
            cache,
            listener,
        })))
    }

    /// Tells of each request that is sent from now on. Call it before there are clones: they share what they were made
    /// with.
    #[must_use]
    pub fn listened_by(mut self, listener: impl Fn(Exchange) + Send + Sync + 'static) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.listener = Listener::new(listener);
        }
        self
    }

    /// Sends a request and follows its redirects. Every hop is checked against the scope and the address
    /// guard, and has a permit of its host, which the last one's body keeps.
    ///
    /// # Errors
    /// When policy, a limit, the network or the host stands against it; see [`EgressError::failure`].
    pub async fn send(&self, request: Request, scope: &Scope) -> Result<Response, EgressError> {
        self.send_at_most(request, scope, self.0.config.max_redirects).await
    }

    async fn send_at_most(&self, request: Request, scope: &Scope, max: u32) -> Result<Response, EgressError> {
        let started = Instant::now();
        let timeout = request.timeout.or((!scope.is_download()).then_some(self.0.config.timeout.0));
        let end = timeout.map_or(scope.deadline(), |timeout| scope.deadline().min(started + timeout));
        let cap = request.max_bytes;
        let mut wanted = first_hop(request, scope)?;
        let mut way = Way::default();
        let mut waited = Duration::ZERO;
        loop {
            let Answered { hop, host, reply } = self.hop(&wanted, &mut way, scope, end).await?;
            waited += reply.waited;

            let Some(mut next) = redirect::next(&hop, reply.status, &reply.headers) else {
                let idle = self.0.config.idle_timeout.0;
                let (host, scope, max_ratio) = (host.to_string(), scope.clone(), self.0.config.max_ratio);
                let terms = Terms { host: host.clone(), scope, cap, max_ratio, idle, started, end };
                let (status, headers) = (reply.status, reply.headers.clone());
                let (connect, first_byte, from_cache) = (reply.connect, reply.first_byte, reply.is_kept());
                let body = reply.into_body(terms, hop.method != Method::HEAD);
                if body.declared().is_some_and(|declared| declared > cap) {
                    return Err(EgressError::TooLarge { host, cap });
                }
                let Way { urls: chain, transport, .. } = way;
                return Ok(Response {
                    status,
                    chain,
                    transport,
                    headers,
                    body,
                    waited,
                    connect,
                    first_byte,
                    from_cache,
                });
            };
            // Gives the permit back before the next one is asked for, and lands the flight: two chains that cross must
            // not wait for each other.
            reply.end().await;
            scope.scrub(&mut next.url);
            way.redirects += 1;
            if way.redirects > max {
                let host = next.url.host_str().unwrap_or_default().to_owned();
                return Err(EgressError::TooManyRedirects { max, host });
            }
            way.from = Some(wanted.url);
            wanted = next;
        }
    }

    /// Every check that can be made before a connection is.
    fn check(&self, url: &Url, scope: &Scope) -> Result<HostKey, EgressError> {
        let mapped = connect::target(&self.0.config.connect_to, url).is_some();
        scope.check(url, mapped)?;
        guard::check_literal(url)?;
        guard::check_name(url)?;
        proxy::check(&self.0.config, url)?;
        let host = HostKey::of(url);
        let host = host.ok_or_else(|| EgressError::Denied { rule: "a URL without a host".to_owned() })?;
        if !mapped && !self.0.has_contact {
            return Err(EgressError::NoContact { host: host.to_string() });
        }
        Ok(host)
    }

    async fn permit(&self, host: &HostKey, scope: &Scope, end: Instant) -> Result<Permit, EgressError> {
        let limiter = &self.0.limiter;
        let key = limiter.canonical(&Key::Host(host.clone()));
        if let Some(permit) = scope.take_reserved(&key) {
            return Ok(permit);
        }
        let left = end.saturating_duration_since(Instant::now());
        match limiter.try_acquire(&key, self.0.config.max_wait.0.min(left)).await {
            // To give up here would ask for the earlier hops again, and never get further. A pause that the host
            // imposed ends the request all the same.
            Err(blocked) if matches!(blocked.why, Why::Full | Why::Rate) && scope.requests() > 1 => {
                let left = end.saturating_duration_since(Instant::now());
                limiter.try_acquire(&key, left).await.map_err(EgressError::Blocked)
            }
            outcome => outcome.map_err(EgressError::Blocked),
        }
    }

    /// Sends one hop and waits for its headers, at most `egress.timeout`; says how long the connection took that was
    /// made for it.
    async fn ask(
        &self,
        hop: &Hop,
        host: &HostKey,
        scope: &Scope,
        sent: Instant,
        end: Instant,
    ) -> Result<(reqwest::Response, Option<Duration>), Unasked> {
        let mut request = reqwest::Request::new(hop.method.clone(), hop.url.clone());
        *request.headers_mut() = hop.headers.clone();
        *request.body_mut() = hop.body.clone().map(reqwest::Body::from);
        for injection in scope.injections(&hop.url) {
            inject(injection, &mut request)?;
        }
        let client = self.0.clients.client(&hop.url, scope)?;
        self.0.clients.address_request(&mut request)?;
        let until = end.min(sent + self.0.config.timeout.0);
        let (answer, connect) =
            connecting::timed(tokio::time::timeout_at(until, client.execute(request))).await;
        match answer {
            Ok(Ok(mut answer)) => {
                if let Some(packing) = Packing::take(answer.headers_mut()) {
                    answer.extensions_mut().insert(packing);
                }
                Ok((answer, connect))
            }
            Ok(Err(error)) => {
                Err(Unasked { is_unconnected: error.is_connect(), error: self.explain(&error, host) })
            }
            Err(_) => {
                let (stage, after) = (Stage::Headers, sent.elapsed());
                Err(EgressError::Timeout { host: host.to_string(), stage, after }.into())
            }
        }
    }

    /// Begins a cooldown when the host asks to slow down: 429, or 503 that says for how long.
    fn heed(
        &self,
        errand: &mut Errand,
        key: &Key,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<(), EgressError> {
        let asked = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let asked = asked.and_then(|value| retry_after::parse(value, self.0.clock.now()));
        // An archive gives an answer that it kept with the status that it had (RFC 7089): no word of its own.
        if headers.contains_key("memento-datetime") {
            errand.answered(StatusCode::OK);
            return Ok(());
        }
        let is_throttled = status == StatusCode::TOO_MANY_REQUESTS
            || status == StatusCode::SERVICE_UNAVAILABLE && asked.is_some();
        if !is_throttled {
            errand.answered(status);
        }
        if let Some(announced) = announced::read(headers, self.0.clock.now()) {
            self.0.limiter.announce(key, &announced);
        }
        if !is_throttled {
            return Ok(());
        }
        let retry_after = self.0.limiter.throttled(key, asked);
        Err(EgressError::Throttled { key: key.clone(), status, retry_after })
    }
}

/// The request as its first hop, if its headers are the caller's to set.
fn first_hop(request: Request, scope: &Scope) -> Result<Hop, EgressError> {
    let Request { method, mut url, mut headers, body, .. } = request;
    if let Some(name) = headers.keys().find(|name| NOT_FOR_CALLERS.contains(&name.as_str())) {
        return Err(EgressError::Denied { rule: format!("the header {name} is not the caller's to set") });
    }
    if scope.is_download() {
        // The hash is to be the file's, and the announced length too.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    } else if !headers.contains_key(header::RANGE) {
        headers.entry(header::ACCEPT_ENCODING).or_insert(ACCEPTED);
    }
    url.set_fragment(None);
    Ok(Hop { method, url, headers, body })
}

fn inject(injection: &Injection, request: &mut reqwest::Request) -> Result<(), EgressError> {
    if let Some(name) = &injection.header {
        let unfit = |what| EgressError::Config(format!("inject for {}: {what}", injection.host));
        let name = HeaderName::try_from(name).map_err(|_| unfit(format!("{name:?} is no header name")))?;
        let value = HeaderValue::try_from(&injection.secret);
        let mut value = value.map_err(|_| unfit("the secret cannot stand in a header".to_owned()))?;
        value.set_sensitive(true);
        request.headers_mut().insert(name, value);
    }
    if let Some(name) = &injection.query {
        request.url_mut().query_pairs_mut().append_pair(name, &injection.secret);
    }
    Ok(())
}
