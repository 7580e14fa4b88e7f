//! The keyed limiter: permits for keys, first come first served, with live limits and cooldowns.
//!
//! A permit is a value: dropping it gives the slot back, so that nobody can release twice or forget to.
//! The limiter must never be asked for a second permit while one of another key is held: two such callers
//! could wait for each other. Release first.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gleaner_model::clock::{SharedClock, UnixMillis};
use gleaner_model::key::Key;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::cooldown::LONGEST;
use crate::rules::{Limit, LimitRules};
use crate::state::{KeyState, Obstacle};

/// Longer than any wait, and still a time that can be added to now.
const FOREVER: Duration = Duration::from_secs(1000 * 365 * 24 * 3600);

/// Idle keys are looked for whenever the number of known keys has doubled beyond this.
const SWEEP_FROM: usize = 1024;

/// No permit now, or not in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// The key whose limit it is; the group's, for a host that shares one.
    pub key: Key,
    /// How long until it is worth asking again; none: until a permit of the key comes back.
    pub retry_in: Option<Duration>,
    /// Whether the upstream asked for the pause.
    pub cooldown: bool,
}

/// How many steps of a key may start now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// So many, at least 1.
    Now(u32),
    /// None, until that time has passed.
    In(Duration),
    /// None, until a permit comes back or the limit is raised; [`KeyedLimiter::changes`] tells.
    WhenReleased,
}

/// Limits concurrency and rate per key. Clones share their state.
#[derive(Debug, Clone)]
pub struct KeyedLimiter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    rules: LimitRules,
    clock: SharedClock,
    /// Every bucket was empty then.
    start: Instant,
    keys: Mutex<Keys>,
    changes: Arc<Notify>,
}

#[derive(Debug)]
struct Keys {
    states: HashMap<Key, KeyState>,
    /// Limits that were set while running.
    set: HashMap<Key, Limit>,
    sweep_at: usize,
}

impl KeyedLimiter {
    /// A limiter for one process. Its token buckets start empty, so that a restart is never a second burst.
    pub fn new(rules: LimitRules, clock: SharedClock) -> Self {
        let keys = Keys { states: HashMap::new(), set: HashMap::new(), sweep_at: SWEEP_FROM };
        let (keys, changes) = (Mutex::new(keys), Arc::new(Notify::new()));
        Self(Arc::new(Shared { rules, clock, start: Instant::now(), keys, changes }))
    }

    /// The key whose limit counts for a key: its group's, if its host shares one. Every method does this
    /// itself; jobs should be queued under it.
    pub fn canonical(&self, key: &Key) -> Key {
        self.0.rules.canonical(key)
    }

    /// Waits for a permit, however long. Whoever came first gets the next one.
    pub async fn acquire(&self, key: &Key) -> Permit {
        loop {
            if let Ok(permit) = self.try_acquire(key, FOREVER).await {
                return permit;
            }
        }
    }

    /// Waits for a permit, at most so long.
    ///
    /// # Errors
    /// When none came in time, or at once when none can come in time.
    pub async fn try_acquire(&self, key: &Key, timeout: Duration) -> Result<Permit, Blocked> {
        let key = self.canonical(key);
        let end = Instant::now() + timeout.min(FOREVER);
        let Some(place) = Place::at_the_end(self, &key) else { return Ok(self.permit(key, false)) };
        loop {
            let now = Instant::now();
            let obstacle = match place.look(now) {
                Ok(token) => return Ok(self.permit(key.clone(), token)),
                Err(obstacle) => obstacle,
            };
            // Those behind the first are woken when it is their turn; the first also by the time.
            let look_again = match obstacle {
                Obstacle::Slots => end,
                Obstacle::Tokens(wait) | Obstacle::Cooldown(wait) => now + wait,
            };
            if look_again > end || now >= end {
                return Err(blocked(key.clone(), obstacle));
            }
            let _ = tokio::time::timeout_at(look_again, place.ticket.notified()).await;
        }
    }

    /// Takes a permit if one is free and nobody waits for it.
    ///
    /// # Errors
    /// When none is.
    pub fn try_now(&self, key: &Key) -> Result<Permit, Blocked> {
        let key = self.canonical(key);
        let taken = match self.0.state(&mut self.0.lock(), &key) {
            None => Ok(false),
            Some(state) => state.take(state.waiting(), Instant::now()),
        };
        match taken {
            Ok(token) => Ok(self.permit(key, token)),
            Err(obstacle) => Err(blocked(key, obstacle)),
        }
    }

    /// How many steps of the key may start now, behind those who wait.
    pub fn room(&self, key: &Key) -> Room {
        let mut keys = self.0.lock();
        let state = self.0.state(&mut keys, &self.canonical(key));
        state.map_or(Room::Now(u32::MAX), |state| state.room(Instant::now()))
    }

    /// Notified when a permit comes back, a limit changes or a cooldown begins. For one listener: a
    /// notification that nobody awaits is kept, several at once are one.
    pub fn changes(&self) -> Arc<Notify> {
        Arc::clone(&self.0.changes)
    }

    /// Permits of the key that are out.
    pub fn in_flight(&self, key: &Key) -> u32 {
        self.0.lock().states.get(&self.canonical(key)).map_or(0, KeyState::in_flight)
    }

    /// The limit of a key as it is now; none for [`Key::Plan`].
    pub fn get_limit(&self, key: &Key) -> Option<Limit> {
        let key = self.canonical(key);
        self.0.limit(&self.0.lock(), &key)
    }

