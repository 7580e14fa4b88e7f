//! One request of a guest and what it was given: noted, written, and known again.
//!
//! Must never hold a request's headers but those that choose an answer: a plugin may keep what it likes in the others.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gleaner_runtime::{GuestHttpError, GuestRequest, GuestResponse};
use serde::{Deserialize, Serialize};
use url::Url;

/// A request, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// `GET`, `HEAD`, `POST`.
    pub(crate) method: String,
    pub(crate) url: String,
    /// The header of that name, which may choose the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) accept: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<Body>,
    pub(crate) answer: Answered,
}

/// What a guest was given for a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Answered {
    Response { status: u16, url: String, headers: Vec<(String, String)>, body: Body },
    Denied(String),
    Timeout,
    TooLarge(u64),
    RateLimited { retry_after_ms: Option<u64> },
    Transport(String),
}

/// Bytes, as a text where they are one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Body {
    Text(String),
    #[serde(with = "in_base64")]
    Base64(Vec<u8>),
}

mod in_base64 {
    use super::*;

    pub(super) fn serialize<S: serde::Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

impl Exchange {
    pub(crate) fn new(request: &GuestRequest, answer: &Result<GuestResponse, GuestHttpError>) -> Self {
        Self {
            method: request.method.as_str().to_owned(),
            url: request.url.to_string(),
            accept: accept(request),
            body: request.body.clone().map(Body::from),
            answer: answer.into(),
        }
    }

    /// Whether it is this request that was answered then: the order of query parameters says nothing.
    pub(crate) fn is_of(&self, request: &GuestRequest) -> bool {
        let url = Url::parse(&self.url).ok();
        self.method == request.method.as_str()
            && url.is_some_and(|url| url == request.url || in_order(&url) == in_order(&request.url))
            && self.accept == accept(request)
            && self.body.as_ref().map(Body::bytes) == request.body.as_deref()
    }
}

fn accept(request: &GuestRequest) -> Option<String> {
    let header = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("accept"));
    header.map(|(_, value)| value.clone())
}

fn in_order(url: &Url) -> (Url, Vec<(String, String)>) {
    let mut pairs: Vec<_> = url.query_pairs().into_owned().collect();
    pairs.sort();
    let mut rest = url.clone();
    rest.set_query(None);
    (rest, pairs)
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(|error| Self::Base64(error.into_bytes()), Self::Text)
    }
}

impl Body {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Base64(bytes) => bytes,
        }
    }
}

impl From<&Result<GuestResponse, GuestHttpError>> for Answered {
    fn from(answer: &Result<GuestResponse, GuestHttpError>) -> Self {
        match answer.clone() {
            Ok(GuestResponse { status, url, headers, body, from_cache: _ }) => {
                // Nothing that a source gives one visitor belongs into a file for others.
                let headers = headers.into_iter().filter(|(name, _)| name != "set-cookie").collect();
                Self::Response { status, url, headers, body: body.into() }
            }
            Err(GuestHttpError::Denied(why)) => Self::Denied(why),
            Err(GuestHttpError::Timeout) => Self::Timeout,
            Err(GuestHttpError::TooLarge(most)) => Self::TooLarge(most),
            Err(GuestHttpError::RateLimited(retry_after_ms)) => Self::RateLimited { retry_after_ms },
            Err(GuestHttpError::Transport(why)) => Self::Transport(why),
        }
    }
}

impl From<&Answered> for Result<GuestResponse, GuestHttpError> {
    fn from(answer: &Answered) -> Self {
        match answer.clone() {
            Answered::Response { status, url, headers, body } => {
                Ok(GuestResponse { status, url, headers, body: body.bytes().to_vec(), from_cache: false })
            }
            Answered::Denied(why) => Err(GuestHttpError::Denied(why)),
            Answered::Timeout => Err(GuestHttpError::Timeout),
            Answered::TooLarge(most) => Err(GuestHttpError::TooLarge(most)),
            Answered::RateLimited { retry_after_ms } => Err(GuestHttpError::RateLimited(retry_after_ms)),
            Answered::Transport(why) => Err(GuestHttpError::Transport(why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::request;

    #[test]
    fn a_request_is_known_by_what_chooses_its_answer() {
        let known = Exchange::new(&request("https://a.org/x?b=2&a=1"), &Err(GuestHttpError::Timeout));
        let with = |change: fn(&mut GuestRequest)| {
            let mut asked = request("https://a.org/x?a=1&b=2");
            change(&mut asked);
            known.is_of(&asked)
        };
        assert!(with(|_| {}));
        assert!(with(|asked| asked.headers.push(("x-mood".into(), "good".into()))));
        assert!(with(|asked| asked.max_bytes = 1));
        assert!(!with(|asked| asked.headers.push(("Accept".into(), "text/html".into()))));
        assert!(!with(|asked| asked.body = Some(Vec::new())));
        assert!(!with(|asked| asked.method = gleaner_runtime::GuestMethod::Head));
        for url in [
            "https://a.org/x?a=1",
            "https://a.org/X?a=1&b=2",
            "https://a.org/x?a=1&b=2&b=2",
            "http://a.org/x?a=1&b=2",
        ] {
            assert!(!known.is_of(&request(url)), "{url}");
        }
    }
}
