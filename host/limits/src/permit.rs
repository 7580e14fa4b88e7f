//! Permits, and the line that waits for them.
//!
//! Must never outlive its holder: a dropped place or permit gives back what it had.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gleaner_model::key::Key;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::limiter::{KeyedLimiter, Shared};
use crate::state::Obstacle;

/// A place in a key's line. Dropping it, for whatever reason, lets the next one look.
pub(crate) struct Place<'a> {
    shared: &'a Shared,
    key: &'a Key,
    pub(crate) ticket: Arc<Notify>,
}

impl<'a> Place<'a> {
    /// None when the key is not limited.
    pub(crate) fn at_the_end(limiter: &'a KeyedLimiter, key: &'a Key) -> Option<Self> {
        let (shared, ticket) = (&*limiter.0, Arc::new(Notify::new()));
        shared.any_state(&mut shared.lock(), key, Instant::now())?.line_up(Arc::clone(&ticket));
        Some(Self { shared, key, ticket })
    }

    /// Takes a slot and a token if it is this one's turn and both are there.
    pub(crate) fn look(&self, now: Instant) -> Result<Option<u64>, Obstacle> {
        let mut keys = self.shared.lock();
        let Some(state) = self.shared.state(&mut keys, self.key, now)? else { return Ok(None) };
        match state.ahead_of(&self.ticket) {
            0 => {
                let token = state.take(0, now)?;
                if state.count_today() {
                    keys.learnt.insert(self.key.clone());
                }
                Ok(token)
            }
            ahead => Err(state.obstacle(ahead, now).unwrap_or(Obstacle::Slots)),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut keys = self.shared.lock();
        if let Some(state) = keys.states.get_mut(self.key) {
            state.leave(&self.ticket);
            state.wake_first();
            // Whoever does not stand in line has one less before it, and may have been told to wait because of it.
            keys.changed.insert(self.key.clone());
            self.shared.changes.notify_one();
        }
    }
}

/// The right to one request or step: a slot of its key's concurrency and, if the key has a rate, one token.
///
/// Dropping it gives the slot back, and the token too unless it was [spent](Permit::spend), or has been replaced
/// meanwhile by one that came into a full bucket.
#[derive(Debug)]
#[must_use = "a permit that is dropped is given back"]
pub struct Permit {
    shared: Arc<Shared>,
    key: Key,
    token: Option<u64>,
    spent: AtomicBool,
}

impl Permit {
    pub(crate) fn new(shared: Arc<Shared>, key: Key, token: Option<u64>) -> Self {
        Self { shared, key, token, spent: AtomicBool::new(false) }
    }

    /// The key whose limit it counts in; the group's, for a host that shares one.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Marks the token as used: a request was sent.
    pub fn spend(&self) {
        self.spent.store(true, Ordering::Relaxed);
    }

    /// Gives the slot back now; the same as dropping it.
    pub fn release(self) {}
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut keys = self.shared.lock();
        if let Some(state) = keys.states.get_mut(&self.key) {
            state.release(*self.spent.get_mut(), self.token, Instant::now());
            state.wake_first();
            keys.changed.insert(self.key.clone());
            self.shared.changes.notify_one();
        }
    }
}
