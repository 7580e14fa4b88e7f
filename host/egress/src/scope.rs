//! Scopes: on whose behalf a request is sent, and what that one may do.
//!
//! Must never show a secret, nor give it to another host than the one it belongs to.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gleaner_limits::Permit;
use gleaner_model::key::{HostKey, Key, ResolverName};
use tokio::time::Instant;
use url::Url;

use crate::error::EgressError;

/// Ports that downloads may use beside those that `connect-to` names: the default ones and the two usual
/// alternatives of repositories.
const DOWNLOAD_PORTS: [u16; 4] = [80, 443, 8080, 8443];

/// What a request is for; the rules of caching, politeness and redirects go by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// An API's answer: a plugin asks a host that it was granted by name or below one.
    Metadata,
    /// A page anywhere: a plugin asks a host that only the grant `*` covers.
    Landing,
    /// A file: a download.
    Content,
    /// A robots.txt, before a landing page.
    Robots,
}

impl Role {
    /// As in logs and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::Landing => "landing",
            Self::Robots => "robots",
            Self::Content => "content",
        }
    }
}

/// What the operator allows one plugin.
#[derive(Debug, Clone)]
pub struct PluginPolicy {
    /// Whose it is, for messages.
    pub name: ResolverName,
    /// Granted hosts: `api.example.org` (ports 80 and 443), `api.example.org:8443`, `*.example.org`, `*`.
    pub hosts: Vec<String>,
    /// Secrets that the host adds for the plugin.
    pub injections: Vec<Injection>,
    /// Requests in one call, redirects included.
    pub max_requests: Option<u32>,
    /// Bytes of bodies in one call, decompressed.
    pub max_bytes: Option<u64>,
}

/// A secret for one host, added to a request after the plugin made it. Only over https, never after a redirect
/// to another host, and never shown: not in `Debug`, an error, a log or [`crate::Response::chain`].
#[derive(Clone)]
pub struct Injection {
    /// The exact host, as in a URL: `api.example.org`.
    pub host: String,
    /// The header that carries the secret.
    pub header: Option<String>,
    /// The query parameter that carries the secret.
    pub query: Option<String>,
    /// The secret itself.
    pub secret: String,
}

impl fmt::Debug for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, header, query, secret: _ } = self;
        f.debug_struct("Injection")
            .field("host", host)
            .field("header", header)
            .field("query", query)
            .finish_non_exhaustive()
    }
}

/// A secret as it is, and as forms and URLs write it: what to look for where an upstream may have said it back.
pub fn spellings(secret: &str) -> [String; 3] {
    let in_form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let in_url = in_form.replace('+', "%20");
    [secret.to_owned(), in_form, in_url]
}

/// Who asks, until when, and what is left of what they may. One per plugin call or download; clones share
/// the counts.
#[derive(Debug, Clone)]
pub struct Scope(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    plugin: Option<Arc<PluginPolicy>>,
    /// What its requests are for, where no plugin sends them.
    role: Role,
    deadline: Instant,
    reserved: Mutex<Option<Permit>>,
    requests: AtomicU32,
    bytes: AtomicU64,
    asked: Mutex<Vec<Url>>,
    robots: AtomicBool,
}

impl Scope {
    /// A download: any public host, over http or https, on ports 80, 443, 8080 and 8443.
    pub fn download(deadline: Instant) -> Self {
        Self::new(None, Role::Content, deadline)
    }

    /// What a host's robots.txt is asked for with: as a download.
    pub(crate) fn robots(deadline: Instant) -> Self {
        Self::new(None, Role::Robots, deadline)
    }

    /// A call of a plugin: what its policy grants.
    pub fn plugin(policy: Arc<PluginPolicy>, deadline: Instant) -> Self {
        Self::new(Some(policy), Role::Metadata, deadline)
    }

    fn new(plugin: Option<Arc<PluginPolicy>>, role: Role, deadline: Instant) -> Self {
        let (requests, bytes) = (AtomicU32::new(0), AtomicU64::new(0));
        let (reserved, asked) = (Mutex::new(None), Mutex::default());
        let robots = AtomicBool::new(false);
        Self(Arc::new(Inner { plugin, role, deadline, reserved, requests, bytes, asked, robots }))
    }

    /// Gives a permit along: the first request under its key uses it instead of waiting for one. It replaces,
    /// and so gives back, one that was reserved before.
    pub fn reserve(&self, permit: Permit) {
        *self.reserved() = Some(permit);
    }

