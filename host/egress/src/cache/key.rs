//! What makes two requests the same one.
//!
//! Every header that the caller set is part of it, so an answer is never given to a request that `Vary` could tell
//! apart. Whoever shows who they are (an injected secret, or a header that is not known to be harmless) has a part
//! of the cache alone. Must never be written or shown itself: secrets went into it; see `Disk` for names of files.

use std::fmt;

use http::Method;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, HeaderName, HeaderValue, IF_MATCH,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, PRAGMA, RANGE,
};
use sha2::{Digest, Sha256};
use url::Url;

use crate::redirect::Hop;
use crate::scope::{Role, Scope};

/// A caller that sets one of these knows what it wants; its request goes past the cache.
const PAST: [HeaderName; 8] =
    [CACHE_CONTROL, PRAGMA, RANGE, IF_RANGE, IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE];

/// Headers that do not say who asks.
const HARMLESS: [HeaderName; 3] = [ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE];

/// One resource as one caller may see it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// Of the URL alone, for invalidation.
    url: [u8; 32],
    whole: [u8; 32],
}

impl Key {
    /// None when the request is not one to keep an answer of: a download, an unsafe method, its own conditions.
    pub(crate) fn of(hop: &Hop, scope: &Scope, user_agent: &HeaderValue) -> Option<Self> {
        let is_safe = matches!(hop.method, Method::GET | Method::HEAD) && hop.body.is_none();
        if !is_safe
            || matches!(scope.role(&hop.url), Role::Content | Role::Robots)
            || PAST.iter().any(|name| hop.headers.contains_key(name))
        {
            return None;
        }
        let mut digest = Fields(Sha256::new());
        digest.field(hop.method.as_str()).field(hop.url.as_str()).field(user_agent.as_bytes());
        let mut headers: Vec<_> = hop.headers.iter().collect();
        headers.sort_by_key(|(name, value)| (name.as_str(), value.as_bytes()));
        for (name, value) in &headers {
            digest.field(name.as_str()).field(value.as_bytes());
        }
        let mut shows_itself = headers.iter().any(|(name, _)| !HARMLESS.contains(name));
        digest.field("injected");
        for injection in scope.injections(&hop.url) {
            shows_itself = true;
            let place =
                [&injection.header, &injection.query].map(|place| place.as_deref().unwrap_or_default());
            digest.field(place[0]).field(place[1]).field(&injection.secret);
        }
        if shows_itself {
            digest.field("for").field(scope.owner()?.as_str());
        }
        Some(Self { url: url_digest(&hop.url), whole: digest.0.finalize().into() })
    }

    #[cfg(test)]
    pub(super) fn of_test(number: u32) -> Self {
        let digest = |what: &str| Sha256::digest(format!("{what} {number}")).into();
        Self { url: digest("url"), whole: digest("whole") }
    }

    pub(super) fn url(&self) -> &[u8; 32] {
        &self.url
    }

    pub(super) fn whole(&self) -> &[u8; 32] {
        &self.whole
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}

/// What all keys of a URL have in common.
pub(super) fn url_digest(url: &Url) -> [u8; 32] {
    Sha256::digest(url.as_str()).into()
}

/// Fields one after the other, each with its length: no two lists have the same digest.
struct Fields(Sha256);

impl Fields {
    fn field(&mut self, field: impl AsRef<[u8]>) -> &mut Self {
        let field = field.as_ref();
        self.0.update((field.len() as u64).to_le_bytes());
        self.0.update(field);
        self
    }
}
