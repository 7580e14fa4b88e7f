//! One run on a library, from joining those that work on it until its last lease is given back.
//!
//! What starts meanwhile is the dispatcher's to decide. Must never end with a lease that it could have given back.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gleaner_model::clock::UnixMillis;
use gleaner_model::job::JobId;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::dispatcher::Turns;
use crate::heartbeat;
use crate::pieces::{Pieces, RunError, lock};
use crate::sharing;

/// How long giving leases back may take at the end.
const GIVE_BACK: Duration = Duration::from_secs(2);

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

/// The workers of a run.
pub(crate) type Tasks = JoinSet<Result<(), RunError>>;

impl Pieces {
    /// Works on the queue until `drain` is fulfilled or `stop` says so. Leases are given back in any case. This
    /// process must have joined those that work on the library.
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
        let claims = Arc::clone(&self.sharing) as Arc<dyn gleaner_limits::Claims>;
        self.sources.limiter.share(claims, Instant::now() + sharing::ALIVE_FOR);
        self.sources.limiter.apply(&self.library.key_settings().await?);
        self.take_in_suspensions().await?;
        self.library.be_patient(true);
        sharing::tidy_up(self).await?;
        let mut tasks = Tasks::new();
        let mut beat = tokio::spawn(heartbeat::beat(Arc::clone(self)));
        let mut neighbour = tokio::spawn(sharing::keep_up(Arc::clone(self)));
        let mut stops = tokio::spawn(heartbeat::stop_cancelled(Arc::clone(self)));
        let mut turns = Turns::new(&drain);
        let mut at_once = stop.clone();
        let result = tokio::select! {
            result = turns.dispatch(self, &mut tasks, &mut stop) => result,
            failed = &mut beat => Err(failed.map_or(RunError::Heartbeat, RunError::Store)),
            failed = &mut neighbour => Err(failed.map_or(RunError::Heartbeat, RunError::Store)),
            failed = &mut stops => Err(failed.map_or(RunError::Heartbeat, RunError::Store)),
            // Also when a write waits for another process.
            () = told_to_and_late(&mut at_once, self.config.grace.0) => Ok(Finish::Stopped),
        };
        self.library.be_patient(false);
        let result = self.wind_down(&mut tasks, &mut stop, result).await;
        beat.abort();
        neighbour.abort();
        stops.abort();
        result.map(|finish| RunReport { finish })
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

/// Returns when it is told so much.
pub(crate) async fn told_to(stop: &mut watch::Receiver<Stop>, level: Stop) {
    if stop.wait_for(|told| *told >= level).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Told to stop at once, or told to stop and not done with it within the grace period.
async fn told_to_and_late(stop: &mut watch::Receiver<Stop>, grace: Duration) {
    told_to(stop, Stop::Drain).await;
    tokio::select! {
        () = told_to(stop, Stop::Now) => {}
        () = tokio::time::sleep(grace + GIVE_BACK) => {}
    }
}

/// A worker's store error ends the run; a panic costs its job a charge, by the expiry of its lease.
pub(crate) fn note_end(ended: Result<Result<(), RunError>, tokio::task::JoinError>) -> Result<(), RunError> {
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
