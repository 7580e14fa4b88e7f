//! What may be kept, for how long it is fresh, and when it may stand in for an answer that cannot be had: RFC 9111 by
//! `http-cache-semantics`, RFC 5861, and what the configuration says of answers that do not say.
//!
//! Must never give the library a number that overflows: what upstreams write is hostile.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gleaner_model::clock::UnixMillis;
use http::header::{
    AGE, CACHE_CONTROL, DATE, ETAG, EXPIRES, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, LAST_MODIFIED, PRAGMA, VARY,
};
use http::{Request, Response, StatusCode};
use http_cache_semantics::{BeforeRequest, CacheOptions, CachePolicy};

use super::config::CacheConfig;
use super::stored::Stored;
use crate::scope::Role;

/// The largest age (RFC 9111, section 1.2.2).
const MOST_AGE: u64 = 1 << 31;
/// The library cannot write years of five digits.
const LATEST: u64 = 250_000_000_000_000;

/// Statuses that are kept though their answers do not say for how long (RFC 9110, section 15.1).
const UNSAID: [u16; 6] = [200, 203, 204, 300, 301, 308];
/// The same, for a short time.
const NEGATIVE: [u16; 2] = [404, 410];
/// Statuses that are kept when their answers say for how long.
const SAID: [u16; 3] = [302, 303, 307];

/// The rules for one role.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) config: &'a CacheConfig,
    pub(super) role: Role,
}

impl Rules<'_> {
    /// Whether it may be kept, and would ever be used.
    pub(super) fn may_keep(self, answer: &Stored) -> bool {
        let has_validator = answer.headers.contains_key(ETAG) || answer.headers.contains_key(LAST_MODIFIED);
        let varies_always = words(&answer.headers, VARY).any(|name| name == "*");
        let policy = self.policy(answer);
        policy.is_storable()
            && is_known(answer.status)
            && !varies_always
            && (has_validator || !policy.time_to_live(time(answer.received)).is_zero())
    }

    /// Whether it may be used without asking.
    pub(super) fn is_fresh(self, answer: &Stored, now: UnixMillis) -> bool {
        // From the future: the clock was set back, and nobody knows how old it is.
        answer.received <= now
            && matches!(self.policy(answer).before_request(&request(), time(now)), BeforeRequest::Fresh(_))
    }

    /// Whether it may be used since the host cannot answer (RFC 5861, section 4).
    pub(super) fn may_stand_in(self, answer: &Stored, now: UnixMillis) -> bool {
        let says = |directive| words(&answer.headers, CACHE_CONTROL).any(|word| word == directive);
        let own = seconds(&answer.headers, "stale-if-error");
        let must_ask = ["must-revalidate", "proxy-revalidate", "no-cache"].into_iter().any(says)
            || own.is_none() && seconds(&answer.headers, "s-maxage").is_some();
        let was_fresh = self.policy(answer).time_to_live(time(answer.received));
        let bound = own.map_or(self.config.stale_if_error.0, Duration::from_secs);
        answer.received <= now && !must_ask && answer.received.until(now) <= was_fresh.saturating_add(bound)
    }

    fn policy(self, answer: &Stored) -> CachePolicy {
        let mut response = Response::new(());
        *response.status_mut() = answer.status;
        *response.headers_mut() = self.said(answer);
        let options = CacheOptions { shared: true, cache_heuristic: 0.0, ..CacheOptions::default() };
        CachePolicy::new_options(&request(), &response, time(answer.received), options)
    }

    /// The headers that count, in the form that the library reads.
    fn said(self, answer: &Stored) -> HeaderMap {
        let mut said = HeaderMap::new();
        for name in [DATE, EXPIRES, ETAG, LAST_MODIFIED] {
            if let Some(value) = answer.headers.get(&name) {
                said.insert(name, value.clone());
            }
        }
        let mut control: Vec<String> = words(&answer.headers, CACHE_CONTROL).collect();
        if control.is_empty() && words(&answer.headers, PRAGMA).any(|word| word == "no-cache") {
            control.push("no-cache".to_owned());
        }
        let says_when = |word: &String| {
            word == "no-cache" || word.starts_with("max-age=") || word.starts_with("s-maxage=")
        };
        if !answer.headers.contains_key(EXPIRES) && !control.iter().any(says_when) {
            let status = answer.status.as_u16();
            let is_negative = NEGATIVE.contains(&status);
            if is_negative || UNSAID.contains(&status) {
                let fresh = self.config.unsaid(self.role, is_negative).as_secs().min(MOST_AGE);
                control.push(format!("max-age={fresh}"));
            }
        }
        insert(&mut said, CACHE_CONTROL, &control.join(", "));
        insert(&mut said, AGE, &age(answer).to_string());
        said
    }
}

/// How old it is now, in seconds, as `Age` says it.
pub(super) fn age_now(answer: &Stored, now: UnixMillis) -> u64 {
    age(answer).saturating_add(answer.received.until(now).as_secs()).min(MOST_AGE)
}

/// The headers that ask whether it still holds; none when it has no validator.
pub(super) fn conditions(answer: &Stored) -> Option<HeaderMap> {
    let mut conditions = HeaderMap::new();
    for (validator, condition) in [(ETAG, IF_NONE_MATCH), (LAST_MODIFIED, IF_MODIFIED_SINCE)] {
        if let Some(value) = answer.headers.get(validator) {
            conditions.insert(condition, value.clone());
        }
    }
    Some(conditions).filter(|conditions| !conditions.is_empty())
}

/// Whether a 304 with these headers is about that answer (RFC 9111, section 4.3.4).
pub(super) fn confirms(headers: &HeaderMap, answer: &Stored) -> bool {
    let bare =
        |value: &HeaderValue| value.as_bytes().strip_prefix(b"W/").unwrap_or(value.as_bytes()).to_vec();
    match (headers.get(ETAG), answer.headers.get(ETAG)) {
        (Some(new), Some(old)) => bare(new) == bare(old),
        (Some(_), None) => false,
        (None, _) => match (headers.get(LAST_MODIFIED), answer.headers.get(LAST_MODIFIED)) {
            (Some(new), Some(old)) => new == old,
            _ => true,
        },
    }
}

fn is_known(status: StatusCode) -> bool {
    [&UNSAID[..], &NEGATIVE, &SAID].concat().contains(&status.as_u16())
}

/// When it came: its own `Age`, or what its `Date` says (RFC 9111, section 4.2.3).
fn age(answer: &Stored) -> u64 {
    let text = |name| answer.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let said = text(AGE).map_or(0, |age| age.trim().parse().unwrap_or(MOST_AGE));
    let date = text(DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    let apparent = date.and_then(|date| time(answer.received).duration_since(date).ok()).unwrap_or_default();
    said.max(apparent.as_secs()).min(MOST_AGE)
}

/// The parts of a header that is a list, in lower case.
fn words(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = String> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(|word| word.split('=').map(str::trim).collect::<Vec<_>>().join("=").to_ascii_lowercase())
        .filter(|word| !word.is_empty())
}

/// The seconds of a directive; 0 when it is there without a number.
fn seconds(headers: &HeaderMap, directive: &str) -> Option<u64> {
    let mut found = words(headers, CACHE_CONTROL).filter_map(|word| {
        Some(word.strip_prefix(directive)?.strip_prefix('=')?.trim_matches('"').to_owned())
    });
    found.next().map(|number| number.parse().unwrap_or(0))
}

/// The library is told that the request is the one the answer is for: the key took care of that.
fn request() -> Request<()> {
    Request::new(())
}

fn time(at: UnixMillis) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(at.0).unwrap_or(0).min(LATEST))
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}
