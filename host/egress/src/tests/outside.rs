//! What comes from outside: ten thousand mutations of the `[egress]` section, of URLs that scopes judge and of the
//! places that redirects name; and every error of this crate as people read it, approved in `messages.txt`.

use std::net::SocketAddr;

use gleaner_limits::{Blocked, Why};
use gleaner_testing::{Messages, each_mutation};
use http::{HeaderMap, Method, StatusCode};

use super::*;
use crate::connect::RouteError;
use crate::redirect::{self, Hop};
use crate::{Stage, guard};

const SECTION: &str = r#"timeout = "60s"
connect-timeout = "10s"
max-redirects = 10
max-body = "16MiB"
extra-ca-certs = ["ca.pem"]
max-ratio = 100
name-servers = ["9.9.9.9", "[::1]:53"]
proxy = "http://proxy.example.org:3128"
no-proxy = ["files.example.org", "*.example.net"]
insecure-hosts = ["old.example.org"]
connect-to = { "API.crossref.org:443" = "127.0.0.1:1", "*:443" = "[::1]:2", "*.example.org:8443" = "127.0.0.1:3" }
"#;

#[test]
fn a_mutated_section_is_refused_or_maps_names() {
    each_mutation(&[SECTION], |text| {
        let Ok(config) = toml::from_str::<EgressConfig>(text) else { return };
        for name in ["api.crossref.org", "www.example.org.", "EXAMPLE.org", "10.0.0.1", ""] {
            let _ = config.connect_to.target(name, 443).map(|target: SocketAddr| target.port());
        }
        assert_eq!(config.connect_to.target("api.crossref.org", 0), None);
        assert!(config.proxy.is_none_or(|proxy| proxy.url().username().is_empty()));
        assert!(!config.insecure_hosts.iter().any(|name| name.contains(['*', '/', ':'])));
    });
}

#[tokio::test]
async fn a_mutated_url_is_refused_or_public_and_granted() {
    let seeds = [
        "https://api.example.org/works?q=1",
        "http://api.example.org:8443/x",
        "https://user:pw@api.example.org/",
        "http://0x7f.1/",
        "http://[::ffff:10.0.0.1]/",
        "https://2130706433:443/",
        "ftp://api.example.org/",
        "https://api.example.org.evil.example/",
    ];
    let granted = plugin(policy(&["api.example.org"]));
    let from = Url::parse("https://api.example.org/").unwrap();
    each_mutation(&seeds, |text| {
        let Ok(mut url) = Url::parse(text) else { return };
        if download().check(&url, false).is_ok() && guard::check_literal(&url).is_ok() {
            assert!(["http", "https"].contains(&url.scheme()) && url.username().is_empty());
            let address = match url.host() {
                Some(url::Host::Ipv4(address)) => Some(IpAddr::V4(address)),
                Some(url::Host::Ipv6(address)) => Some(IpAddr::V6(address)),
                _ => None,
            };
            assert!(address.is_none_or(guard::is_public), "{url}");
        }
        if granted.check(&url, false).is_ok() && granted.check_descent(Some(&from), &url).is_ok() {
            assert_eq!((url.scheme(), url.port()), ("https", None));
            assert_eq!(url.host_str().map(|host| host.trim_end_matches('.')), Some("api.example.org"));
        }
        granted.scrub(&mut url);
    });
}

#[test]
fn a_mutated_redirect_leads_to_a_url_or_nowhere() {
    let seeds =
        ["next?x=1#part", "//b.example/", "https://c.example:8443/é", "../..", "http://[", "?q", "data:,x"];
    let headers: HeaderMap = [("authorization", "secret"), ("accept", "x")]
        .iter()
        .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()))
        .collect();
    let url = Url::parse("https://a.example/dir/x?q=1").unwrap();
    let hop = Hop { method: Method::GET, url: url.clone(), headers, body: None };
    each_mutation(&seeds, |location| {
        let Ok(value) = http::HeaderValue::from_bytes(location.as_bytes()) else { return };
        let answered = HeaderMap::from_iter([(http::header::LOCATION, value)]);
        let Some(next) = redirect::next(&hop, StatusCode::FOUND, &answered) else { return };
        assert!(next.url.fragment().is_none());
        assert!(next.url.origin() == url.origin() || !next.headers.contains_key("authorization"));
    });
}

