//! `Retry-After` (RFC 9110, section 10.2.3): seconds, or an HTTP date.
//!
//! Must never turn nonsense into a wait: what is not well-formed counts as absent.

use std::time::{Duration, UNIX_EPOCH};

use crate::clock::UnixMillis;

/// How long the header asks to wait, from `now`. A date that has passed asks for no wait.
pub fn parse(header: &str, now: UnixMillis) -> Option<Duration> {
    let header = header.trim();
    if !header.is_empty() && header.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Duration::from_secs(header.parse::<u32>().unwrap_or(u32::MAX).into()));
    }
    Some(now.until(date(header)?))
}

/// An HTTP date (RFC 9110, section 5.6.7), from 1970 on.
pub fn date(text: &str) -> Option<UnixMillis> {
    let at = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(UnixMillis(i64::try_from(at.as_millis()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let now = UnixMillis(784_111_777_000); // Sun, 06 Nov 1994 08:49:37 GMT
        assert_eq!(parse("120", now), Some(Duration::from_secs(120)));
        assert_eq!(parse("Sun, 06 Nov 1994 08:50:37 GMT", now), Some(Duration::from_secs(60)));
        assert_eq!(parse("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(Duration::ZERO));
        for nonsense in ["", "soon", "-1", "1.5", "Sun, 99 Nov 1994"] {
            assert_eq!(parse(nonsense, now), None, "{nonsense}");
        }
    }

    #[test]
    fn a_huge_number_is_a_long_wait() {
        let longest = Some(Duration::from_secs(u64::from(u32::MAX)));
        for number in ["4294967296", "9223372036775808120", "99999999999999999999999"] {
            assert_eq!(parse(number, UnixMillis(0)), longest, "{number}");
        }
    }
}
