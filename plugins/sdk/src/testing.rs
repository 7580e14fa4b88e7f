//! A host whose answers a test writes, so that a whole [`Resolver::resolve`](crate::Resolver::resolve) runs as an
//! ordinary test, and what every resolver owes whatever its service answers. Must never reach a network.

use crate::{
    BatchResolver, Disposition, Failure, Host, HttpError, Identifier, Level, Query, Request, Resolution,
    Response, answers::field, clean_url,
};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::HashMap;

/// A host that answers by URL. What has no answer is denied, as the real host denies what was not granted.
#[derive(Debug, Default)]
pub struct FakeHost {
    answers: HashMap<String, Result<Response, HttpError>>,
    settings: HashMap<String, String>,
    sent: RefCell<Vec<Request>>,
    logged: RefCell<Vec<String>>,
}

impl FakeHost {
    /// Without answers and settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers this exact URL with a status and a body.
    pub fn answer(self, url: &str, status: u16, body: impl Into<Vec<u8>>) -> Self {
        self.outcome(url, Ok(response(status, body)))
    }

    /// Answers this exact URL with a response of the test's own, or an error.
    pub fn outcome(mut self, url: &str, outcome: Result<Response, HttpError>) -> Self {
        self.answers.insert(url.to_owned(), outcome);
        self
    }

    /// Sets a setting.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.insert(key.to_owned(), value.to_owned());
        self
    }

    /// All that was sent, in order.
    pub fn sent(&self) -> Vec<Request> {
        self.sent.borrow().clone()
    }

    /// All messages, in order, without their fields.
    pub fn logged(&self) -> Vec<String> {
        self.logged.borrow().clone()
    }
}

impl Host for FakeHost {
    fn send(&self, request: &Request) -> Result<Response, HttpError> {
        self.sent.borrow_mut().push(request.clone());
        let denied = || Err(HttpError::Denied(format!("the test has no answer for {}", request.url)));
        self.answers.get(&request.url).cloned().unwrap_or_else(denied)
    }

    fn send_all(&self, requests: &[Request]) -> Vec<Result<Response, HttpError>> {
        requests.iter().map(|request| self.send(request)).collect()
    }

    fn setting(&self, key: &str) -> Option<String> {
        self.settings.get(key).cloned()
    }

    fn log(&self, _level: Level, message: &str, _fields: &[(&str, &str)]) {
        self.logged.borrow_mut().push(message.to_owned());
    }

    /// 2026-01-01T00:00:00Z.
    fn now_ms(&self) -> u64 {
        1_767_225_600_000
    }
}

/// An answer without headers; [`Response::with_header`] adds one.
pub fn response(status: u16, body: impl Into<Vec<u8>>) -> Response {
    Response { status, url: String::new(), headers: Vec::new(), body: body.into(), from_cache: false }
}

impl Response {
    /// Adds a header, for tests.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push(field(name, value));
        self
    }
}

/// A query for a work with these identifiers, and nothing else known of it.
pub fn query(identifiers: &[(&str, &str)]) -> Query {
    Query {
        job: "test".to_owned(),
        attempt: 1,
        deadline_ms: 60_000,
        identifiers: identifiers.iter().map(|(scheme, value)| Identifier::new(scheme, value)).collect(),
        title: None,
        authors: Vec::new(),
        year: None,
        urls: Vec::new(),
        landing_pages: Vec::new(),
        failed_urls: Vec::new(),
        metadata: None,
    }
}

/// Asks about these works together, with the first request for them answered so: the answers, and that request.
///
/// # Panics
/// When nothing is asked, or another number of answers comes.
pub fn together<R: BatchResolver>(
    queries: &[Query],
    host: impl Fn() -> FakeHost,
    body: impl ToString,
) -> (Vec<Result<Resolution, Failure>>, Request) {
    let probe = host();
    let _ = R::resolve_many(queries, &probe);
    let request = probe.sent().swap_remove(0);
    let answers = R::resolve_many(queries, &host().answer(&request.url, 200, body.to_string()));
    assert_eq!(answers.len(), queries.len());
    (answers, request)
}

/// What the ways there can fail with, of works that are asked about together: each has the failure.
///
/// # Panics
/// When one has not.
pub fn assert_each_fails<R: BatchResolver>(queries: &[Query], body: impl ToString) {
    let (answers, _) = together::<R>(queries, FakeHost::new, body);
    let is_shared = answers.iter().all(|answer| answer.is_err() && *answer == answers[0]);
    assert!(is_shared, "{answers:?}");
}

