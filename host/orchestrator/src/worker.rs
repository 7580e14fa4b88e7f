//! Carries out one leased job's steps until its lease is given back.
//!
//! A step's facts are recorded before anything else happens; the next step goes on under the same lease only
//! when its key is free and nobody waits for it. Errors of a step never escape: they are facts. Only when
//! the library itself cannot be written does the run end.

use std::sync::Arc;
use std::time::Duration;

use gleaner_model::SPANS;
use gleaner_model::artifact::Artifact;
use gleaner_model::clock::UnixMillis;
use gleaner_model::job::JobResult;
use gleaner_model::key::Key;
use gleaner_model::next::{LONG, Next};
use gleaner_model::plan::{Plan, Step};
use gleaner_store::{AfterRecord, Fenced, Lease, Leased};
use gleaner_telemetry::{Event, JobEnded};
use tokio::time::Instant;
use tracing::Instrument;

use crate::facts::{Done, Facts};
use crate::pace::PATIENCE;
use crate::pieces::{Pieces, RunError, lock};
use crate::reserve::{Place, Reservation, Start};

/// Works on a leased job; returns when its lease was given back or lost.
pub(crate) async fn work(pieces: Arc<Pieces>, leased: Leased, start: Start) -> Result<(), RunError> {
    let _end = EndOfWork { pieces: &pieces, lease: leased.lease() };
    let lease = leased.lease();
    let span = gleaner_telemetry::adopt(lease.job, leased.artifact.id.as_str(), || {
        tracing::info_span!(
            target: SPANS, parent: None, "dispatch",
            gleaner.job = lease.job.0, gleaner.key = %leased.key, gleaner.attempt = leased.attempts,
        )
    });
    steps(&pieces, leased, start).instrument(span).await
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
        if self.pieces.running.count() == 0 {
            // The run may be over.
            self.pieces.sources.limiter.changes().notify_one();
        }
    }
}

