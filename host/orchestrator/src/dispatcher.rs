//! Decides what starts: looks at the keys that have jobs, reserves what a step needs, leases, and hands over.
//!
//! Sleeps until something changes: a step ended, a permit came back, a job fell due, somebody asked to stop.
//! A key that may not run costs nothing: no lease, no worker, no look at its jobs.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gleaner_limits::{Claims, Why};
use gleaner_model::clock::UnixMillis;
use gleaner_model::job::JobId;
use gleaner_model::key::Key;
use gleaner_model::next::LONG;
use gleaner_store::{Backlog, Leased, StoreError};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::gather::Member;
use crate::heartbeat;
use crate::pass_on::Stopped;
use crate::pieces::{Pieces, RunError, lock};
use crate::reserve::{Place, Refusal, Reservation};
use crate::schedule::Slots;
use crate::sharing;
use crate::worker;

/// How often a run that waits looks for jobs that another process enqueued: nothing else tells it.
const LOOK_AROUND: Duration = Duration::from_secs(2);
/// How long giving leases back may take at the end.
const GIVE_BACK: Duration = Duration::from_secs(2);
/// A look is good for so long at least, and so many times longer than it took.
const GOOD_FOR: Duration = Duration::from_millis(250);
const LOOKS_COST: u32 = 20;
/// When nothing runs, only a look this fresh says that nothing is left.
const STALE: Duration = Duration::from_millis(50);
/// The shortest pause.
const TICK: Duration = Duration::from_millis(1);
/// Most jobs leased at once.
const BATCH: u64 = 4096;
/// Most keys claimed at once.
const CLAIMS: usize = 256;

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

/// The dispatcher's turns, and what it knows from the last look at the library.
struct Turns<'a> {
    drain: &'a Drain,
    backlog: Backlog,
    looked: Option<Instant>,
    /// How long a look is good for: looks are to cost little of the time.
    good_for: Duration,
    /// Keys whose jobs go to others.
    stopped: Stopped,
}

impl<'a> Turns<'a> {
    fn new(drain: &'a Drain) -> Self {
        let (backlog, stopped) = (Backlog::default(), Stopped::default());
        Self { drain, backlog, looked: None, good_for: Duration::ZERO, stopped }
    }

