//! Values that people write, in arguments, forms and requests: what is not understood is answered with how to write it.
//!
//! Must never look anything up: whether a resolver or a host is known is for the command to say.

use std::str::FromStr;

use gleaner_model::clock::UnixMillis;
use gleaner_model::job::{JobState, Priority};
use gleaner_model::key::{HostKey, Key, ResolverName};
use gleaner_model::reason::Reason;
use gleaner_model::units::Span;

/// A moment, or a time from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Then.
    At(UnixMillis),
    /// So long from now.
    In(Span),
}

impl When {
    /// The moment it means.
    pub fn from(self, now: UnixMillis) -> UnixMillis {
        match self {
            Self::At(at) => at,
            Self::In(span) => now.after(span.0),
        }
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let at = || rfc_3339(text).map(Self::At);
        text.parse().map(Self::In).ok().or_else(at).ok_or_else(|| {
            format!(
                "{text:?} is neither a time like 2030-01-31T08:00:00Z or 2030-01-31 nor a duration from now like 30m or 2h"
            )
        })
    }
}

/// A moment, or a time before now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ago {
    /// Then.
    At(UnixMillis),
    /// So long before now.
    Before(Span),
}

impl Ago {
    /// The moment it means.
    pub fn before(self, now: UnixMillis) -> UnixMillis {
        match self {
            Self::At(at) => at,
            Self::Before(span) => {
                UnixMillis(now.0.saturating_sub(i64::try_from(span.0.as_millis()).unwrap_or(i64::MAX)))
            }
        }
    }
}

impl FromStr for Ago {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let at = || rfc_3339(text).map(Self::At);
        text.parse().map(Self::Before).ok().or_else(at).ok_or_else(|| {
            format!("{text:?} is neither a time like 2030-01-31T08:00:00Z or 2030-01-31 nor how long ago, like 30m or 7d")
        })
    }
}

/// A time of RFC 3339 in any zone, to the millisecond; or a date of it, which is its beginning in UTC.
fn rfc_3339(text: &str) -> Option<UnixMillis> {
    if text.len() == "2030-01-31".len() {
        return rfc_3339(&format!("{text}T00:00:00Z"));
    }
    let (local, behind_ms) = match text.strip_suffix(['Z', 'z']) {
        Some(local) => (local, 0),
        None => {
            let (local, zone) = text.split_at_checked(text.len().checked_sub(6)?)?;
            (local, zone_ms(zone)?)
        }
    };
    let at = humantime::parse_rfc3339(&format!("{local}Z")).ok()?;
    let since = at.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(UnixMillis(i64::try_from(since.as_millis()).ok()? - behind_ms))
}

/// `+02:00` and the like.
fn zone_ms(text: &str) -> Option<i64> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = text[1..].split_once(':')?;
    let number = |text: &str, below: i64| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten().filter(|number: &i64| *number < below)
    };
    Some(sign * (number(hours, 24)? * 60 + number(minutes, 60)?) * 60_000)
}

/// A priority.
///
/// # Errors
/// When the text is no whole number.
pub fn parse_priority(text: &str) -> Result<Priority, String> {
    text.parse().map(Priority).map_err(|_| format!("{text:?} is not a whole number like -10, 0 or 10"))
}

/// A key as users write it: with its kind, or a host or a URL where that cannot be anything else.
///
/// # Errors
/// When it could be several things, or none.
pub fn parse_key(text: &str) -> Result<Key, String> {
    let text = text.trim();
    if text == "plan" {
        return Err("planning is never limited, so it cannot be paused or given a limit; \
                    name a resolver or a host: see `gleaner queue keys`"
            .to_owned());
    }
    if let Some(name) = text.strip_prefix("resolver:") {
        return parse_resolver(name).map(Key::Resolver);
    }
    if let Some(name) = text.strip_prefix("host:") {
        return parse_host(name).map(Key::Host);
    }
    if !text.contains(['.', ':']) {
        return Err(format!("{text:?} could be a resolver or a host; write resolver:{text} or host:{text}"));
    }
    parse_host(text).map(Key::Host)
}

