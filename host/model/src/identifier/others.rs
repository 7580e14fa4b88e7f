//! The normal forms of the smaller schemes.
//!
//! Must never accept what its registry could not have issued: a wrong check digit is an error here, not
//! a request that finds nothing.

use url::Url;

type Normal = Result<String, &'static str>;

pub(super) fn pmid(text: &str) -> Normal {
    let digits = after_last_slash(strip(text, "pmid:"));
    let fits = (1..=9).contains(&digits.len()) && all_digits(digits) && !digits.starts_with('0');
    fits.then(|| digits.to_owned()).ok_or("a PMID is a number of up to nine digits, like pmid:9659853")
}

pub(super) fn pmcid(text: &str) -> Normal {
    let text = after_last_slash(strip(strip(text, "pmcid:"), "pmc:"));
    let digits = strip(text, "pmc");
    let fits = (1..=9).contains(&digits.len()) && all_digits(digits) && !digits.starts_with('0');
    fits.then(|| format!("PMC{digits}")).ok_or("a PMCID is PMC and a number, like PMC2808187")
}

pub(super) fn openalex(text: &str) -> Normal {
    let text = after_last_slash(strip(text, "openalex:"));
    let digits = strip(text, "w");
    let fits = digits.len() < text.len() && (1..=12).contains(&digits.len()) && all_digits(digits);
    fits.then(|| format!("W{digits}")).ok_or("an OpenAlex work is W and a number, like W2741809807")
}

pub(super) fn hal(text: &str) -> Normal {
    let text = after_last_slash(strip(text, "hal:")).to_ascii_lowercase();
    let fits = text.split_once('-').is_some_and(|(portal, number)| {
        let (number, version) = number.split_once('v').unwrap_or((number, "1"));
        let portal_fits = (2..=16).contains(&portal.len()) && portal.bytes().all(|b| b.is_ascii_lowercase());
        portal_fits
            && number.len() == 8
            && all_digits(number)
            && !version.is_empty()
            && version.len() < 4
            && all_digits(version)
    });
    if fits { Ok(text) } else { Err("a HAL document looks like hal-01345995 or tel-00006805v2") }
}

pub(super) fn zenodo(text: &str) -> Normal {
    let digits = after_last_slash(strip(text, "zenodo:"));
    let fits = (1..=12).contains(&digits.len()) && all_digits(digits);
    fits.then(|| digits.to_owned()).ok_or("a Zenodo record is a number, like zenodo:1196821")
}

pub(super) fn osf(text: &str) -> Normal {
    let id = after_last_slash(strip(text, "osf:")).to_ascii_lowercase();
    let fits = (5..=16).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if fits { Ok(id) } else { Err("an OSF id is five or more letters and digits, like osf:ezcuj") }
}

/// ISBN-13; an ISBN-10 is converted (ISO 2108).
pub(super) fn isbn(text: &str) -> Normal {
    const WHY: &str = "an ISBN has 10 or 13 digits, the last of which checks the others";
    let text = strip(text, "isbn:").trim();
    if !text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b' ' | b'x' | b'X')) {
        return Err(WHY);
    }
    let mut digits: Vec<u32> = Vec::with_capacity(13);
    for byte in text.bytes().filter(|b| !matches!(b, b'-' | b' ')) {
        match byte {
            b'x' | b'X' if digits.len() == 9 => digits.push(10),
            b'x' | b'X' => return Err(WHY),
            digit => digits.push(u32::from(digit - b'0')),
        }
    }
    match digits.len() {
        13 if isbn13_check(&digits[..12]) == digits[12] => {}
        10 if digits.iter().zip((1..=10).rev()).map(|(d, w)| d * w).sum::<u32>() % 11 == 0 => {
            digits.truncate(9);
            digits.splice(0..0, [9, 7, 8]);
            digits.push(isbn13_check(&digits));
        }
        _ => return Err(WHY),
    }
    Ok(digits.iter().filter_map(|&d| char::from_digit(d, 10)).collect())
}

fn isbn13_check(twelve: &[u32]) -> u32 {
    let sum: u32 = twelve.iter().zip([1, 3].into_iter().cycle()).map(|(d, w)| d * w).sum();
    (10 - sum % 10) % 10
}

/// An absolute http(s) URL as the WHATWG standard writes it, without its fragment.
pub(super) fn url(text: &str) -> Normal {
    let mut url = Url::parse(text).map_err(|_| "an absolute URL starts with https:// or http://")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("only http and https URLs can be fetched");
    }
    if !url.host_str().is_some_and(|host| host.contains('.') || host.starts_with('[')) {
        return Err("its host has no dot in it; give the full name of the host");
    }
    url.set_fragment(None);
    Ok(url.into())
}

/// A value of a scheme that only resolvers understand: kept as it is, within bounds.
pub(super) fn opaque(text: &str) -> Normal {
    let fits = !text.is_empty() && text.len() <= 512 && !text.chars().any(char::is_control);
    if fits {
        Ok(text.to_owned())
    } else {
        Err("it is empty, longer than 512 bytes, or has control characters")
    }
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

/// The text without that prefix, in any case, and without the space behind it.
fn strip<'a>(text: &'a str, prefix: &str) -> &'a str {
    match text.get(..prefix.len()) {
        Some(head) if head.eq_ignore_ascii_case(prefix) => text[prefix.len()..].trim_start(),
        _ => text,
    }
}

fn after_last_slash(text: &str) -> &str {
    if !text.contains("://") {
        return text;
    }
    let path = text.split(['?', '#']).next().unwrap_or(text).trim_end_matches('/');
    path.rsplit('/').next().unwrap_or(path)
}
