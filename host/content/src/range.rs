//! Asking for the rest of a file, and what the answer means (RFC 9110, sections 8.8, 13.1.5, 14 and 15.3.7).
//!
//! Pure functions. Must never take bytes for the rest of a file that may be another version's: only strong validators
//! count, and an answer that is not exactly what was asked for is none.

use http::header::{self, HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::parts::Note;

/// The least time between `Last-Modified` and `Date` for the first to be strong, in seconds: RFC 7232 asked for as
/// much, RFC 9110 (8.8.2.2) for one.
const APART: u64 = 60;

/// What a server calls a version of a file; at least one of them, both strong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Validators {
    etag: Option<String>,
    last_modified: Option<String>,
}

/// What the answer to a request for the rest means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answered {
    /// The rest follows.
    Rest,
    /// All is there already.
    Complete,
    /// The whole file follows, or an error: the beginning is of no use.
    Anew,
    /// Something that was not asked for, or another version's rest: to be asked for anew.
    Unusable,
}

impl Validators {
    /// Those of an answer; `None` when it has no strong one.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let etag = text(headers, header::ETAG)
            .filter(|etag| etag.len() >= 2 && etag.starts_with('"') && etag.ends_with('"'));
        let date = |name| text(headers, name).and_then(|date| httpdate::parse_http_date(date).ok());
        let is_strong = match (date(header::LAST_MODIFIED), date(header::DATE)) {
            (Some(modified), Some(sent)) => {
                sent.duration_since(modified).is_ok_and(|apart| apart.as_secs() >= APART)
            }
            _ => false,
        };
        let last_modified = text(headers, header::LAST_MODIFIED).filter(|_| is_strong);
        (etag.is_some() || last_modified.is_some())
            .then(|| Self { etag: etag.map(str::to_owned), last_modified: last_modified.map(str::to_owned) })
    }

    /// Whether an answer is about the same version, as far as it says: it must not disagree.
    fn agree(&self, headers: &HeaderMap) -> bool {
        let is_same = |known: &Option<String>, name| match (known, text(headers, name)) {
            (Some(known), Some(said)) => known == said,
            _ => true,
        };
        is_same(&self.etag, header::ETAG)
            && (self.etag.is_some() || is_same(&self.last_modified, header::LAST_MODIFIED))
    }
}

/// Headers that ask for the rest.
pub(crate) fn ask(note: &Note, headers: &mut HeaderMap) {
    let validator = note.validators.etag.as_ref().or(note.validators.last_modified.as_ref());
    let range = HeaderValue::try_from(format!("bytes={}-", note.length));
    // Both were read from headers, or made of digits.
    if let (Ok(range), Some(Ok(validator))) = (range, validator.map(HeaderValue::try_from)) {
        headers.insert(header::RANGE, range);
        headers.insert(header::IF_RANGE, validator);
    }
}

/// What an answer to [`ask`] means. `length` is what its body has, as declared.
pub(crate) fn judge(note: &Note, status: u16, headers: &HeaderMap, length: Option<u64>) -> Answered {
    let range = text(headers, header::CONTENT_RANGE).and_then(parse);
    let is_same = note.validators.agree(headers);
    match (status, range) {
        (206, Some(ContentRange { sent: Some((first, last)), total })) => {
            let is_multipart = text(headers, header::CONTENT_TYPE)
                .is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("multipart/"));
            let is_the_rest = first == note.length
                && last.checked_add(1) == Some(note.total)
                && total.is_none_or(|total| total == note.total)
                && length.is_none_or(|length| length == note.total - note.length);
            if is_same && is_the_rest && !is_multipart { Answered::Rest } else { Answered::Unusable }
        }
        (206, _) => Answered::Unusable,
        (416, Some(ContentRange { sent: None, total: Some(total) }))
            if is_same && total == note.total && note.length == total =>
        {
            Answered::Complete
        }
        (416, _) => Answered::Unusable,
        _ => Answered::Anew,
    }
}

/// `bytes 5-9/10`, `bytes 5-9/*`, `bytes */10`.
#[derive(Debug, PartialEq, Eq)]
struct ContentRange {
    sent: Option<(u64, u64)>,
    total: Option<u64>,
}

fn parse(text: &str) -> Option<ContentRange> {
    let (unit, rest) = text.trim().split_once(' ')?;
    let (sent, total) = rest.split_once('/')?;
    let total = if total == "*" { None } else { Some(number(total)?) };
    let sent = match sent.split_once('-') {
        None if sent == "*" => None,
        None => return None,
        Some((first, last)) => {
            let (first, last) = (number(first)?, number(last)?);
            if first > last || total.is_some_and(|total| last >= total) {
                return None;
            }
            Some((first, last))
        }
    };
    unit.eq_ignore_ascii_case("bytes").then_some(ContentRange { sent, total })
}