    /// Requests so far, redirects included.
    pub fn requests(&self) -> u32 {
        self.0.requests.load(Ordering::Relaxed)
    }

    /// Every URL that was asked under this scope, in order and without injected secrets: the way to an answer, or
    /// to an error.
    pub fn asked(&self) -> Vec<Url> {
        self.0.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a request was refused because of a robots.txt.
    pub fn was_refused_by_robots(&self) -> bool {
        self.0.robots.load(Ordering::Relaxed)
    }

    pub(crate) fn note_robots(&self) {
        self.0.robots.store(true, Ordering::Relaxed);
    }

    pub(crate) fn note_asked(&self, url: &Url) {
        self.0.asked.lock().unwrap_or_else(PoisonError::into_inner).push(url.clone());
    }

    /// Bytes of bodies so far, decompressed.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.0.deadline
    }

    pub(crate) fn is_download(&self) -> bool {
        self.0.plugin.is_none()
    }

    /// Whose pool of connections its requests use: a plugin's own, or that of all downloads.
    pub(crate) fn owner(&self) -> Option<&ResolverName> {
        self.0.plugin.as_ref().map(|policy| &policy.name)
    }

    /// What a request to that URL is for.
    pub fn role(&self, url: &Url) -> Role {
        let Some(policy) = &self.0.plugin else { return self.0.role };
        let named = |host| policy.hosts.iter().any(|grant| grant != "*" && grants(grant, &host));
        if HostKey::of(url).is_some_and(named) { Role::Metadata } else { Role::Landing }
    }

    /// The permit that was reserved, if it is one of that key.
    pub(crate) fn take_reserved(&self, key: &Key) -> Option<Permit> {
        self.reserved().take_if(|permit| permit.key() == key)
    }

