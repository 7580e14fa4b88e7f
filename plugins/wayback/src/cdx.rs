//! The index of the Wayback Machine: a line a capture, fields between spaces. Must never take a line for a capture that has
//! another number of fields, nor what stands after the blank line, where the index says how to go on.

use gleaner_sdk::{Failure, Response};

/// One answer that the archive kept.
#[derive(Debug, PartialEq)]
pub(crate) struct Capture<'a> {
    /// `YYYYMMDDhhmmss`.
    pub(crate) timestamp: &'a str,
    /// The URL as it was asked for then.
    pub(crate) original: &'a str,
    media_type: &'a str,
    /// `-` where the answer repeats an earlier one.
    status: &'a str,
    /// Of the bytes.
    pub(crate) digest: &'a str,
}

/// The text of an answer of the index; none where it has nothing, or the site asked to be left out.
pub(crate) fn text(answer: Result<Option<Response>, Failure>) -> Result<String, Failure> {
    match answer {
        Ok(answer) => {
            Ok(answer.map(|answer| String::from_utf8_lossy(&answer.body).into_owned()).unwrap_or_default())
        }
        // Sites may ask the archive not to show them: `AdministrativeAccessControlException`, and for robots.txt alike.
        Err(failure) if failure.upstream_status == Some(403) => Ok(String::new()),
        Err(failure) => Err(failure),
    }
}

/// The captures of an answer.
pub(crate) fn captures(text: &str) -> Result<Vec<Capture<'_>>, Failure> {
    let lines = || text.lines().take_while(|line| !line.trim().is_empty());
    let captures: Vec<_> = lines().filter_map(capture).collect();
    if captures.is_empty() && !text.trim().is_empty() {
        return Err(Failure::unknown_shape(
            "the Wayback Machine's index answered with something that is no list of captures",
        ));
    }
    Ok(captures)
}

fn capture(line: &str) -> Option<Capture<'_>> {
    let fields: Vec<_> = line.split(' ').collect();
    let [_key, timestamp, original, media_type, status, digest, _length] = fields[..] else { return None };
    let is_time = timestamp.len() == 14 && timestamp.bytes().all(|byte| byte.is_ascii_digit());
    is_time.then_some(Capture { timestamp, original, media_type, status, digest })
}

impl Capture<'_> {
    pub(crate) fn is_pdf_of(&self, url: &str) -> bool {
        self.status == "200"
            && self.media_type.eq_ignore_ascii_case("application/pdf")
            && same(self.original, url)
    }
}

/// Whether two URLs are one: neither scheme nor `www.`, port or the host's case make a difference. The archive's index
/// finds paths in any case too, which are others.
fn same(one: &str, other: &str) -> bool {
    let key = |url: &str| {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let rest = rest.split('#').next().unwrap_or_default();
        let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let host = host.to_ascii_lowercase();
        let host = host.strip_prefix("www.").unwrap_or(&host);
        let host = host.strip_suffix(":80").or(host.strip_suffix(":443")).unwrap_or(host);
        format!("{host}{}", path.trim_end_matches('/'))
    };
    key(one) == key(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "org,a)/x.pdf 20200102030405 http://www.a.org:80/x.pdf application/pdf 200 SHA 99";

    #[test]
    fn lines_are_captures_up_to_the_blank_one() {
        let text = format!("{LINE}\n{LINE} more\nodd line\n\n{LINE}\norg%2Ca%29%2F+2020\n");
        let found = captures(&text).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].timestamp, found[0].digest), ("20200102030405", "SHA"));
        assert_eq!(captures(""), Ok(Vec::new()));
        assert_eq!(captures("\n\n"), Ok(Vec::new()));
        for other in ["[[\"urlkey\"]]", "<html>\n", "\norg%2Ca%29%2F+2020\n"] {
            assert_eq!(captures(other).unwrap_err().code, "unknown-shape", "{other}");
        }
    }

    #[test]
    fn a_capture_counts_for_its_own_url_only() {
        let found = captures(LINE).unwrap();
        for url in ["https://a.org/x.pdf", "http://WWW.a.org/x.pdf#page=2", "https://a.org:443/x.pdf/"] {
            assert!(found[0].is_pdf_of(url), "{url}");
        }
        for url in
            ["https://a.org/x.pdf?y", "https://a.org/X.pdf", "https://b.org/x.pdf", "https://a.org/", ""]
        {
            assert!(!found[0].is_pdf_of(url), "{url}");
        }
        for other in
            [LINE.replace(" 200 ", " 429 "), LINE.replace(" 200 ", " - "), LINE.replace("/pdf ", "/html ")]
        {
            assert!(!captures(&other).unwrap()[0].is_pdf_of("https://a.org/x.pdf"), "{other}");
        }
    }

    #[test]
    fn a_mutated_index_is_read_or_refused() {
        gleaner_testing::each_mutation(&[LINE, &format!("{LINE}\n\nkey\n")], |text| {
            for capture in captures(text).unwrap_or_default() {
                assert!(capture.timestamp.len() == 14 && text.contains(capture.original));
            }
        });
    }
}
