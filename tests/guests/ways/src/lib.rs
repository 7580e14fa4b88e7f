//! Test guest `ways`: sends the requests that a work's `order` describes through the way that it names, and reports in
//! the same words whichever way that was. Must never decide what is right.
//!
//! An order is a JSON object beside the DOI, see [`Order`]. What came of it is told in `extra`: `outcome` is `answer`,
//! `denied`, `timeout`, `too-large`, `rate-limited` or `transport`, of the first request that was not answered, else of
//! the last one; `told` is what else the guest learnt. With `fail` an outcome other than `answer` is a failure instead.

mod wasi;

use gleaner_sdk::{Failure, Field, Host, HttpError, Info, Query, Request, Resolution, Resolver, Url};
use serde::Deserialize;

/// Sends what it is told to.
#[derive(Debug)]
pub struct Ways;

gleaner_sdk::export_resolver!(Ways);

/// What to send, and how.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Order {
    way: Way,
    url: String,
    method: String,
    headers: Vec<(String, String)>,
    /// Bytes to send; none sends no body.
    body: Option<usize>,
    timeout_ms: Option<u32>,
    /// Requests, one after the other.
    times: usize,
    /// Requests at once. `send` sends them one after the other.
    at_once: usize,
    fail: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Way {
    Send,
    SendAll,
    Wasi,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            way: Way::Send,
            url: String::new(),
            method: "GET".to_owned(),
            headers: Vec::new(),
            body: None,
            timeout_ms: None,
            times: 1,
            at_once: 1,
            fail: false,
        }
    }
}

/// What came of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome {
    /// In the words of `gleaner:resolver/http`.
    word: &'static str,
    told: String,
    status: u16,
    url: String,
    body: usize,
}

impl Outcome {
    fn refused(word: &'static str, told: impl Into<String>) -> Self {
        Self { word, told: told.into(), status: 0, url: String::new(), body: 0 }
    }

    fn answer(status: u16, url: String, body: usize) -> Self {
        Self { word: "answer", told: String::new(), status, url, body }
    }
}

impl Resolver for Ways {
    fn describe() -> Info {
        Info::new("ways", env!("CARGO_PKG_VERSION"), "Sends requests as it is told")
            .takes("doi:10.5555/")
            .host("files.example.org")
    }

    fn resolve(query: &Query, host: &impl Host) -> Result<Resolution, Failure> {
        #[derive(Deserialize)]
        struct Metadata {
            order: Order,
        }
        let Some(text) = &query.metadata else { return Ok(Resolution::none()) };
        let metadata: Metadata =
            serde_json::from_str(text).map_err(|error| Failure::give_up("bad-order", error.to_string()))?;
        let order = metadata.order;
        let mut outcomes = Vec::new();
        for _ in 0..order.times {
            outcomes.extend(match order.way {
                Way::Send => (0..order.at_once).map(|_| told(host.send(&request(&order)))).collect(),
                Way::SendAll => {
                    let answers = host.send_all(&vec![request(&order); order.at_once]);
                    answers.into_iter().map(told).collect()
                }
                Way::Wasi => wasi::send_all(&order),
            });
        }
        let refused = outcomes.iter().find(|outcome| outcome.word != "answer");
        let Some(outcome) = refused.or(outcomes.last()) else { return Ok(Resolution::none()) };
        if order.fail && outcome.word != "answer" {
            return Err(Failure::give_up(outcome.word, outcome.told.clone()));
        }
        let field = |key: &str, value: String| Field { key: key.to_owned(), value };
        let extra = vec![
            field("outcome", outcome.word.to_owned()),
            field("told", outcome.told.chars().take(500).collect()),
            field("status", outcome.status.to_string()),
            field("url", outcome.url.chars().take(500).collect()),
            field("body", outcome.body.to_string()),
        ];
        Ok(Resolution { extra, ..Resolution::none() })
    }
}

/// The order's request in the words of `gleaner:resolver/http`.
fn request(order: &Order) -> Request {
    let field = |(key, value): &(String, String)| Field { key: key.clone(), value: value.clone() };
    Request {
        method: order.method.clone(),
        url: order.url.clone(),
        headers: order.headers.iter().map(field).collect(),
        body: order.body.map(|bytes| vec![b'x'; bytes]),
        timeout_ms: order.timeout_ms,
        ..Request::get(&Url::new(""))
    }
}

fn told(answer: Result<gleaner_sdk::Response, HttpError>) -> Outcome {
    match answer {
        Ok(answer) => Outcome::answer(answer.status, answer.url, answer.body.len()),
        Err(HttpError::Denied(rule)) => Outcome::refused("denied", rule),
        Err(HttpError::Timeout) => Outcome::refused("timeout", ""),
        Err(HttpError::TooLarge(most)) => Outcome::refused("too-large", most.to_string()),
        Err(HttpError::RateLimited(wait)) => {
            Outcome::refused("rate-limited", wait.map_or_else(String::new, |ms| format!("{ms} ms")))
        }
        Err(HttpError::Transport(cause)) => Outcome::refused("transport", cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gleaner_sdk::testing::{FakeHost, query};

    const URL: &str = "https://files.example.org/x";

    fn resolve(order: &str, host: &FakeHost) -> Vec<String> {
        let query =
            Query { metadata: Some(format!(r#"{{"order":{order}}}"#)), ..query(&[("doi", "10.5555/x")]) };
        let extra = Ways::resolve(&query, host).unwrap().extra;
        extra.into_iter().map(|field| format!("{}={}", field.key, field.value)).collect()
    }

    #[test]
    fn both_ways_of_the_interface_report_alike() {
        for way in ["send", "send-all"] {
            let host = FakeHost::new().answer(URL, 200, "body");
            let order = format!(r#"{{"way":"{way}","url":"{URL}","times":2,"at-once":3}}"#);
            let told = resolve(&order, &host);
            assert!(told.contains(&"outcome=answer".to_owned()), "{told:?}");
            assert!(told.contains(&"body=4".to_owned()), "{told:?}");
            assert_eq!(host.sent().len(), 6);
            let told = resolve(&format!(r#"{{"way":"{way}","url":"https://other.example/"}}"#), &host);
            assert!(told.contains(&"outcome=denied".to_owned()), "{told:?}");
        }
    }

    #[test]
    fn an_order_with_a_typing_mistake_is_not_carried_out() {
        let query = Query {
            metadata: Some(r#"{"order":{"wey":"send"}}"#.to_owned()),
            ..query(&[("doi", "10.5555/x")])
        };
        assert_eq!(Ways::resolve(&query, &FakeHost::new()).unwrap_err().code, "bad-order");
    }
}