    /// Whether the scope may ask for that URL. `mapped`: `connect-to` names it.
    pub(crate) fn check(&self, url: &Url, mapped: bool) -> Result<(), EgressError> {
        let denied = |rule: String| Err(EgressError::Denied { rule });
        if !matches!(url.scheme(), "http" | "https") {
            return denied(format!("the scheme {}: only http and https", url.scheme()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return denied("a user or password in a URL".to_owned());
        }
        let (Some(host), Some(port)) = (HostKey::of(url), url.port_or_known_default()) else {
            return denied("a URL without a host".to_owned());
        };
        let Some(policy) = &self.0.plugin else {
            return if mapped || DOWNLOAD_PORTS.contains(&port) {
                Ok(())
            } else {
                denied(format!("port {port} of {host}: downloads use {DOWNLOAD_PORTS:?}"))
            };
        };
        if !policy.hosts.iter().any(|grant| grants(grant, &host)) {
            return denied(not_granted(&policy.name, host.as_str()));
        }
        Ok(())
    }

    /// Whether a redirect may lead from what the request before asked for to that URL in plain.
    pub(crate) fn check_descent(&self, from: Option<&Url>, url: &Url) -> Result<(), EgressError> {
        let is_descent = from.is_some_and(|from| from.scheme() == "https") && url.scheme() == "http";
        if is_descent && !self.is_download() {
            let host = url.host_str().unwrap_or_default();
            let rule = format!("a redirect from https to http, at {host}");
            return Err(EgressError::Denied { rule });
        }
        Ok(())
    }

    /// Counts one request; refuses it when that is one too many.
    pub(crate) fn count_request(&self) -> Result<(), EgressError> {
        let before = self.0.requests.fetch_add(1, Ordering::Relaxed);
        self.within(|policy| {
            policy.max_requests.filter(|max| before >= *max).map(|max| format!("{max} requests"))
        })
    }

    /// Counts bytes that came; refuses them when those are too many.
    pub(crate) fn count_bytes(&self, more: usize) -> Result<(), EgressError> {
        let more = more as u64;
        let now = self.0.bytes.fetch_add(more, Ordering::Relaxed).saturating_add(more);
        self.within(|policy| policy.max_bytes.filter(|max| now > *max).map(|max| format!("{max} bytes")))
    }

    /// The secrets for a URL.
    pub(crate) fn injections(&self, url: &Url) -> impl Iterator<Item = &Injection> {
        let host = HostKey::of(url).filter(|_| url.scheme() == "https");
        self.secrets()
            .filter(move |injection| host.as_ref().is_some_and(|host| host.as_str() == injection.host))
    }

    /// Removes query parameters that are secrets of ours: an upstream may repeat them in a redirect.
    pub(crate) fn scrub(&self, url: &mut Url) {
        let is_secret = |value: &str| self.secrets().any(|injection| injection.secret == value);
        if url.query_pairs().any(|(_, value)| is_secret(&value)) {
            let rest: Vec<_> =
                url.query_pairs().into_owned().filter(|(_, value)| !is_secret(value)).collect();
            url.set_query(None);
            if !rest.is_empty() {
                url.query_pairs_mut().extend_pairs(rest);
            }
        }
    }

    fn secrets(&self) -> impl Iterator<Item = &Injection> {
        self.0.plugin.iter().flat_map(|policy| &policy.injections)
    }

    fn within(&self, excess: impl FnOnce(&PluginPolicy) -> Option<String>) -> Result<(), EgressError> {
        match self.0.plugin.as_deref().and_then(|policy| Some((policy, excess(policy)?))) {
            None => Ok(()),
            Some((policy, what)) => Err(EgressError::Budget { who: policy.name.to_string(), what }),
        }
    }

    fn reserved(&self) -> std::sync::MutexGuard<'_, Option<Permit>> {
        self.0.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// With the command that grants it, unless the host is one that nobody should paste into a shell: the guest chose it.
fn not_granted(name: &ResolverName, host: &str) -> String {
    let is_plain = host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_:".contains(&b));
    if is_plain {
        format!("{host} is not granted to {name}; `gleaner plugin grant {name} --hosts {host}` allows it")
    } else {
        format!("{host} is not granted to {name}")
    }
}

/// Whether a grant covers a host. A grant without a port covers the default ports only, since a host key
/// without a port means one of those.
fn grants(grant: &str, host: &HostKey) -> bool {
    let (grant, host) = (grant.trim_end_matches('.').to_ascii_lowercase(), host.as_str());
    match grant.strip_prefix('*') {
        None => grant == host,
        Some("") => !host.trim_end_matches(|c: char| c.is_ascii_digit()).ends_with(':'),
        Some(below) => below.starts_with('.') && host.ends_with(below),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_cover_what_they_say() {
        for (grant, url, covered) in [
            ("api.example.org", "https://api.example.org/x", true),
            ("API.example.org", "http://api.example.org./x", true),
            ("api.example.org", "https://api.example.org:8443/x", false),
            ("api.example.org:8443", "https://api.example.org:8443/x", true),
            ("api.example.org", "https://api.example.org.evil.com/", false),
            ("api.example.org", "https://xapi.example.org/", false),
            ("*.example.org", "https://a.b.example.org/", true),
            ("*.example.org", "https://example.org/", false),
            ("*.example.org", "https://badexample.org/", false),
            ("*.example.org", "https://a.example.org:8443/", false),
            ("*", "https://anything.net/", true),
            ("*", "https://anything.net:22/", false),
            ("*example.org", "https://badexample.org/", false),
        ] {
            let host = HostKey::of(&Url::parse(url).unwrap()).unwrap();
            assert_eq!(grants(grant, &host), covered, "{grant} {url}");
        }
    }

    #[test]
    fn a_request_is_for_what_its_host_is_granted_as() {
        let hosts = ["*", "doi.org", "*.example.org"].map(str::to_owned).to_vec();
        let name = ResolverName::new("x").unwrap();
        let policy =
            PluginPolicy { name, hosts, injections: Vec::new(), max_requests: None, max_bytes: None };
        let (plugin, download) =
            (Scope::plugin(Arc::new(policy), Instant::now()), Scope::download(Instant::now()));
        for (url, role) in [
            ("https://doi.org/10.1000/1", Role::Metadata),
            ("https://api.example.org/", Role::Metadata),
            ("https://example.org/", Role::Landing),
            ("https://doi.org:8443/", Role::Landing),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(plugin.role(&url), role, "{url}");
            assert_eq!(download.role(&url), Role::Content, "{url}");
        }
    }

    #[test]
    fn a_host_that_a_shell_would_obey_is_in_no_command() {
        let name = ResolverName::new("x").unwrap();
        assert!(not_granted(&name, "a-b.example:8443").contains("--hosts a-b.example:8443`"));
        let url = Url::parse("https://$(reboot);x&y.example/").unwrap();
        let host = HostKey::of(&url).unwrap();
        assert_eq!(not_granted(&name, host.as_str()), format!("{host} is not granted to x"));
    }

    #[test]
    fn secrets_do_not_show() {
        let injection = Injection {
            host: "api.example.org".to_owned(),
            header: Some("x-key".to_owned()),
            query: None,
            secret: "hunter2".to_owned(),
        };
        assert!(!format!("{injection:?}").contains("hunter2"));
    }
}
