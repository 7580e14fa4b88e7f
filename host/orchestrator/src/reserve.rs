//! What a step needs before it may start: a slot, its key's permit, and for a resolver call a permit of the
//! host it will ask.
//!
//! Taken all at once and without waiting, or not at all. What is not used is given back on drop, tokens
//! included.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gleaner_limits::{Limit, Permit, Room, Why};
use gleaner_model::key::{Key, ResolverName};
use gleaner_runtime::Sandbox;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::breaker::{Suspended, Trial};
use crate::gather::Member;
use crate::line::InLine;
use crate::pace;
use crate::pieces::{Pieces, lock};
use crate::schedule::Slots;

/// Everything that one step needs to run.
pub(crate) struct Reservation {
    /// What it is for.
    pub(crate) key: Key,
    /// For the call that shows whether a suspended resolver works again. Given back before the permit, whose return
    /// wakes those that wait for the verdict.
    pub(crate) trial: Option<Trial>,
    /// The key's permit.
    pub(crate) permit: Permit,
    /// The permit of the host that a resolver's first request goes to.
    pub(crate) host: Option<Permit>,
    /// Room for one more step; to be held until the step has ended.
    pub(crate) seat: Seat,
}

/// A reservation that the jobs leased for it use in turn.
pub(crate) enum Place {
    /// One job's alone.
    Own(Reservation),
    /// Several jobs', one after the other: only for calls whose key has neither a rate nor a host to ask.
    Shared(Arc<tokio::sync::Mutex<Reservation>>),
    /// A place in one call for several jobs.
    Together(Member),
}

/// What a leased job has for its first step.
pub(crate) enum Start {
    /// All it needs.
    Now(Place),
    /// A slot, and a place in line for the permit.
    InLine(InLine),
}

/// Why a step may not start now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No slot is free.
    NoSlot,
    /// The key holds its share of the slots.
    Share,
    /// That limit is in the way; time may change it.
    Limit(Key, Why, Option<Duration>),
    /// The key's plugin is suspended: for so long, or until a call that runs has shown whether it works again.
    Suspended(Option<Duration>),
    /// The run ends.
    Ending,
}

/// One of the slots for plugin calls or downloads, and one of those that its key may hold.
pub(crate) struct Seat {
    slot: Option<OwnedSemaphorePermit>,
    key: Key,
    seats: Arc<Seats>,
}

/// How many seats each key holds, reserved ones included.
#[derive(Debug)]
pub(crate) struct Seats {
    taken: Mutex<Taken>,
    /// Told when one is given back that somebody waits for.
    changes: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Taken {
    held: HashMap<Key, usize>,
    /// Keys that gave one back since somebody asked.
    freed: HashSet<Key>,
    /// Somebody waits for one.
    is_wanted: bool,
}

impl Seats {
    /// Nobody holds any yet; whoever listens to `changes` hears when one is free again.
    pub(crate) fn new(changes: Arc<Notify>) -> Self {
        Self { taken: Mutex::default(), changes }
    }

    /// One more for the key, unless it has as many as it may.
    fn take(&self, key: &Key, most: usize) -> bool {
        let mut taken = lock(&self.taken);
        let held = taken.held.get(key).copied().unwrap_or(0);
        if held < most {
            taken.held.insert(key.clone(), held + 1);
        } else {
            taken.is_wanted = true;
        }
        held < most
    }

    /// The keys that gave a seat back since this was last asked. From now on `changes` is told of one only if somebody
    /// waits for it, or is refused one.
    pub(crate) fn take_freed(&self, is_wanted: bool) -> HashSet<Key> {
        let mut taken = lock(&self.taken);
        taken.is_wanted = is_wanted;
        std::mem::take(&mut taken.freed)
    }

    /// How many the key holds.
    fn held(&self, key: &Key) -> usize {
        lock(&self.taken).held.get(key).copied().unwrap_or(0)
    }

