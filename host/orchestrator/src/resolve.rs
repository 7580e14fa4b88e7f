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
use gleaner_runtime::{CallReport, GuestHost, Query};

use crate::generation::Generation;
use crate::guest_host::CallHost;
use crate::install::Installed;
use crate::redact::Redaction;
use crate::sources::Sources;

impl Sources {
    /// Asks an installed resolver. The permit of its host is for its first request to that host.
    pub(crate) async fn call(
        &self,
        generation: &Generation,
        installed: &Installed,
        query: &Query,
        host_permit: Option<Permit>,
    ) -> CallReport {
        self.call_through(generation, installed, query, host_permit, |host| host).await
    }

    /// The same with `wrap` around what the resolver gets from outside.
    pub(crate) async fn call_through(
        &self,
        generation: &Generation,
        installed: &Installed,
        query: &Query,
        host_permit: Option<Permit>,
        wrap: impl FnOnce(Arc<dyn GuestHost>) -> Arc<dyn GuestHost>,
    ) -> CallReport {
        let host = self.host_of(generation, installed, host_permit);
        let scope = host.scope.clone();
        let report = installed.plugin.resolve(query, wrap(Arc::new(host)), &installed.sandbox).await;
        if scope.was_refused_by_robots() { blame_robots(report) } else { report }
    }

    /// Asks an installed resolver about several works in one call.
    ///
    /// # Errors
    /// The report of a call that ended without answers.
    pub(crate) async fn call_many(
        &self,
        generation: &Generation,
        installed: &Installed,
        queries: &[Query],
        host_permit: Option<Permit>,
    ) -> Result<Vec<CallReport>, Box<CallReport>> {
        let host = self.host_of(generation, installed, host_permit);
        let scope = host.scope.clone();
        let reports = installed.plugin.resolve_many(queries, Arc::new(host), &installed.sandbox).await?;
        let is_refused = scope.was_refused_by_robots();
        Ok(reports.into_iter().map(|one| if is_refused { blame_robots(one) } else { one }).collect())
    }

    fn host_of(&self, generation: &Generation, installed: &Installed, permit: Option<Permit>) -> CallHost {
        let ends = tokio::time::Instant::now() + installed.sandbox.wall.0;
        let scope = Scope::plugin(Arc::clone(&installed.policy), ends);
        if let Some(permit) = permit {
            scope.reserve(permit);
        }
        CallHost {
            egress: generation.egress.clone(),
            scope,
            max_body: generation.max_body,
            settings: Arc::clone(&installed.settings),
            redaction: Redaction::of(installed.secrets.values()),
            clock: Arc::clone(&self.clock),
        }
    }
}

/// The guest was only told that it may not, or that there was no answer.
fn blame_robots(mut report: CallReport) -> CallReport {
    match &mut report.outcome {
        Err(failure) if matches!(failure.reason, Reason::Denied | Reason::Connection) => {
            failure.reason = Reason::RobotsDisallowed;
        }
        Ok(found) if found.candidates.is_empty() => {
            report.outcome = Err(Failure::permanent(Reason::RobotsDisallowed, "by robots.txt"));
        }
        _ => {}
    }
    report
}

/// What a resolver is told of a job.
pub(crate) fn query(job: &str, artifact: &Artifact, plan: &Plan, attempt: u32, deadline: Duration) -> Query {
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
