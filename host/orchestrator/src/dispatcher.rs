//! Decides what starts: looks at the keys that have jobs, reserves what a step needs, leases, and hands over.
//!
//! Sleeps until something changes: a step ended, a permit came back, a job fell due, somebody asked to stop.
//! A key that may not run costs nothing: no lease, no worker, no look at its jobs.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gleaner_limits::Room;
use gleaner_model::clock::UnixMillis;
use gleaner_model::job::JobId;
use gleaner_model::key::Key;
use gleaner_store::{Backlog, StoreError};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::heartbeat;
use crate::pieces::{Pieces, RunError, lock};
use crate::reserve::Reservation;
use crate::worker;

/// How often a run that waits looks for jobs that another process enqueued: nothing else tells it.
const LOOK_AROUND: Duration = Duration::from_secs(2);
/// How long giving leases back may take at the end.
const GIVE_BACK: Duration = Duration::from_secs(2);
/// Most jobs leased at once.
const BATCH: usize = 64;

/// How far a run was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// It was not.
    Go,
    /// Lease nothing more, let running steps finish within the grace period.
    Drain,
    /// End running steps, and give their leases back.
    Now,
}

/// When a run ends by itself.
#[derive(Debug, Clone)]
pub enum Drain {
    /// Never.
    Serve,
    /// When nothing can run within `max_wait`.
    Empty {
        /// The longest pause to sit out.
        max_wait: Duration,
    },
    /// As `Empty`, or as soon as these jobs have ended.
    Jobs {
        /// Which.
        jobs: HashSet<JobId>,
        /// The longest pause to sit out.
        max_wait: Duration,
    },
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// Nothing is left that it was asked for.
    Complete,
    /// What is left waits longer than the caller wants to.
    Waiting {
        /// When something could run again; unknown when it depends on another process.
        until: Option<UnixMillis>,
    },
    /// It was asked to stop.
    Stopped,
}

/// How a run ended.
#[derive(Debug, Clone, Copy)]
pub struct RunReport {
    /// Why.
    pub finish: Finish,
}

type Tasks = JoinSet<Result<(), RunError>>;

impl Pieces {
    /// Works on the queue until `drain` is fulfilled or `stop` says so. Leases are given back in any case.
    ///
    /// # Errors
    /// When the library fails; a lease that cannot be given back then is free at the next start.
    pub async fn run(
        self: &Arc<Self>,
        drain: Drain,
        mut stop: watch::Receiver<Stop>,
    ) -> Result<RunReport, RunError> {
        if let Drain::Jobs { jobs, .. } = &drain {
            lock(&self.awaited).clone_from(jobs);
        }
        let mut tasks = Tasks::new();
        let mut beat = tokio::spawn(heartbeat::beat(Arc::clone(self)));
        let result = tokio::select! {
            result = self.dispatch(&drain, &mut tasks, &mut stop) => result,
            failed = &mut beat => Err(failed.map_or(RunError::Heartbeat, RunError::Store)),
        };
        let result = self.wind_down(&mut tasks, &mut stop, result).await;
        beat.abort();
        result.map(|finish| RunReport { finish })
    }

