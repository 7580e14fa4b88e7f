//! An answer as it is kept, and its form in a file.
//!
//! Must never hold a cookie, nor what belongs to one connection; must never read back what was not written whole.

use bytes::Bytes;
use gleaner_model::clock::UnixMillis;
use http::StatusCode;
use http::header::{
    AGE, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, HeaderName, HeaderValue,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::scope::spellings;

/// Begins every file; the number changes with the form.
const MAGIC: &[u8] = b"gleaner answer 1\n";
const DIGEST: usize = 32;
/// Headers larger than this are no answer of ours.
const MOST_HEAD: usize = 256 << 10;

/// An answer that came whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// When its headers came, or a 304 confirmed it.
    pub(crate) received: UnixMillis,
    /// Decompressed.
    pub(crate) body: Bytes,
}

#[derive(Serialize, Deserialize)]
struct Head {
    status: u16,
    received: UnixMillis,
    headers: Vec<(String, String)>,
}

impl Stored {
    pub(super) fn new(status: StatusCode, headers: &HeaderMap, received: UnixMillis, body: Bytes) -> Self {
        Self { status, headers: kept(headers), received, body }
    }

    /// As a 304 confirmed it: its headers replace those of before (RFC 9111, section 3.2).
    pub(super) fn confirmed(&self, by: &HeaderMap, now: UnixMillis) -> Self {
        let mut headers = self.headers.clone();
        // An age of before says nothing about now.
        headers.remove(AGE);
        let new = kept(by);
        for name in new.keys().filter(|name| ![CONTENT_LENGTH, CONTENT_RANGE].contains(name)) {
            headers.remove(name);
            for value in new.get_all(name) {
                headers.append(name, value.clone());
            }
        }
        Self { headers, received: now, ..self.clone() }
    }

    /// Whether one of these texts stands in it, as it is or percent-encoded.
    pub(super) fn holds_any(&self, secrets: &[String]) -> bool {
        let within = |text: &str| {
            let holds = |bytes: &[u8]| {
                !text.is_empty() && bytes.windows(text.len()).any(|window| window == text.as_bytes())
            };
            holds(&self.body) || self.headers.values().any(|value| holds(value.as_bytes()))
        };
        secrets.iter().flat_map(|secret| spellings(secret)).any(|text| within(&text))
    }

    /// Its file's bytes; none when a header is not text.
    pub(super) fn encode(&self, name: &[u8; DIGEST]) -> Option<Vec<u8>> {
        let text = |(name, value): (&HeaderName, &HeaderValue)| {
            Some((name.to_string(), std::str::from_utf8(value.as_bytes()).ok()?.to_owned()))
        };
        let headers = self.headers.iter().map(text).collect::<Option<_>>()?;
        let head = Head { status: self.status.as_u16(), received: self.received, headers };
        let mut rest = name.to_vec();
        serde_json::to_writer(&mut rest, &head).ok().filter(|()| rest.len() <= MOST_HEAD)?;
        rest.push(b'\n');
        rest.extend_from_slice(&self.body);
        Some([MAGIC, &Sha256::digest(&rest), &rest].concat())
    }

    /// What was encoded under that name; none when it is anything else, or not whole.
    pub(super) fn decode(file: Vec<u8>, name: &[u8; DIGEST]) -> Option<Self> {
        let (digest, rest) = file.strip_prefix(MAGIC)?.split_at_checked(DIGEST)?;
        if Sha256::digest(rest).as_slice() != digest {
            return None;
        }
        let rest = rest.strip_prefix(name)?;
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let Head { status, received, headers } = serde_json::from_slice(rest.get(..end)?).ok()?;
        let header = |(name, value): (String, String)| {
            Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
        };
        let headers = headers.into_iter().map(header).collect::<Option<Vec<_>>>()?;
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(name, value);
        }
        let begins = file.len() - rest.len() + end + 1;
        let body = Bytes::from(file).slice(begins..);
        Some(Self { status: StatusCode::from_u16(status).ok()?, headers: all, received, body })
    }
}

/// What may be kept of an answer's headers (RFC 9111, section 3.1). No cookies: none are ever sent back, so what an
/// answer says to set is of no use, and may be a key to something.
fn kept(headers: &HeaderMap) -> HeaderMap {
    let mut kept = headers.clone();
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect();
    let unkept = [
        CONNECTION,
        CONTENT_ENCODING,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        SET_COOKIE,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("set-cookie2"),
    ];
    unkept.into_iter().chain(named).for_each(|name| drop(kept.remove(name)));
    kept
}