/// The name of a resolver.
///
/// # Errors
/// When the text has another form.
pub fn parse_resolver(text: &str) -> Result<ResolverName, String> {
    ResolverName::new(text).map_err(|error| error.to_string())
}

/// A reason.
///
/// # Errors
/// When there is no such reason: it names all.
pub fn parse_reason(text: &str) -> Result<Reason, String> {
    let known = || Reason::ALL.iter().map(|reason| reason.as_str()).collect::<Vec<_>>().join(", ");
    text.parse().map_err(|_| format!("the reasons are {}", known()))
}

/// A state of a job.
///
/// # Errors
/// When there is no such state.
pub fn parse_state(text: &str) -> Result<JobState, String> {
    text.parse().map_err(|error: gleaner_model::job::UnknownState| error.to_string())
}

/// A state from which jobs can be started anew.
///
/// # Errors
/// When it is another one.
pub fn parse_ended_state(text: &str) -> Result<JobState, String> {
    match parse_state(text)? {
        ended @ (JobState::Error | JobState::Skipped) => Ok(ended),
        other => Err(format!("a job that is {other} cannot be started anew; use error or skipped")),
    }
}

/// A host as users write it: `Example.org`, `example.org:8443`, or a URL of it.
///
/// # Errors
/// When it is no host.
pub fn parse_host(text: &str) -> Result<HostKey, String> {
    let url = if text.contains("://") { text.to_owned() } else { format!("https://{text}/") };
    let is_host = text.contains("://") || !text.contains('/');
    let key = is_host.then(|| gleaner_limits::host_key(&url).ok()).flatten();
    key.ok_or_else(|| format!("{text:?} is not a host; write it like example.org"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_people_write_them() {
        for (text, wanted) in [
            ("resolver:europe_pmc", "resolver:europe_pmc"),
            ("host:API.Example.org", "host:api.example.org"),
            ("api.example.org", "host:api.example.org"),
            ("example.org:8443", "host:example.org:8443"),
            ("https://Example.org/a/b?c", "host:example.org"),
            ("host:localhost", "host:localhost"),
        ] {
            assert_eq!(parse_key(text).unwrap().to_string(), wanted);
        }
        for (text, part) in [
            ("plan", "never limited"),
            ("somebody", "resolver:somebody or host:somebody"),
            ("resolver:A B", "is not the name of a resolver"),
            ("host:", "is not a host"),
            ("a.org/path", "is not a host"),
        ] {
            let message = parse_key(text).unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn times_are_moments_in_any_zone_or_durations() {
        let when = |text: &str| text.parse::<When>();
        assert_eq!(when("2h").unwrap().from(UnixMillis(5)), UnixMillis(7_200_005));
        for text in ["2030-01-31T08:00:00Z", "2030-01-31T10:00:00+02:00", "2030-01-31T03:30:00.000-04:30"] {
            assert_eq!(
                when(text).unwrap().from(UnixMillis(5)).to_string(),
                "2030-01-31T08:00:00.000Z",
                "{text}"
            );
        }
        let ago = |text: &str| text.parse::<Ago>().map(|ago| ago.before(UnixMillis(7_200_005)));
        assert_eq!(ago("2h"), Ok(UnixMillis(5)));
        assert_eq!(ago("2030-01-31T08:00:00Z").unwrap().to_string(), "2030-01-31T08:00:00.000Z");
        assert_eq!(ago("2030-01-31").unwrap().to_string(), "2030-01-31T00:00:00.000Z");
        assert!(ago("yesterday").unwrap_err().contains("how long ago"));
        for text in
            ["", "tomorrow", "2030-02-31", "2030-01-31T08:00:00", "2030-01-31T08:00:00+2", "30", "é+02:00"]
        {
            let message = when(text).unwrap_err();
            assert!(message.contains("2030-01-31T08:00:00Z"), "{text}: {message}");
        }
    }
}
