//! Resolver `{{name}}`: where a DOI leads to, by the handle system's API
//! (<https://www.doi.org/the-identifier/resources/handbook/3-resolution>). It works as it is: put your source in its
//! place. `wit/resolver.wit` says what every type means.

wit_bindgen::generate!({ path: "wit", world: "resolver-plugin" });

use exports::gleaner::resolver::resolver::{Guest, Info};
use gleaner::resolver::http::{self, Error, Request};
use gleaner::resolver::types::{Candidate, CandidateKind, Disposition, Failure, Query, Resolution};

const BASE: &str = "https://doi.org";

#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "tests run what it calls"))]
struct Component;

// Elsewhere than in a component nobody calls it, and a system's linker does not take its symbols.
#[cfg(target_arch = "wasm32")]
export!(Component);

impl Guest for Component {
    fn describe() -> Info {
        Info {
            name: "{{name}}".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Where a DOI leads to".into(),
            takes: vec!["doi".into()],
            hosts: vec!["doi.org".into()],
            settings: Vec::new(),
        }
    }

    fn resolve(query: Query) -> Result<Resolution, Failure> {
        let doi = query.identifiers.iter().find(|identifier| identifier.scheme == "doi");
        let Some(doi) = doi else { return Ok(answer(None)) };
        let base = gleaner::resolver::config::get("base-url").unwrap_or(BASE.into());
        let url = format!("{base}/api/handles/{}?type=URL", encoded(&doi.value));
        let request =
            Request { method: "GET".into(), url, headers: Vec::new(), body: None, timeout_ms: None, max_bytes: None };
        let response = http::send(&request).map_err(failure_of_error)?;
        match response.status {
            200..=299 => Ok(answer(page(&response.body)?)),
            // The source does not know it: an answer, not a failure.
            404 | 410 => Ok(answer(None)),
            status => Err(failure_of_status(status)),
        }
    }
}

/// What the source's answer names: a landing page. No page is an answer too; what is none of both is a failure.
fn page(body: &[u8]) -> Result<Option<String>, Failure> {
    let json: serde_json::Value = serde_json::from_slice(body)
        .map_err(|error| failure(Disposition::Retry, "bad-json", format!("doi.org answered no JSON: {error}")))?;
    let values = json["values"].as_array().ok_or_else(|| {
        failure(Disposition::GiveUp, "unknown-shape", "doi.org answered something that lists no values".into())
    })?;
    let url = values.iter().find(|value| value["type"] == "URL").and_then(|value| value["data"]["value"].as_str());
    Ok(url.map(str::to_owned))
}

fn answer(page: Option<String>) -> Resolution {
    let candidate = |url| Candidate {
        url,
        kind: CandidateKind::LandingPage,
        media_type: None,
        version: None,
        license: None,
        host_type: None,
        confidence: None,
        extra: Vec::new(),
    };
    Resolution { candidates: page.into_iter().map(candidate).collect(), discovered: Vec::new(), extra: Vec::new() }
}

/// A value as a path may carry it: all but letters, digits and `-._~/` percent-encoded.
fn encoded(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    value.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn failure(disposition: Disposition, code: &str, message: String) -> Failure {
    Failure { disposition, code: code.into(), message, retry_after_ms: None, upstream_status: None }
}

/// No answer came. What may pass is tried again.
fn failure_of_error(error: Error) -> Failure {
    match error {
        Error::Denied(rule) => failure(Disposition::GiveUp, "denied", format!("doi.org may not be asked: {rule}")),
        Error::TooLarge(most) => failure(Disposition::GiveUp, "too-large", format!("more than {most} bytes")),
        Error::RateLimited(after) => {
            let limited = failure(Disposition::RateLimited, "rate-limited", "doi.org asks to slow down".into());
            Failure { retry_after_ms: after, ..limited }
        }
        Error::Timeout => failure(Disposition::Retry, "timeout", "doi.org gave no answer in time".into()),
        Error::Transport(why) => failure(Disposition::Retry, "transport", format!("doi.org was not reached: {why}")),
    }
}

/// An answer came, and it is no success.
fn failure_of_status(status: u16) -> Failure {
    let (disposition, code) = match status {
        429 => (Disposition::RateLimited, "rate-limited"),
        408 | 425 | 500.. => (Disposition::Retry, "http-status"),
        _ => (Disposition::GiveUp, "http-status"),
    };
    Failure { upstream_status: Some(status), ..failure(disposition, code, format!("doi.org answered status {status}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_found_or_there_is_none() {
        let body = br#"{"responseCode":1,"values":[{"type":"X"},{"type":"URL","data":{"value":"https://a.example/1"}}]}"#;
        assert_eq!(page(body).unwrap().as_deref(), Some("https://a.example/1"));
        assert_eq!(page(br#"{"values":[{"type":"URL","data":7}]}"#).unwrap(), None);
        assert_eq!(page(b"{}").unwrap_err().code, "unknown-shape");
        assert_eq!(page(b"<html>").unwrap_err().code, "bad-json");
    }

    #[test]
    fn what_a_path_cannot_carry_is_encoded() {
        assert_eq!(encoded("10.1000/a b?c"), "10.1000/a%20b%3Fc");
    }
}
