//! Manifest records, made from what a step found out.
//!
//! Only shapes facts; must never hold a secret: URLs arrive without injected parameters.

use std::time::Duration;

use gleaner_content::{FetchFacts, StoredBlob};
use gleaner_model::artifact::Artifact;
use gleaner_model::candidate::Candidate;
use gleaner_model::key::HostKey;
use gleaner_model::manifest::{AttemptOutcome, Durations, ManifestRecord};
use gleaner_model::reason::{Failure, FailureClass, Reason};
use gleaner_runtime::{CallReport, PluginInfo};

use crate::pieces::Pieces;

impl Pieces {
    /// The record of a resolver call.
    pub(crate) fn record_of_call(
        &self,
        artifact: &Artifact,
        info: &PluginInfo,
        report: &CallReport,
        attempt: u32,
    ) -> ManifestRecord {
        let mut record =
            ManifestRecord::new(&self.identity, artifact, info.name.as_str(), self.sources.clock.now());
        record.resolver_version = Some(info.version.clone());
        record.component_sha256 = Some(info.sha256.clone());
        record.attempt = attempt;
        record.extra.clone_from(&report.extra);
        record.durations = Durations {
            resolve_ms: Some(millis(report.wall)),
            total_ms: millis(report.wall),
            ..Durations::default()
        };
        match &report.outcome {
            Ok(resolution) => {
                record.outcome = AttemptOutcome::Answered;
                record.candidates = u32::try_from(resolution.candidates.len()).ok();
                record.detail = resolution.complaints.join("; ");
            }
            Err(failure) => fail(&mut record, failure, AttemptOutcome::Failed),
        }
        record
    }

    /// The record of a fetched candidate.
    pub(crate) fn record_of_fetch(
        &self,
        artifact: &Artifact,
        candidate: &Candidate,
        facts: &FetchFacts,
        outcome: &Result<StoredBlob, Failure>,
        attempt: u32,
    ) -> ManifestRecord {
        let mut record = ManifestRecord::new(
            &self.identity,
            artifact,
            candidate.resolver.as_str(),
            self.sources.clock.now(),
        );
        if let Some(installed) = self.sources.now().resolvers.get(&candidate.resolver) {
            record.resolver_version = Some(installed.plugin.info.version.clone());
            record.component_sha256 = Some(installed.plugin.info.sha256.clone());
        }
        record.candidate_url = Some(candidate.url.as_url().to_string());
        record.url_chain = facts.chain.iter().map(ToString::to_string).collect();
        record.host = facts.chain.last().and_then(HostKey::of).map(|host| host.to_string());
        record.status = facts.status;
        record.media_type_declared.clone_from(&facts.media_type_declared);
        record.media_type_found.clone_from(&facts.media_type_found);
        record.bytes = facts.bytes;
        record.etag.clone_from(&facts.etag);
        record.last_modified.clone_from(&facts.last_modified);
        record.license.clone_from(&candidate.license);
        record.version = candidate.version;
        record.host_type = candidate.host_type;
        record.attempt = attempt;
        record.extra.clone_from(&candidate.extra);
        record.durations = Durations {
            wait_ms: facts.waited.map(millis),
            first_byte_ms: facts.first_byte.map(millis),
            total_ms: millis(facts.total),
            ..Durations::default()
        };
        match outcome {
            Ok(blob) => {
                record.outcome = AttemptOutcome::Accepted;
                record.reason = if blob.known { Reason::AlreadyStored } else { Reason::Ok };
                record.sha256 = Some(blob.sha256.clone());
                record.path = Some(blob.name.clone());
            }
            Err(failure) => {
                let passing = matches!(failure.class, FailureClass::Transient { .. });
                let outcome = if passing { AttemptOutcome::Failed } else { AttemptOutcome::Rejected };
                fail(&mut record, failure, outcome);
            }
        }
        record
    }
}

fn fail(record: &mut ManifestRecord, failure: &Failure, outcome: AttemptOutcome) {
    record.outcome = outcome;
    record.reason = failure.reason;
    record.detail.clone_from(&failure.detail);
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