    /// Whether steps of the key run.
    pub(crate) fn holds(&self, key: &Key) -> bool {
        self.held(key) > 0
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // The slot first: who hears that the seat is free finds it free.
        self.slot = None;
        let mut taken = lock(&self.seats.taken);
        if let Some(held) = taken.held.get_mut(&self.key) {
            *held -= 1;
            if *held == 0 {
                taken.held.remove(&self.key);
            }
        }
        taken.freed.insert(self.key.clone());
        let is_wanted = taken.is_wanted;
        drop(taken);
        if is_wanted {
            self.seats.changes.notify_one();
        }
    }
}

impl Pieces {
    /// Reserves a step of `key`.
    ///
    /// # Errors
    /// Why it may not start now.
    pub(crate) fn reserve(&self, key: &Key) -> Result<Reservation, Refusal> {
        if self.winding_down.load(Ordering::SeqCst) {
            return Err(Refusal::Ending);
        }
        let trial = self.admit(key).map_err(|Suspended(wait)| Refusal::Suspended(wait))?;
        // A permit taken and given back would wake the dispatcher for nothing.
        let hosts = self.asked_hosts(key);
        for limit in std::iter::once(key).chain(&*hosts) {
            if let Room::Blocked { why, wait } = self.sources.limiter.room(limit) {
                return Err(Refusal::Limit(self.sources.limiter.canonical(limit), why, wait));
            }
        }
        let seat = self.seat(key)?;
        let take = |limit: &Key| {
            let taken = self.sources.limiter.try_now(limit);
            taken.map_err(|blocked| Refusal::Limit(blocked.key, blocked.why, blocked.retry_in))
        };
        let host = hosts.first().map(take).transpose()?;
        let permit = take(key)?;
        Ok(Reservation { key: key.clone(), trial, permit, host, seat })
    }

    fn admit(&self, key: &Key) -> Result<Option<Trial>, Suspended> {
        let Key::Resolver(name) = key else { return Ok(None) };
        // Of the generation in service: an older one would make the breaker forget the newer component.
        let in_service = self.sources.now();
        let Some(installed) = in_service.resolvers.get(name) else { return Ok(None) };
        self.sources.breakers.admit(name, &installed.plugin.info.sha256)
    }

    pub(crate) fn seat(&self, key: &Key) -> Result<Seat, Refusal> {
        let slots = match Slots::of(key) {
            Slots::Fetches => &self.fetches,
            Slots::Calls => &self.workers,
        };
        let try_slot = || Arc::<Semaphore>::clone(slots).try_acquire_owned();
        // Whoever gives one back from here on tells.
        let slot = try_slot().or_else(|_| {
            lock(&self.seats.taken).is_wanted = true;
            try_slot()
        });
        let slot = slot.map_err(|_| Refusal::NoSlot)?;
        let seats = Arc::clone(&self.seats);
        if !seats.take(key, self.share_of(key, self.slots(key))) {
            return Err(Refusal::Share);
        }
        Ok(Seat { slot: Some(slot), key: key.clone(), seats })
    }

    /// How many slots there are of the kind that the key's steps need.
    fn slots(&self, key: &Key) -> usize {
        match Slots::of(key) {
            Slots::Fetches => self.config.max_fetches.get().into(),
            Slots::Calls => self.config.workers.get().into(),
        }
    }

    /// The hosts that a resolver's call will ask, the usual one first.
    pub(crate) fn asked_hosts(&self, key: &Key) -> Arc<[Key]> {
        match key {
            Key::Resolver(name) => self
                .sources
                .now()
                .resolvers
                .get(name)
                .map(|one| Arc::clone(&one.host_keys))
                .unwrap_or_default(),
            Key::Host(_) | Key::Plan => Arc::default(),
        }
    }

