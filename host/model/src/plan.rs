//! The plan: the facts that are known of a job's steps, stored with the job.
//!
//! Facts only, never a decision: what comes next is computed by [`crate::next`], so that changed tiers,
//! removed plugins and discovered identifiers need no migration.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::candidate::{Candidate, CandidateKind};
use crate::canonical::canonical;
use crate::clock::UnixMillis;
use crate::identifier::Identifier;
use crate::key::{Key, ResolverName};
use crate::reason::Reason;

/// What a job does next, one at a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// Ask that resolver.
    Resolve(ResolverName),
    /// Fetch the candidate with that index in [`Plan::candidates`].
    Fetch(usize),
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Fate {
    /// Not tried, or to be tried again.
    Open {
        /// Failed tries so far.
        #[serde(default, skip_serializing_if = "is_zero")]
        failures: u32,
        /// Not before then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<UnixMillis>,
    },
    /// The resolver answered; whether it proposed something is in the candidates.
    Answered,
    /// The candidate's file was accepted.
    Accepted {
        /// The file: SHA-256 in lower-case hex.
        sha256: String,
        /// Whether the library had it before.
        #[serde(default)]
        known: bool,
    },
    /// Closed without success.
    Closed {
        /// Why.
        reason: Reason,
        /// What more there is to say.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        detail: String,
    },
}

impl Fate {
    /// Not tried yet.
    pub const UNTRIED: Fate = Fate::Open { failures: 0, retry_at: None };

    /// Failed tries so far, of a step that is open.
    pub fn failures(&self) -> u32 {
        match self {
            Self::Open { failures, .. } => *failures,
            _ => 0,
        }
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A resolver that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Who.
    pub resolver: ResolverName,
    /// What came of it.
    pub fate: Fate,
}

/// A candidate and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposed {
    /// What was proposed.
    #[serde(flatten)]
    pub candidate: Candidate,
    /// What came of it.
    pub fate: Fate,
}

/// A checked answer of a resolver.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Resolution {
    /// Locations, best first.
    pub candidates: Vec<Candidate>,
    /// Further names of the same work.
    pub discovered: Vec<Identifier>,
    /// What was dropped from the answer, and why: for the log and the manifest.
    pub complaints: Vec<String>,
}

/// Everything known of a job. The empty plan is what a new job starts with.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Plan {
    /// When the first step was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<UnixMillis>,
    /// Tries recorded, of all steps together.
    #[serde(skip_serializing_if = "is_zero")]
    pub tries: u32,
    /// Every resolver asked, in the order of asking.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<Asked>,
    /// Every candidate, in the order in which they became known. Never shortened: indices are stable.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Proposed>,
    /// Identifiers that resolvers discovered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub discovered: Vec<Identifier>,
    /// URLs behind redirects of candidates that gave no file: whoever proposes one of them is not fetched again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub passed: Vec<Url>,
}

impl Plan {
    /// Most candidates kept for one job; later ones are dropped, so that a plan stays small.
    pub const MAX_CANDIDATES: usize = 256;
    /// Most discovered identifiers kept for one job.
    pub const MAX_DISCOVERED: usize = 64;
    /// Most URLs behind redirects kept for one job.
    pub const MAX_PASSED: usize = 64;

