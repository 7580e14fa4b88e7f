//! One step of a job, from its reservation to the facts it found out.
//!
//! Must never write to the library's database: the worker records, under the lease.

use std::sync::Arc;
use std::time::Duration;

use gleaner_limits::{Outcome, Permit};
use gleaner_model::SPANS;
use gleaner_model::artifact::Artifact;
use gleaner_model::key::{Key, ResolverName};
use gleaner_model::manifest::ManifestRecord;
use gleaner_model::plan::{Fate, Plan, Resolution, Step};
use gleaner_model::reason::{Failure, FailureClass, Reason};
use gleaner_runtime::CallReport;
use gleaner_store::{Lease, StoredFile};
use gleaner_telemetry::{StepEnded, StepKind};
use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Instrument, Span};
use url::Url;

use crate::breaker::Trial;
use crate::facts::{Done, Facts, Finding};
use crate::gather::{Answer, Member};
use crate::generation::Generation;
use crate::install::Installed;
use crate::pieces::Pieces;
use crate::reserve::Reservation;
use crate::resolve::query;

/// How long a step may take beyond its own limits before it counts as hung.
pub(crate) const SLACK: Duration = Duration::from_secs(10);

/// One try of a step.
pub(crate) struct Try<'a> {
    pub(crate) pieces: &'a Pieces,
    lease: Lease,
    pub(crate) artifact: &'a Artifact,
    plan: &'a Plan,
    step: &'a Step,
    key: Key,
    pub(crate) number: u32,
    started: Instant,
}

impl Pieces {
    /// Carries a step out as the generation says that it was planned with. What it reserved is given back at the
    /// end.
    pub(crate) async fn carry_out(
        &self,
        generation: Arc<Generation>,
        lease: Lease,
        artifact: &Artifact,
        plan: &Plan,
        step: &Step,
        reservation: Reservation,
    ) -> Done {
        let Reservation { key, trial, permit, host, seat: _seat } = reservation;
        let this = self.attempt(lease, artifact, plan, step, key);
        let span = this.span();
        let done = match step {
            Step::Resolve(name) => match generation.resolvers.get(name) {
                Some(installed) => {
                    let call = this.resolve(&generation, installed, (&permit, trial.as_ref()), host);
                    traced(span, Box::pin(call)).await
                }
                None => this.resolver_is_gone(name),
            },
            Step::Fetch(index) => {
                let egress = generation.egress.clone();
                // A download may take long, and needs no plugin.
                drop(generation);
                let fetch = this.fetch(&plan.candidates[*index].candidate, permit, &egress);
                return traced(span, Box::pin(fetch)).await;
            }
        };
        drop(trial);
        done
    }