/// Digits only: `parse` would take a sign.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    // Two of them contradict each other, or nobody knows which holds.
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use gleaner_model::manifest::Transport;

    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect::<Vec<(header::HeaderName, HeaderValue)>>()
            .into_iter()
            .fold(HeaderMap::new(), |mut map, (name, value)| {
                map.append(name, value);
                map
            })
    }

    const OLD: &str = "Wed, 21 Oct 2015 07:28:00 GMT";

    #[test]
    fn only_strong_validators_count() {
        for (lines, is_strong) in [
            (&[("etag", "\"a\"")][..], true),
            (&[("etag", "W/\"a\"")], false),
            (&[("etag", "a")], false),
            (&[("etag", "\"")], false),
            (&[("etag", "\"a\""), ("etag", "\"b\"")], false),
            (&[("last-modified", OLD)], false),
            (&[("last-modified", OLD), ("date", "Wed, 21 Oct 2015 07:29:00 GMT")], true),
            (&[("last-modified", OLD), ("date", "Wed, 21 Oct 2015 07:28:59 GMT")], false),
            (&[("last-modified", OLD), ("date", "Wed, 21 Oct 2015 07:00:00 GMT")], false),
            (&[("last-modified", "soon"), ("date", OLD)], false),
            (&[], false),
        ] {
            assert_eq!(Validators::of(&headers(lines)).is_some(), is_strong, "{lines:?}");
        }
    }

    fn note(length: u64) -> Note {
        Note {
            url: "https://a.example/x.pdf".parse().unwrap(),
            validators: Validators { etag: Some("\"v1\"".into()), last_modified: None },
            media_type: None,
            total: 100,
            length,
            sha256: String::new(),
            transport: Transport::Https,
        }
    }

    #[test]
    fn the_rest_is_asked_for_on_condition() {
        let mut asked = HeaderMap::new();
        ask(&note(40), &mut asked);
        assert_eq!(
            (&asked["range"], &asked["if-range"]),
            (&"bytes=40-".parse().unwrap(), &"\"v1\"".parse().unwrap())
        );
    }

    #[test]
    fn an_answer_is_the_rest_only_if_it_is_exactly_that() {
        use Answered::{Anew, Complete, Rest, Unusable};
        let v1 = ("etag", "\"v1\"");
        let range = |text| [("content-range", text), v1];
        for (length, status, lines, declared, meaning) in [
            (40, 206, &range("bytes 40-99/100")[..], Some(60), Rest),
            (40, 206, &range("bytes 40-99/*"), None, Rest),
            (40, 206, &range("Bytes 40-99/100"), None, Rest),
            (40, 206, &[("content-range", "bytes 40-99/100")], None, Rest),
            (40, 206, &[("content-range", "bytes 40-99/100"), ("etag", "\"v2\"")], None, Unusable),
            (40, 206, &[("content-range", "bytes 40-99/100"), ("etag", "W/\"v1\"")], None, Unusable),
            (40, 206, &range("bytes 0-99/100"), None, Unusable),
            (40, 206, &range("bytes 41-99/100"), None, Unusable),
            (40, 206, &range("bytes 40-98/100"), None, Unusable),
            (40, 206, &range("bytes 40-99/101"), None, Unusable),
            (40, 206, &range("bytes 40-100/100"), None, Unusable),
            (40, 206, &range("bytes +40-99/100"), None, Unusable),
            (40, 206, &range("items 40-99/100"), None, Unusable),
            (40, 206, &range("bytes 40-18446744073709551615/*"), None, Unusable),
            (40, 206, &range("bytes */100"), None, Unusable),
            (40, 206, &range("bytes 40-99/100"), Some(61), Unusable),
            (40, 206, &[v1], None, Unusable),
            (
                40,
                206,
                &[("content-range", "bytes 40-99/100"), ("content-type", "Multipart/byteranges; boundary=x")],
                None,
                Unusable,
            ),
            (40, 200, &[v1], Some(100), Anew),
            (40, 404, &[], None, Anew),
            (100, 416, &range("bytes */100"), None, Complete),
            (100, 416, &range("bytes */101"), None, Unusable),
            (100, 416, &[("content-range", "bytes */100"), ("etag", "\"v2\"")], None, Unusable),
            (40, 416, &range("bytes */100"), None, Unusable),
            (100, 416, &[], None, Unusable),
        ] {
            assert_eq!(
                judge(&note(length), status, &headers(lines), declared),
                meaning,
                "{status} {lines:?}"
            );
        }
    }
}
