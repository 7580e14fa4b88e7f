//! Decides what starts: looks at the keys that have jobs, reserves what a step needs, leases, and hands over.
//!
//! Sleeps until something changes: a step ended, a permit came back, a job fell due, somebody asked to stop.
//! A key that may not run costs nothing: no lease, no worker, no look at its jobs.

use std::sync::Arc;
use std::time::Duration;

use gleaner_limits::Why;
use gleaner_model::key::Key;
use gleaner_model::next::LONG;
use gleaner_store::{Backlog, StoreError};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::ends::{COLLECT, Ends};
use crate::leasing::{Offer, Room, claim, lease};
use crate::pass_on::Stopped;
use crate::pieces::{Pieces, RunError, lock};
use crate::reserve::Refusal;
use crate::run::{Drain, Finish, Stop, Tasks, note_end, told_to};
use crate::schedule::Slots;

/// How often a run that waits looks for jobs that another process enqueued: nothing else tells it.
const LOOK_AROUND: Duration = Duration::from_secs(2);
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

/// The dispatcher's turns, and what it knows from the last look at the library.
pub(crate) struct Turns<'a> {
    drain: &'a Drain,
    backlog: Backlog,
    looked: Option<Instant>,
    /// How long a look is good for: looks are to cost little of the time.
    good_for: Duration,
    /// Keys whose jobs go to others.
    stopped: Stopped,
    ends: Ends,
}

impl<'a> Turns<'a> {
    pub(crate) fn new(drain: &'a Drain) -> Self {
        let (backlog, stopped) = (Backlog::default(), Stopped::default());
        Self { drain, backlog, looked: None, good_for: Duration::ZERO, stopped, ends: Ends::new() }
    }

    /// Turn after turn, until the run ends.
    pub(crate) async fn dispatch(
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
                self.ends.note();
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
            let are_few = self.ends.are_few() || pieces.running.count() == 0;
            let most = if are_few { LOOK_AROUND.max(self.good_for) } else { COLLECT };
            let pause = pause.unwrap_or(LOOK_AROUND).min(most);
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep(pause) => {}
                Some(ended) = tasks.join_next(), if are_few => {
                    note_end(ended)?;
                    self.ends.note();
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
        let is_wanted = lock(&pieces.schedule).waits_for_slots();
        let freed = pieces.seats.take_freed(is_wanted);
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
                        offers.push(Offer { key, most, room: Room::Step(reservation) });
                    }
                    Err(Refusal::NoSlot | Refusal::Ending) => {
                        lock(&pieces.schedule).put_back(key);
                        break;
                    }
                    Err(Refusal::Share) => lock(&pieces.schedule).park_served(&key),
                    Err(Refusal::Suspended(wait)) => suspended.push((key, wait)),
                    Err(Refusal::Limit(limit, Why::NotOwned, _)) => unclaimed.push((key, limit)),
                    Err(Refusal::Limit(limit, why, None)) => {
                        let line = if why == Why::Full { pieces.line_up(&key, ready) } else { Vec::new() };
                        if !line.is_empty() {
                            let most = line.len() as u64;
                            lock(&pieces.schedule).took(&key, most);
                            jobs += most;
                            offers.push(Offer { key, most, room: Room::Line(line) });
                            continue;
                        }
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
