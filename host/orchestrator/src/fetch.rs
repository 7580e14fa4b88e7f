//! One download of a candidate, under the scope of a download.
//!
//! Must never judge the bytes: that is content's, and where they may come from is egress's.

use gleaner_content::{FetchFacts, Fetched, NoSpace};
use gleaner_egress::{Egress, Scope};
use gleaner_limits::Permit;
use gleaner_model::artifact::Artifact;
use gleaner_model::candidate::Candidate;
use gleaner_model::plan::Fate;
use gleaner_model::reason::{Failure, FailureClass, Reason};
use gleaner_store::StoredFile;
use gleaner_telemetry::StepKind;

use crate::facts::{Done, Finding};
use crate::pieces::{Pieces, lock};
use crate::step::{SLACK, Try};

impl Pieces {
    /// Fetches, checks and stores a candidate's file.
    pub(crate) async fn download(
        &self,
        artifact: &Artifact,
        candidate: &Candidate,
        permit: Permit,
        egress: &Egress,
    ) -> Fetched {
        let scope = Scope::download(tokio::time::Instant::now() + self.config.fetch_deadline.0);
        scope.reserve(permit);
        self.content.fetch(egress, &scope, candidate.url.as_url(), artifact).await
    }

    /// With too little space on the library's disk downloads wait, free of charge, until there is more. Said once a pause.
    pub(crate) fn pause_for_space(&self) -> Option<Done> {
        let short = self.content.no_space()?;
        let mut said = lock(&self.no_space_said);
        if said.is_none_or(|at| at.elapsed() >= NoSpace::AGAIN) {
            tracing::warn!("{short}");
            *said = Some(tokio::time::Instant::now());
        }
        Some(Done::Blocked { retry_after: NoSpace::AGAIN })
    }
}

impl Try<'_> {
    /// Downloads a candidate, and makes facts of what came of it.
    pub(crate) async fn fetch(self, candidate: &Candidate, permit: Permit, egress: &Egress) -> Done {
        let Self { pieces, artifact, number, .. } = self;
        if let Some(pause) = pieces.pause_for_space() {
            return pause;
        }
        let Fetched { facts, outcome } = self.download_in_time(candidate, permit, egress).await;
        match &outcome {
            Err(Failure { class: FailureClass::Throttled { retry_after }, .. }) => {
                return Done::Blocked { retry_after: *retry_after };
            }
            Err(Failure { reason: Reason::Storage, detail, .. }) => {
                // A disk that filled up meanwhile is no reason to end the run.
                if let Some(pause) = pieces.pause_for_space() {
                    return pause;
                }
                return Done::NoDisk { detail: detail.clone() };
            }
            _ => {}
        }
        let record = pieces.record_of_fetch(artifact, candidate, &facts, &outcome, number);
        if let Err(failure) = &outcome {
            pieces.sources.blocking.note(candidate, failure.reason, &facts);
        }
        let mut file = None;
        let outcome = outcome.map(|blob| {
            let fate = Fate::Accepted { sha256: blob.sha256.clone(), known: blob.known };
            let (size, media_type, name) = (blob.size, blob.media_type, blob.name);
            file = Some(StoredFile { sha256: blob.sha256, size, media_type, name });
            Finding::Fate(fate, Vec::new())
        });
        self.facts(StepKind::Fetch, candidate.resolver.to_string(), outcome, record, (file, facts.chain))
    }

    /// A download that ends at its deadline whatever happens below it.
    async fn download_in_time(&self, candidate: &Candidate, permit: Permit, egress: &Egress) -> Fetched {
        let deadline = self.pieces.config.fetch_deadline.0 + SLACK / 2;
        let download = self.pieces.download(self.artifact, candidate, permit, egress);
        tokio::time::timeout(deadline, download).await.unwrap_or_else(|_| Fetched {
            facts: FetchFacts::default(),
            outcome: Err(Failure::transient(Reason::Timeout, "the whole download took too long")),
        })
    }
}
