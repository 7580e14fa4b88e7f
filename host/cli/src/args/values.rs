//! Values of arguments, read from text: what is not understood is answered with how to write it.
//!
//! Must never look anything up: whether a resolver or a host is known is for the command to say.

use std::num::NonZeroU16;
use std::str::FromStr;

use gleaner_model::clock::UnixMillis;
use gleaner_model::job::{JobState, Priority};
use gleaner_model::key::{HostKey, Key, ResolverName};
use gleaner_model::reason::Reason;
use gleaner_model::units::Span;
use gleaner_orchestrator::config::GrantedHost;

/// A moment, or a time from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    At(UnixMillis),
    In(Span),
}

impl When {
    pub(crate) fn from(self, now: UnixMillis) -> UnixMillis {
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
                "{text:?} is neither a time like 2030-01-31T08:00:00Z nor a duration from now like 30m or 2h"
            )
        })
    }
}

/// A moment, or a time before now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ago {
    At(UnixMillis),
    Before(Span),
}

impl Ago {
    pub(crate) fn before(self, now: UnixMillis) -> UnixMillis {
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
            format!("{text:?} is neither a time like 2030-01-31T08:00:00Z nor how long ago, like 30m or 7d")
        })
    }
}

/// A time of RFC 3339 in any zone, to the millisecond.
fn rfc_3339(text: &str) -> Option<UnixMillis> {
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

pub(crate) fn read_priority(text: &str) -> Result<Priority, String> {
    text.parse().map(Priority).map_err(|_| format!("{text:?} is not a whole number like -10, 0 or 10"))
}

/// A key as users write it: with its kind, or a host or a URL where that cannot be anything else.
pub(super) fn key(text: &str) -> Result<Key, String> {
    let text = text.trim();
    if text == "plan" {
        return Err("planning is never limited, so it cannot be paused or given a limit; \
                    name a resolver or a host: see `gleaner queue keys`"
            .to_owned());
    }
    if let Some(name) = text.strip_prefix("resolver:") {
        return resolver_name(name).map(Key::Resolver);
    }
    if let Some(name) = text.strip_prefix("host:") {
        return host(name).map(Key::Host);
    }
    if !text.contains(['.', ':']) {
        return Err(format!("{text:?} could be a resolver or a host; write resolver:{text} or host:{text}"));
    }
    host(text).map(Key::Host)
}

pub(super) fn resolver_name(text: &str) -> Result<ResolverName, String> {
    ResolverName::new(text).map_err(|error| error.to_string())
}

pub(super) fn granted_host(text: &str) -> Result<GrantedHost, String> {
    GrantedHost::try_from(text.to_owned())
}

pub(super) fn reason(text: &str) -> Result<Reason, String> {
    let known = || Reason::ALL.iter().map(|reason| reason.as_str()).collect::<Vec<_>>().join(", ");
    text.parse().map_err(|_| format!("the reasons are {}", known()))
}

pub(super) fn state(text: &str) -> Result<JobState, String> {
    text.parse().map_err(|error: gleaner_model::job::UnknownState| error.to_string())
}

pub(super) fn ended_state(text: &str) -> Result<JobState, String> {
    match state(text)? {
        ended @ (JobState::Error | JobState::Skipped) => Ok(ended),
        other => Err(format!("a job that is {other} cannot be started anew; use error or skipped")),
    }
}

/// A state in which works are forgotten.
pub(super) fn forgotten_state(text: &str) -> Result<JobState, String> {
    match state(text)? {
        ended @ (JobState::Error | JobState::Skipped) => Ok(ended),
        other => Err(format!("a work that is {other} is never forgotten; use error or skipped")),
    }
}

/// A host as users write it: `Example.org`, `example.org:8443`, or a URL of it.
pub(super) fn host(text: &str) -> Result<HostKey, String> {
    let url = if text.contains("://") { text.to_owned() } else { format!("https://{text}/") };
    let is_host = text.contains("://") || !text.contains('/');
    let key = is_host.then(|| gleaner_limits::host_key(&url).ok()).flatten();
    key.ok_or_else(|| format!("{text:?} is not a host; write it like example.org"))
}

pub(super) fn resolver_cap(text: &str) -> Result<(ResolverName, NonZeroU16), String> {
    let (name, cap) = text.split_once('=').ok_or_else(|| format!("{text:?}: write it like unpaywall=2"))?;
    let cap = cap.parse().map_err(|_| format!("{cap:?} is not a number from 1 to 65535"))?;
    Ok((resolver_name(name)?, cap))
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
            assert_eq!(key(text).unwrap().to_string(), wanted);
        }
        for (text, part) in [
            ("plan", "never limited"),
            ("somebody", "resolver:somebody or host:somebody"),
            ("resolver:A B", "is not the name of a resolver"),
            ("host:", "is not a host"),
            ("a.org/path", "is not a host"),
        ] {
            let message = key(text).unwrap_err();
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
        assert!(ago("yesterday").unwrap_err().contains("how long ago"));
        for text in
            ["", "tomorrow", "2030-01-31", "2030-01-31T08:00:00", "2030-01-31T08:00:00+2", "30", "é+02:00"]
        {
            let message = when(text).unwrap_err();
            assert!(message.contains("2030-01-31T08:00:00Z"), "{text}: {message}");
        }
    }
}
