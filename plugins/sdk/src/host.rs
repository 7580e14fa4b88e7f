//! What a resolver can ask of its host, and the requests and answers of the one way out. Must never send a request
//! that the resolver did not ask for: repeating and waiting is the host's.

use crate::{Failure, HttpError, Level, Request, Response, Url, answers::field};
use serde::{Serialize, de::DeserializeOwned};

/// The host of this call: [`testing::FakeHost`](crate::testing::FakeHost) in tests, the real one in a component.
///
/// A resolver takes it as `&impl Host`, so that a component imports only what its resolver uses.
pub trait Host {
    /// One request and its whole answer, of any status. Redirects are followed. Most resolvers want
    /// [`fetch`](Self::fetch) or [`get_json`](Self::get_json), which also read the status.
    fn send(&self, request: &Request) -> Result<Response, HttpError>;

    /// Up to 16 requests at once; the answers are in the same order.
    fn send_all(&self, requests: &[Request]) -> Vec<Result<Response, HttpError>>;

    /// What the operator set for this resolver: `contact`, `base-url`, and the resolver's own settings.
    fn setting(&self, key: &str) -> Option<String>;

    /// A message for the operator. At most 100 a call.
    fn log(&self, level: Level, message: &str, fields: &[(&str, &str)]);

    /// Milliseconds since 1970-01-01T00:00:00Z.
    fn now_ms(&self) -> u64;

    /// Sends a request and reads the status: an answer with 2xx, none with 404 or 410, else a failure.
    ///
    /// | outcome | failure |
    /// |---|---|
    /// | 429, 503 that says how long to wait | `rate-limited`: every job of this resolver waits, no try is lost |
    /// | 408, 425, other 5xx | `http-status`, tried again |
    /// | every other status | `http-status`, given up |
    /// | no complete answer | `timeout` and `transport` are tried again, `denied` and `too-large` are not |
    ///
    /// The status is in [`Failure::upstream_status`].
    fn fetch(&self, request: &Request) -> Result<Option<Response>, Failure> {
        request.outcome(self.send(request))
    }

    /// Sends up to 16 requests at once and reads each as [`fetch`](Self::fetch) does; the same order.
    fn fetch_all(&self, requests: &[Request]) -> Vec<Result<Option<Response>, Failure>> {
        let answers = self.send_all(requests);
        requests.iter().zip(answers).map(|(request, answer)| request.outcome(answer)).collect()
    }

    /// Gets a JSON document; none with 404 or 410. Failures are those of [`fetch`](Self::fetch), and `bad-json`
    /// (tried again) for a body that is not JSON, `unknown-shape` (given up) for JSON that is no `T`.
    ///
    /// Make the fields of `T` [`Maybe`](crate::Maybe), so that one odd field does not cost the record.
    fn get_json<T: DeserializeOwned>(&self, url: &Url) -> Result<Option<T>, Failure> {
        self.fetch_json(&Request::get(url))
    }

    /// The same for a request of any kind, such as [`Request::post_json`].
    fn fetch_json<T: DeserializeOwned>(&self, request: &Request) -> Result<Option<T>, Failure> {
        let request = request.clone().header("accept", "application/json");
        let Some(response) = self.fetch(&request)? else { return Ok(None) };
        serde_json::from_slice(&response.body)
            .map(Some)
            .map_err(|error| Failure::of_json(&request.url, &error))
    }

    /// The service's own base URL, or the setting `base-url` where the operator gave one.
    fn base_url(&self, default: &str) -> Url {
        Url::new(self.setting("base-url").as_deref().unwrap_or(default))
    }

    /// A setting that the resolver cannot do without. The failure, `missing-setting`, tells the operator what to
    /// do in the words of `hint`: `set contact = "you@your.org" in the configuration`.
    fn required_setting(&self, key: &str, hint: &str) -> Result<String, Failure> {
        self.setting(key).filter(|value| !value.trim().is_empty()).ok_or_else(|| {
            Failure::give_up("missing-setting", format!("the setting `{key}` is missing: {hint}"))
        })
    }
}

