//! How much of what may happen at once and how often: concurrency, rates and cooldowns per key.
//!
//! Everything lives in memory; what must outlive the process (cooldowns) is handed out and taken back.
//! This crate must never send a request, touch the database, or hold a lock across an await.

mod bucket;
mod circuit;
mod cooldown;
mod daily;
mod heed;
mod limiter;
mod ownership;
mod pace;
mod permit;
mod rules;
mod settings;
mod state;
#[cfg(test)]
mod tests;

pub use bucket::TokenBucket;
pub use circuit::BreakerRule;
pub use daily::{day_of, end_of_day};
pub use heed::{Announced, Outcome};
pub use limiter::{Blocked, KeyedLimiter, Room, Why};
pub use ownership::{Claims, Ownership};
pub use permit::Permit;
pub use rules::{Limit, LimitRules};

use gleaner_model::key::HostKey;

/// The key of a URL's host: lower case, IDNA as ASCII, without user, trailing dot and default port.
///
/// # Errors
/// When the text is no absolute URL with a host.
pub fn host_key(url: &str) -> Result<HostKey, HostKeyError> {
    url::Url::parse(url)
        .ok()
        .and_then(|url| HostKey::of(&url))
        .ok_or_else(|| HostKeyError(url.chars().take(200).collect()))
}

/// A text that has no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no host; an absolute URL looks like https://api.example.org/path")]
pub struct HostKeyError(String);

#[cfg(test)]
mod host_key_tests {
    use super::*;

    /// Known mistake 12: case, `:443` and the user were kept, so one host had several limits.
    #[test]
    fn host_keys_are_normalised() {
        for (url, key) in [
            ("https://api.crossref.org/works", "api.crossref.org"),
            ("http://example.com:8080/data", "example.com:8080"),
            ("https://API.Crossref.ORG:443/", "api.crossref.org"),
            ("http://example.com:80/", "example.com"),
            ("https://user:secret@example.com./", "example.com"),
            ("https://bücher.example/", "xn--bcher-kva.example"),
        ] {
            assert_eq!(host_key(url).unwrap().as_str(), key, "{url}");
        }
        for text in ["", "example.com", "data:text/plain,x", "https://"] {
            assert!(host_key(text).unwrap_err().to_string().contains("absolute URL"), "{text}");
        }
    }
}
