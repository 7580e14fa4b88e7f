//! One step of a job, from its reservation to the facts it found out.
//!
//! Failures are facts too. Must never write to the library's database: the worker records, under the lease.

use std::sync::Arc;
use std::time::Duration;

use gleaner_content::{FetchFacts, Fetched};
use gleaner_egress::Egress;
use gleaner_limits::{Outcome, Permit};
use gleaner_model::SPANS;
use gleaner_model::artifact::Artifact;
use gleaner_model::candidate::Candidate;
use gleaner_model::clock::UnixMillis;
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
use crate::gather::{Answer, Member};
use crate::generation::Generation;
use crate::install::Installed;
use crate::pieces::Pieces;
use crate::reserve::Reservation;
use crate::resolve::query;

/// How long a step may take beyond its own limits before it counts as hung.
const SLACK: Duration = Duration::from_secs(10);

/// What a step came to.
pub(crate) enum Done {
    /// Facts to record.
    Facts(Box<Facts>),
    /// The library's disk refused: no job's fault, and no other job would fare better.
    NoDisk {
        /// What happened.
        detail: String,
    },
    /// Its plugin was suspended before it began.
    Suspended,
    /// A call for several jobs gave it no answer.
    Again,
    /// It could not run: its limit, or the upstream, asks to wait.
    Blocked {
        /// At least so long.
        retry_after: Duration,
    },
}

/// What there is to record of a step.
pub(crate) struct Facts {
    /// Which.
    pub(crate) step: Step,
    finding: Finding,
    pub(crate) record: ManifestRecord,
    /// The file that was accepted.
    pub(crate) file: Option<StoredFile>,
    /// What to tell once it is recorded.
    pub(crate) event: StepEnded,
}

/// What a step adds to its job's plan. Apart from the plan, because others may have added to it meanwhile.
enum Finding {
    /// The resolver answered.
    Answer(Resolution),
    /// The step is closed so: with a file, or for good without one after these URLs.
    Fate(Fate, Vec<Url>),
    /// It failed, and may be tried again from then on unless that was its last try.
    Fails { reason: Reason, detail: String, retry_at: UnixMillis },
}

impl Facts {
    /// Adds what was found to the job's plan as it is now.
    pub(crate) fn note(&mut self, plan: &mut Plan, artifact: &Artifact, max_attempts: u32, now: UnixMillis) {
        match std::mem::replace(&mut self.finding, Finding::Answer(Resolution::default())) {
            Finding::Answer(resolution) => {
                plan.note(&self.step, Fate::Answered, now);
                plan.take_in(resolution, &artifact.identifiers);
            }
            Finding::Fate(fate, chain) => {
                plan.note(&self.step, fate, now);
                plan.close_with(&self.step, &chain);
            }
            Finding::Fails { reason, detail, retry_at } => {
                plan.note_failure(&self.step, (reason, detail), retry_at, max_attempts, now);
            }
        }
    }
}

/// One try of a step.
struct Try<'a> {
    pieces: &'a Pieces,
    lease: Lease,
    artifact: &'a Artifact,
    plan: &'a Plan,
    step: &'a Step,
    key: Key,
    number: u32,
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

    async fn fetch(self, candidate: &Candidate, permit: Permit, egress: &Egress) -> Done {
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

    fn facts(
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
