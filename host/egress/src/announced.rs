//! Limits that an upstream announces in the headers of its answers, by family of header and never by service.
//!
//! Read are: `*-limit` with `*-interval` (the rate) and `x-concurrency-limit`; `*-remaining` with `*-reset` (nothing
//! left until then), as `x-rate-limit-*`, `x-ratelimit-*` and `ratelimit-*` (draft-ietf-httpapi-ratelimit-headers up
//! to 07), and `ratelimit: "name";r=0;t=30` (from 08 on). Must never guess the window of a number that comes without
//! one, nor turn nonsense into a limit.

use std::num::NonZeroU32;
use std::time::Duration;

use gleaner_limits::Announced;
use gleaner_model::clock::UnixMillis;
use gleaner_model::retry_after;
use gleaner_model::units::Rate;
use http::HeaderMap;

const FAMILIES: [&str; 3] = ["x-rate-limit", "x-ratelimit", "ratelimit"];

/// From this number on a reset is a time since 1970 (in 2001), below it a number of seconds from now.
const IS_A_TIME: u64 = 1_000_000_000;
/// From this number on in milliseconds.
const IS_IN_MS: u64 = 100_000_000_000;

/// What the headers of an answer announce; none when they announce nothing.
pub(crate) fn read(headers: &HeaderMap, now: UnixMillis) -> Option<Announced> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let mut all = Announced {
        concurrency: text("x-concurrency-limit").and_then(|value| value.parse().ok()),
        ..Announced::default()
    };
    for family in FAMILIES {
        let of = |what: &str| text(&format!("{family}-{what}"));
        let rate = of("limit").zip(of("interval")).and_then(|(limit, interval)| rate(limit, interval));
        all.rate = all.rate.or(rate);
        let is_empty = of("remaining").is_some_and(|left| left.parse::<f64>().is_ok_and(|left| left <= 0.0));
        let reset = of("reset").filter(|_| is_empty).and_then(|at| reset(at, now));
        all.empty_for = all.empty_for.max(reset);
    }
    all.empty_for = all.empty_for.max(text("ratelimit").and_then(empty_item));
    (all != Announced::default()).then_some(all)
}

/// "50" in "1s" (or "1", in seconds).
fn rate(limit: &str, interval: &str) -> Option<Rate> {
    let count: NonZeroU32 = limit.parse().ok()?;
    let number = interval.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &interval[number.len()..] {
        "ms" => Duration::from_millis(1),
        "" | "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        _ => return None,
    };
    let per = unit.checked_mul(number.parse().ok()?).filter(|per| !per.is_zero())?;
    Some(Rate { count, per })
}

/// Seconds, a time since 1970, or an HTTP date.
fn reset(text: &str, now: UnixMillis) -> Option<Duration> {
    match text.parse::<u64>() {
        Ok(at) if at >= IS_A_TIME => {
            let ms = if at >= IS_IN_MS { at } else { at * 1000 };
            Some(now.until(UnixMillis(i64::try_from(ms).ok()?)))
        }
        _ => retry_after::parse(text, now),
    }
}

/// `"default";r=0;t=30`, also without the name; the longest of several.
fn empty_item(header: &str) -> Option<Duration> {
    let item = |item: &str| {
        let number = |name: &str| {
            item.split(';')
                .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('=')?.parse::<u64>().ok())
        };
        (number("r")? == 0).then(|| number("t").map(Duration::from_secs))?
    };
    header.split(',').filter_map(item).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    /// Headers in lines, and the concurrency, rate and seconds that they mean.
    #[test]
    fn families_are_read_alike() {
        for (lines, concurrency, rate, empty) in [
            ("x-rate-limit-limit: 10\nx-rate-limit-interval: 1s\nx-concurrency-limit: 3", 3, "10/s", 0),
            ("x-ratelimit-limit: 50\nx-ratelimit-interval: 1s", 0, "50/s", 0),
            ("x-rate-limit-limit: 5\nx-rate-limit-interval: 60", 0, "5/m", 0),
            ("x-ratelimit-limit: 60\nx-ratelimit-remaining: 59\nx-ratelimit-reset: 1700000042", 0, "", 0),
            ("x-ratelimit-limit: 60\nx-ratelimit-remaining: 0\nx-ratelimit-reset: 1700000042", 0, "", 42),
            ("x-ratelimit-remaining: 0\nx-ratelimit-reset: 1700000042000", 0, "", 42),
            ("x-ratelimit-remaining: 0\nx-ratelimit-reset: 7200", 0, "", 7200),
            ("ratelimit-limit: 100\nratelimit-remaining: 0\nratelimit-reset: 30", 0, "", 30),
            ("ratelimit: \"default\";r=0;t=30, \"day\";r=5;t=9000", 0, "", 30),
            ("ratelimit: \"default\";r=50;t=30", 0, "", 0),
            ("x-ratelimit-remaining: 0", 0, "", 0),
            ("x-rate-limit-limit: 0\nx-rate-limit-interval: 1s", 0, "", 0),
            ("x-rate-limit-limit: 5\nx-rate-limit-interval: soon\nx-concurrency-limit: -1", 0, "", 0),
            ("x-ratelimit-remaining: 0\nx-ratelimit-reset: tomorrow", 0, "", 0),
            ("content-type: text/html", 0, "", 0),
        ] {
            let header = |line: &str| {
                let (name, value) = line.split_once(": ").unwrap();
                (name.parse::<http::HeaderName>().unwrap(), value.parse::<http::HeaderValue>().unwrap())
            };
            let read = read(&lines.lines().map(header).collect(), NOW).unwrap_or_default();
            assert_eq!(read.concurrency, NonZeroU32::new(concurrency), "{lines}");
            assert_eq!(read.rate.map(|rate| rate.to_string()).unwrap_or_default(), rate, "{lines}");
            assert_eq!(read.empty_for.unwrap_or_default(), Duration::from_secs(empty), "{lines}");
        }
    }
}
