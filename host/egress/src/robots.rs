//! robots.txt (RFC 9309): what each authority asks of us, fetched once, kept for a day, bounded.
//!
//! Obeyed for landing pages only; an API and a file are asked for as people ask for them. `Crawl-delay`, which is no
//! part of the RFC, is not read: the limits of the host hold. Must never send a request by itself, or parse on the
//! threads that requests run on.

use std::sync::Arc;
use std::time::Duration;

use gleaner_model::reason::{Failure, Reason};
use texting_robots::Robot;
use tokio::time::Instant;
use url::Url;

use crate::error::EgressError;
use crate::of_hosts::OfHosts;

/// Our product token (section 2.2.1).
const TOKEN: &str = "gleaner";
/// What is read of a file (section 2.5).
pub(crate) const MOST_BYTES: usize = 500 << 10;
/// Redirects that are followed (section 2.3.1.2).
pub(crate) const REDIRECTS: u32 = 5;
/// How long a file is kept (section 2.4).
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// How long a host is not asked again that answers with a failure of its own.
const FAILS: Duration = Duration::from_secs(300);
/// The same for one that cannot be reached: that passes sooner.
const UNREACHABLE: Duration = Duration::from_secs(60);

/// What an authority says.
#[derive(Clone)]
pub(crate) enum Says {
    /// It has no file: everything is allowed (section 2.3.1.3).
    Nothing,
    /// Its rules.
    Rules(Arc<Robot>),
    /// Its file cannot be had now: everything is disallowed for now (section 2.3.1.4).
    Unreachable(Lack),
}

/// Why a file cannot be had now.
#[derive(Clone)]
pub(crate) struct Lack {
    pub(crate) detail: String,
    /// The network's, or `robots_disallowed` where the host answered with a failure.
    pub(crate) reason: Reason,
}

impl Lack {
    /// What is remembered of an error; gives back those that say nothing of the host, or that are remembered elsewhere.
    /// `patience`: see [`EgressError::is_hasty`].
    pub(crate) fn of(error: EgressError, patience: Duration) -> Result<Self, EgressError> {
        let is_the_hosts = matches!(
            error,
            EgressError::Dns { .. }
                | EgressError::Connection { .. }
                | EgressError::Tls { .. }
                | EgressError::Truncated { .. }
                | EgressError::Timeout { .. }
        );
        if !is_the_hosts || error.is_hasty(patience) {
            return Err(error);
        }
        let Failure { reason, detail, .. } = error.failure();
        Ok(Self { detail, reason })
    }
}

impl std::fmt::Debug for Says {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Rules(_) => "Rules",
            Self::Unreachable(_) => "Unreachable",
        })
    }
}

impl Says {
    /// The rules of a file. One that no parser understands has none.
    pub(crate) async fn of_file(file: Vec<u8>) -> Self {
        let parsed = tokio::task::spawn_blocking(move || Robot::new(TOKEN, &file).ok()).await;
        parsed.ok().flatten().map_or(Self::Nothing, |robot| Self::Rules(Arc::new(robot)))
    }

    /// Whether a URL may be asked for.
    pub(crate) fn allows(&self, url: &Url) -> bool {
        match self {
            Self::Nothing => true,
            Self::Rules(robot) => robot.allowed(url.as_str()),
            Self::Unreachable(_) => false,
        }
    }

    pub(crate) fn kept(&self) -> Duration {
        match self {
            Self::Nothing | Self::Rules(_) => KEPT,
            Self::Unreachable(lack) if lack.reason == Reason::RobotsDisallowed => FAILS,
            Self::Unreachable(_) => UNREACHABLE,
        }
    }
}

/// What is known of one authority. Whoever finds nothing fetches, and the others wait for it.
pub(crate) type Slot = Arc<tokio::sync::Mutex<Option<(Instant, Says)>>>;

/// What is known of all.
pub(crate) type Robots = OfHosts<Slot>;

/// What a slot holds, unless it is too old; and how long it holds that yet.
pub(crate) fn fresh(known: Option<&(Instant, Says)>) -> Option<(Says, Duration)> {
    let (at, says) = known?;
    let left = says.kept().checked_sub(at.elapsed()).filter(|left| !left.is_zero())?;
    Some((says.clone(), left))
}

/// Where an authority's file is.
pub(crate) fn address(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_path("/robots.txt");
    url.set_query(None);
    url.set_fragment(None);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rules_are_read_as_the_rfc_says() {
        let file = "User-agent: *\nDisallow: /all\n\nUser-Agent: Gleaner\nDisallow: /private\nAllow: /private/open\n\
                    Disallow: /*.cgi$\n";
        let says = Says::of_file(file.as_bytes().to_vec()).await;
        for (path, allowed) in [
            ("/", true),
            ("/all", true),
            ("/private", false),
            ("/private/x?y", false),
            ("/private/open/x", true),
            ("/a.cgi", false),
            ("/a.cgi/x", true),
            ("/robots.txt", true),
        ] {
            let url = Url::parse(&format!("https://a.org{path}")).unwrap();
            assert_eq!(says.allows(&url), allowed, "{path}");
        }
        let nonsense = Says::of_file(b"<html>\xff\x00 not found".to_vec()).await;
        assert!(nonsense.allows(&Url::parse("https://a.org/x").unwrap()));
    }
}
