//! URLs: building those that are asked, cleaning and joining those that a source proposes. Must never let a value become
//! something else than one part of a URL: a DOI may hold `/`, `<`, `#`, `?`, `%` and spaces.

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt;

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a path segment may hold as it is, beside the unreserved: RFC 3986, `pchar`. APIs show DOIs so.
const SEGMENT: &AsciiSet = &RESERVED
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// What must not stand in a URL at all. `%` stays: what a source proposes is mostly encoded already.
const NEVER: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A URL under construction. Values are percent-encoded as they come in; path and query may come in any order.
///
/// ```
/// use gleaner_sdk::Url;
///
/// let url = Url::new("https://api.example.org/").path("v2").path("10.1000/a<b>").query("email", "me+you@example.org");
/// assert_eq!(url.to_string(), "https://api.example.org/v2/10.1000/a%3Cb%3E?email=me%2Byou%40example.org");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    path: String,
    query: String,
}

impl Url {
    /// Starts from a base URL, which is taken as it is: `https://api.example.org/v1`, with or without a last `/`
    /// and a query.
    pub fn new(base: &str) -> Self {
        let (path, query) = base.split_once('?').unwrap_or((base, ""));
        Self { path: path.trim_end_matches('/').to_owned(), query: query.to_owned() }
    }

    /// Adds one path segment; a `/` in it is encoded. (`.` and `..` alone have no encoding that survives: the
    /// host's parser takes them for steps in the path.)
    pub fn segment(mut self, segment: &str) -> Self {
        self.path.push('/');
        self.path.extend(utf8_percent_encode(segment, SEGMENT));
        self
    }

    /// Adds path segments between `/`. A value in which a parser would lose some (`a//b`, `a/../b`) becomes one
    /// segment, which services that take a path here read the same.
    pub fn path(self, path: &str) -> Self {
        if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return self.segment(path);
        }
        path.split('/').fold(self, Self::segment)
    }

    /// Adds a query parameter.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        if !self.query.is_empty() {
            self.query.push('&');
        }
        self.query.extend(utf8_percent_encode(name, RESERVED));
        self.query.push('=');
        self.query.extend(utf8_percent_encode(value, RESERVED));
        self
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if self.query.is_empty() { Ok(()) } else { write!(f, "?{}", self.query) }
    }
}

/// A URL as sources give it, made fit for a request: surrounding space dropped; spaces, angle brackets, letters
/// beyond ASCII and the like percent-encoded; all else kept, `http` too. None if it is no http or https URL.
pub fn clean_url(url: &str) -> Option<String> {
    let url = url.trim();
    let (scheme, rest) = url.split_once(':')?;
    let rest = rest.strip_prefix("//")?;
    let is_http = ["http", "https"].iter().any(|http| scheme.eq_ignore_ascii_case(http));
    let has_host = !rest.is_empty() && !rest.starts_with(['/', '?', '#', '\\']);
    (is_http && has_host).then(|| utf8_percent_encode(url, NEVER).to_string())
}

/// The URL that a link on a page leads to (RFC 3986, section 5.2), cleaned and without its fragment. `base` is the
/// page's own URL. None if that is no http or https URL, or the link leads to none.
///
/// ```
/// let url = gleaner_sdk::join("https://a.example/x/y?z", "../pdf/1.pdf#page=2");
/// assert_eq!(url.as_deref(), Some("https://a.example/pdf/1.pdf"));
/// ```
pub fn join(base: &str, link: &str) -> Option<String> {
    let without_fragment = |url: &str| url.split('#').next().unwrap_or_default().to_owned();
    let (base, link) = (clean_url(&without_fragment(base))?, without_fragment(link.trim()));
    if has_scheme(&link) {
        return clean_url(&link);
    }
    let (scheme, rest) = base.split_once("://")?;
    if link.starts_with("//") {
        return clean_url(&format!("{scheme}:{link}"));
    }
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
    let (link_path, link_query) = link.split_at(link.find('?').unwrap_or(link.len()));
    let (path, query) = if !link_path.is_empty() {
        let folder = path.rfind('/').map_or("/", |end| &path[..=end]);
        let whole = if link_path.starts_with('/') { String::new() } else { folder.to_owned() } + link_path;
        (without_dots(&whole), link_query)
    } else if link_query.is_empty() {
        (path.to_owned(), query)
    } else {
        (path.to_owned(), link_query)
    };
    let path = if path.is_empty() { "/" } else { &path };
    clean_url(&format!("{scheme}://{host}{path}{query}"))
}