async fn steps(pieces: &Pieces, leased: Leased, start: Start) -> Result<(), RunError> {
    let lease = leased.lease();
    let Leased { key: mut held_for, artifact, mut plan, .. } = leased;
    let mut held = Some(match start {
        Start::InLine(line) => match line.reservation().await {
            Some(reservation) => Place::Own(reservation),
            None => return pieces.put_back(lease, held_for, None).await,
        },
        Start::Now(place) => place,
    });
    loop {
        // This step's, whatever is changed until it is recorded.
        let generation = match &held {
            Some(Place::Together(member)) => member.generation(),
            _ => pieces.sources.now(),
        };
        let place_of = held.as_ref().map(|_| &held_for);
        let step = match pieces.sources.next_holding(place_of, &generation, &plan, &artifact) {
            Next::Step(step) => step,
            Next::Wait(step, until) => {
                let key = pieces.key_of(&plan, &step);
                return pieces.put_back(lease, key, Some(until)).await;
            }
            Next::End(result) => return end(pieces, lease, &artifact, plan, result).await,
        };
        let key = pieces.key_of(&plan, &step);
        // The step may have changed since the job was queued: new tiers, a removed plugin.
        let place = match held.take().filter(|_| held_for == key) {
            Some(place) => place,
            None if pieces.waits_for_others(&key) => return pieces.put_back(lease, key, None).await,
            None => match pieces.reserve(&key) {
                Ok(reservation) => Place::Own(reservation),
                Err(_) => return pieces.put_back(lease, key, None).await,
            },
        };
        let done = match place {
            Place::Own(reservation) => {
                if let Step::Resolve(name) = &step
                    && !pieces.sources.beside(&generation, name, &plan, &artifact).is_empty()
                {
                    let first = (name.clone(), reservation);
                    match Box::pin(pieces.ask_together(generation, lease, &artifact, plan, first)).await? {
                        Some((next_plan, next)) => {
                            held_for = next.key.clone();
                            (plan, held) = (next_plan, Some(Place::Own(next)));
                            continue;
                        }
                        None => return Ok(()),
                    }
                }
                let deadline = Instant::now() + pieces.deadline_of(&generation, &step);
                pieces.running.begin(lease, key.clone(), deadline);
                // Boxed, as all that is large and that jobs which wait for their turn never come to.
                Box::pin(pieces.carry_out(generation, lease, &artifact, &plan, &step, reservation)).await
            }
            Place::Together(member) => {
                let Step::Resolve(name) = &step else { return pieces.put_back(lease, key, None).await };
                let deadline = Instant::now() + pieces.deadline_of(&generation, &step);
                pieces.running.begin(lease, key.clone(), deadline);
                pieces.call_together(&generation, lease, &artifact, &plan, name, member).await
            }
            Place::Shared(shared) => {
                let turn = tokio::time::timeout(PATIENCE, shared.lock()).await;
                let (Ok(turn), Step::Resolve(name)) = (turn, &step) else {
                    // Those before it take longer than was thought.
                    return pieces.put_back(lease, key, None).await;
                };
                let deadline = Instant::now() + pieces.deadline_of(&generation, &step);
                pieces.running.begin(lease, key.clone(), deadline);
                pieces.call_in_turn(&generation, lease, &artifact, &plan, name, &turn).await
            }
        };
        pieces.save_cooldowns().await?;
        pieces.save_suspensions().await?;
        match done {
            Done::Suspended | Done::Again => return pieces.put_back(lease, key, None).await,
            Done::Blocked { retry_after } => {
                if let Some(other) = pieces.instead(&plan, &artifact, &step, retry_after) {
                    return pieces.put_back(lease, other, None).await;
                }
                // By the clock, whichever key it was: only the others of a blocked key wait without being looked at.
                let until = Some(pieces.sources.clock.now().after(retry_after));
                return pieces.put_back(lease, key, until).await;
            }
            Done::NoDisk { detail } => {
                pieces.put_back(lease, key, None).await?;
                return Err(RunError::Files { detail });
            }
            Done::Facts(mut facts) => {
                pieces.note(&mut facts, &mut plan, &artifact);
                match settle(pieces, lease, &artifact, plan, *facts).await? {
                    Some((next_plan, next)) => {
                        held_for = next.key.clone();
                        (plan, held) = (next_plan, Some(Place::Own(next)));
                    }
                    None => return Ok(()),
                }
            }
        }
    }
}

/// Records what a step found out, which the plan has by now. Returns the plan and the next step's reservation when the
/// job goes on under the same lease.
pub(crate) async fn settle(
    pieces: &Pieces,
    lease: Lease,
    artifact: &Artifact,
    plan: Plan,
    facts: Facts,
) -> Result<Option<(Plan, Reservation)>, RunError> {
    let Facts { record, file, event, .. } = facts;
    let records = vec![record];
    let resolver = event.resolver.clone();
    let event = Event::Step(event);
    let tell = |fenced: Fenced| match fenced {
        Fenced::Held(()) => {
            pieces.tell(&event);
            true
        }
        Fenced::Lost => {
            tracing::warn!(job = %lease.job, "the lease was lost; its work is discarded");
            false
        }
    };
    // Anew: a resolver that has appeared meanwhile is asked before a job ends without a file.
    match pieces.sources.next(&pieces.sources.now(), &plan, artifact) {
        Next::End(result) => {
            let size = file.as_ref().map_or(0, |file| file.size);
            let started = plan.started;
            if tell(pieces.queue.ack(lease, plan, records, result.clone(), file).await?) {
                pieces.tell(&ended(lease, artifact, &result, started, Some((resolver, size))));
                pieces.content.forget_unfinished(artifact).await;
            }
            Ok(None)
        }
        Next::Wait(step, until) => {
            let key = pieces.key_of(&plan, &step);
            tell(pieces.queue.fail_and_retry(lease, plan, records, key.clone(), until).await?);
            pieces.note_waiting(&key, Some(until));
            Ok(None)
        }
        Next::Step(step) => {
            let key = pieces.key_of(&plan, &step);
            let is_free = !lock(&pieces.schedule).has(&key) && !pieces.waits_for_others(&key);
            let reservation = is_free.then(|| pieces.reserve(&key).ok()).flatten();
            let until = pieces.sources.clock.now().after(pieces.config.lease_ttl.0);
            let after = if reservation.is_some() {
                AfterRecord::Keep { key: key.clone(), until }
            } else {
                AfterRecord::Queue { key: key.clone() }
            };
            let held = tell(pieces.queue.record(lease, plan.clone(), records, after).await?);
            if reservation.is_none() {
                pieces.note_waiting(&key, None);
            }
            Ok(reservation.filter(|_| held).map(|reservation| (plan, reservation)))
        }
    }
}

