//! What changes while the limiter is in use: the rules, what an operator sets for a key, and pauses.
//!
//! Must never take a permit back: a lower cap takes effect as permits come back.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;

use gleaner_model::key::Key;
use gleaner_model::setting::{KeyLimit, KeySetting};
use tokio::time::Instant;

use crate::limiter::{KeyedLimiter, Keys};
use crate::rules::{Limit, LimitRules};

impl Limit {
    /// With what an operator set in place of its own.
    #[must_use]
    pub fn with(self, set: &KeyLimit) -> Self {
        Self {
            concurrency: set.concurrency.unwrap_or(self.concurrency),
            rate: set.rate.or(self.rate),
            burst: match (set.burst, set.rate) {
                (Some(burst), _) => burst,
                (None, Some(_)) => NonZeroU32::MIN,
                (None, None) => self.burst,
            },
            per_day: self.per_day,
        }
    }
}

impl KeyedLimiter {
    /// Changes the limit of a key at once. A lower cap takes effect as permits come back, a higher one wakes
    /// who waits. Nothing happens for [`Key::Plan`], which is never limited.
    pub fn set_limit(&self, key: &Key, limit: KeyLimit) {
        let key = self.canonical(key);
        let mut keys = self.0.lock();
        keys.set.insert(key.clone(), limit);
        self.limit_changed(&mut keys, &key);
    }

    /// Other rules from now on; what was set for single keys stays.
    pub fn set_rules(&self, rules: LimitRules) {
        let mut keys = self.0.lock();
        self.0.set_rules(rules);
        let known: Vec<Key> = keys.states.keys().cloned().collect();
        for key in known {
            self.limit_changed(&mut keys, &key);
        }
    }

    /// Takes in everything that is set for keys; what is not among it is not set any more. Cooldowns only grow.
    pub fn apply(&self, settings: &[KeySetting]) {
        let (mut set, mut paused) = (HashMap::new(), HashSet::new());
        for setting in settings {
            let key = self.canonical(&setting.key);
            if setting.limit != KeyLimit::default() {
                set.insert(key.clone(), setting.limit);
            }
            if setting.paused {
                paused.insert(key);
            }
        }
        let mut keys = self.0.lock();
        let before = std::mem::replace(&mut keys.set, set);
        let stopped = std::mem::replace(&mut keys.paused, paused);
        let mut changed: HashSet<Key> = stopped.symmetric_difference(&keys.paused).cloned().collect();
        let differs = |key: &&Key| before.get(*key) != keys.set.get(*key);
        changed.extend(before.keys().chain(keys.set.keys()).filter(differs).cloned());
        for key in changed {
            self.limit_changed(&mut keys, &key);
        }
        drop(keys);
        for setting in settings {
            self.take_in(&setting.key, &setting.condition, setting.cooldown_until);
            self.cool_down_until(&setting.key, setting.cooldown_until);
        }
    }

    /// Whether an operator stopped the key.
    pub fn is_paused(&self, key: &Key) -> bool {
        self.0.lock().paused.contains(&self.canonical(key))
    }

    /// Has those who wait for the key look again, for a reason that the limiter does not know.
    pub fn look_again(&self, key: &Key) {
        let key = self.canonical(key);
        self.0.lock().changed.insert(key);
        self.0.changes.notify_one();
    }

    fn limit_changed(&self, keys: &mut Keys, key: &Key) {
        let limit = self.0.limit(keys, key);
        if let (Some(state), Some(limit)) = (keys.states.get_mut(key), limit) {
            state.change(limit, Instant::now());
            state.wake_first();
        }
        keys.changed.insert(key.clone());
        self.0.changes.notify_one();
    }
}
