//! What a step needs before it may start: a slot, its key's permit, and for a resolver call a permit of the
//! host it will ask.
//!
//! Taken all at once and without waiting, or not at all. What is not used is given back on drop, tokens
//! included.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use gleaner_limits::{Permit, Room};
use gleaner_model::key::Key;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::pieces::{Pieces, lock};

/// Everything that one step needs to run.
pub(crate) struct Reservation {
    /// What it is for.
    pub(crate) key: Key,
    /// The key's permit.
    pub(crate) permit: Permit,
    /// The permit of the host that a resolver's first request goes to.
    pub(crate) host: Option<Permit>,
    /// Room for one more step; to be held until the step has ended.
    pub(crate) seat: Seat,
}

/// One of the slots for plugin calls or downloads, and one of those that its key may hold.
pub(crate) struct Seat {
    _slot: OwnedSemaphorePermit,
    key: Key,
    taken: Arc<Seats>,
}

/// How many seats each key holds, reserved ones included.
#[derive(Debug, Default)]
pub(crate) struct Seats(Mutex<HashMap<Key, usize>>);

impl Seats {
    /// One more for the key, unless it has as many as it may.
    fn take(&self, key: &Key, most: usize) -> bool {
        let mut seats = lock(&self.0);
        let held = seats.get(key).copied().unwrap_or(0);
        if held < most {
            seats.insert(key.clone(), held + 1);
        }
        held < most
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = lock(&self.taken.0);
        if let Some(held) = seats.get_mut(&self.key) {
            *held -= 1;
            if *held == 0 {
                seats.remove(&self.key);
            }
        }
    }
}

impl Pieces {
    /// Reserves a step of `key`; none when it may not start now.
    pub(crate) fn reserve(&self, key: &Key) -> Option<Reservation> {
        // A permit taken and given back would wake the dispatcher for nothing.
        if self.winding_down.load(Ordering::SeqCst) || !self.has_room(key) {
            return None;
        }
        let seat = self.seat(key)?;
        let host = match self.asked_hosts(key).first() {
            Some(host) => Some(self.sources.limiter.try_now(host).ok()?),
            None => None,
        };
        let permit = self.sources.limiter.try_now(key).ok()?;
        Some(Reservation { key: key.clone(), permit, host, seat })
    }

    fn seat(&self, key: &Key) -> Option<Seat> {
        let (slots, total) = match key {
            Key::Host(_) => (&self.fetches, usize::from(self.config.max_fetches.get())),
            Key::Resolver(_) | Key::Plan => (&self.workers, usize::from(self.config.workers.get())),
        };
        let slot = Arc::<Semaphore>::clone(slots).try_acquire_owned().ok()?;
        let taken = Arc::clone(&self.seats);
        taken.take(key, self.share_of(key, total)).then(|| Seat { _slot: slot, key: key.clone(), taken })
    }

    /// Whether the step's key, and the hosts that its resolver asks, have room now.
    pub(crate) fn has_room(&self, key: &Key) -> bool {
        let limits = std::iter::once(key).chain(self.asked_hosts(key));
        limits.into_iter().all(|key| matches!(self.sources.limiter.room(key), Room::Now(_)))
    }

    /// The hosts that a resolver's call will ask, the usual one first.
    pub(crate) fn asked_hosts(&self, key: &Key) -> &[Key] {
        match key {
            Key::Resolver(name) => self.sources.resolvers.host_keys(name),
            Key::Host(_) | Key::Plan => &[],
        }
    }

    /// How many of `total` slots this key may hold: a quarter while jobs of other keys wait that could run. Alone
    /// it leaves a quarter free, because a slot that is taken cannot be taken back when another key gets jobs.
    fn share_of(&self, key: &Key, total: usize) -> usize {
        let contended = lock(&self.contenders).iter().any(|other| other != key && same_kind(other, key));
        let quarter = (total / 4).max(1);
        if contended || total == 1 { quarter } else { total - quarter }
    }

    /// Two keys of each kind that have jobs and could run: enough to tell any key whether others wait.
    pub(crate) fn find_contenders(&self, keys: &[(Key, u64)]) -> Vec<Key> {
        let mut found: Vec<Key> = Vec::new();
        for (key, _) in keys {
            let enough = found.iter().filter(|other| same_kind(other, key)).count() == 2;
            if !enough && self.has_room(key) {
                found.push(key.clone());
            }
        }
        found
    }
}

/// Whether both are limited by the same slots.
fn same_kind(one: &Key, other: &Key) -> bool {
    matches!(one, Key::Host(_)) == matches!(other, Key::Host(_))
}
