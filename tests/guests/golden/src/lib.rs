//! Test guest `golden`: uses every function and every field of `gleaner:resolver@0.1.0`, straight from its bindings, so
//! that a host which converts one of them wrongly is found out.
//!
//! The component that this source gave at the release of 0.1.0 is kept beside the host's tests, and never built anew:
//! see `host/runtime/tests/golden/README.md`. Must never follow a later version of the interface; that one gets a guest
//! of its own. Formatting is left out, since it would be the larger half of the component.
//!
//! What it does is the query's title: `echo`, `send`, `send-all`, `log`, `config`, `clock`, `retry`, `rate-limited`,
//! `give-up`; anything else traps.
#![allow(unsafe_code, missing_docs, unreachable_pub, reason = "generated; documented in the WIT package")]

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit/resolver-0.1.0",
        world: "resolver-plugin",
    });
}

use bindings::exports::gleaner::resolver::resolver::{Guest, Info};
use bindings::gleaner::resolver::http::{self, Error, Request, Response};
use bindings::gleaner::resolver::log::{Level, log};
use bindings::gleaner::resolver::types::{
    Candidate, CandidateKind, Disposition, Failure, Field, Identifier, Query, Resolution,
};
use bindings::gleaner::resolver::{clock, config};

struct Golden;

// Elsewhere the names of the exports do not link.
#[cfg(target_arch = "wasm32")]
bindings::export!(Golden with_types_in bindings);
#[cfg(not(target_arch = "wasm32"))]
const _: fn() -> Info = <Golden as Guest>::describe;
#[cfg(not(target_arch = "wasm32"))]
const _: fn(Query) -> Result<Resolution, Failure> = <Golden as Guest>::resolve;

impl Guest for Golden {
    fn describe() -> Info {
        Info {
            name: "golden".into(),
            version: "0.1.0-golden.1".into(),
            summary: "Uses every part of the interface".into(),
            // Nothing that other suites ask about: they load every guest.
            takes: vec!["golden".into(), "doi:10.9999/golden.".into(), "arxiv:9912.".into()],
            hosts: vec!["files.example.org".into(), "api.example.org".into()],
            settings: vec![field("contact!", "who asks"), field("base-url", "where to")],
        }
    }

    fn resolve(query: Query) -> Result<Resolution, Failure> {
        match query.title.as_deref() {
            Some("echo") => Ok(echo(query)),
            Some("send") => Ok(extra(sent(http::send(&post(&query))))),
            Some("send-all") => {
                let requests: Vec<Request> = query.urls.iter().map(|url| get(url)).collect();
                Ok(extra(http::send_all(&requests).into_iter().flat_map(sent).collect()))
            }
            Some("log") => {
                for (level, name) in [
                    (Level::Debug, "debug"),
                    (Level::Info, "info"),
                    (Level::Warn, "warn"),
                    (Level::Error, "error"),
                ] {
                    log(level, name, &[field("a", "1"), field("b", "2")]);
                }
                Ok(extra(Vec::new()))
            }
            Some("config") => {
                let value = |key: &str| config::get(key).unwrap_or_else(|| "(none)".into());
                Ok(extra(vec![field("contact", &value("contact")), field("missing", &value("missing"))]))
            }
            Some("clock") => Ok(extra(vec![field("now-ms", &number(clock::now_ms()))])),
            Some("retry") => Err(failure(Disposition::Retry)),
            Some("rate-limited") => Err(failure(Disposition::RateLimited)),
            Some("give-up") => Err(failure(Disposition::GiveUp)),
            _ => std::process::abort(),
        }
    }
}

/// Every field of the query, and an answer with everything in it.
fn echo(query: Query) -> Resolution {
    let identifiers: Vec<String> =
        query.identifiers.into_iter().map(|id| [id.scheme, id.value].join(":")).collect();
    let fields = [
        ("job", query.job),
        ("attempt", number(query.attempt.into())),
        ("deadline-ms", number(query.deadline_ms.into())),
        ("identifiers", identifiers.join(" ")),
        ("authors", query.authors.join(" & ")),
        ("year", query.year.map_or_else(String::new, |year| number(year.into()))),
        ("urls", query.urls.join(" ")),
        ("landing-pages", query.landing_pages.join(" ")),
        ("failed-urls", query.failed_urls.join(" ")),
        ("metadata", query.metadata.unwrap_or_default()),
    ];
    Resolution {
        candidates: vec![
            Candidate {
                url: "https://files.example.org/1.pdf".into(),
                kind: CandidateKind::File,
                media_type: Some("application/pdf".into()),
                version: Some("accepted".into()),
                license: Some("cc-by".into()),
                host_type: Some("repository".into()),
                confidence: Some(0.75),
                extra: vec![field("shelf", "7")],
            },
            Candidate {
                url: "https://files.example.org/1".into(),
                kind: CandidateKind::LandingPage,
                media_type: None,
                version: None,
                license: None,
                host_type: None,
                confidence: None,
                extra: Vec::new(),
            },
        ],
        discovered: vec![Identifier { scheme: "pmid".into(), value: "12345".into() }],
        extra: fields.iter().map(|(key, value)| field(key, value)).collect(),
    }
}

/// A request with every field set, to the first URL.
fn post(query: &Query) -> Request {
    Request {
        method: "POST".into(),
        headers: vec![field("accept", "text/plain"), field("x-two", "a"), field("x-two", "b")],
        body: Some(b"the body".to_vec()),
        timeout_ms: Some(4321),
        max_bytes: Some(1234),
        ..get(query.urls.first().map_or("", String::as_str))
    }
}

fn get(url: &str) -> Request {
    Request {
        method: "GET".into(),
        url: url.into(),
        headers: Vec::new(),
        body: None,
        timeout_ms: None,
        max_bytes: None,
    }
}

/// Everything of an answer, or which error with what it carries.
fn sent(outcome: Result<Response, Error>) -> Vec<Field> {
    let (name, value) = match outcome {
        Ok(response) => {
            let headers: Vec<String> =
                response.headers.into_iter().map(|header| [header.key, header.value].join("=")).collect();
            return vec![
                field("status", &number(response.status.into())),
                field("url", &response.url),
                field("headers", &headers.join(" ")),
                field("body", &String::from_utf8(response.body).unwrap_or_default()),
                field("from-cache", if response.from_cache { "yes" } else { "no" }),
            ];
        }
        Err(Error::Denied(rule)) => ("denied", rule),
        Err(Error::Timeout) => ("timeout", String::new()),
        Err(Error::TooLarge(most)) => ("too-large", number(most)),
        Err(Error::RateLimited(wait)) => ("rate-limited", wait.map_or_else(String::new, number)),
        Err(Error::Transport(cause)) => ("transport", cause),
    };
    vec![field(name, &value)]
}

fn failure(disposition: Disposition) -> Failure {
    Failure {
        disposition,
        code: "http-status".into(),
        message: "as ordered".into(),
        retry_after_ms: Some(2500),
        upstream_status: Some(503),
    }
}

fn extra(extra: Vec<Field>) -> Resolution {
    Resolution { candidates: Vec::new(), discovered: Vec::new(), extra }
}

fn field(key: &str, value: &str) -> Field {
    Field { key: key.into(), value: value.into() }
}

/// In decimal.
fn number(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from(b'0' + (number % 10) as u8));
        number /= 10;
        if number == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_written_in_decimal() {
        for n in [0, 7, 10, 4321, u64::MAX] {
            assert_eq!(number(n), n.to_string());
        }
    }
}
