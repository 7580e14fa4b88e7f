//! Permits, and the line that waits for them.
//!
//! Must never outlive its holder: a dropped place or permit gives back what it had.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gleaner_model::key::Key;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::heed::Outcome;
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

impl Place<'_> {
    /// For so long no slot came.
    pub(crate) fn waited_in_vain(&self, time: Duration) {
        if let Some(state) = self.shared.lock().states.get_mut(self.key) {
            state.waited_in_vain(time);
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
            let is_news = state.is_news(Instant::now());
            self.shared.tell_if(is_news, &mut keys, self.key);
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
    /// When it was taken, in microseconds that begin anew every 71 minutes: thousands of jobs wait with a permit each.
    since: u32,
    spent: AtomicBool,
}

impl Permit {
    pub(crate) fn new(shared: Arc<Shared>, key: Key, token: Option<u64>) -> Self {
        let since = micros(&shared, Instant::now());
        Self { shared, key, token, since, spent: AtomicBool::new(false) }
    }

    /// The key whose limit it counts in; the group's, for a host that shares one.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Marks the token as used: a request was sent.
    pub fn spend(&self) {
        self.spent.store(true, Ordering::Relaxed);
    }

    /// What the answer to its request says of the upstream.
    pub fn note(&self, outcome: Outcome) {
        KeyedLimiter(Arc::clone(&self.shared)).note(&self.key, outcome);
    }

    /// Gives the slot back now; the same as dropping it.
    pub fn release(self) {}
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut keys = self.shared.lock();
        if let Some(state) = keys.states.get_mut(&self.key) {
            let now = Instant::now();
            let held = Duration::from_micros(micros(&self.shared, now).wrapping_sub(self.since).into());
            state.release(held, *self.spent.get_mut(), self.token, now);
            state.wake_first();
            let is_news = state.is_news(now);
            self.shared.tell_if(is_news, &mut keys, &self.key);
        }
    }
}

/// As they are noted in a permit.
fn micros(shared: &Shared, at: Instant) -> u32 {
    // All but the last 32 bits are left out.
    at.saturating_duration_since(shared.start).as_micros() as u32
}