    /// How many jobs to lease for one reservation. More than one only where they need nothing but the slot, or where one
    /// call takes them all.
    pub(crate) fn jobs_of(&self, Reservation { key, trial, .. }: &Reservation) -> u32 {
        match key {
            Key::Plan => pace::MOST,
            Key::Resolver(name) if let Some(most) = self.most_a_call(name) => {
                // The call that shows whether a plugin works again is of one job.
                if trial.is_some() { 1 } else { self.paces.works_a_call(name, most) }
            }
            Key::Resolver(name) => match self.sources.limiter.get_limit(key) {
                Some(Limit { rate: None, concurrency, .. }) if self.asked_hosts(key).is_empty() => {
                    // Slots that are filled together would run dry together, and all wait for one lease: so the first of
                    // them gets few jobs, and the last as many as it can do.
                    let most = self.share_of(key, self.slots(key)).min(concurrency.get() as usize);
                    let held = self.seats.held(key).min(most);
                    let part = (self.paces.jobs_a_slot(name) as usize * held).div_ceil(most.max(1));
                    u32::try_from(part).unwrap_or(1).max(1)
                }
                _ => 1,
            },
            Key::Host(_) => 1,
        }
    }

    /// For how many jobs the key's jobs are to wait, so that they are asked about in one call. Nothing is waited for where
    /// the tier is wide: there an answer is wanted soon, not cheaply.
    pub(crate) fn gathers(&self, key: &Key) -> Option<u64> {
        let Key::Resolver(name) = key else { return None };
        let most = self.most_a_call(name).filter(|_| !self.config.gather.0.is_zero())?;
        let is_wide = self.sources.now().planner.width_of(name) > 1;
        (!is_wide).then(|| self.paces.works_a_call(name, most).into())
    }

    /// Has the key that is in turn wait for more jobs, if it is to, and has not waited long enough.
    pub(crate) fn gather_more(&self, key: &Key, ready: u64) -> bool {
        let Some(enough) = self.gathers(key).filter(|enough| ready < *enough) else { return false };
        let mut schedule = lock(&self.schedule);
        let waits = !schedule.has_gathered(key);
        if waits {
            schedule.park_gathering(key, Instant::now() + self.config.gather.0, enough);
        }
        waits
    }

    /// How many works one call of a resolver takes, if it takes several.
    pub(crate) fn most_a_call(&self, name: &ResolverName) -> Option<u32> {
        let generation = self.sources.now();
        let installed = generation.resolvers.get(name)?;
        // How many it takes is meant for as many requests as a call usually has.
        let is_usual = installed.sandbox.requests >= Sandbox::default().requests;
        installed.plugin.info.most.map(NonZeroU32::get).filter(|most| *most > 1 && is_usual)
    }

    /// How many of `total` slots this key may hold: a quarter while jobs of other keys wait that could run. Alone
    /// it leaves a quarter free, because a slot that is taken cannot be taken back when another key gets jobs.
    fn share_of(&self, key: &Key, total: usize) -> usize {
        let quarter = (total / 4).max(1);
        if lock(&self.schedule).is_contended(key) || total == 1 { quarter } else { total - quarter }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_seat_that_comes_back_is_told_to_who_waits_for_one_and_wakes_nobody_else() {
        let changes = Arc::new(Notify::new());
        let seats = Arc::new(Seats::new(Arc::clone(&changes)));
        let key = Key::Resolver(ResolverName::new("r").unwrap());
        let seat = || {
            assert!(seats.take(&key, 1));
            Seat { slot: None, key: key.clone(), seats: Arc::clone(&seats) }
        };
        let is_told = async || tokio::time::timeout(Duration::from_secs(1), changes.notified()).await.is_ok();
        drop(seat());
        assert!(!is_told().await, "nobody waits");
        let held = seat();
        assert!(!seats.take(&key, 1), "its share");
        drop(held);
        assert!(is_told().await, "somebody was refused one");
        assert_eq!(seats.take_freed(true), HashSet::from([key.clone()]));
        drop(seat());
        assert!(is_told().await, "somebody waits still");
        assert_eq!(seats.take_freed(false), HashSet::from([key.clone()]));
        drop(seat());
        assert!(!is_told().await, "nobody waits any more");
        assert!(!seats.holds(&key));
    }
}
