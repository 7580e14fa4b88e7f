//! Which keys this process owns, when several work on one library: only the owner uses a key.
//!
//! Must never trust an ownership beyond the time for which it was confirmed: a process that was stopped for long
//! has lost its keys before it knows.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gleaner_model::clock::UnixMillis;
use gleaner_model::key::Key;
use tokio::time::Instant;

use crate::limiter::{KeyedLimiter, Keys};
use crate::state::KeyState;

/// Where keys are claimed.
#[async_trait]
pub trait Claims: Debug + Send + Sync {
    /// Tries to make this process the owner of a key, and tells the limiter by [`KeyedLimiter::own`]; false when
    /// another process owns it.
    async fn claim(&self, limiter: &KeyedLimiter, key: &Key) -> bool;
}

impl dyn Claims {
    /// How long until it is worth asking again for a key that another process owns.
    pub const AGAIN: Duration = Duration::from_millis(500);
}

/// The keys of this process, since when, and until when that is certain.
#[derive(Debug)]
pub(crate) struct Owned {
    keys: HashMap<Key, Instant>,
    until: Instant,
    claims: Arc<dyn Claims>,
}

impl Owned {
    pub(crate) fn has(&self, key: &Key, now: Instant) -> bool {
        now < self.until && self.keys.contains_key(key)
    }

    pub(crate) fn claims(&self) -> Arc<dyn Claims> {
        Arc::clone(&self.claims)
    }
}

/// What a claim brought.
#[derive(Debug, Clone)]
pub struct Ownership {
    /// A pause of the upstream that another process met.
    pub cooldown_until: UnixMillis,
    /// Steps of the key that other processes have not ended, and until when they may go on: they count as in
    /// flight.
    pub busy_until: Vec<UnixMillis>,
    /// When the last owner let go of it: the bucket was empty then. 0: nobody has owned it.
    pub released_at: UnixMillis,
}

impl KeyedLimiter {
    /// From now on keys have to be owned, by claiming them there. Nothing is owned yet.
    pub fn share(&self, claims: Arc<dyn Claims>, until: Instant) {
        self.0.lock().owned = Some(Owned { keys: HashMap::new(), until, claims });
    }

    /// What is owned is certain until then.
    pub fn certain_until(&self, until: Instant) {
        if let Some(owned) = &mut self.0.lock().owned {
            owned.until = until;
        }
    }

    /// This process owns the key now. Owning it already changes nothing.
    pub fn own(&self, key: &Key, how: &Ownership) {
        let key = self.canonical(key);
        let now = Instant::now();
        let mut keys = self.0.lock();
        let Keys { owned: Some(owned), .. } = &mut *keys else { return };
        if owned.keys.contains_key(&key) {
            return;
        }
        owned.keys.insert(key.clone(), now);
        let idle_since = match how.released_at {
            UnixMillis(0) => self.0.start,
            at => now.checked_sub(self.0.since(at)).unwrap_or(self.0.start).max(self.0.start),
        };
        let busy = how.busy_until.iter().map(|at| now + self.0.until(*at)).collect();
        if let Some(limit) = self.0.limit(&keys, &key) {
            // Permits of an earlier time that are still out go on counting.
            match keys.states.get_mut(&key) {
                Some(state) => state.taken_over(idle_since, busy),
                None => {
                    let mut state = KeyState::new(limit, idle_since);
                    state.taken_over(idle_since, busy);
                    keys.states.insert(key.clone(), state);
                }
            }
        }
        keys.changed.insert(key.clone());
        self.0.changes.notify_one();
        drop(keys);
        self.cool_down_until(&key, how.cooldown_until);
    }

    /// This process does not own the key any more: nobody gets a permit, those that are out stay out.
    pub fn disown(&self, key: &Key) {
        let key = self.canonical(key);
        let mut keys = self.0.lock();
        if let Some(owned) = &mut keys.owned {
            owned.keys.remove(&key);
        }
        if let Some(state) = keys.states.get(&key) {
            state.wake_first();
        }
    }

    /// Keeps only these of the owned keys: the others were taken while this process was stopped.
    pub fn keep_owned(&self, mut still: impl FnMut(&Key) -> bool) {
        if let Some(owned) = &mut self.0.lock().owned {
            owned.keys.retain(|key, _| still(key));
        }
    }

    /// The keys that this process owns, and how long ago each was claimed.
    pub fn owned(&self) -> Vec<(Key, Duration)> {
        let keys = self.0.lock();
        let owned = keys.owned.iter().flat_map(|owned| &owned.keys);
        owned.map(|(key, since)| (key.clone(), since.elapsed())).collect()
    }

    /// Whether nobody has used the key for so long, or waits for it; a key that was just claimed counts as used.
    pub fn is_idle(&self, key: &Key, quiet: Duration) -> bool {
        let keys = self.0.lock();
        let since = keys.owned.as_ref().and_then(|owned| owned.keys.get(&self.canonical(key)));
        if since.is_some_and(|since| since.elapsed() < quiet) {
            return false;
        }
        keys.states.get(&self.canonical(key)).is_none_or(|state| state.is_quiet(quiet, Instant::now()))
    }
}