/// Every rule that scopes and requests are held to.
async fn rules() -> Vec<EgressError> {
    let world = World::new(|_| Reply::redirect("http://api.example.org/")).await;
    let mut rules = Vec::new();
    for url in ["ftp://a.example/", "https://u:p@a.example/", "https://a.example:22/"] {
        rules.push(world.get(url, &download()).await.unwrap_err());
    }
    rules.push(download().check(&"file:///x".parse().unwrap(), false).unwrap_err());
    let granted = plugin(policy(&["api.example.org"]));
    rules.push(world.get("https://other.example.org/", &granted).await.unwrap_err());
    rules.push(world.get("https://api.example.org/", &granted).await.unwrap_err());
    let mut request = Request::get("https://api.example.org/".parse().unwrap(), 1);
    request.headers.insert("cookie", "x".parse().unwrap());
    rules.push(world.egress.send(request, &granted).await.unwrap_err());
    for (header, secret) in [("two words", "s"), ("x-key", "line\nbreak")] {
        let injection = crate::Injection {
            host: "api.example.org".into(),
            header: Some(header.into()),
            query: None,
            secret: secret.into(),
        };
        let keyed = PluginPolicy { injections: vec![injection], ..policy(&["api.example.org"]) };
        rules.push(world.get("https://api.example.org/", &plugin(keyed)).await.unwrap_err());
    }
    let counted = |requests, bytes| {
        plugin(PluginPolicy { max_requests: requests, max_bytes: bytes, ..policy(&["api.example.org"]) })
    };
    rules.push(counted(Some(0), None).count_request().unwrap_err());
    rules.push(counted(None, Some(9)).count_bytes(10).unwrap_err());
    let limiter = KeyedLimiter::new(LimitRules::default(), FakeClock::at(NOW));
    let config = EgressConfig::default();
    rules.push(Egress::new(&config, Some("a\nb"), limiter, FakeClock::at(NOW)).unwrap_err());
    rules
}