    fn attempt<'a>(
        &'a self,
        lease: Lease,
        artifact: &'a Artifact,
        plan: &'a Plan,
        step: &'a Step,
        key: Key,
    ) -> Try<'a> {
        let number = plan.fate(step).failures() + 1;
        Try { pieces: self, lease, artifact, plan, step, key, number, started: Instant::now() }
    }

    /// Calls a resolver under a reservation that several jobs use in turn.
    pub(crate) async fn call_in_turn(
        &self,
        generation: &Generation,
        lease: Lease,
        artifact: &Artifact,
        plan: &Plan,
        resolver: &ResolverName,
        reservation: &Reservation,
    ) -> Done {
        let step = &Step::Resolve(resolver.clone());
        let this = self.attempt(lease, artifact, plan, step, Key::Resolver(resolver.clone()));
        match generation.resolvers.get(resolver) {
            // A call before this one may have been one too many.
            Some(one) if self.sources.breakers.is_suspended(resolver, &one.plugin.info.sha256) => {
                Done::Suspended
            }
            Some(installed) => {
                let rights = (&reservation.permit, reservation.trial.as_ref());
                let span = this.span();
                traced(span, Box::pin(this.resolve(generation, installed, rights, None))).await
            }
            None => this.resolver_is_gone(resolver),
        }
    }

    /// Asks about a job together with others that were leased with it.
    pub(crate) async fn call_together(
        &self,
        generation: &Generation,
        lease: Lease,
        artifact: &Artifact,
        plan: &Plan,
        resolver: &ResolverName,
        member: Member,
    ) -> Done {
        let step = &Step::Resolve(resolver.clone());
        let this = self.attempt(lease, artifact, plan, step, Key::Resolver(resolver.clone()));
        let Some(installed) = generation.resolvers.get(resolver) else {
            return this.resolver_is_gone(resolver);
        };
        let query = query(&lease.job.to_string(), artifact, plan, this.number, installed.sandbox.wall.0);
        let span = this.span();
        let asked = async {
            match member.ask(query).await {
                Answer::Report(report, pause) => this.judge(installed, *report, pause),
                Answer::Apart => Done::Again,
            }
        };
        traced(span, asked).await
    }

    /// Takes in what a call showed of its plugin, its service and its pace; for how long the resolver is not to be asked,
    /// if it said so.
    pub(crate) fn note_call(
        &self,
        installed: &Installed,
        report: &CallReport,
        trial: Option<&Trial>,
    ) -> Option<Duration> {
        let info = &installed.plugin.info;
        let key = Key::Resolver(info.name.clone());
        self.paces.note(&info.name, report.wall);
        self.sources.breakers.note(&info.name, &info.sha256, report, trial);
        let limiter = &self.sources.limiter;
        if let Err(Failure { class: FailureClass::Throttled { retry_after }, .. }) = report.outcome {
            return Some(limiter.throttled(&key, Some(retry_after)));
        }
        // A request that was put off says nothing of the service.
        if report.outcome.as_ref().is_err_and(|failure| failure.class != FailureClass::PluginFault)
            && report.rate_limited.is_some()
        {
            return None;
        }
        if let Some(outcome) = outcome_of(&report.outcome, installed) {
            limiter.note(&key, outcome);
        }
        None
    }

    /// How long a step may take in all.
    pub(crate) fn deadline_of(&self, generation: &Generation, step: &Step) -> Duration {
        let own = match step {
            Step::Resolve(name) => {
                generation.resolvers.get(name).map_or(Duration::ZERO, |one| one.sandbox.wall.0)
            }
            Step::Fetch(_) => self.config.fetch_deadline.0,
        };
        own + SLACK
    }
}

/// Carries a step out in its span, which is told what came of it. What is large is to be boxed: a span around it would hold
/// it once more, and thousands of jobs wait for their turn at a call, of which few run.
async fn traced(span: Span, step: impl Future<Output = Done>) -> Done {
    let done = step.instrument(span.clone()).await;
    if let Done::Facts(facts) = &done {
        let reason = facts.event.reason;
        span.record("gleaner.reason", reason.as_str());
        if reason != Reason::Ok {
            span.record("otel.status_code", "ERROR");
        }
    }
    done
}

