//! Who may ask: by the server's own names, with the token, from its own pages; and what browsers are told.
//!
//! Must never look at a body, and never compare a secret byte by byte.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::config::{ServeConfig, Token};
use crate::error::ServeError;
use crate::page;
use crate::problem::Problem;
use crate::site::Site;

/// Everything is the server's own: no script or style but its files, nothing framed, nothing sent elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// What browsers are told with every answer.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Who may ask.
pub(crate) struct Access {
    token: watch::Receiver<Token>,
    hosts: Vec<String>,
    /// Stands in every form of this process: a page of another site cannot know it.
    form_token: String,
}

impl Access {
    pub(crate) fn new(config: &ServeConfig, token: watch::Receiver<Token>) -> Result<Self, ServeError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| ServeError::Random { detail: error.to_string() })?;
        let form_token = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let hosts = config.hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        Ok(Self { token, hosts, form_token })
    }

    /// What has to be shown, as it changes.
    pub(crate) fn token(&self) -> watch::Receiver<Token> {
        self.token.clone()
    }

    /// What forms carry.
    pub(crate) fn form_token(&self) -> &str {
        &self.form_token
    }

    /// Whether that is what forms carry.
    pub(crate) fn check_form(&self, given: &str) -> Result<(), Problem> {
        if hash(given) == hash(&self.form_token) {
            return Ok(());
        }
        let detail = "the form is not one of this server, or of an earlier start of it";
        Err(foreign(detail, "load the page again, and send its form"))
    }

    /// DNS rebinding makes a stranger's name lead here; an address does not.
    fn check_host(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let name = without_port(host).to_ascii_lowercase();
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let is_own =
            name == "localhost" || bare.parse::<std::net::IpAddr>().is_ok() || self.hosts.contains(&name);
        if is_own {
            return Ok(());
        }
        let detail = format!("it was asked for as {name:?}, which is not one of its names");
        let to_do = "ask by address, or add the name to hosts in [serve]";
        let status = StatusCode::MISDIRECTED_REQUEST;
        Err(Problem::new(status, "foreign-host", "This server has another name", detail, to_do))
    }

    pub(crate) fn check_token(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let token = *self.token.borrow();
        if token.is_none() {
            return Ok(());
        }
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.split_once(' ')).and_then(|(scheme, value)| {
            match scheme.to_ascii_lowercase().as_str() {
                "bearer" => Some(value.trim().as_bytes().to_vec()),
                // What a browser sends: any user, and the token as the password.
                "basic" => password(value.trim()),
                _ => None,
            }
        });
        if given.is_some_and(|given| token.is(&given)) {
            return Ok(());
        }
        let detail = "the request has no token, or another one";
        let to_do =
            "send authorization: Bearer TOKEN; in a browser, give the token as the password, with any user";
        Err(Problem::new(StatusCode::UNAUTHORIZED, "no-token", "A token is needed", detail, to_do))
    }
}

/// A change must come from a page of this server, or from no page at all.
fn check_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let is_own = match (text(HeaderName::from_static("sec-fetch-site")), text(header::ORIGIN)) {
        (Some(site), _) => site == "same-origin" || site == "none",
        (None, Some(origin)) => {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            authority.is_some() && authority == text(header::HOST)
        }
        (None, None) => true,
    };
    if is_own {
        return Ok(());
    }
    let detail = "a page of another site asked for a change";
    Err(foreign(detail, "use the pages of this server, or its API from a program"))
}

fn foreign(detail: &str, to_do: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "foreign-site", "The request comes from elsewhere", detail, to_do)
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

/// The password of Basic credentials (RFC 7617).
fn password(encoded: &str) -> Option<Vec<u8>> {
    let mut bytes = STANDARD.decode(encoded).ok()?;
    let colon = bytes.iter().position(|byte| *byte == b':')?;
    Some(bytes.split_off(colon + 1))
}

/// Lets through who may ask, and tells browsers what to keep to.
pub(crate) async fn guard(State(site): State<Site>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let is_for_people = !path.starts_with("/api/")
        && request
            .headers()
            .get(header::ACCEPT)
            .and_then(|accept| accept.to_str().ok())
            .is_some_and(|accept| accept.contains("text/html"));
    let checked = check(&site, &request, &path);
    let is_stranger = checked.is_err() || site.access.check_token(request.headers()).is_err();
    let mut response = match checked {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    if let Some(problem) = response.extensions_mut().remove::<Problem>().filter(|_| is_for_people) {
        response = page::problem(&site, &problem, is_stranger);
    }
    let is_unknown = response.status() == StatusCode::UNAUTHORIZED;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if is_unknown {
        // A browser asks its user; a program must not make it ask.
        let way = if is_for_people { "Basic realm=\"gleaner\", charset=\"UTF-8\"" } else { "Bearer" };
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(way));
    }
    response
}

