//! The form in which two URLs are compared: equal when they would fetch the same file.
//!
//! For comparison only: must never be what is requested, because a host may well look at what is dropped here.

use url::Url;

/// Parameters that tell where a reader came from and nothing about what is fetched.
const TRACKING: [&str; 12] = [
    "fbclid", "gclid", "dclid", "msclkid", "yclid", "igshid", "mc_cid", "mc_eid", "_ga", "_gl", "_hsenc",
    "_hsmi",
];

/// The canonical form of an http(s) URL, without its scheme: http and https are the same, and so are a usual port
/// and none, a host with and without the root's dot, every way to write a character that needs no escape (RFC 3986,
/// section 6.2.2), and any fragment. Parameters for tracking are dropped; the others keep their order, which can
/// matter. Dot segments and the case of the host have gone when the URL was parsed.
pub fn canonical(url: &Url) -> String {
    let mut text = String::with_capacity(url.as_str().len());
    text.push_str(url.host_str().unwrap_or_default().trim_end_matches('.'));
    // Another scheme's usual port says something: https on port 80 is not http.
    if let Some(port) = url.port() {
        text.push_str(&format!(":{port}"));
    }
    push_normal(&mut text, url.path());
    let mut separator = '?';
    for pair in url.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty() && !tracks(pair)) {
        text.push(separator);
        push_normal(&mut text, pair);
        separator = '&';
    }
    text
}

fn tracks(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or(pair).to_ascii_lowercase();
    name.starts_with("utm_") || TRACKING.contains(&name.as_str())
}

/// Adds a part with its percent-encoding in normal form: unreserved characters plain, hexadecimal digits large.
fn push_normal(text: &mut String, part: &str) {
    let mut rest = part;
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        let code = after.get(..2).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                let is_unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
                if is_unreserved {
                    text.push(char::from(byte));
                } else {
                    text.push_str(&format!("%{byte:02X}"));
                }
                rest = &after[2..];
            }
            None => {
                text.push('%');
                rest = after;
            }
        }
    }
    text.push_str(rest);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn form(text: &str) -> String {
        canonical(&Url::parse(text).unwrap())
    }

    #[test]
    fn what_fetches_the_same_file_compares_equal() {
        for text in [
            "https://a.example/x/y-z.pdf?id=1",
            "http://a.example/x/y-z.pdf?id=1",
            "https://A.Example:443/x/y-z.pdf?id=1#page=3",
            "http://a.example:80/x/y-z.pdf?id=1",
            "https://a.example./x/y-z.pdf?id=1",
            "https://a.example/w/../x/./y%2Dz.pdf?id=1",
            "https://a.example/%78/y-z.pdf?utm_source=feed&id=1&UTM_medium=mail&gclid=7",
            "https://a.example/x/y-z.pdf?id=%31&",
        ] {
            assert_eq!(form(text), "a.example/x/y-z.pdf?id=1", "{text}");
        }
        assert_eq!(form("https://a.example/a%2fb%c3%a9?"), "a.example/a%2Fb%C3%A9");
        assert_eq!(form("https://a.example/100%/x"), "a.example/100%/x");
    }

    #[test]
    fn what_may_be_another_file_does_not() {
        let first = form("https://a.example/x/y.pdf?id=1");
        for text in [
            "https://b.example/x/y.pdf?id=1",
            "https://www.a.example/x/y.pdf?id=1",
            "https://a.example:8443/x/y.pdf?id=1",
            "https://a.example:80/x/y.pdf?id=1",
            "https://a.example/X/y.pdf?id=1",
            "https://a.example/x%2Fy.pdf?id=1",
            "https://a.example/x/y.pdf/?id=1",
            "https://a.example/x/y.pdf?id=1&v=2",
            "https://a.example/x/y.pdf",
        ] {
            assert_ne!(form(text), first, "{text}");
        }
        assert_ne!(form("https://a.example/x?a=1&b=2"), form("https://a.example/x?b=2&a=1"));
    }

    proptest! {
        #[test]
        fn the_form_of_a_form_is_the_form(rest in "[ -~é]{0,60}") {
            if let Ok(url) = Url::parse(&format!("https://a.example/{rest}")) {
                let once = canonical(&url);
                let again = Url::parse(&format!("https://{once}")).unwrap();
                prop_assert_eq!(canonical(&again), once);
            }
        }
    }
}
