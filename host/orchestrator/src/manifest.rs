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
use gleaner_store::Held;

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
        note_facts(&mut record, facts);
        record.license.clone_from(&candidate.license);
        record.version = candidate.version;
        record.host_type = candidate.host_type;
        record.attempt = attempt;
        record.extra.clone_from(&candidate.extra);
        match outcome {
            Ok(blob) => note_blob(&mut record, blob, AttemptOutcome::Accepted),
            Err(failure) => fail_fetch(&mut record, failure),
        }
        record
    }

    /// The record of a file that was asked for again: who proposed it, as before, and what was seen now.
    pub(crate) fn record_of_recheck(
        &self,
        held: &Held,
        facts: &FetchFacts,
        outcome: &Result<Option<StoredBlob>, Failure>,
    ) -> ManifestRecord {
        let now = self.sources.clock.now();
        let before = held.origin.as_ref();
        let resolver = before.map(|origin| origin.resolver.clone()).unwrap_or_default();
        let mut record = ManifestRecord::new(&self.identity, &held.artifact, &resolver, now);
        if let Some(origin) = before {
            record.resolver_version.clone_from(&origin.resolver_version);
            record.component_sha256.clone_from(&origin.component_sha256);
            record.candidate_url.clone_from(&origin.candidate_url);
            record.license.clone_from(&origin.license);
            (record.version, record.host_type) = (origin.version, origin.host_type);
            record.extra.clone_from(&origin.extra);
        }
        record.recheck = true;
        note_facts(&mut record, facts);
        let held = (held.file.sha256.as_str(), held.file.name.as_str());
        match outcome {
            Ok(None) => {
                (record.outcome, record.reason) = (AttemptOutcome::Answered, Reason::NotModified);
                (record.sha256, record.path) = (Some(held.0.to_owned()), Some(held.1.to_owned()));
            }
            Ok(Some(blob)) => {
                // A file that is as it was is not found once more.
                let is_new = blob.sha256 != held.0;
                let outcome = if is_new { AttemptOutcome::Accepted } else { AttemptOutcome::Answered };
                note_blob(&mut record, blob, outcome);
            }
            Err(failure) => fail_fetch(&mut record, failure),
        }
        record
    }
}

/// What was seen on the way.
fn note_facts(record: &mut ManifestRecord, facts: &FetchFacts) {
    record.url_chain = facts.chain.iter().map(ToString::to_string).collect();
    record.host = facts.chain.last().and_then(HostKey::of).map(|host| host.to_string());
    record.status = facts.status;
    record.transport = facts.transport;
    record.media_type_declared.clone_from(&facts.media_type_declared);
    record.media_type_found.clone_from(&facts.media_type_found);
    record.bytes = facts.bytes;
    record.etag.clone_from(&facts.etag);
    record.last_modified.clone_from(&facts.last_modified);
    record.durations = Durations {
        wait_ms: facts.waited.map(millis),
        connect_ms: facts.connect.map(millis),
        first_byte_ms: facts.first_byte.map(millis),
        total_ms: millis(facts.total),
        ..Durations::default()
    };
}

/// The file that came.
fn note_blob(record: &mut ManifestRecord, blob: &StoredBlob, outcome: AttemptOutcome) {
    record.outcome = outcome;
    record.reason = if blob.known { Reason::AlreadyStored } else { Reason::Ok };
    record.sha256 = Some(blob.sha256.clone());
    record.path = Some(blob.name.clone());
}

/// Why no file came.
fn fail_fetch(record: &mut ManifestRecord, failure: &Failure) {
    let passing = matches!(failure.class, FailureClass::Transient { .. });
    fail(record, failure, if passing { AttemptOutcome::Failed } else { AttemptOutcome::Rejected });
}

fn fail(record: &mut ManifestRecord, failure: &Failure, outcome: AttemptOutcome) {
    record.outcome = outcome;
    record.reason = failure.reason;
    record.detail.clone_from(&failure.detail);
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