/// The URLs of an answer, in order.
pub fn urls(resolution: &Resolution) -> Vec<&str> {
    resolution.candidates.iter().map(|candidate| candidate.url.as_str()).collect()
}

/// What a resolver made of an answer that may have been cut or garbled on its way: its URLs.
///
/// # Panics
/// When it proposes what is no http URL, or fails with another code than `bad-json` and `unknown-shape`.
pub fn urls_read(outcome: &Result<Resolution, Failure>) -> Vec<&str> {
    match outcome {
        Ok(resolution) => {
            let urls = urls(resolution);
            assert!(urls.iter().all(|url| clean_url(url).as_deref() == Some(*url)), "{urls:?}");
            urls
        }
        Err(failure) => {
            assert!(["bad-json", "unknown-shape"].contains(&failure.code.as_str()), "{failure:?}");
            Vec::new()
        }
    }
}

/// A service whose answers changed their shape must be noticed, and not taken for one that has nothing.
///
/// # Panics
/// When a body is taken for an answer, or its failure would be tried again.
pub fn assert_unknown_shapes<B: ToString>(
    bodies: impl IntoIterator<Item = B>,
    resolve: impl Fn(String) -> Result<Resolution, Failure>,
) {
    for body in bodies {
        let body = body.to_string();
        let said = resolve(body.clone()).map_err(|failure| (failure.code, failure.disposition));
        assert_eq!(said, Err(("unknown-shape".to_owned(), Disposition::GiveUp)), "{body}");
    }
}

/// Failures of the way to a service reach the queue as what they are. `host` has what the resolver needs but
/// answers, and `url` is what it asks for first.
///
/// # Panics
/// When a failure has become another.
pub fn assert_failures_keep_their_disposition(
    url: &str,
    host: impl Fn() -> FakeHost,
    resolve: impl Fn(&FakeHost) -> Result<Resolution, Failure>,
) {
    let met = |outcome: Result<Response, HttpError>| {
        let said = resolve(&host().outcome(url, outcome));
        said.map_err(|failure| (failure.disposition, failure.retry_after_ms))
    };
    for (outcome, disposition, retry_after_ms) in [
        (Err(HttpError::RateLimited(Some(3000))), Disposition::RateLimited, Some(3000)),
        (Err(HttpError::RateLimited(None)), Disposition::RateLimited, None),
        (Err(HttpError::Timeout), Disposition::Retry, None),
        (Ok(response(500, "")), Disposition::Retry, None),
        (Ok(response(503, "")), Disposition::Retry, None),
    ] {
        assert_eq!(met(outcome.clone()), Err((disposition, retry_after_ms)), "{outcome:?}");
    }
}

/// Calls `check` with the JSON of `answer` in which one field of one element of the list at `list`, a JSON pointer,
/// has a value of another type; and with the place of that element. All of them, one by one.
///
/// # Panics
/// When there is no such list, or `check` does.
pub fn each_odd_field(answer: &str, list: &str, fields: &[&str], check: impl Fn(usize, String)) {
    let answer: Value = serde_json::from_str(answer).unwrap_or_default();
    let length = answer.pointer(list).and_then(Value::as_array).map_or(0, Vec::len);
    assert!(length > 0, "no list at {list}");
    for (place, field) in (0..length).flat_map(|place| fields.iter().map(move |field| (place, field))) {
        for odd in [json!(null), json!(1), json!(true), json!([]), json!({}), json!(""), json!(-1e308)] {
            let mut answer = answer.clone();
            if let Some(element) = answer.pointer_mut(list).and_then(|list| list.get_mut(place)) {
                element[*field] = odd;
            }
            check(place, answer.to_string());
        }
    }
}

/// Calls `check` with every line about a service in the manifest of recorded answers, and with the answer's body. The
/// answers are not part of the project: `GLEANER_RECORDED` names the directory that has them. Gives how many there
/// were; none where it is not set.
///
/// # Panics
/// When the directory has no such manifest or lacks a file that it names, or `check` does.
pub fn each_recorded(service: &str, mut check: impl FnMut(&Value, String)) -> Option<usize> {
    let folder = std::path::PathBuf::from(std::env::var_os("GLEANER_RECORDED")?);
    let read = |name: &str| {
        let text = std::fs::read_to_string(folder.join(name));
        assert!(text.is_ok(), "cannot read {name} in {}: {text:?}", folder.display());
        text.unwrap_or_default()
    };
    let mut count = 0;
    for line in read("MANIFEST.jsonl").lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_default();
        if line["api"] == service {
            check(&line, read(line["file"].as_str().unwrap_or_default()));
            count += 1;
        }
    }
    Some(count)
}