impl Pieces {
    /// Adds what a step found out to its job's plan.
    pub(crate) fn note(&self, facts: &mut Facts, plan: &mut Plan, artifact: &Artifact) {
        facts.note(plan, artifact, self.config.max_attempts.get(), self.sources.clock.now());
    }

    /// Whether a job is to wait under the key for others that are on their way, so that one call asks about all.
    fn waits_for_others(&self, key: &Key) -> bool {
        self.gathers(key).is_some() && (self.running.count() > 1 || !lock(&self.schedule).is_empty())
    }

    /// The key of the step that a job does in place of one that was put off for long; none where it has nobody else.
    fn instead(&self, plan: &Plan, artifact: &Artifact, step: &Step, wait: Duration) -> Option<Key> {
        let generation = self.sources.now();
        match self.sources.next(&generation, plan, artifact) {
            Next::Step(other) if wait > LONG && other != *step => Some(self.key_of(plan, &other)),
            _ => None,
        }
    }

    /// Gives a lease back free of charge: the job waits under the key, until then if given.
    pub(crate) async fn put_back(
        &self,
        lease: Lease,
        key: Key,
        until: Option<UnixMillis>,
    ) -> Result<(), RunError> {
        if let Fenced::Held(()) = self.queue.snooze(lease, key.clone(), until).await? {
            self.note_waiting(&key, until);
        }
        Ok(())
    }

    /// A job waits under the key from now on: the dispatcher need not look to know it.
    pub(crate) fn note_waiting(&self, key: &Key, until: Option<UnixMillis>) {
        match until {
            None => {
                if lock(&self.schedule).add(key, 1) {
                    self.sources.limiter.changes().notify_one();
                }
            }
            Some(until) => {
                let mut next = lock(&self.next_due);
                *next = Some(next.map_or(until, |due| due.min(until)));
            }
        }
    }

    /// Writes down pauses and how keys fare, so that a restart keeps them.
    pub(crate) async fn save_cooldowns(&self) -> Result<(), RunError> {
        for (key, until) in self.sources.limiter.take_cooldowns() {
            self.library.save_cooldown(key.clone(), until).await?;
            self.tell(&Event::Cooldown { key, until });
        }
        for (key, condition) in self.sources.limiter.take_conditions() {
            self.library.save_condition(key, condition).await?;
        }
        Ok(())
    }
}

/// Ends a job that needs no further step: its plan was complete when it was leased.
async fn end(
    pieces: &Pieces,
    lease: Lease,
    artifact: &Artifact,
    plan: Plan,
    result: JobResult,
) -> Result<(), RunError> {
    let started = plan.started;
    if let Fenced::Held(()) = pieces.queue.ack(lease, plan, Vec::new(), result.clone(), None).await? {
        pieces.tell(&ended(lease, artifact, &result, started, None));
        pieces.content.forget_unfinished(artifact).await;
    }
    Ok(())
}

fn ended(
    lease: Lease,
    artifact: &Artifact,
    result: &JobResult,
    started: Option<UnixMillis>,
    last: Option<(String, u64)>,
) -> Event {
    let (resolver, bytes) = last.map_or((None, 0), |(resolver, bytes)| (Some(resolver), bytes));
    Event::Job(JobEnded {
        job: lease.job,
        artifact: artifact.id.to_string(),
        state: result.state(),
        reason: result.reason(),
        detail: result.detail().to_owned(),
        bytes,
        resolver: resolver.filter(|_| matches!(result, JobResult::Done { .. })),
        started,
    })
}