/// What the sections and files of an operator are refused for.
fn sections(messages: &mut Messages) {
    for (when, text) in [
        ("a mapping without a port", r#"connect-to = { "doi.org" = "127.0.0.1:1" }"#),
        ("a mapping of an address", r#"connect-to = { "10.0.0.1:443" = "127.0.0.1:1" }"#),
        ("a mapping to a name", r#"connect-to = { "doi.org:443" = "localhost:1" }"#),
        ("a host that is no name", r#"insecure-hosts = ["*"]"#),
        ("a pattern that is none", r#"no-proxy = ["10.0.0.0/8"]"#),
        ("a name server that is no address", r#"name-servers = ["dns.example.org"]"#),
        ("a proxy that is no URL", r#"proxy = "proxy""#),
        ("a proxy of another kind", r#"proxy = "socks5://proxy.example.org""#),
        ("a proxy with a password", r#"proxy = "http://u:p@proxy.example.org""#),
        ("a proxy with a path", r#"proxy = "http://proxy.example.org/x""#),
    ] {
        messages.text(when, toml::from_str::<EgressConfig>(text).unwrap_err().message());
    }
}

/// Certificates that are none. The path is not the machine's.
fn certificates() -> EgressError {
    let file = tempfile::NamedTempFile::new().unwrap();
    let config = EgressConfig { extra_ca_certs: vec![file.path().into()], ..EgressConfig::default() };
    let limiter = KeyedLimiter::new(LimitRules::default(), FakeClock::at(NOW));
    match Egress::new(&config, None, limiter, FakeClock::at(NOW)) {
        Err(EgressError::CaCerts { source, .. }) => EgressError::CaCerts { path: "ca.pem".into(), source },
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn messages_are_as_they_were_read_and_approved() {
    let mut messages = Messages::new();
    let host = || "api.example.org".to_owned();
    let key = || Key::Host(gleaner_model::key::HostKey::from_normalised("api.example.org"));
    let seconds = Duration::from_secs;
    rules().await.iter().for_each(|rule| messages.error(rule));
    messages.error(&certificates());
    messages.error(&EgressError::Config(
        "no HTTP client: no certificates; install the system's CA certificates or set extra-ca-certs".into(),
    ));
    let blocked = |retry_in, why| EgressError::Blocked(Blocked { key: key(), retry_in, why });
    for error in [
        EgressError::PrivateAddress { host: host(), address: [10, 0, 0, 7].into() },
        EgressError::Dns { host: host(), detail: "the name exists, without addresses".into() },
        EgressError::Connection { host: host(), detail: "connection reset by peer".into() },
        EgressError::Connection { host: host(), detail: "the body cannot be decompressed: corrupt".into() },
        EgressError::Tls { host: host(), detail: "invalid peer certificate: Expired".into() },
        EgressError::Timeout { host: host(), stage: Stage::Connect, after: seconds(10) },
        EgressError::Timeout { host: host(), stage: Stage::Headers, after: seconds(60) },
        EgressError::Timeout { host: host(), stage: Stage::Idle, after: seconds(30) },
        EgressError::Timeout { host: host(), stage: Stage::Whole, after: seconds(600) },
        EgressError::TooLarge { host: host(), cap: 16 << 20 },
        EgressError::Bomb { host: host(), packed: 12_000, unpacked: 1_212_416, ratio: 100 },
        EgressError::Truncated { host: host(), received: 7, declared: Some(9) },
        EgressError::Truncated { host: host(), received: 7, declared: None },
        EgressError::RedirectLoop { host: host() },
        EgressError::TooManyRedirects { max: 10, host: host() },
        blocked(Some(seconds(90)), Why::Cooldown),
        blocked(Some(seconds(60)), Why::Breaker),
        blocked(Some(seconds(7200)), Why::Budget),
        blocked(Some(seconds(3)), Why::Rate),
        blocked(None, Why::Full),
        blocked(None, Why::Paused),
        blocked(None, Why::NotOwned),
        EgressError::Throttled {
            key: key(),
            status: StatusCode::TOO_MANY_REQUESTS,
            retry_after: seconds(60),
        },
        EgressError::NoContact { host: host() },
        EgressError::Robots { host: host() },
        EgressError::RobotsUnreachable {
            host: host(),
            detail: "503 Service Unavailable".into(),
            reason: gleaner_model::reason::Reason::RobotsDisallowed,
            again: Duration::from_secs(300),
        },
    ] {
        messages.error(&error);
    }
    messages.error(&RouteError::Private([10, 0, 0, 7].into()));
    for detail in [
        "the name exists, without addresses",
        "there is no such name, or it has no address",
        "only the proxy's name is looked up for requests that go through it",
    ] {
        messages.error(&RouteError::NoAddress(detail.into()));
    }
    for problem in ["proxy: builder error", "no DNS: no name server; see name-servers"] {
        messages.error(&EgressError::Config(problem.into()));
    }
    // As logs have them; tests that run the program see them there.
    for (when, text) in [
        (
            "a host in insecure-hosts, at the start",
            "the certificate of old.example.org is not checked, since it is in egress.insecure-hosts",
        ),
        (
            "a host in insecure-hosts, at each request",
            "old.example.org is asked without checking its certificate (egress.insecure-hosts)",
        ),
        (
            "a machine without name servers",
            "/etc/resolv.conf names no name server (io error: no nameservers found in config); 127.0.0.1 is asked",
        ),
        (
            "a host without https",
            "old.example.org is asked over plain http, since over https it cannot be: TLS with old.example.org failed: \
             invalid peer certificate: Expired",
        ),
        (
            "a host that wants no https",
            "old.example.org leads from https back to plain http, and is asked there",
        ),
        ("a packed body of nothing", "1064960 bytes unpack to less than half of that"),
    ] {
        messages.text(when, text);
    }
    sections(&mut messages);
    // Two that no caller can bring about, since a URL is checked before: kept from going unread all the same.
    for rule in [
        "a URL without a host",
        "\"a b\" is no host name",
        "wiki, a name of the local network, through the proxy",
        "\"a{b}.example\" cannot be asked: invalid uri character",
    ] {
        messages.error(&EgressError::Denied { rule: rule.into() });
    }
    messages.assert_approved(env!("CARGO_MANIFEST_DIR"));
}
