//! Candidates: locations that resolvers propose. Which of two is tried first stands in [`crate::rank`].
//!
//! A [`Candidate`] always has a URL that could be fetched: http(s), with a host, without user and password.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::key::{HostKey, ResolverName};

/// What a candidate's URL leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CandidateKind {
    /// The full text.
    File,
    /// A page about the work.
    LandingPage,
}

/// Which state of the text it is (NISO JAV, in three words). Later is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// Before peer review.
    Submitted,
    /// After peer review, before typesetting.
    Accepted,
    /// The version of record.
    Published,
}

/// Who runs the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostType {
    /// An institution's or a subject's repository.
    Repository,
    /// The publisher.
    Publisher,
}

/// One proposed location.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Who proposed it.
    pub resolver: ResolverName,
    /// Where it is.
    pub url: CandidateUrl,
    /// What it leads to.
    pub kind: CandidateKind,
    /// Expected media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Which state of the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// License as the source spells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Who runs the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_type: Option<HostType>,
    /// 0.0 to 1.0; 0.5 where the resolver did not say.
    pub confidence: f32,
    /// Names and values that the resolver wants in the manifest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<(String, String)>,
}

impl Candidate {
    /// The order of [`crate::rank`] where nothing is configured and nothing learnt: the better is
    /// [`std::cmp::Ordering::Less`].
    pub fn compare(&self, other: &Self) -> std::cmp::Ordering {
        crate::rank::Ranking::default().compare(&std::collections::BTreeSet::new(), self, other)
    }
}

/// A confidence as resolvers give it, made safe to order: NaN and absent count as 0.5.
pub fn confidence(given: Option<f32>) -> f32 {
    match given {
        Some(value) if !value.is_nan() => value.clamp(0.0, 1.0),
        _ => 0.5,
    }
}

/// A URL that egress may be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Url", into = "Url")]
pub struct CandidateUrl(Url);

impl CandidateUrl {
    /// Longest URL, in bytes.
    pub const MAX_BYTES: usize = 4096;

    /// Reads and checks a URL; the fragment is dropped.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.len() > Self::MAX_BYTES {
            return Err(UrlError::TooLong);
        }
        Url::parse(text.trim()).map_err(|_| UrlError::NotAbsolute)?.try_into()
    }

    /// The URL.
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// What its requests are limited by.
    pub fn host_key(&self) -> HostKey {
        HostKey::of(&self.0).unwrap_or_else(|| HostKey::from_normalised(""))
    }
}

impl TryFrom<Url> for CandidateUrl {
    type Error = UrlError;

    fn try_from(mut url: Url) -> Result<Self, UrlError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(UrlError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::Credentials);
        }
        if HostKey::of(&url).is_none() {
            return Err(UrlError::NotAbsolute);
        }
        url.set_fragment(None);
        if url.as_str().len() > Self::MAX_BYTES {
            return Err(UrlError::TooLong);
        }
        Ok(Self(url))
    }
}

impl From<CandidateUrl> for Url {
    fn from(url: CandidateUrl) -> Url {
        url.0
    }
}

/// Why a URL cannot be a candidate's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Relative, empty, or without a host.
    #[error("not an absolute URL with a host")]
    NotAbsolute,
    /// Not http or https.
    #[error("only http and https can be fetched")]
    Scheme,
    /// It has a user or a password.
    #[error("a URL with a user or a password is refused")]
    Credentials,
    /// Over [`CandidateUrl::MAX_BYTES`].
    #[error("longer than 4096 bytes")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_cannot_be_fetched_are_refused() {
        for (text, why) in [
            ("/relative", UrlError::NotAbsolute),
            ("file:///etc/passwd", UrlError::Scheme),
            ("javascript:alert(1)", UrlError::Scheme),
            ("https://user:pw@a.example/", UrlError::Credentials),
        ] {
            assert_eq!(CandidateUrl::parse(text), Err(why), "{text}");
        }
        assert_eq!(
            CandidateUrl::parse(&format!("https://a.example/{}", "x".repeat(5000))),
            Err(UrlError::TooLong)
        );
        assert_eq!(
            CandidateUrl::parse("HTTPS://A.Example:443/x y#p").unwrap().as_url().as_str(),
            "https://a.example/x%20y"
        );
    }

    #[test]
    fn confidence_is_always_a_number() {
        assert_eq!([None, Some(f32::NAN), Some(7.0), Some(-1.0)].map(confidence), [0.5, 0.5, 1.0, 0.0]);
    }
}
