//! Carries out one leased job's steps until its lease is given back.
//!
//! A step's facts are recorded before anything else happens; the next step goes on under the same lease only
//! when its key is free and nobody waits for it. Errors of a step never escape: they are facts. Only when
//! the library itself cannot be written does the run end.

use std::sync::Arc;
use std::time::Duration;

use gleaner_limits::Permit;
use gleaner_model::artifact::Artifact;
use gleaner_model::job::JobResult;
use gleaner_model::manifest::ManifestRecord;
use gleaner_model::next::Next;
use gleaner_model::plan::{Fate, Plan, Step};
use gleaner_model::reason::{Failure, FailureClass, Reason};
use gleaner_store::{AfterRecord, Fenced, Lease, Leased, StoredFile};
use gleaner_telemetry::{Event, JobEnded, StepEnded, StepKind};
use tokio::time::Instant;

use crate::pieces::{Pieces, RunError, lock};
use crate::reserve::Reservation;

/// How long a step may take beyond its own limits before it counts as hung.
const SLACK: Duration = Duration::from_secs(10);

/// What a step came to.
enum Done {
    /// Facts to record.
    Facts(Box<Facts>),
    /// The library's disk refused: no job's fault, and no other job would fare better.
    NoDisk {
        /// What happened.
        detail: String,
    },
    /// It could not run: its limit, or the upstream, asks to wait.
    Blocked {
        /// At least so long.
        retry_after: Duration,
    },
}

struct Facts {
    plan: Plan,
    record: ManifestRecord,
    file: Option<StoredFile>,
    event: StepEnded,
    retry_after: Option<Duration>,
}

/// Works on a leased job; returns when its lease was given back or lost.
pub(crate) async fn work(
    pieces: Arc<Pieces>,
    leased: Leased,
    reservation: Reservation,
) -> Result<(), RunError> {
    let _end = EndOfWork { pieces: &pieces, lease: leased.lease() };
    steps(&pieces, leased, reservation).await
}

/// Takes the job off the list of running steps, also when its worker panics: the heartbeat must not keep
/// its lease alive.
struct EndOfWork<'a> {
    pieces: &'a Pieces,
    lease: Lease,
}

impl Drop for EndOfWork<'_> {
    fn drop(&mut self) {
        self.pieces.running.end(self.lease);
    }
}

async fn steps(pieces: &Pieces, leased: Leased, reservation: Reservation) -> Result<(), RunError> {
    let lease = leased.lease();
    let Leased { artifact, mut plan, .. } = leased;
    let mut held = Some(reservation);
    loop {
        let step = match pieces.sources.planner.next(&plan, &artifact, pieces.sources.clock.now()) {
            Next::Step(step) => step,
            Next::Wait(step, until) => {
                let key = plan.key(&step);
                return Ok(pieces.queue.snooze(lease, key, Some(until)).await.map(drop)?);
            }
            Next::End(result) => return end(pieces, lease, &artifact, plan, Vec::new(), result, None).await,
        };
        let key = plan.key(&step);
        // The step may have changed since the job was queued: new tiers, a removed plugin.
        let reservation = match held.take().filter(|held| held.key == key).or_else(|| pieces.reserve(&key)) {
            Some(reservation) => reservation,
            None => return Ok(pieces.queue.snooze(lease, key, None).await.map(drop)?),
        };
        pieces.running.begin(lease, key.clone(), Instant::now() + pieces.deadline_of(&step));
        match run(pieces, lease, &artifact, &plan, &step, reservation).await {
            Done::Blocked { retry_after } => {
                pieces.save_cooldowns().await?;
                // By the clock, whichever key it was: only the others of a blocked key wait without being looked at.
                let until = Some(pieces.sources.clock.now().after(retry_after));
                return Ok(pieces.queue.snooze(lease, key, until).await.map(drop)?);
            }
            Done::NoDisk { detail } => {
                let _ = pieces.queue.snooze(lease, key, None).await?;
                return Err(RunError::Files { detail });
            }
            Done::Facts(facts) => match settle(pieces, lease, &artifact, *facts).await? {
                Some((next_plan, next)) => (plan, held) = (next_plan, Some(next)),
                None => return Ok(()),
            },
        }
    }
}

