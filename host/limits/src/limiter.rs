//! The keyed limiter: permits for keys, first come first served, with live limits and cooldowns.
//!
//! A permit is a value: dropping it gives the slot back, so that nobody can release twice or forget to.
//! The limiter must never be asked for a second permit while one of another key is held: two such callers
//! could wait for each other. Release first.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use gleaner_model::clock::{SharedClock, UnixMillis};
use gleaner_model::key::Key;
use gleaner_model::setting::KeyLimit;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::cooldown::LONGEST;
use crate::ownership::{Claims, Owned};
use crate::permit::{Permit, Place};
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
    /// How long until it is worth asking again; none: until a permit of the key comes back or the operator lets
    /// it go on.
    pub retry_in: Option<Duration>,
    /// Why.
    pub why: Why,
}

/// What keeps a key from being used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// As many are in flight as may be, or others were first.
    Full,
    /// Its rate.
    Rate,
    /// The upstream asked for a pause.
    Cooldown,
    /// Its upstream failed too often in a row, and is left alone for a while.
    Breaker,
    /// Its budget for the day is used up.
    Budget,
    /// An operator stopped it.
    Paused,
    /// Another process owns it, or nobody: it has to be claimed first.
    NotOwned,
}

/// How many steps of a key may start now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// So many, at least 1.
    Now(u32),
    /// None, for that reason. [`KeyedLimiter::changes`] tells when that changes by anything but time.
    Blocked {
        /// Why.
        why: Why,
        /// Until that time has passed; none when time alone changes nothing.
        wait: Option<Duration>,
    },
}

/// Limits concurrency and rate per key. Clones share their state.
#[derive(Debug, Clone)]
pub struct KeyedLimiter(pub(crate) Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    rules: RwLock<Arc<LimitRules>>,
    clock: SharedClock,
    /// Every bucket was empty then.
    pub(crate) start: Instant,
    keys: Mutex<Keys>,
    pub(crate) changes: Arc<Notify>,
}

#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) states: HashMap<Key, KeyState>,
    /// What was set for keys while running, over the rules.
    pub(crate) set: HashMap<Key, KeyLimit>,
    pub(crate) paused: HashSet<Key>,
    /// What this process owns; none: it is alone and owns everything.
    pub(crate) owned: Option<Owned>,
    /// Keys whose room may have grown since somebody asked.
    pub(crate) changed: HashSet<Key>,
    /// Keys whose cooldown began or grew since somebody asked.
    pub(crate) cooled: HashSet<Key>,
    /// Keys of whose condition there is something new to write down.
    pub(crate) learnt: HashSet<Key>,
    sweep_at: usize,
}

impl KeyedLimiter {
    /// A limiter for one process. Its token buckets start empty, so that a restart is never a second burst.
    pub fn new(rules: LimitRules, clock: SharedClock) -> Self {
        let keys = Keys {
            states: HashMap::new(),
            set: HashMap::new(),
            paused: HashSet::new(),
            owned: None,
            changed: HashSet::new(),
            cooled: HashSet::new(),
            learnt: HashSet::new(),
            sweep_at: SWEEP_FROM,
        };
        let (keys, changes, rules) = (Mutex::new(keys), Arc::default(), RwLock::new(Arc::new(rules)));
        Self(Arc::new(Shared { rules, clock, start: Instant::now(), keys, changes }))
    }

    /// The key whose limit counts for a key: its group's, if its host shares one. Every method does this
    /// itself; jobs should be queued under it.
    pub fn canonical(&self, key: &Key) -> Key {
        self.0.rules().canonical(key)
    }

    /// Waits for a permit, however long. Whoever came first gets the next one.
    pub async fn acquire(&self, key: &Key) -> Permit {
        loop {
            if let Ok(permit) = self.try_acquire(key, FOREVER).await {
                return permit;
            }
        }
    }

