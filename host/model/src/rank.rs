//! Which of two candidates is fetched first, and which are not fetched at all: one pure function and its filter.
//!
//! Must never look at anything but the candidate and the rules given.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::candidate::{Candidate, CandidateKind, HostType, Version};
use crate::key::HostKey;

/// Which licences a file may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LicenseFilter {
    /// Every licence but one that says that the copy is not open. A resolver proposes only what its service calls
    /// open, so that no licence at all is no contradiction.
    #[default]
    Open,
    /// Any licence.
    Any,
}

/// What a licence, as a source spells it, says of the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Openness {
    /// It may be read and kept by everybody: Creative Commons, public domain, an open software licence, or what a
    /// service calls an open-access licence of the publisher's own.
    Open,
    /// Nothing is said, or nothing that is known here.
    Unstated,
    /// It is under a licence for subscribers or for text mining only, or all rights are reserved.
    Closed,
}

/// Parts of names and URLs of licences that do not give the copy to everybody. Crossref's records have them on
/// subscription articles; `stm-asf` are the rules for sharing among publishers.
const CLOSED: [&str; 12] = [
    "tdm",
    "text-and-data-mining",
    "userlicense",
    "termsandconditions",
    "terms-and-conditions",
    "all rights reserved",
    "all-rights-reserved",
    "subscription",
    "stm-asf",
    "rightsstatements.org/vocab/inc",
    "closed",
    "restricted",
];

/// Beginnings of the names of open ones, after `https://`, `www.` and the like; see [`openness`].
const OPEN: [&str; 14] = [
    "cc-",
    "cc ",
    "cc0",
    "ccby",
    "creative commons",
    "creativecommons.org/",
    "public domain",
    "public-domain",
    "publicdomain",
    "pd",
    "mit",
    "apache",
    "gpl",
    "arxiv.org/licenses",
];

/// Parts that mean open access wherever they stand: Unpaywall's and OpenAlex's words for licences of a publisher's
/// own that let everybody read.
const OPEN_ACCESS: [&str; 5] = ["-oa", "open access", "openaccess", "open-access", "authorchoice"];

/// What the licence says. Spellings differ from service to service, so that only parts are looked for.
pub fn openness(license: Option<&str>) -> Openness {
    let Some(text) = license.map(|text| text.trim().to_ascii_lowercase()) else { return Openness::Unstated };
    let text = text.trim_start_matches("https://").trim_start_matches("http://").trim_start_matches("www.");
    let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    let is_open = OPEN.iter().any(|start| text.starts_with(start)) || text.contains("creativecommons.org/");
    // Elsevier's licence for open articles is a `userlicense` too, and says so.
    if is_open || has(&OPEN_ACCESS) || text.contains("oa user license") || text.contains("oa-license") {
        Openness::Open
    } else if has(&CLOSED) {
        Openness::Closed
    } else {
        Openness::Unstated
    }
}

/// The rules of ranking.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ranking {
    /// Which licences a file may have.
    pub license: LicenseFilter,
    /// Hosts that are known not to give files to programs, by configuration.
    pub blocking: BTreeSet<HostKey>,
}

impl Ranking {
    /// Whether the candidate may be fetched at all.
    pub fn admits(&self, candidate: &Candidate) -> bool {
        self.license == LicenseFilter::Any || openness(candidate.license.as_deref()) != Openness::Closed
    }

    /// The order in which candidates are fetched: the better is [`Ordering::Less`]. A file before a page; published
    /// before accepted before unknown before submitted; among equal versions what is not known to be refused, by
    /// configuration or by what `learnt` names; then by the resolver's confidence. Equal ones keep the order in
    /// which they became known.
    pub fn compare(&self, learnt: &BTreeSet<HostKey>, one: &Candidate, other: &Candidate) -> Ordering {
        let first = (one.kind == CandidateKind::LandingPage).cmp(&(other.kind == CandidateKind::LandingPage));
        first
            .then_with(|| version(one).cmp(&version(other)))
            .then_with(|| self.is_refused(learnt, one).cmp(&self.is_refused(learnt, other)))
            .then_with(|| Reverse(one.confidence.to_bits()).cmp(&Reverse(other.confidence.to_bits())))
    }

    /// Whether the candidate's host is known to refuse. A repository that once asked for a login is none: it refuses
    /// one file, not programs.
    fn is_refused(&self, learnt: &BTreeSet<HostKey>, candidate: &Candidate) -> bool {
        if (learnt.is_empty() && self.blocking.is_empty())
            || candidate.host_type == Some(HostType::Repository)
        {
            return false;
        }
        let host = candidate.url.host_key();
        learnt.contains(&host) || self.blocking.contains(&host)
    }
}

fn version(candidate: &Candidate) -> u8 {
    match candidate.version {
        Some(Version::Published) => 0,
        Some(Version::Accepted) => 1,
        None => 2,
        Some(Version::Submitted) => 3,
    }
}

#[cfg(test)]
mod tests;