/// Records what a step found out. Returns the plan and the next step's reservation when the job goes on
/// under the same lease.
async fn settle(
    pieces: &Pieces,
    lease: Lease,
    artifact: &Artifact,
    facts: Facts,
) -> Result<Option<(Plan, Reservation)>, RunError> {
    let Facts { plan, record, file, event, retry_after } = facts;
    let records = vec![record];
    let tell = |fenced: Fenced| match fenced {
        Fenced::Held(()) => {
            pieces.tell(&Event::Step(event.clone()));
            true
        }
        Fenced::Lost => {
            tracing::warn!(job = %lease.job, "the lease was lost; its work is discarded");
            false
        }
    };
    match pieces.sources.planner.next(&plan, artifact, pieces.sources.clock.now()) {
        Next::End(result) => {
            let resolver = event.resolver.clone();
            let size = file.as_ref().map_or(0, |file| file.size);
            if tell(pieces.queue.ack(lease, plan, records, result.clone(), file).await?) {
                pieces.tell(&ended(lease, artifact, &result, Some(resolver), size));
            }
            Ok(None)
        }
        Next::Wait(step, until) => {
            let key = plan.key(&step);
            let until = retry_after.map_or(until, |asked| until.max(pieces.sources.clock.now().after(asked)));
            tell(pieces.queue.fail_and_retry(lease, plan, records, key, until).await?);
            Ok(None)
        }
        Next::Step(step) => {
            let key = plan.key(&step);
            let reservation = if pieces.has_backlog(&key) { None } else { pieces.reserve(&key) };
            let until = pieces.sources.clock.now().after(pieces.config.lease_ttl.0);
            let after = if reservation.is_some() {
                AfterRecord::Keep { key, until }
            } else {
                AfterRecord::Queue { key }
            };
            let held = tell(pieces.queue.record(lease, plan.clone(), records, after).await?);
            Ok(reservation.filter(|_| held).map(|reservation| (plan, reservation)))
        }
    }
}

async fn run(
    pieces: &Pieces,
    lease: Lease,
    artifact: &Artifact,
    plan: &Plan,
    step: &Step,
    reservation: Reservation,
) -> Done {
    let started = Instant::now();
    let attempt = plan.fate(step).failures() + 1;
    let key = reservation.key.clone();
    // The seat is held until the step has ended.
    let Reservation { permit, host, seat: _seat, .. } = reservation;
    let mut plan = plan.clone();
    let (kind, resolver, outcome, record, file) = match step {
        Step::Resolve(name) => {
            let Some(installed) = pieces.sources.resolvers.get(name) else {
                return Done::Blocked { retry_after: Duration::ZERO };
            };
            permit.spend();
            let report =
                pieces.sources.call(installed, &lease.job.to_string(), artifact, &plan, attempt, host).await;
            drop(permit);
            if let (Err(failure), Some(retry_after)) = (&report.outcome, report.rate_limited)
                && failure.class != FailureClass::PluginFault
            {
                return Done::Blocked { retry_after };
            }
            if let Err(Failure { class: FailureClass::Throttled { retry_after }, .. }) = &report.outcome {
                let retry_after = pieces.sources.limiter.throttled(&key, Some(*retry_after));
                return Done::Blocked { retry_after };
            }
            pieces.sources.limiter.answered(&key);
            let record = pieces.record_of_call(artifact, &installed.plugin.info, &report, attempt);
            let outcome = report.outcome.map(|resolution| {
                plan.note(step, Fate::Answered, pieces.sources.clock.now());
                plan.take_in(resolution, &artifact.identifiers);
            });
            (StepKind::Resolve, name.to_string(), outcome, record, None)
        }
        Step::Fetch(index) => {
            let candidate = plan.candidates[*index].candidate.clone();
            let fetched = fetch_in_time(pieces, artifact, &candidate, permit).await;
            if let Err(Failure { class: FailureClass::Throttled { retry_after }, .. }) = &fetched.outcome {
                return Done::Blocked { retry_after: *retry_after };
            }
            if let Err(Failure { reason: Reason::Storage, detail, .. }) = &fetched.outcome {
                return Done::NoDisk { detail: detail.clone() };
            }
            let record =
                pieces.record_of_fetch(artifact, &candidate, &fetched.facts, &fetched.outcome, attempt);
            let file = fetched.outcome.as_ref().ok().map(|blob| StoredFile {
                sha256: blob.sha256.clone(),
                size: blob.size,
                media_type: blob.media_type.clone(),
                name: blob.name.clone(),
            });
            let outcome = fetched.outcome.map(|blob| {
                let fate = Fate::Accepted { sha256: blob.sha256, known: blob.known };
                plan.note(step, fate, pieces.sources.clock.now());
            });
            (StepKind::Fetch, candidate.resolver.to_string(), outcome, record, file)
        }
    };
    let mut retry_after = None;
    if let Err(failure) = outcome {
        retry_after = pieces.note_failure(&mut plan, step, failure);
    }
    let event = StepEnded {
        job: lease.job,
        artifact: artifact.id.to_string(),
        kind,
        key,
        resolver,
        reason: record.reason,
        detail: record.detail.clone(),
        bytes: record.bytes.unwrap_or(0),
        took: started.elapsed(),
    };
    Done::Facts(Box::new(Facts { plan, record, file, event, retry_after }))
}

