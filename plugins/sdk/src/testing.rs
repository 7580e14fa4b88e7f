//! A host whose answers a test writes, so that a whole [`Resolver::resolve`](crate::Resolver::resolve) runs as an
//! ordinary test. Must never reach a network.

use crate::{Host, HttpError, Identifier, Level, Query, Request, Response, answers::field};
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
