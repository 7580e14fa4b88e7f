//! One download of a candidate, under the scope of a download.
//!
//! Must never judge the bytes: that is content's, and where they may come from is egress's.

use gleaner_content::{Fetched, NoSpace};
use gleaner_egress::{Egress, Scope};
use gleaner_limits::Permit;
use gleaner_model::artifact::Artifact;
use gleaner_model::candidate::Candidate;

use crate::pieces::{Pieces, lock};
use crate::step::Done;

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