    async fn dispatch(
        &mut self,
        pieces: &Arc<Pieces>,
        tasks: &mut Tasks,
        stop: &mut watch::Receiver<Stop>,
    ) -> Result<Finish, RunError> {
        let changes = pieces.sources.limiter.changes();
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
                if tasks.is_empty() {
                    // What it left behind is known only to the library.
                    self.looked = None;
                }
            }
            if matches!(self.drain, Drain::Jobs { .. }) && lock(&pieces.awaited).is_empty() {
                return Ok(Finish::Complete);
            }
            self.take_in_news(pieces).await?;
            if self.start_what_may_run(pieces, tasks).await? > 0 {
                continue;
            }
            let mut pause = self.until_next_change(pieces);
            if tasks.is_empty() {
                // Nothing that runs could bring more works to those that wait to be asked about together.
                let by = self.max_wait().and_then(|wait| Instant::now().checked_add(wait));
                if lock(&pieces.schedule).end_gathering(by) {
                    continue;
                }
                if self.looked.is_some_and(|at| at.elapsed() > STALE) {
                    // Nothing runs, so nothing but a look tells what is left.
                    self.looked = None;
                    continue;
                }
                if let Some(finish) = self.has_ended(pieces, pause) {
                    return Ok(finish);
                }
                pause = pause.or(Some(LOOK_AROUND));
            }
            let pause = pause.unwrap_or(LOOK_AROUND).min(LOOK_AROUND.max(self.good_for));
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep(pause) => {}
                Some(ended) = tasks.join_next() => {
                    note_end(ended)?;
                    if tasks.is_empty() {
                        self.looked = None;
                    }
                }
                () = told_to(stop, Stop::Drain) => {}
            }
        }
    }

    /// The longest pause that the caller sits out; none where the run never ends.
    fn max_wait(&self) -> Option<Duration> {
        match self.drain {
            Drain::Serve => None,
            Drain::Empty { max_wait } | Drain::Jobs { max_wait, .. } => Some(*max_wait),
        }
    }

    /// Why the run has come to its end, if nothing runs and nothing will within the time that the caller waits.
    fn has_ended(&self, pieces: &Pieces, pause: Option<Duration>) -> Option<Finish> {
        let max_wait = self.max_wait()?;
        let Backlog { ready, delayed, leased, .. } = &self.backlog;
        if ready.is_empty() && *delayed == 0 && *leased == 0 {
            return Some(Finish::Complete);
        }
        // A key that may run has been tried, and got nothing only because of a moment's race.
        let is_over = !lock(&pieces.schedule).may_run() && pause.is_none_or(|pause| pause > max_wait);
        is_over.then(|| Finish::Waiting { until: pause.map(|pause| pieces.sources.clock.now().after(pause)) })
    }

    /// Looks at the library when it is time, and lets keys take their turn whose limit or time has changed.
    async fn take_in_news(&mut self, pieces: &Pieces) -> Result<(), StoreError> {
        let now = pieces.sources.clock.now();
        let wakes = lock(&pieces.next_due).is_some_and(|due| due <= now)
            || self.backlog.next_expiry.is_some_and(|at| at <= now);
        if wakes || self.looked.is_none_or(|at| at.elapsed() >= self.good_for) {
            self.look(pieces).await?;
        }
        let changed = pieces.sources.limiter.take_changed();
        let freed = pieces.seats.take_freed();
        let mut schedule = lock(&pieces.schedule);
        changed.iter().for_each(|limit| schedule.has_changed(limit));
        freed.iter().for_each(|key| schedule.has_slot(key));
        schedule.tick(Instant::now());
        Ok(())
    }

    /// Looks at the queue, after taking in what fell due and what expired.
    async fn look(&mut self, pieces: &Pieces) -> Result<(), StoreError> {
        let began = Instant::now();
        let mut backlog = pieces.queue.backlog().await?;
        let now = pieces.sources.clock.now();
        let due = backlog.next_due.is_some_and(|at| at <= now);
        let expired = backlog.next_expiry.is_some_and(|at| at <= now);
        if due {
            pieces.queue.promote_due().await?;
        }
        if expired {
            pieces.mourn(pieces.queue.expire(pieces.config.max_attempts.get()).await?);
        }
        if due || expired {
            backlog = pieces.queue.backlog().await?;
        }
        *lock(&pieces.next_due) = backlog.next_due;
        lock(&pieces.schedule).refresh(&backlog.ready);
        self.backlog = backlog;
        self.looked = Some(Instant::now());
        self.good_for = GOOD_FOR.max(began.elapsed() * LOOKS_COST);
        Ok(())
    }

    /// Starts steps of every key that may run, keys in turn. Returns how many.
    async fn start_what_may_run(
        &mut self,
        pieces: &Arc<Pieces>,
        tasks: &mut Tasks,
    ) -> Result<usize, StoreError> {
        let mut offers: Vec<Offer> = Vec::new();
        let mut unclaimed: Vec<(Key, Key)> = Vec::new();
        let mut suspended: Vec<(Key, Option<Duration>)> = Vec::new();
        let mut jobs = 0;
        for slots in Slots::ALL {
            while jobs < BATCH && unclaimed.len() < CLAIMS {
                // Not across the reservation, which asks the schedule who else waits.
                let Some((key, ready)) = lock(&pieces.schedule).next(slots) else { break };
                if pieces.gather_more(&key, ready) {
                    continue;
                }
                match pieces.reserve(&key) {
                    Ok(reservation) => {
                        let most = u64::from(pieces.jobs_of(&reservation)).min(ready).max(1);
                        lock(&pieces.schedule).took(&key, most);
                        jobs += most;
                        offers.push(Offer { most, reservation });
                    }
                    Err(Refusal::NoSlot | Refusal::Ending) => {
                        lock(&pieces.schedule).put_back(key);
                        break;
                    }
                    Err(Refusal::Share) => lock(&pieces.schedule).park_served(&key),
                    Err(Refusal::Suspended(wait)) => suspended.push((key, wait)),
                    Err(Refusal::Limit(limit, Why::NotOwned, _)) => unclaimed.push((key, limit)),
                    Err(Refusal::Limit(limit, why, None)) => {
                        if why == Why::Paused {
                            self.stopped.add(&key);
                        }
                        lock(&pieces.schedule).park_behind(&key, &limit);
                    }
                    Err(Refusal::Limit(limit, _, Some(wait))) => {
                        if wait > LONG {
                            self.stopped.add(&key);
                        }
                        let until = Instant::now() + wait.max(TICK);
                        lock(&pieces.schedule).park_until(&key, &limit, until);
                    }
                }
            }
        }
        let claimed = claim(pieces, unclaimed).await?;
        let handed_on = pieces.hand_on(suspended).await?;
        let passed_on = self.stopped.pass_on(pieces).await?;
        Ok(claimed + handed_on + passed_on + lease(pieces, offers, tasks).await?)
    }

    /// How long until something could start: a key's time comes, a job falls due, a lease expires. None when
    /// nothing but an event will change it.
    fn until_next_change(&self, pieces: &Pieces) -> Option<Duration> {
        let now = pieces.sources.clock.now();
        let due = *lock(&pieces.next_due);
        let timed = due.into_iter().chain(self.backlog.next_expiry).map(|at| now.until(at));
        let timer = lock(&pieces.schedule).next_timer();
        let timer = timer.map(|at| at.saturating_duration_since(Instant::now()));
        timed.chain(timer).min().map(|wait| wait.max(TICK))
    }
}