impl Request {
    /// `GET` without headers, with the host's limits of time and size.
    pub fn get(url: &Url) -> Self {
        Self {
            method: "GET".to_owned(),
            url: url.to_string(),
            headers: Vec::new(),
            body: None,
            timeout_ms: None,
            max_bytes: None,
        }
    }

    /// `POST` with a JSON document. A value that is none becomes an empty body.
    pub fn post_json(url: &Url, value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value).unwrap_or_default();
        let request = Self { method: "POST".to_owned(), body: Some(body), ..Self::get(url) };
        request.header("content-type", "application/json")
    }

    /// What came of it: an answer, nothing there, or a failure.
    fn outcome(&self, answer: Result<Response, HttpError>) -> Result<Option<Response>, Failure> {
        let response = answer.map_err(|error| Failure::of_error(&self.url, error))?;
        match response.status {
            200..=299 => Ok(Some(response)),
            404 | 410 => Ok(None),
            _ => Err(Failure::of_status(&self.url, &response)),
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push(field(name, value));
        self
    }
}

impl Response {
    /// The first header of that name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.key == name).map(|header| header.value.as_str())
    }

    /// `Retry-After` in its form of seconds. The host reads the form of a date.
    pub(crate) fn retry_after_ms(&self) -> Option<u64> {
        let seconds: u64 = self.header("retry-after")?.trim().parse().ok()?;
        Some(seconds.saturating_mul(1000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Disposition;
    use crate::testing::FakeHost;

    const URL: &str = "https://api.example.org/x";

    fn get(host: &FakeHost) -> Result<Option<Vec<u8>>, Failure> {
        host.get_json(&Url::new(URL))
    }

    #[test]
    fn an_unknown_thing_is_none() {
        for status in [404, 410] {
            assert_eq!(get(&FakeHost::new().answer(URL, status, "Resource not found.")), Ok(None));
        }
    }

    #[test]
    fn of_several_requests_each_has_its_own_outcome() {
        let requests = ["a", "b", "c"].map(|name| Request::get(&Url::new(URL).segment(name)));
        let host = FakeHost::new().answer(&requests[0].url, 200, "x").answer(&requests[2].url, 404, "");
        let [found, denied, unknown] = &host.fetch_all(&requests)[..] else { panic!("three answers") };
        assert_eq!(found.as_ref().unwrap().as_ref().unwrap().body, b"x");
        assert_eq!(denied.as_ref().unwrap_err().code, "denied");
        assert_eq!(*unknown, Ok(None));
    }

    #[test]
    fn a_page_in_place_of_json_passes_but_another_shape_does_not() {
        for (body, code, disposition) in [
            ("<html>Back soon</html>", "bad-json", Disposition::Retry),
            ("[1, 2", "bad-json", Disposition::Retry),
            ("", "bad-json", Disposition::Retry),
            (r#"{"error": true}"#, "unknown-shape", Disposition::GiveUp),
        ] {
            let failure = get(&FakeHost::new().answer(URL, 200, body)).unwrap_err();
            assert_eq!((failure.code.as_str(), failure.disposition), (code, disposition), "{body}");
        }
    }

    #[test]
    fn the_operators_base_url_goes_first() {
        let host = FakeHost::new();
        assert_eq!(host.base_url(URL).path("y").to_string(), "https://api.example.org/x/y");
        let host = host.set("base-url", "https://mirror.example/api/");
        assert_eq!(host.base_url(URL).path("y").to_string(), "https://mirror.example/api/y");
    }

    #[test]
    fn a_missing_or_blank_setting_says_what_to_do() {
        for host in [FakeHost::new(), FakeHost::new().set("contact", "  ")] {
            let failure = host.required_setting("contact", "set it").unwrap_err();
            assert_eq!(
                (failure.code.as_str(), failure.disposition),
                ("missing-setting", Disposition::GiveUp)
            );
            assert_eq!(failure.message, "the setting `contact` is missing: set it");
        }
    }
}
