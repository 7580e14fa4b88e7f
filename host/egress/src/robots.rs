//! robots.txt (RFC 9309): what each authority asks of us, fetched once, kept for a day, bounded.
//!
//! Obeyed for landing pages only; an API and a file are asked for as people ask for them. `Crawl-delay`, which is no
//! part of the RFC, is not read: the limits of the host hold. Must never send a request by itself, or parse on the
//! threads that requests run on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gleaner_model::key::HostKey;
use texting_robots::Robot;
use tokio::time::Instant;
use url::Url;

/// Our product token (section 2.2.1).
const TOKEN: &str = "gleaner";
/// What is read of a file (section 2.5).
pub(crate) const MOST_BYTES: usize = 500 << 10;
/// Redirects that are followed (section 2.3.1.2).
pub(crate) const REDIRECTS: u32 = 5;
/// How long a file is kept (section 2.4).
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// How long a host that has no answer is not asked again.
const UNREACHABLE: Duration = Duration::from_secs(300);
/// Authorities that are remembered.
const MOST: usize = 4096;

/// What an authority says.
#[derive(Clone)]
pub(crate) enum Says {
    /// It has no file: everything is allowed (section 2.3.1.3).
    Nothing,
    /// Its rules.
    Rules(Arc<Robot>),
    /// Its file cannot be had now: everything is disallowed for now (section 2.3.1.4).
    Unreachable(String),
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

    fn kept(&self) -> Duration {
        if matches!(self, Self::Unreachable(_)) { UNREACHABLE } else { KEPT }
    }
}

/// What is known of one authority. Whoever finds nothing fetches, and the others wait for it.
pub(crate) type Slot = Arc<tokio::sync::Mutex<Option<(Instant, Says)>>>;

/// What is known of all.
#[derive(Debug, Default)]
pub(crate) struct Robots(Mutex<HashMap<HostKey, (Instant, Slot)>>);

impl Robots {
    /// The place of an authority. When there are too many, the one that was made first goes.
    pub(crate) fn slot(&self, host: &HostKey) -> Slot {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST && !all.contains_key(host) {
            let oldest = all.iter().min_by_key(|(_, (made, _))| *made).map(|(host, _)| host.clone());
            all.remove(&oldest.unwrap_or_else(|| host.clone()));
        }
        Arc::clone(&all.entry(host.clone()).or_insert_with(|| (Instant::now(), Slot::default())).1)
    }
}

/// What a slot holds, unless it is too old.
pub(crate) fn fresh(known: Option<&(Instant, Says)>) -> Option<Says> {
    known.filter(|(at, says)| at.elapsed() < says.kept()).map(|(_, says)| says.clone())
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

    #[test]
    fn the_memory_is_bounded() {
        let robots = Robots::default();
        for n in 0..MOST + 10 {
            let url = Url::parse(&format!("https://h{n}.org/")).unwrap();
            robots.slot(&HostKey::of(&url).unwrap());
        }
        assert_eq!(robots.0.lock().unwrap().len(), MOST);
    }
}
