//! What guests say, checked: hostile until it is a type of the model.
//!
//! Must never fail as a whole for one bad part: what is wrong is dropped, and a complaint says what and why.

use std::time::Duration;

use gleaner_model::candidate::{Candidate, CandidateKind, CandidateUrl, HostType, Version, confidence};
use gleaner_model::identifier::{Identifier, Scheme};
use gleaner_model::key::ResolverName;
use gleaner_model::plan::Resolution;
use gleaner_model::reason::{Failure, FailureClass, Reason};
use serde::{Deserialize, Serialize};

use crate::plugin::CallReport;
use crate::text::tidy;

const MOST_CANDIDATES: usize = 64;
const MOST_DISCOVERED: usize = 32;
const MOST_EXTRA: usize = 16;
const MOST_EXTRA_BYTES: usize = 4096;
const MOST_COMPLAINTS: usize = 16;
const MOST_MESSAGE: usize = 1024;
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// What `describe` says. Stored as JSON, so that it is asked once for one file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Description {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) summary: String,
    pub(crate) takes: Vec<String>,
    pub(crate) hosts: Vec<String>,
    pub(crate) settings: Vec<(String, String)>,
    /// How many works one call of `resolve-many` takes, where it is exported. What was stored before it was known of is
    /// asked anew.
    #[serde(deserialize_with = "Option::deserialize")]
    pub(crate) most: Option<u32>,
}

/// What `resolve` says when it has an answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) candidates: Vec<AnswerCandidate>,
    pub(crate) discovered: Vec<(String, String)>,
    pub(crate) extra: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
pub(crate) struct AnswerCandidate {
    pub(crate) url: String,
    pub(crate) kind: CandidateKind,
    pub(crate) media_type: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) license: Option<String>,
    pub(crate) host_type: Option<String>,
    pub(crate) confidence: Option<f32>,
    pub(crate) extra: Vec<(String, String)>,
}

/// What `resolve` says when it has none.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) disposition: Disposition,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) retry_after_ms: Option<u64>,
    pub(crate) status: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disposition {
    Retry,
    RateLimited,
    GiveUp,
}

impl Answer {
    /// The answer in the model's types, best candidate first, and its extra fields as far as they are kept.
    pub(crate) fn check(self, resolver: &ResolverName) -> (Resolution, Vec<(String, String)>) {
        let mut complaints = Vec::new();
        let over = |what: &str, count: usize, most: usize| {
            (count > most).then(|| format!("{count} {what}; those after the first {most} were dropped"))
        };
        complaints.extend(over("candidates", self.candidates.len(), MOST_CANDIDATES));
        complaints.extend(over("discovered identifiers", self.discovered.len(), MOST_DISCOVERED));
        let given = self.extra.len();
        let extra = within_limits(self.extra);
        complaints.extend(over("extra fields", given, extra.len()));
        let mut resolution = Resolution::default();
        for said in self.candidates.into_iter().take(MOST_CANDIDATES) {
            match CandidateUrl::parse(&said.url) {
                Ok(url) => resolution.candidates.push(said.into_candidate(resolver, url)),
                Err(why) => complaints.push(format!("candidate {:?} dropped: {why}", tidy(&said.url, 120))),
            }
        }
        for (scheme, value) in self.discovered.into_iter().take(MOST_DISCOVERED) {
            match Scheme::from_name(&tidy(&scheme, 64)).and_then(|scheme| Identifier::new(scheme, &value)) {
                Ok(identifier) => resolution.discovered.push(identifier),
                Err(why) => complaints.push(format!("identifier dropped: {}", tidy(&why.to_string(), 200))),
            }
        }
        resolution.candidates.sort_by(Candidate::compare);
        let more = complaints.len().saturating_sub(MOST_COMPLAINTS);
        if more > 0 {
            complaints.truncate(MOST_COMPLAINTS);
            complaints.push(format!("and {more} more"));
        }
        (Resolution { complaints, ..resolution }, extra)
    }
}

/// The first fields that keep within 16 and 4 KiB together.
fn within_limits(mut fields: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut left = MOST_EXTRA_BYTES;
    let fits = |(key, value): &(String, String)| {
        let rest = left.checked_sub(key.len() + value.len());
        left = rest.unwrap_or(0);
        rest.is_some()
    };
    let kept = fields.iter().take(MOST_EXTRA).map(fits).take_while(|fits| *fits).count();
    fields.truncate(kept);
    fields
}

impl AnswerCandidate {
    fn into_candidate(self, resolver: &ResolverName, url: CandidateUrl) -> Candidate {
        let short = |text: Option<String>| text.map(|text| tidy(&text, 128)).filter(|text| !text.is_empty());
        Candidate {
            resolver: resolver.clone(),
            url,
            kind: self.kind,
            media_type: short(self.media_type),
            version: self.version.and_then(|version| match version.as_str() {
                "submitted" => Some(Version::Submitted),
                "accepted" => Some(Version::Accepted),
                "published" => Some(Version::Published),
                _ => None,
            }),
            license: short(self.license),
            host_type: self.host_type.and_then(|host_type| match host_type.as_str() {
                "repository" => Some(HostType::Repository),
                "publisher" => Some(HostType::Publisher),
                _ => None,
            }),
            confidence: confidence(self.confidence),
            extra: within_limits(self.extra),
        }
    }
}

impl Refusal {
    /// What the queue does is the disposition's alone; the reason, for tables, comes from the upstream's
    /// status, else from the code.
    pub(crate) fn check(self) -> Failure {
        let code = tidy(&self.code, 64);
        let message = tidy(&self.message, MOST_MESSAGE);
        let wait = self.retry_after_ms.map(|ms| Duration::from_millis(ms).min(LONGEST_WAIT));
        let reason = match (self.disposition, self.status) {
            (Disposition::RateLimited, _) => Reason::RateLimited,
            (_, Some(404 | 410)) => Reason::NotFound,
            (_, Some(_)) => Reason::HttpStatus,
            (_, None) => reason_of_code(&code),
        };
        let detail = match self.status {
            Some(status) => format!("{status} ({code}): {message}"),
            None => format!("{code}: {message}"),
        };
        let class = match self.disposition {
            Disposition::Retry => FailureClass::Transient { retry_after: wait },
            Disposition::RateLimited => {
                FailureClass::Throttled { retry_after: wait.unwrap_or(CallReport::UNSAID_WAIT) }
            }
            Disposition::GiveUp if reason == Reason::Denied => FailureClass::Denied,
            Disposition::GiveUp => FailureClass::Permanent,
        };
        Failure { reason, detail, class }
    }
}

/// Codes that say the same as a reason of the model. A missing setting makes the question one that cannot be
/// worked on; any other code is a failure of the plugin's own, which is `plugin_contract`.
fn reason_of_code(code: &str) -> Reason {
    match code {
        "timeout" => Reason::Timeout,
        "connection" | "transport" => Reason::Connection,
        "dns" => Reason::Dns,
        "tls" => Reason::Tls,
        "denied" => Reason::Denied,
        "too-large" => Reason::TooLarge,
        "rate-limited" => Reason::RateLimited,
        "not-found" => Reason::NotFound,
        "http-status" => Reason::HttpStatus,
        "invalid-input" | "missing-setting" => Reason::InvalidInput,
        _ => Reason::PluginContract,
    }
}

#[cfg(test)]
mod tests;
