//! Why there is no answer: constructors of [`Failure`], and the one place that decides what an HTTP outcome means
//! for the queue. A message must never hold a query string: it may carry an address or a key.

use crate::{Disposition, Failure, HttpError, Response};

impl Failure {
    /// Something passing; asked again later. `code` is short and stable.
    pub fn retry(code: &str, message: impl Into<String>) -> Self {
        Self::new(Disposition::Retry, code, message.into())
    }

    /// Asking again would give the same. `code` is short and stable.
    pub fn give_up(code: &str, message: impl Into<String>) -> Self {
        Self::new(Disposition::GiveUp, code, message.into())
    }

    /// The source asks to slow down, for so many milliseconds where it says.
    pub fn rate_limited(retry_after_ms: Option<u64>, message: impl Into<String>) -> Self {
        Self { retry_after_ms, ..Self::new(Disposition::RateLimited, "rate-limited", message.into()) }
    }

    /// The answer is none that this resolver knows how to read: code `unknown-shape`, not asked again.
    pub fn unknown_shape(message: impl Into<String>) -> Self {
        Self::give_up("unknown-shape", message)
    }

    fn new(disposition: Disposition, code: &str, message: String) -> Self {
        Self { disposition, code: code.to_owned(), message, retry_after_ms: None, upstream_status: None }
    }

    /// No answer came.
    pub(crate) fn of_error(url: &str, error: HttpError) -> Self {
        let place = without_query(url);
        match error {
            HttpError::Denied(rule) => Self::give_up("denied", format!("{place} may not be asked: {rule}")),
            HttpError::Timeout => Self::retry("timeout", format!("{place} gave no complete answer in time")),
            HttpError::TooLarge(limit) => {
                Self::give_up("too-large", format!("{place} answered more than the allowed {limit} bytes"))
            }
            HttpError::RateLimited(after) => Self::rate_limited(after, format!("{place} asks to slow down")),
            HttpError::Transport(cause) => {
                Self::retry("transport", format!("{place} was not reached: {cause}"))
            }
        }
    }

    /// An answer came, and it is no success.
    pub(crate) fn of_status(url: &str, response: &Response) -> Self {
        let (place, status) = (without_query(url), response.status);
        let message = format!("{place} answered with status {status}");
        let retry_after_ms = response.retry_after_ms();
        let failure = match status {
            429 => Self::rate_limited(None, message),
            503 if retry_after_ms.is_some() => Self::rate_limited(None, message),
            408 | 425 | 500.. => Self::retry("http-status", message),
            _ => Self::give_up("http-status", message),
        };
        Self { retry_after_ms, upstream_status: Some(status), ..failure }
    }

    /// The answer is not JSON, or not what was expected. What is no JSON at all is most likely a page of
    /// something between here and the source, or cut short: that passes. JSON of another shape does not.
    pub(crate) fn of_json(url: &str, error: &serde_json::Error) -> Self {
        let place = without_query(url);
        match error.classify() {
            serde_json::error::Category::Data => {
                Self::unknown_shape(format!("{place} answered JSON of an unknown shape: {error}"))
            }
            _ => Self::retry("bad-json", format!("{place} answered something that is not JSON: {error}")),
        }
    }
}

fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::response;

    const URL: &str = "https://api.example.org/v2/x?email=someone@example.org";

    #[test]
    fn every_status_has_its_disposition() {
        let expected = [
            (200..=407, Disposition::GiveUp),
            (408..=408, Disposition::Retry),
            (409..=424, Disposition::GiveUp),
            (425..=425, Disposition::Retry),
            (426..=428, Disposition::GiveUp),
            (429..=429, Disposition::RateLimited),
            (430..=499, Disposition::GiveUp),
            (500..=599, Disposition::Retry),
        ];
        for (statuses, disposition) in expected {
            for status in statuses {
                let failure = Failure::of_status(URL, &response(status, ""));
                assert_eq!((failure.disposition, failure.upstream_status), (disposition, Some(status)));
            }
        }
    }

    #[test]
    fn a_wait_in_seconds_is_passed_on() {
        for (status, disposition) in
            [(429, Disposition::RateLimited), (503, Disposition::RateLimited), (500, Disposition::Retry)]
        {
            let failure = Failure::of_status(URL, &response(status, "").with_header("retry-after", "7"));
            assert_eq!((failure.disposition, failure.retry_after_ms), (disposition, Some(7000)));
        }
    }

    #[test]
    fn every_error_of_the_host_has_its_code_and_disposition() {
        let failures = [
            (HttpError::Denied("rule".to_owned()), "denied", Disposition::GiveUp),
            (HttpError::Timeout, "timeout", Disposition::Retry),
            (HttpError::TooLarge(9), "too-large", Disposition::GiveUp),
            (HttpError::RateLimited(Some(5)), "rate-limited", Disposition::RateLimited),
            (HttpError::Transport("dns".to_owned()), "transport", Disposition::Retry),
        ];
        for (error, code, disposition) in failures {
            let failure = Failure::of_error(URL, error);
            assert_eq!((failure.code.as_str(), failure.disposition), (code, disposition));
            assert!(failure.message.contains("https://api.example.org/v2/x"), "{}", failure.message);
            assert!(!failure.message.contains("someone"), "{}", failure.message);
        }
    }
}