    /// Waits for a permit, at most so long. A key that nobody owns is claimed.
    ///
    /// # Errors
    /// When none came in time, or at once when none can come in time.
    pub async fn try_acquire(&self, key: &Key, timeout: Duration) -> Result<Permit, Blocked> {
        let key = self.canonical(key);
        let end = Instant::now() + timeout.min(FOREVER);
        self.own_until(&key, end).await?;
        let Some(place) = Place::at_the_end(self, &key) else { return Ok(self.permit(key, None)) };
        loop {
            let now = Instant::now();
            let obstacle = match place.look(now) {
                Ok(token) => return Ok(self.permit(key.clone(), token)),
                Err(obstacle) => obstacle,
            };
            // Those behind the first are woken when it is their turn; the first also by the time.
            let look_again = match obstacle {
                Obstacle::Slots | Obstacle::Paused => end,
                Obstacle::Tokens(wait) | Obstacle::Pause(_, wait) => now + wait,
                Obstacle::NotOwned => now,
            };
            if now >= end && obstacle == Obstacle::Slots {
                place.waited_in_vain(timeout);
            }
            if look_again > end || now >= end || obstacle == Obstacle::NotOwned {
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
        let now = Instant::now();
        let mut keys = self.0.lock();
        let (mut taken, mut is_counted) = (Ok(None), false);
        match self.0.state(&mut keys, &key, now) {
            Err(obstacle) => taken = Err(obstacle),
            Ok(None) => {}
            Ok(Some(state)) => {
                taken = state.take(state.waiting(), now);
                is_counted = taken.is_ok() && state.count_today();
            }
        }
        if is_counted {
            keys.learnt.insert(key.clone());
        }
        drop(keys);
        match taken {
            Ok(token) => Ok(self.permit(key, token)),
            Err(obstacle) => Err(blocked(key, obstacle)),
        }
    }

    /// How many steps of the key may start now, behind those who wait.
    pub fn room(&self, key: &Key) -> Room {
        let now = Instant::now();
        let key = self.canonical(key);
        let mut keys = self.0.lock();
        match self.0.state(&mut keys, &key, now) {
            Err(obstacle) => obstacle.into(),
            Ok(None) => Room::Now(u32::MAX),
            Ok(Some(state)) => state.room(now),
        }
    }

    /// How many permits of the key come back in that time, by how long they were held lately; 0 when nothing is known of it,
    /// and for a key that is tried out. All permits are taken to be out; those who wait for them are not taken off.
    pub fn returns_within(&self, key: &Key, time: Duration) -> u32 {
        let keys = self.0.lock();
        keys.states.get(&self.canonical(key)).map_or(0, |state| state.returns_within(time))
    }

    /// Notified when a permit comes back that nobody in line waits for, a limit changes or a cooldown begins. For one
    /// listener: a notification that nobody awaits is kept, several at once are one.
    pub fn changes(&self) -> Arc<Notify> {
        Arc::clone(&self.0.changes)
    }

    /// The keys whose room may have grown since this was last asked. For one listener.
    pub fn take_changed(&self) -> HashSet<Key> {
        std::mem::take(&mut self.0.lock().changed)
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

    /// The upstream asked to slow down: nobody gets a permit of the key for the returned time. `Retry-After`
    /// wins (at least 1 s), else 60 s doubling with every pause in a row, jittered, forgiven after 30 quiet
    /// minutes; never more than a day.
    pub fn throttled(&self, key: &Key, retry_after: Option<Duration>) -> Duration {
        self.cool_down(key, |state, now| {
            state.pace.strained(now);
            state.refit(now);
            state.cooldown.throttled(retry_after, now)
        })
    }

    /// Takes in a cooldown that outlived a restart or was met by another process; never more than a day.
    pub fn cool_down_until(&self, key: &Key, until: UnixMillis) {
        let pause = self.0.clock.now().until(until).min(LONGEST);
        if !pause.is_zero() {
            self.cool_down(key, |state, now| state.cooldown.extend(pause, state.pause_kind(), now));
            self.0.lock().cooled.remove(&self.canonical(key));
        }
    }

    /// The cooldowns that began or grew since this was last asked, for keeping.
    pub fn take_cooldowns(&self) -> Vec<(Key, UnixMillis)> {
        let mut keys = self.0.lock();
        if keys.cooled.is_empty() {
            return Vec::new();
        }
        let (now, wall, cooled) = (Instant::now(), self.0.clock.now(), std::mem::take(&mut keys.cooled));
        let left = |key: Key| {
            let left = keys.states.get(&key)?.cooldown.left(now)?;
            Some((key, wall.after(left)))
        };
        cooled.into_iter().filter_map(left).collect()
    }

    fn cool_down(&self, key: &Key, how: impl FnOnce(&mut KeyState, Instant) -> Duration) -> Duration {
        let key = self.canonical(key);
        let now = Instant::now();
        let mut keys = self.0.lock();
        let Some(state) = self.0.any_state(&mut keys, &key, now) else { return Duration::ZERO };
        let pause = how(state, now);
        state.wake_first();
        keys.cooled.insert(key.clone());
        keys.learnt.insert(key);
        self.0.changes.notify_one();
        pause
    }

    /// Waits until this process owns the key, at most until `end`.
    async fn own_until(&self, key: &Key, end: Instant) -> Result<(), Blocked> {
        loop {
            let claims = match &self.0.lock().owned {
                Some(owned) if !owned.has(key, Instant::now()) && *key != Key::Plan => owned.claims(),
                _ => return Ok(()),
            };
            if claims.claim(self, key).await {
                return Ok(());
            }
            if Instant::now() + <dyn Claims>::AGAIN > end {
                return Err(blocked(key.clone(), Obstacle::NotOwned));
            }
            tokio::time::sleep(<dyn Claims>::AGAIN).await;
        }
    }

    #[cfg(test)]
    pub(crate) fn known(&self) -> usize {
        self.0.lock().states.len()
    }

    fn permit(&self, key: Key, token: Option<u64>) -> Permit {
        Permit::new(Arc::clone(&self.0), key, token)
    }
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn rules(&self) -> Arc<LimitRules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells the listener, if there is room for who does not stand in line.
    pub(crate) fn tell_if(&self, is_news: bool, keys: &mut Keys, key: &Key) {
        if is_news {
            keys.changed.insert(key.clone());
            self.changes.notify_one();
        }
    }

    pub(crate) fn set_rules(&self, rules: LimitRules) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    /// How long ago that was, for a clock that tells the time of day.
    pub(crate) fn since(&self, at: UnixMillis) -> Duration {
        at.until(self.clock.now())
    }

    pub(crate) fn wall(&self) -> UnixMillis {
        self.clock.now()
    }

    /// How long it is until then.
    pub(crate) fn until(&self, at: UnixMillis) -> Duration {
        self.clock.now().until(at)
    }

    pub(crate) fn limit(&self, keys: &Keys, key: &Key) -> Option<Limit> {
        let limit = self.rules().limit(key)?;
        Some(keys.set.get(key).map_or(limit, |set| limit.with(set)))
    }

    /// The state of a canonical key that may be used, made if need be; none when the key is not limited.
    pub(crate) fn state<'a>(
        &self,
        keys: &'a mut Keys,
        key: &Key,
        now: Instant,
    ) -> Result<Option<&'a mut KeyState>, Obstacle> {
        if *key == Key::Plan {
            return Ok(None);
        }
        if keys.owned.as_ref().is_some_and(|owned| !owned.has(key, now)) {
            return Err(Obstacle::NotOwned);
        }
        if keys.paused.contains(key) {
            return Err(Obstacle::Paused);
        }
        Ok(self.any_state(keys, key, now))
    }

    /// The state of a canonical key, whoever may use it.
    pub(crate) fn any_state<'a>(
        &self,
        keys: &'a mut Keys,
        key: &Key,
        now: Instant,
    ) -> Option<&'a mut KeyState> {
        if keys.states.len() >= keys.sweep_at {
            keys.states.retain(|_, state| !state.is_idle(now));
            keys.sweep_at = (keys.states.len() * 2).max(SWEEP_FROM);
        }
        if !keys.states.contains_key(key) {
            let limit = self.limit(keys, key)?;
            keys.states.insert(key.clone(), KeyState::new(limit, self.start));
        }
        let state = keys.states.get_mut(key)?;
        state.look_at_the_day(|| self.clock.now(), now);
        Some(state)
    }
}

fn blocked(key: Key, obstacle: Obstacle) -> Blocked {
    match obstacle.into() {
        Room::Blocked { why, wait } => Blocked { key, retry_in: wait, why },
        // An obstacle is never room.
        Room::Now(_) => Blocked { key, retry_in: Some(Duration::ZERO), why: Why::Full },
    }
}
