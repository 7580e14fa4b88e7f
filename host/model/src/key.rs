//! Keys: what a step is limited by.
//!
//! A key is a name, never a limit: limits are looked up by it. Must never be made of text that was not
//! normalised first, or one host would have two limits.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::identifier::abridged;

/// The name of a resolver: `[a-z][a-z0-9_]*`, at most 32 bytes. In messages, limits and tables.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(try_from = "String")]
#[schemars(into = "String")]
pub struct ResolverName(Box<str>);

impl ResolverName {
    /// Checks the form.
    ///
    /// # Errors
    /// When the text has another form.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let fits = (1..=32).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if fits { Ok(Self(text.into())) } else { Err(NameError(abridged(text))) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ResolverName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text)
    }
}

impl fmt::Display for ResolverName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Not the name of a resolver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the name of a resolver: a lower-case letter, then letters, digits and '_', at most 32")]
pub struct NameError(String);

/// A host as limits know it: lower case, IDNA as ASCII, without user, trailing dot and default port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostKey(Box<str>);

impl HostKey {
    /// The key of an http or https URL's host; none when there is no such host.
    pub fn of(url: &url::Url) -> Option<Self> {
        // Of these schemes the url crate has lower-cased, IDNA-encoded and dropped the default port; of others not.
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        let host = url.host_str()?;
        let host = host.strip_suffix('.').unwrap_or(host);
        if host.is_empty() || host.ends_with('.') {
            return None;
        }
        Some(match url.port() {
            Some(port) => Self(format!("{host}:{port}").into()),
            None => Self(host.into()),
        })
    }

    /// Wraps a host that is normalised already.
    pub fn from_normalised(text: &str) -> Self {
        debug_assert!(!text.contains(|c: char| c.is_ascii_uppercase() || c == '/' || c == '@'));
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a step is limited by. Displays as it is stored: `plan`, `resolver:<name>`, `host:<host key>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// The next step has yet to be computed. Never limited.
    Plan,
    /// A call of that resolver.
    Resolver(ResolverName),
    /// A request to that host.
    Host(HostKey),
}

impl Key {
    /// Reads what `Display` wrote.
    ///
    /// # Errors
    /// When the text is no key.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        match text.split_once(':') {
            None if text == "plan" => Ok(Self::Plan),
            Some(("resolver", name)) => {
                ResolverName::new(name).map(Self::Resolver).map_err(|_| KeyError(abridged(text)))
            }
            Some(("host", host)) if !host.is_empty() => Ok(Self::Host(HostKey(host.into()))),
            _ => Err(KeyError(abridged(text))),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan => f.write_str("plan"),
            Self::Resolver(name) => write!(f, "resolver:{name}"),
            Self::Host(host) => write!(f, "host:{host}"),
        }
    }
}

/// Not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a key; keys look like resolver:NAME or host:api.example.org")]
pub struct KeyError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_has_one_key() {
        for (url, key) in [
            ("https://api.crossref.org/works", "api.crossref.org"),
            ("http://example.com:8080/data", "example.com:8080"),
            ("HTTPS://User:pw@EXAMPLE.com.:443/", "example.com"),
            ("http://bücher.example:80/", "xn--bcher-kva.example"),
            ("https://[2001:db8::1]:8443/", "[2001:db8::1]:8443"),
        ] {
            assert_eq!(HostKey::of(&url::Url::parse(url).unwrap()).unwrap().as_str(), key);
        }
        // What the url crate does not normalise would give one host several keys.
        for url in ["data:text/plain,x", "foo://EXAMPLE.com/", "ftp://bücher.example/", "https://a.84../"] {
            assert_eq!(HostKey::of(&url::Url::parse(url).unwrap()), None, "{url}");
        }
    }

    #[test]
    fn keys_read_back_as_written() {
        for text in ["plan", "resolver:europe_pmc", "host:example.com:8080"] {
            assert_eq!(Key::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "resolver:", "resolver:A", "host:", "example.org"] {
            assert!(Key::parse(text).is_err(), "{text}");
        }
    }
}