fn check(site: &Site, request: &Request, path: &str) -> Result<(), Problem> {
    let headers = request.headers();
    site.access.check_host(headers)?;
    let is_open = ["/healthz", "/readyz"].contains(&path) || path.starts_with("/static/");
    if !is_open {
        site.access.check_token(headers)?;
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        check_origin(headers)?;
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn config(hosts: Vec<String>) -> ServeConfig {
        ServeConfig { listen: ([127, 0, 0, 1], 0).into(), token: None, hosts }
    }

    pub(crate) fn token(text: Option<&str>) -> Token {
        config(Vec::new()).token(text).unwrap()
    }

    fn access(text: Option<&str>) -> Access {
        Access::new(&config(Vec::new()), watch::channel(token(text)).1).unwrap()
    }

    pub(crate) fn no_token() -> Problem {
        access(Some("sesame-sesame-16")).check_token(&HeaderMap::new()).unwrap_err()
    }

    pub(crate) fn foreign_host() -> Problem {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("evil.example"));
        access(None).check_host(&headers).unwrap_err()
    }

    pub(crate) fn foreign_page() -> Problem {
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, HeaderValue::from_static("https://evil.example"));
        check_origin(&headers).unwrap_err()
    }

    pub(crate) fn foreign_form() -> Problem {
        access(None).check_form("guessed").unwrap_err()
    }

    #[test]
    fn names_of_the_server_are_told_from_others() {
        let access =
            Access::new(&config(vec!["Gleaner.example".into()]), watch::channel(token(None)).1).unwrap();
        let answers = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            access.check_host(&headers).is_ok()
        };
        for own in [
            "localhost",
            "LOCALHOST:8417",
            "127.0.0.1:1",
            "[::1]:8417",
            "[::1]",
            "10.0.0.7",
            "gleaner.example:80",
        ] {
            assert!(answers(own), "{own}");
        }
        for foreign in [
            "",
            "evil.example",
            "localhost.evil.example:8417",
            "127.0.0.1.nip.example",
            "gleaner.example.org",
        ] {
            assert!(!answers(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_token_is_shown_as_bearer_or_password() {
        let access = access(Some("sesame-sesame-16"));
        let passes = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            access.check_token(&headers).is_ok()
        };
        // "me:sesame-sesame-16" and ":sesame-sesame-16".
        for right in [
            "Bearer sesame-sesame-16",
            "bearer  sesame-sesame-16",
            "Basic bWU6c2VzYW1lLXNlc2FtZS0xNg==",
            "Basic OnNlc2FtZS1zZXNhbWUtMTY=",
        ] {
            assert!(passes(right), "{right}");
        }
        for wrong in
            ["", "Bearer", "Bearer sesame", "Basic sesame-sesame-16", "Basic bWU=", "Digest sesame-sesame-16"]
        {
            assert!(!passes(wrong), "{wrong}");
        }
        assert!(access.check_token(&HeaderMap::new()).is_err());
    }

    #[test]
    fn a_change_comes_from_here_or_from_no_page() {
        let passes = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            check_origin(&pairs.collect()).is_ok()
        };
        assert!(passes(&[]));
        assert!(passes(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
        assert!(passes(&[("sec-fetch-site", "none")]));
        assert!(passes(&[("origin", "http://127.0.0.1:8417"), ("host", "127.0.0.1:8417")]));
        assert!(!passes(&[("sec-fetch-site", "cross-site")]));
        assert!(!passes(&[
            ("sec-fetch-site", "same-site"),
            ("origin", "http://127.0.0.1:8417"),
            ("host", "127.0.0.1:8417")
        ]));
        assert!(!passes(&[("origin", "http://127.0.0.1:9999"), ("host", "127.0.0.1:8417")]));
        assert!(!passes(&[("origin", "null"), ("host", "127.0.0.1:8417")]));
    }

    #[test]
    fn mutated_credentials_are_refused() {
        gleaner_testing::each_mutation(&["bWU6c2VzYW1lLXNlc2FtZS0xNg==", "Og=="], |text| {
            let _ = password(text);
        });
    }
}