    /// Changes the limit of a key at once. A lower cap takes effect as permits come back, a higher one wakes
    /// who waits. Nothing happens for [`Key::Plan`], which is never limited.
    pub fn set_limit(&self, key: &Key, limit: Limit) {
        let key = self.canonical(key);
        if key == Key::Plan {
            return;
        }
        let mut keys = self.0.lock();
        if let Some(state) = keys.states.get_mut(&key) {
            state.change(limit, Instant::now());
            state.wake_first();
        }
        keys.set.insert(key, limit);
        self.0.changes.notify_one();
    }

    /// The upstream asked to slow down: nobody gets a permit of the key for the returned time. `Retry-After`
    /// wins (at least 1 s), else 60 s doubling with every pause in a row, jittered, forgiven after 30 quiet
    /// minutes; never more than a day.
    pub fn throttled(&self, key: &Key, retry_after: Option<Duration>) -> Duration {
        self.cool_down(key, |state, now| state.cooldown.throttled(retry_after, now))
    }

    /// The upstream gave another answer than to slow down.
    pub fn answered(&self, key: &Key) {
        if let Some(state) = self.0.lock().states.get_mut(&self.canonical(key)) {
            state.cooldown.answered();
        }
    }

    /// Restores a cooldown that outlived a restart; never more than a day.
    pub fn cool_down_until(&self, key: &Key, until: UnixMillis) {
        let pause = self.0.clock.now().until(until).min(LONGEST);
        if !pause.is_zero() {
            self.cool_down(key, |state, now| state.cooldown.extend(pause, now));
        }
    }

    /// The cooldowns that have not ended, for keeping.
    pub fn cooldowns(&self) -> Vec<(Key, UnixMillis)> {
        let (now, wall) = (Instant::now(), self.0.clock.now());
        let keys = self.0.lock();
        let left = keys.states.iter().filter_map(|(key, state)| Some((key, state.cooldown.left(now)?)));
        left.map(|(key, left)| (key.clone(), wall.after(left))).collect()
    }

    fn cool_down(&self, key: &Key, how: impl FnOnce(&mut KeyState, Instant) -> Duration) -> Duration {
        let mut keys = self.0.lock();
        let Some(state) = self.0.state(&mut keys, &self.canonical(key)) else { return Duration::ZERO };
        let pause = how(state, Instant::now());
        state.wake_first();
        self.0.changes.notify_one();
        pause
    }

    #[cfg(test)]
    pub(crate) fn known(&self) -> usize {
        self.0.lock().states.len()
    }

    fn permit(&self, key: Key, token: bool) -> Permit {
        Permit { shared: Arc::clone(&self.0), key, unspent: AtomicBool::new(token) }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn limit(&self, keys: &Keys, key: &Key) -> Option<Limit> {
        keys.set.get(key).copied().or_else(|| self.rules.limit(key))
    }

    /// The state of a canonical key, made if need be; none when the key is not limited.
    fn state<'a>(&self, keys: &'a mut Keys, key: &Key) -> Option<&'a mut KeyState> {
        if keys.states.len() >= keys.sweep_at {
            let now = Instant::now();
            keys.states.retain(|_, state| !state.is_idle(now));
            keys.sweep_at = (keys.states.len() * 2).max(SWEEP_FROM);
        }
        let limit = self.limit(keys, key)?;
        Some(keys.states.entry(key.clone()).or_insert_with(|| KeyState::new(limit, self.start)))
    }
}

fn blocked(key: Key, obstacle: Obstacle) -> Blocked {
    let (retry_in, cooldown) = match obstacle {
        Obstacle::Slots => (None, false),
        Obstacle::Tokens(wait) => (Some(wait), false),
        Obstacle::Cooldown(wait) => (Some(wait), true),
    };
    Blocked { key, retry_in, cooldown }
}

/// A place in a key's line. Dropping it, for whatever reason, lets the next one look.
struct Place<'a> {
    shared: &'a Shared,
    key: &'a Key,
    ticket: Arc<Notify>,
}

impl<'a> Place<'a> {
    /// None when the key is not limited.
    fn at_the_end(limiter: &'a KeyedLimiter, key: &'a Key) -> Option<Self> {
        let (shared, ticket) = (&*limiter.0, Arc::new(Notify::new()));
        shared.state(&mut shared.lock(), key)?.line_up(Arc::clone(&ticket));
        Some(Self { shared, key, ticket })
    }

    /// Takes a slot and a token if it is this one's turn and both are there.
    fn look(&self, now: Instant) -> Result<bool, Obstacle> {
        let mut keys = self.shared.lock();
        let Some(state) = self.shared.state(&mut keys, self.key) else { return Ok(false) };
        match state.ahead_of(&self.ticket) {
            0 => state.take(0, now),
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
        }
    }
}

/// The right to one request or step: a slot of its key's concurrency and, if the key has a rate, one token.
///
/// Dropping it gives the slot back, and the token too unless it was [spent](Permit::spend).
#[derive(Debug)]
#[must_use = "a permit that is dropped is given back"]
pub struct Permit {
    shared: Arc<Shared>,
    key: Key,
    unspent: AtomicBool,
}

impl Permit {
    /// The key whose limit it counts in; the group's, for a host that shares one.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Marks the token as used: a request was sent.
    pub fn spend(&self) {
        self.unspent.store(false, Ordering::Relaxed);
    }

    /// Gives the slot back now; the same as dropping it.
    pub fn release(self) {}
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut keys = self.shared.lock();
        if let Some(state) = keys.states.get_mut(&self.key) {
            state.release(*self.unspent.get_mut());
            state.wake_first();
            self.shared.changes.notify_one();
        }
    }
}