/// Room for one step, or for several one after the other.
struct Offer {
    most: u64,
    reservation: Reservation,
}

/// Claims what keys wait for. Those whose limits are all this process's take their turn again; returns how many.
async fn claim(pieces: &Pieces, unclaimed: Vec<(Key, Key)>) -> Result<usize, StoreError> {
    if unclaimed.is_empty() {
        return Ok(0);
    }
    let limits: HashSet<Key> = unclaimed.iter().map(|(_, limit)| limit.clone()).collect();
    let limiter = &pieces.sources.limiter;
    let foreign = pieces.sharing.claim_all(limiter, limits.into_iter().collect(), false).await?;
    let mut schedule = lock(&pieces.schedule);
    let mut claimed = 0;
    for (key, limit) in unclaimed.into_iter().rev() {
        if foreign.contains(&limit) {
            schedule.park_until(&key, &limit, Instant::now() + <dyn Claims>::AGAIN);
        } else {
            schedule.put_back(key);
            claimed += 1;
        }
    }
    Ok(claimed)
}

/// Leases what there is room for, and starts it.
async fn lease(pieces: &Arc<Pieces>, offers: Vec<Offer>, tasks: &mut Tasks) -> Result<usize, StoreError> {
    if offers.is_empty() {
        return Ok(0);
    }
    let mut rooms: HashMap<Key, Vec<Offer>> = HashMap::new();
    let mut wanted: Vec<(Key, u32)> = Vec::new();
    for offer in offers {
        let most = u32::try_from(offer.most).unwrap_or(u32::MAX);
        let rooms = rooms.entry(offer.reservation.key.clone()).or_default();
        match wanted.iter_mut().find(|(key, _)| *key == offer.reservation.key).filter(|_| !rooms.is_empty()) {
            Some((_, count)) => *count += most,
            None => wanted.push((offer.reservation.key.clone(), most)),
        }
        rooms.push(offer);
    }
    let began = Instant::now();
    let leased = pieces.queue.lease(wanted.clone(), pieces.config.lease_ttl.0).await?;
    pieces.paces.note_lease(began.elapsed());
    let started = leased.len();
    let mut by_key: HashMap<Key, Vec<Leased>> = HashMap::new();
    for job in leased {
        by_key.entry(job.key.clone()).or_default().push(job);
    }
    for (key, most) in wanted {
        let jobs = by_key.remove(&key).unwrap_or_default();
        if jobs.len() < most as usize {
            lock(&pieces.schedule).emptied(&key);
        }
        let mut jobs = jobs.into_iter().peekable();
        for Offer { most, reservation } in rooms.remove(&key).unwrap_or_default() {
            let of_this: Vec<Leased> = jobs.by_ref().take(usize::try_from(most).unwrap_or(1)).collect();
            for (job, place) in places(pieces, reservation, of_this) {
                start(pieces, job, place, tasks);
            }
        }
    }
    Ok(started)
}

/// Each job with its place: alone, in one call with others, or in turn with them.
fn places(pieces: &Arc<Pieces>, reservation: Reservation, mut jobs: Vec<Leased>) -> Vec<(Leased, Place)> {
    if jobs.len() == 1 {
        return jobs.pop().map(|job| (job, Place::Own(reservation))).into_iter().collect();
    }
    if let Key::Resolver(name) = &reservation.key
        && pieces.most_a_call(name).is_some()
    {
        let name = name.clone();
        let places = Member::places(pieces, &name, reservation, jobs.len());
        return jobs.into_iter().zip(places.into_iter().map(Place::Together)).collect();
    }
    let shared = Arc::new(tokio::sync::Mutex::new(reservation));
    jobs.into_iter().map(|job| (job, Place::Shared(Arc::clone(&shared)))).collect()
}

fn start(pieces: &Arc<Pieces>, job: Leased, place: Place, tasks: &mut Tasks) {
    let lease = job.lease();
    pieces.running.begin(lease, job.key.clone(), Instant::now() + pieces.config.lease_ttl.0);
    // Boxed, because a task is moved several times before it runs, and what calls a plugin is large.
    let task = tasks.spawn(Box::pin(worker::work(Arc::clone(pieces), job, place)));
    pieces.running.set_task(lease, task);
}

async fn told_to(stop: &mut watch::Receiver<Stop>, level: Stop) {
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