fn has_scheme(link: &str) -> bool {
    link.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

/// An absolute path, with the steps `.` and `..` taken.
fn without_dots(path: &str) -> String {
    let mut taken: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." | ".." => {
                if segment == ".." {
                    taken.pop();
                }
                if segments.peek().is_none() {
                    taken.push("");
                }
            }
            _ => taken.push(segment),
        }
    }
    format!("/{}", taken.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(url: &Url) -> url::Url {
        url::Url::parse(&url.to_string()).unwrap()
    }

    fn decoded(part: &str) -> String {
        percent_encoding::percent_decode_str(part).decode_utf8().unwrap().into_owned()
    }

    #[test]
    fn a_plain_doi_stays_readable() {
        let url = Url::new("https://api.example.org").path("v2").path("10.1016/s0308-8146(20)31159-6");
        assert_eq!(url.to_string(), "https://api.example.org/v2/10.1016/s0308-8146(20)31159-6");
    }

    #[test]
    fn an_odd_doi_keeps_its_meaning() {
        for (doi, path) in [
            ("10.1002/(sici)1097<1::aid-cm1>3.0.co;2-e", "/10.1002/(sici)1097%3C1::aid-cm1%3E3.0.co;2-e"),
            ("10.1000/a b#c?d%e", "/10.1000/a%20b%23c%3Fd%25e"),
            ("10.1000//a", "/10.1000%2F%2Fa"),
            ("10.1000/../a", "/10.1000%2F..%2Fa"),
            ("10.1000/a/", "/10.1000%2Fa%2F"),
        ] {
            assert_eq!(parsed(&Url::new("https://api.example.org").path(doi)).path(), path);
        }
    }

    #[test]
    fn parameters_join_those_of_the_base() {
        let url = Url::new("https://api.example.org/?key=1").query("a b", "c&d=e").segment("x/y");
        assert_eq!(url.to_string(), "https://api.example.org/x%2Fy?key=1&a%20b=c%26d%3De");
    }

    #[test]
    fn what_is_no_http_url_is_dropped() {
        for url in [
            "",
            " ",
            "ftp://a.example/x",
            "//a.example/x",
            "a.example/x.pdf",
            "https://",
            "http:///x",
            "javascript:x",
        ] {
            assert_eq!(clean_url(url), None, "{url}");
        }
    }

    #[test]
    fn what_is_encoded_is_not_encoded_again() {
        assert_eq!(
            clean_url(" HTTP://a.example/a%20b c<d>é\n").unwrap(),
            "HTTP://a.example/a%20b%20c%3Cd%3E%C3%A9"
        );
    }

    #[test]
    fn a_link_leads_where_a_browser_goes() {
        for (link, url) in [
            ("1.pdf", "https://a.example/x/1.pdf"),
            (" /pdf/a b.pdf\n", "https://a.example/pdf/a%20b.pdf"),
            ("//b.example/y", "https://b.example/y"),
            ("http://c.example/?a#b", "http://c.example/?a"),
            ("?pdf=1", "https://a.example/x/y?pdf=1"),
            ("../../..", "https://a.example/"),
            ("", "https://a.example/x/y?q=/z"),
            ("b/./c:d", "https://a.example/x/b/c:d"),
        ] {
            assert_eq!(join("https://a.example/x/y?q=/z#top", link).as_deref(), Some(url), "{link}");
        }
        for link in ["javascript:void(0)", "mailto:someone@example.org", "data:,x", "//", "ftp://a.example/x"]
        {
            assert_eq!(join("https://a.example/", link), None, "{link}");
        }
        assert_eq!(join("about:blank", "x"), None);
        assert_eq!(join("https://a.example", "x").as_deref(), Some("https://a.example/x"));
    }

    const SEEDS: [&str; 8] = [
        "https://a.example/x/y?q=/z#top",
        "HTTP://B.example:8080/a%20b c<d>é",
        "//c.example/x.pdf",
        "../pdf/./1.pdf#page=2",
        "?pdf=1",
        "javascript:void(0)",
        "https://[2001:db8::1]/",
        "data:,x",
    ];

    /// Whatever a page links to: what comes out can be asked for, and is what a browser asks for.
    #[test]
    fn a_mutated_link_is_a_clean_http_url_or_none() {
        gleaner_testing::each_mutation(&SEEDS, |link| {
            if let Some(clean) = clean_url(link) {
                assert!(clean.bytes().all(|byte| byte.is_ascii_graphic()), "{clean:?}");
                assert_eq!(clean_url(&clean).as_ref(), Some(&clean));
            }
            for base in ["https://a.example/x/y?q=1", "http://b.example", link] {
                if let Some(url) = join(base, link) {
                    assert_eq!(clean_url(&url).as_ref(), Some(&url));
                    assert!(!url.contains('#'), "{url:?}");
                }
            }
        });
    }

    /// Whatever an operator gives as the base: a value stays one part of the URL.
    #[test]
    fn a_mutated_value_stays_one_part() {
        gleaner_testing::each_mutation(
            &["10.1002/(sici)1097<1::aid>3.0.co;2-e?#%", "a/../b", "é &=+"],
            |value| {
                let base = "https://api.example.org/v1";
                let url = parsed(&Url::new(base).segment(&format!("x{value}")).query("q", value));
                assert_eq!(url.path_segments().unwrap().count(), 2);
                assert_eq!(
                    url.query_pairs().map(|(_, value)| value.into_owned()).collect::<Vec<_>>(),
                    [value]
                );
                assert!(url.fragment().is_none() && parsed(&Url::new(base).path(value)).query().is_none());
            },
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(gleaner_testing::CASES))]

        #[test]
        fn links_are_joined_as_the_url_standard_says(base in "[ab./?]{0,12}", link in "[ab./?=#]{0,12}") {
            let base = url::Url::parse(&format!("https://a.example/{base}")).unwrap();
            // The standard reads `///x` as `//x`; such a link is a mistake that leads nowhere here.
            if !link.starts_with("//") {
                let mut expected = base.join(&link).unwrap();
                expected.set_fragment(None);
                let joined = url::Url::parse(&join(base.as_str(), &link).unwrap()).unwrap();
                prop_assert_eq!(joined, expected);
            }
        }

        #[test]
        fn a_joined_link_is_a_clean_http_url_or_none(base in "\\PC{0,30}", link in "\\PC{0,30}") {
            if let Some(url) = join(&format!("http://{base}"), &link) {
                prop_assert_eq!(clean_url(&url), Some(url));
            }
        }

        #[test]
        fn a_value_comes_out_as_it_went_in(value in "\\PC{0,20}", kept in "[ -~]{0,20}") {
            for value in [value, kept] {
                let name = format!("x{value}");
                let base = Url::new("https://api.example.org/v1").query("q", &value);
                let path = parsed(&base.clone().path(&name));
                prop_assert_eq!(path.query_pairs().next().unwrap().1, value);
                prop_assert_eq!(decoded(path.path()), format!("/v1/{name}"));
                let segment = parsed(&base.segment(&name));
                prop_assert_eq!(segment.path_segments().unwrap().map(decoded).collect::<Vec<_>>(), ["v1", &name]);
            }
        }

        #[test]
        fn a_cleaned_url_is_printable_and_stays_as_it_is(rest in "\\PC{1,40}") {
            if let Some(clean) = clean_url(&format!("https://{rest}")) {
                prop_assert!(clean.bytes().all(|byte| byte.is_ascii_graphic()));
                prop_assert_eq!(clean_url(&clean), Some(clean));
            }
        }
    }
}
