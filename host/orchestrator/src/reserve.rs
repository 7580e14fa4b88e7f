//! What a step needs before it may start: a slot, its key's permit, and for a resolver call a permit of the
//! host it will ask.
//!
//! Taken all at once and without waiting, or not at all. What is not used is given back on drop, tokens
//! included.

use std::sync::Arc;

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
        let (slots, total) = match key {
            Key::Host(_) => (&self.fetches, usize::from(self.config.max_fetches.get())),
            Key::Resolver(_) | Key::Plan => (&self.workers, usize::from(self.config.workers.get())),
        };
        if self.running.of_key(key) + more >= self.share_of(key, total) {
            return None;
        }
        let slot = Arc::<Semaphore>::clone(slots).try_acquire_owned().ok()?;
        let host = match key {
            Key::Resolver(name) => self.reserve_host(name)?,
            Key::Host(_) | Key::Plan => None,
        };
        let permit = self.sources.limiter.try_now(key).ok()?;
        Some(Reservation { key: key.clone(), permit, host, _slot: slot })
    }

    /// Whether the step's key, and the hosts that its resolver asks, have room now.
    pub(crate) fn has_room(&self, key: &Key) -> bool {
        let hosts = match key {
            Key::Resolver(name) => self.sources.resolvers.host_keys(name),
            Key::Host(_) | Key::Plan => &[],
        };
        std::iter::once(key).chain(hosts).all(|key| matches!(self.sources.limiter.room(key), Room::Now(_)))
    }

    /// The permit of the first host that the resolver asks, when all of its hosts may run; the outer `None`
    /// when one may not.
    fn reserve_host(&self, name: &gleaner_model::key::ResolverName) -> Option<Option<Permit>> {
        let hosts = self.sources.resolvers.host_keys(name);
        if !hosts.iter().all(|host| matches!(self.sources.limiter.room(host), Room::Now(_))) {
            return None;
        }
        match hosts.first() {
            Some(host) => self.sources.limiter.try_now(host).ok().map(Some),
            None => Some(None),
        }
    }

    /// How many of `total` slots this key may hold: a quarter while jobs of other keys wait.
    fn share_of(&self, key: &Key, total: usize) -> usize {
        let backlogged = lock(&self.backlogged);
        let others_wait = backlogged.iter().any(|other| {
            other != key
                && std::mem::discriminant(other) == std::mem::discriminant(key)
                && self.may_run(other)
        });
        if others_wait { (total / 4).max(1) } else { total }
    }

    /// Whether the key's own limit has room: cheaper than [`Pieces::has_room`].
    fn may_run(&self, key: &Key) -> bool {
        matches!(self.sources.limiter.room(key), Room::Now(_))
    }
}
