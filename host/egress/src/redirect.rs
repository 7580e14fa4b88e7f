//! What a redirect asks for next (RFC 9110, section 15.4).
//!
//! Must never carry to another origin what was meant for this one: there, only headers that say what is
//! wanted go along.

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CONTENT_TYPE, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    IF_RANGE, RANGE,
};
use http::{HeaderMap, Method, StatusCode};
use url::Url;

/// One request of a chain.
#[derive(Debug, Clone)]
pub(crate) struct Hop {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
}

/// Headers that may follow to another origin.
pub(crate) const HARMLESS: [HeaderName; 8] = [
    ACCEPT,
    ACCEPT_ENCODING,
    ACCEPT_LANGUAGE,
    CONTENT_TYPE,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_RANGE,
    RANGE,
];

/// The next request of the chain; none when the answer is no redirect, or one that leads nowhere.
pub(crate) fn next(hop: &Hop, status: StatusCode, answered: &HeaderMap) -> Option<Hop> {
    let keeps_method = match status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => hop.method != Method::POST,
        StatusCode::SEE_OTHER => matches!(hop.method, Method::GET | Method::HEAD),
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        _ => return None,
    };
    // Bytes beyond ASCII are UTF-8 in practice; the URL parser encodes them.
    let location = std::str::from_utf8(answered.get(http::header::LOCATION)?.as_bytes()).ok()?;
    let mut url = hop.url.join(location).ok()?;
    url.set_fragment(None);

    let mut next = Hop { url, ..hop.clone() };
    if !keeps_method {
        (next.method, next.body) = (Method::GET, None);
        next.headers.remove(CONTENT_TYPE);
    }
    if next.url.origin() != hop.url.origin() {
        next.headers = HARMLESS
            .iter()
            .filter_map(|name| Some((name.clone(), next.headers.get(name)?.clone())))
            .collect();
    }
    Some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(method: Method) -> Hop {
        let headers =
            [("accept", "x"), ("authorization", "secret"), ("x-key", "secret"), ("content-type", "t")];
        Hop {
            method,
            url: Url::parse("https://a.org/dir/x?q=1#f").unwrap(),
            headers: headers
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect(),
            body: Some(Bytes::from_static(b"body")),
        }
    }

    fn redirected(method: Method, status: u16, location: &str) -> Option<Hop> {
        let headers = [(http::header::LOCATION, location.parse().unwrap())].into_iter().collect();
        next(&hop(method), StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn locations_are_relative_to_the_hop() {
        for (location, url) in [
            ("y", "https://a.org/dir/y"),
            ("/y#g", "https://a.org/y"),
            ("//b.org/", "https://b.org/"),
            ("?q=2", "https://a.org/dir/x?q=2"),
            ("http://127.1/", "http://127.0.0.1/"),
        ] {
            assert_eq!(redirected(Method::GET, 302, location).unwrap().url.as_str(), url);
        }
        assert!(redirected(Method::GET, 302, "http://[").is_none());
        assert!(redirected(Method::GET, 304, "/y").is_none());
        assert!(redirected(Method::GET, 200, "/y").is_none());
    }

    #[test]
    fn methods_change_as_the_standard_says() {
        for (method, status, after) in [
            (Method::POST, 301, Method::GET),
            (Method::POST, 302, Method::GET),
            (Method::PUT, 302, Method::PUT),
            (Method::PUT, 303, Method::GET),
            (Method::HEAD, 303, Method::HEAD),
            (Method::POST, 307, Method::POST),
            (Method::POST, 308, Method::POST),
        ] {
            let kept = method == after;
            let next = redirected(method, status, "/y").unwrap();
            assert_eq!((next.method, next.body.is_some()), (after, kept), "{status}");
        }
    }

    #[test]
    fn other_origins_learn_nothing() {
        let names = |location| {
            let headers = redirected(Method::GET, 302, location).unwrap().headers;
            let mut names: Vec<_> = headers.keys().map(|name| name.as_str().to_owned()).collect();
            names.sort();
            names.join(" ")
        };
        assert_eq!(names("/y"), "accept authorization content-type x-key");
        for other in ["https://b.org/", "http://a.org/", "https://a.org:8443/", "https://x.a.org/"] {
            assert_eq!(names(other), "accept content-type", "{other}");
        }
    }
}