/// A download that ends at its deadline whatever happens below it.
async fn fetch_in_time(
    pieces: &Pieces,
    artifact: &Artifact,
    candidate: &gleaner_model::candidate::Candidate,
    permit: Permit,
) -> gleaner_content::Fetched {
    let deadline = pieces.config.fetch_deadline.0;
    match tokio::time::timeout(deadline + SLACK / 2, pieces.download(artifact, candidate, permit)).await {
        Ok(fetched) => fetched,
        Err(_) => gleaner_content::Fetched {
            facts: gleaner_content::FetchFacts::default(),
            outcome: Err(Failure::transient(Reason::Timeout, "the whole download took too long")),
        },
    }
}

impl Pieces {
    fn deadline_of(&self, step: &Step) -> Duration {
        let own = match step {
            Step::Resolve(name) => {
                self.sources.resolvers.get(name).map_or(Duration::ZERO, |one| one.sandbox.wall.0)
            }
            Step::Fetch(_) => self.config.fetch_deadline.0,
        };
        own + SLACK
    }

    /// Notes a failed step in the plan; returns how long its upstream asked to wait.
    fn note_failure(&self, plan: &mut Plan, step: &Step, failure: Failure) -> Option<Duration> {
        let now = self.sources.clock.now();
        match failure.class {
            FailureClass::Transient { retry_after } => {
                let failures = plan.fate(step).failures() + 1;
                let delay = self.backoff.delay(failures, retry_after, &mut fastrand::Rng::new());
                let max = self.config.max_attempts.get();
                plan.note_failure(step, (failure.reason, failure.detail), now.after(delay), max, now);
                retry_after
            }
            _ => {
                plan.note(step, Fate::Closed { reason: failure.reason, detail: failure.detail }, now);
                None
            }
        }
    }

    /// Writes down the pauses that upstreams imposed, so that a restart keeps them.
    async fn save_cooldowns(&self) -> Result<(), RunError> {
        for (key, until) in self.sources.limiter.cooldowns() {
            // What is left is computed anew each time, so that the same pause may differ by its rounding.
            let before = lock(&self.saved_cooldowns).insert(key.clone(), until);
            if before.is_none_or(|before| (before.0 - until.0).abs() > 1000) {
                self.library.save_cooldown(key.clone(), until).await?;
                self.tell(&Event::Cooldown { key, until });
            }
        }
        Ok(())
    }
}

/// Ends a job that needed no further step.
async fn end(
    pieces: &Pieces,
    lease: Lease,
    artifact: &Artifact,
    plan: Plan,
    records: Vec<ManifestRecord>,
    result: JobResult,
    file: Option<StoredFile>,
) -> Result<(), RunError> {
    if let Fenced::Held(()) = pieces.queue.ack(lease, plan, records, result.clone(), file).await? {
        pieces.tell(&ended(lease, artifact, &result, None, 0));
    }
    Ok(())
}

fn ended(
    lease: Lease,
    artifact: &Artifact,
    result: &JobResult,
    resolver: Option<String>,
    bytes: u64,
) -> Event {
    Event::Job(JobEnded {
        job: lease.job,
        artifact: artifact.id.to_string(),
        state: result.state(),
        reason: result.reason(),
        detail: result.detail().to_owned(),
        bytes,
        resolver: resolver.filter(|_| matches!(result, JobResult::Done { .. })),
    })
}