impl Try<'_> {
    /// What a trace shows of it.
    fn span(&self) -> Span {
        match self.step {
            Step::Resolve(name) => tracing::info_span!(
                target: SPANS, "resolve", gleaner.resolver = name.as_str(), gleaner.number = self.number,
                gleaner.reason = Empty, otel.status_code = Empty,
            ),
            Step::Fetch(_) => tracing::info_span!(
                target: SPANS, "fetch", gleaner.key = %self.key, gleaner.number = self.number,
                gleaner.reason = Empty, otel.status_code = Empty,
            ),
        }
    }

    async fn resolve(
        self,
        generation: &Generation,
        installed: &Installed,
        (permit, trial): (&Permit, Option<&Trial>),
        host: Option<Permit>,
    ) -> Done {
        let Self { pieces, artifact, plan, number, .. } = self;
        permit.spend();
        let job = self.lease.job.to_string();
        let query = query(&job, artifact, plan, number, installed.sandbox.wall.0);
        let report = pieces.sources.call(generation, installed, &query, host).await;
        let pause = pieces.note_call(installed, &report, trial);
        pieces.paces.note_batch(&installed.plugin.info.name, 1, report.outcome.is_ok());
        self.judge(installed, report, pause)
    }

    /// Makes facts of a report; `pause` is what the call showed of its resolver.
    fn judge(self, installed: &Installed, report: CallReport, pause: Option<Duration>) -> Done {
        let Self { pieces, artifact, number, .. } = self;
        let info = &installed.plugin.info;
        if let Err(failure) = &report.outcome {
            if let FailureClass::Throttled { retry_after } = failure.class {
                return Done::Blocked { retry_after: pause.unwrap_or(retry_after) };
            }
            // Whatever the guest made of a request that was put off; but not what it broke by itself.
            if let (Some(retry_after), true) =
                (report.rate_limited, failure.class != FailureClass::PluginFault)
            {
                return Done::Blocked { retry_after };
            }
        }
        let record = pieces.record_of_call(artifact, info, &report, number);
        let outcome = report.outcome.map(Finding::Answer);
        let resolver = info.name.to_string();
        self.facts(StepKind::Resolve, resolver, outcome, record, (None, Vec::new()))
    }

    /// A resolver that was removed after the plan was made: closed, so that the plan goes on without it.
    fn resolver_is_gone(self, name: &ResolverName) -> Done {
        let Self { pieces, artifact, .. } = self;
        let failure = Failure::permanent(Reason::PluginUnavailable, "the resolver is not loaded");
        let now = pieces.sources.clock.now();
        let mut record = ManifestRecord::new(&pieces.identity, artifact, name.as_str(), now);
        record.reason = failure.reason;
        record.detail.clone_from(&failure.detail);
        self.facts(StepKind::Resolve, name.to_string(), Err(failure), record, (None, Vec::new()))
    }

    pub(crate) fn facts(
        self,
        kind: StepKind,
        resolver: String,
        outcome: Result<Finding, Failure>,
        record: ManifestRecord,
        (file, chain): (Option<StoredFile>, Vec<Url>),
    ) -> Done {
        let finding = outcome.unwrap_or_else(|failure| self.failed(failure, chain));
        let event = StepEnded {
            job: self.lease.job,
            artifact: self.artifact.id.to_string(),
            kind,
            key: self.key,
            resolver,
            reason: record.reason,
            detail: record.detail.clone(),
            bytes: record.bytes.unwrap_or(0),
            number: self.number,
            took: self.started.elapsed(),
        };
        Done::Facts(Box::new(Facts { step: self.step.clone(), finding, record, file, event }))
    }

    /// A failure that may pass leaves the step open until its back-off has passed; any other closes it.
    fn failed(&self, failure: Failure, chain: Vec<Url>) -> Finding {
        let Failure { reason, detail, class } = failure;
        let FailureClass::Transient { retry_after } = class else {
            return Finding::Fate(Fate::Closed { reason, detail }, chain);
        };
        let delay = self.pieces.backoff.delay(self.number, retry_after, &mut fastrand::Rng::new());
        Finding::Fails { reason, detail, retry_at: self.pieces.sources.clock.now().after(delay) }
    }
}

/// What a call says of the service that the resolver asks; none when the plugin itself failed. A resolver that asks
/// hosts anywhere has no service: those hosts have breakers of their own.
fn outcome_of(outcome: &Result<Resolution, Failure>, installed: &Installed) -> Option<Outcome> {
    let failure = match outcome {
        Ok(_) => return Some(Outcome::Worked),
        Err(failure) if failure.class == FailureClass::PluginFault => return None,
        Err(failure) => failure,
    };
    let has_service = !installed.policy.hosts.iter().any(|grant| grant == "*");
    let is_transient = matches!(failure.class, FailureClass::Transient { .. });
    Some(match failure.reason {
        Reason::Timeout | Reason::Connection | Reason::Tls | Reason::Dns if has_service => Outcome::Failed,
        Reason::HttpStatus if has_service && is_transient => Outcome::Failed,
        _ => Outcome::Neutral,
    })
}