    /// Reads what [`Plan::to_json`] wrote; an empty text is the empty plan.
    ///
    /// # Errors
    /// When the text is no plan.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        if text.is_empty() { Ok(Self::default()) } else { serde_json::from_str(text) }
    }

    /// The stored form.
    pub fn to_json(&self) -> String {
        if *self == Self::default() {
            return String::new();
        }
        // Serialising plain data with string keys cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What the step is limited by.
    pub fn key(&self, step: &Step) -> Key {
        match step {
            Step::Resolve(name) => Key::Resolver(name.clone()),
            Step::Fetch(index) => self
                .candidates
                .get(*index)
                .map_or(Key::Plan, |proposed| Key::Host(proposed.candidate.url.host_key())),
        }
    }

    /// What became of the step so far.
    pub fn fate(&self, step: &Step) -> &Fate {
        let found = match step {
            Step::Resolve(name) => self.asked.iter().find(|a| a.resolver == *name).map(|a| &a.fate),
            Step::Fetch(index) => self.candidates.get(*index).map(|p| &p.fate),
        };
        found.unwrap_or(&Fate::UNTRIED)
    }

    /// Notes a try of `step` and what came of it.
    pub fn note(&mut self, step: &Step, fate: Fate, now: UnixMillis) {
        self.started.get_or_insert(now);
        self.tries = self.tries.saturating_add(1);
        match step {
            Step::Resolve(name) => match self.asked.iter_mut().find(|asked| asked.resolver == *name) {
                Some(asked) => asked.fate = fate,
                None => self.asked.push(Asked { resolver: name.clone(), fate }),
            },
            Step::Fetch(index) => {
                if let Some(proposed) = self.candidates.get_mut(*index) {
                    proposed.fate = fate;
                }
            }
        }
    }

    /// Notes a failed try that may pass: the step stays open until `retry_at`, or is closed when this was
    /// its last of `max_attempts`.
    pub fn note_failure(
        &mut self,
        step: &Step,
        (reason, detail): (Reason, String),
        retry_at: UnixMillis,
        max_attempts: u32,
        now: UnixMillis,
    ) {
        let failures = self.fate(step).failures().saturating_add(1);
        let fate = if failures >= max_attempts {
            Fate::Closed { reason, detail }
        } else {
            Fate::Open { failures, retry_at: Some(retry_at) }
        };
        self.note(step, fate, now);
    }

    /// Closes with `step`, a fetch that was just closed without a file, every candidate that its redirects led to,
    /// and keeps those URLs. Does nothing while the step is open.
    pub fn close_with(&mut self, step: &Step, chain: &[Url]) {
        let (Step::Fetch(index), Fate::Closed { reason, .. }) = (step, self.fate(step)) else { return };
        let (index, reason) = (*index, *reason);
        let Some((_, behind)) = chain.split_first() else { return };
        let room = Self::MAX_PASSED.saturating_sub(self.passed.len());
        self.passed.extend(behind.iter().take(room).cloned());
        let behind: Vec<String> = behind.iter().map(canonical).collect();
        for (at, proposed) in self.candidates.iter_mut().enumerate() {
            let is_open =
                proposed.candidate.kind == CandidateKind::File && matches!(proposed.fate, Fate::Open { .. });
            if at != index && is_open && behind.contains(&canonical(proposed.candidate.url.as_url())) {
                proposed.fate = Fate::Closed { reason, detail: "another candidate redirects to it".into() };
            }
        }
    }

    /// Takes in what a resolver answered. Dropped are candidates that are known, by their canonical URL, files behind
    /// redirects that gave none, and identifiers that are known. Identifiers that a discovered one spells out count as
    /// discovered too. Returns how many candidates were new.
    pub fn take_in(&mut self, resolution: Resolution, given: &[Identifier]) -> usize {
        let before = self.candidates.len();
        if !resolution.candidates.is_empty() {
            let mut known: Vec<(CandidateKind, String)> =
                Vec::with_capacity(before + resolution.candidates.len());
            known.extend(
                self.candidates.iter().map(|p| (p.candidate.kind, canonical(p.candidate.url.as_url()))),
            );
            // A page that some redirect passed through is still a page to look at.
            known.extend(self.passed.iter().map(|url| (CandidateKind::File, canonical(url))));
            for candidate in resolution.candidates {
                let form = (candidate.kind, canonical(candidate.url.as_url()));
                if !known.contains(&form) && self.candidates.len() < Self::MAX_CANDIDATES {
                    known.push(form);
                    self.candidates.push(Proposed { candidate, fate: Fate::UNTRIED });
                }
            }
        }
        for identifier in resolution.discovered {
            let implied = identifier.implied();
            for identifier in std::iter::once(identifier).chain(implied) {
                let known = given.contains(&identifier) || self.discovered.contains(&identifier);
                if !known && self.discovered.len() < Self::MAX_DISCOVERED {
                    self.discovered.push(identifier);
                }
            }
        }
        self.candidates.len() - before
    }

    /// Landing pages proposed for this work, in the order in which they became known.
    pub fn landing_pages(&self) -> impl Iterator<Item = &Url> {
        self.candidates
            .iter()
            .filter(|p| p.candidate.kind == CandidateKind::LandingPage)
            .map(|p| p.candidate.url.as_url())
    }

    /// URLs that were fetched and gave no acceptable file.
    pub fn failed_urls(&self) -> impl Iterator<Item = &Url> {
        self.candidates
            .iter()
            .filter(|p| matches!(p.fate, Fate::Closed { .. }))
            .map(|p| p.candidate.url.as_url())
    }
}