    async fn dispatch(
        self: &Arc<Self>,
        drain: &Drain,
        tasks: &mut Tasks,
        stop: &mut watch::Receiver<Stop>,
    ) -> Result<Finish, RunError> {
        let changes = self.sources.limiter.changes();
        let mut turn = 0;
        loop {
            if *stop.borrow() != Stop::Go {
                return Ok(Finish::Stopped);
            }
            // Registered before the look, so that a change right after it is not missed.
            let changed = changes.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            while let Some(ended) = tasks.try_join_next() {
                note_end(ended)?;
            }
            if self.awaited_are_done(drain) {
                return Ok(Finish::Complete);
            }
            let backlog = self.look().await?;
            turn += 1;
            if self.start_what_may_run(&backlog, tasks, turn).await? > 0 {
                continue;
            }
            let mut wake = self.next_change(&backlog);
            // A token may have come since the reservations were tried.
            if tasks.is_empty() && backlog.ready.iter().any(|(key, _)| self.has_room(key)) {
                wake = Some(Duration::from_millis(1));
            }
            if tasks.is_empty() {
                let max_wait = match drain {
                    Drain::Serve => None,
                    Drain::Empty { max_wait } | Drain::Jobs { max_wait, .. } => Some(*max_wait),
                };
                if max_wait.is_some() && is_empty(&backlog) {
                    return Ok(Finish::Complete);
                }
                if let Some(max_wait) = max_wait
                    && wake.is_none_or(|wait| wait > max_wait)
                {
                    return Ok(Finish::Waiting {
                        until: wake.map(|wait| self.sources.clock.now().after(wait)),
                    });
                }
            }
            let pause = wake.map_or(LOOK_AROUND, |wait| wait.min(LOOK_AROUND));
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep(pause) => {}
                Some(ended) = tasks.join_next() => note_end(ended)?,
                () = told_to(stop, Stop::Drain) => {}
            }
        }
    }

    /// Looks at the queue, after taking in what fell due and what expired.
    async fn look(&self) -> Result<Backlog, StoreError> {
        let mut backlog = self.queue.backlog().await?;
        let now = self.sources.clock.now();
        let due = backlog.next_due.is_some_and(|at| at <= now);
        let expired = backlog.next_expiry.is_some_and(|at| at <= now);
        if due {
            self.queue.promote_due().await?;
        }
        if expired {
            let expired = self.queue.expire(self.config.max_attempts.get()).await?;
            for job in &expired.poisoned {
                tracing::warn!(%job, "its worker died too often; it ended as poison");
                lock(&self.awaited).remove(job);
            }
        }
        if due || expired {
            backlog = self.queue.backlog().await?;
        }
        let keys = backlog.ready.iter().map(|(key, _)| key.clone()).collect();
        *lock(&self.contenders) = self.find_contenders(&backlog.ready);
        *lock(&self.backlogged) = keys;
        Ok(backlog)
    }

    /// Starts steps of every key that may run, keys in turn. Returns how many.
    async fn start_what_may_run(
        self: &Arc<Self>,
        backlog: &Backlog,
        tasks: &mut Tasks,
        turn: usize,
    ) -> Result<usize, StoreError> {
        let mut reserved: Vec<Reservation> = Vec::new();
        let keys = backlog.ready.len();
        for position in 0..keys {
            let (key, waiting) = &backlog.ready[(position + turn) % keys];
            let mut of_key = 0;
            while (of_key as u64) < *waiting && reserved.len() < BATCH {
                let Some(reservation) = self.reserve(key) else { break };
                reserved.push(reservation);
                of_key += 1;
            }
        }
        if reserved.is_empty() {
            return Ok(0);
        }
        let mut wanted: Vec<(Key, u32)> = Vec::new();
        for reservation in &reserved {
            match wanted.last_mut().filter(|(key, _)| *key == reservation.key) {
                Some((_, count)) => *count += 1,
                None => wanted.push((reservation.key.clone(), 1)),
            }
        }
        let leased = self.queue.lease(wanted, self.config.lease_ttl.0).await?;
        let started = leased.len();
        for job in leased {
            let Some(at) = reserved.iter().position(|reservation| reservation.key == job.key) else {
                let _ = self.queue.snooze(job.lease(), job.key, None).await?;
                continue;
            };
            let reservation = reserved.swap_remove(at);
            let lease = job.lease();
            self.running.begin(lease, job.key.clone(), Instant::now() + self.config.lease_ttl.0);
            let task = tasks.spawn(worker::work(Arc::clone(self), job, reservation));
            self.running.set_task(lease, task);
        }
        Ok(started)
    }

    /// How long until something could start: a job falls due, a lease expires, a key's pause ends. None
    /// when nothing but an event will change it.
    fn next_change(&self, backlog: &Backlog) -> Option<Duration> {
        let now = self.sources.clock.now();
        let timed = backlog.next_due.into_iter().chain(backlog.next_expiry).map(|at| now.until(at));
        let keys = backlog.ready.iter().filter_map(|(key, _)| self.wait_of(key));
        timed.chain(keys).min().map(|wait| wait.max(Duration::from_millis(1)))
    }

    /// How long the key, or a host that its resolver asks, will certainly be blocked.
    fn wait_of(&self, key: &Key) -> Option<Duration> {
        let limits = std::iter::once(key).chain(self.asked_hosts(key));
        let waits = limits.filter_map(|key| match self.sources.limiter.room(key) {
            Room::In(wait) => Some(wait),
            Room::Now(_) | Room::WhenReleased => None,
        });
        waits.max()
    }

    fn awaited_are_done(&self, drain: &Drain) -> bool {
        matches!(drain, Drain::Jobs { .. }) && lock(&self.awaited).is_empty()
    }

    /// Lets running steps finish within the grace period of a stop, then ends them and gives their leases back
    /// free of charge. Told to stop at once, after a failure, or when what the run was for is done, nothing is
    /// waited for. What cannot be given back is free at the next start.
    async fn wind_down(
        &self,
        tasks: &mut Tasks,
        stop: &mut watch::Receiver<Stop>,
        mut result: Result<Finish, RunError>,
    ) -> Result<Finish, RunError> {
        self.winding_down.store(true, Ordering::SeqCst);
        if matches!(result, Ok(Finish::Stopped)) {
            let all_ended = async {
                while let Some(ended) = tasks.join_next().await {
                    note_end(ended)?;
                }
                Ok::<(), RunError>(())
            };
            tokio::select! {
                ended = all_ended => result = result.and_then(|finish| ended.map(|()| finish)),
                () = tokio::time::sleep(self.config.grace.0) => {}
                () = told_to(stop, Stop::Now) => {}
            }
        }
        let entries = self.running.stop_all();
        tasks.abort_all();
        let give_back = async {
            while tasks.join_next().await.is_some() {}
            for entry in entries {
                // Lost or given back: either way it is not ours any more.
                let _ = self.queue.snooze(entry.lease, entry.key, None).await?;
            }
            Ok::<(), RunError>(())
        };
        match tokio::time::timeout(GIVE_BACK, give_back).await {
            Ok(given_back) => result.and_then(|finish| given_back.map(|()| finish)),
            Err(_) => result,
        }
    }
}

async fn told_to(stop: &mut watch::Receiver<Stop>, level: Stop) {
    if stop.wait_for(|told| *told >= level).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn is_empty(backlog: &Backlog) -> bool {
    backlog.ready.is_empty() && backlog.delayed == 0 && backlog.leased == 0
}

/// A worker's store error ends the run; a panic costs its job a charge, by the expiry of its lease.
fn note_end(ended: Result<Result<(), RunError>, tokio::task::JoinError>) -> Result<(), RunError> {
    match ended {
        Ok(result) => result,
        Err(error) => {
            if error.is_panic() {
                tracing::error!(%error, "a worker panicked; its job comes back when its lease expires");
            }
            Ok(())
        }
    }
}
