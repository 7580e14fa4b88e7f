//! One resolver call: the query from what is known of the job, the call in its sandbox, its facts.
//!
//! Must never let a guest's answer decide more than facts: what happens next is the planner's.

use std::sync::Arc;
use std::time::Duration;

use gleaner_egress::Scope;
use gleaner_limits::Permit;
use gleaner_model::artifact::Artifact;
use gleaner_model::identifier::Scheme;
use gleaner_model::plan::Plan;
use gleaner_model::reason::{Failure, Reason};
use gleaner_runtime::{CallReport, Query};

use crate::generation::Generation;
use crate::guest_host::CallHost;
use crate::install::Installed;
use crate::sources::Sources;

impl Sources {
    /// Asks an installed resolver. The permit of its host is for its first request to that host.
    pub(crate) async fn call(
        &self,
        generation: &Generation,
        installed: &Installed,
        job: &str,
        artifact: &Artifact,
        plan: &Plan,
        attempt: u32,
        host_permit: Option<Permit>,
    ) -> CallReport {
        let wall = installed.sandbox.wall.0;
        let scope = Scope::plugin(Arc::clone(&installed.policy), tokio::time::Instant::now() + wall);
        if let Some(permit) = host_permit {
            scope.reserve(permit);
        }
        let host = CallHost {
            egress: generation.egress.clone(),
            scope,
            max_body: generation.max_body,
            settings: Arc::clone(&installed.settings),
            clock: Arc::clone(&self.clock),
        };
        let query = query(job, artifact, plan, attempt, wall);
        let scope = host.scope.clone();
        let mut report = installed.plugin.resolve(&query, Arc::new(host), &installed.sandbox).await;
        if scope.was_refused_by_robots() {
            // The guest was only told that it may not, or that there was no answer.
            match &mut report.outcome {
                Err(failure) if matches!(failure.reason, Reason::Denied | Reason::Connection) => {
                    failure.reason = Reason::RobotsDisallowed;
                }
                Ok(found) if found.candidates.is_empty() => {
                    report.outcome = Err(Failure::permanent(Reason::RobotsDisallowed, "by robots.txt"));
                }
                _ => {}
            }
        }
        report
    }
}

fn query(job: &str, artifact: &Artifact, plan: &Plan, attempt: u32, deadline: Duration) -> Query {
    let named = artifact.identifiers.iter().chain(&plan.discovered);
    let strings = |urls: &mut dyn Iterator<Item = &url::Url>| urls.map(ToString::to_string).collect();
    Query {
        job: job.to_owned(),
        attempt,
        deadline,
        identifiers: named.filter(|id| *id.scheme() != Scheme::Url).cloned().collect(),
        title: artifact.title.clone(),
        authors: artifact.authors.clone(),
        year: artifact.year,
        urls: artifact.values(&Scheme::Url).map(str::to_owned).collect(),
        landing_pages: strings(&mut plan.landing_pages()),
        failed_urls: strings(&mut plan.failed_urls()),
        metadata: (!artifact.extra.is_empty())
            .then(|| serde_json::to_string(&artifact.extra).unwrap_or_default()),
    }
}
