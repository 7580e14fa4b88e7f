//! What a step needs before it may start: a slot, its key's permit, and for a resolver call a permit of the
//! host it will ask.
//!
//! Taken all at once and without waiting, or not at all. What is not used is given back on drop, tokens
//! included.

use std::sync::Arc;
use std::sync::atomic::Ordering;

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
    /// One of the slots for plugin calls or downloads.
    pub(crate) _slot: OwnedSemaphorePermit,
}

impl Pieces {
    /// Reserves a step of `key`; none when it may not start now.
    pub(crate) fn reserve(&self, key: &Key) -> Option<Reservation> {
        self.reserve_beyond(key, 0)
    }

    /// Reserves a step of `key` beside those that run and `more` that are about to.
    pub(crate) fn reserve_beyond(&self, key: &Key, more: usize) -> Option<Reservation> {
        if self.winding_down.load(Ordering::SeqCst) {
            return None;
        }
        let (slots, total) = match key {
            Key::Host(_) => (&self.fetches, usize::from(self.config.max_fetches.get())),
            Key::Resolver(_) | Key::Plan => (&self.workers, usize::from(self.config.workers.get())),
        };
        if self.running.of_key(key) + more >= self.share_of(key, total) {
            return None;
        }
        // A permit taken and given back would wake the dispatcher for nothing.
        if !self.has_room(key) {
            return None;
        }
        let slot = Arc::<Semaphore>::clone(slots).try_acquire_owned().ok()?;
        let host = match self.asked_hosts(key).first() {
            Some(host) => Some(self.sources.limiter.try_now(host).ok()?),
            None => None,
        };
        let permit = self.sources.limiter.try_now(key).ok()?;
        Some(Reservation { key: key.clone(), permit, host, _slot: slot })
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
