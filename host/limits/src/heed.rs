//! What is learnt from a key's answers: whether its upstream works, shows strain, fails, or announces limits.
//!
//! Must never raise a limit above the configured one, whatever an upstream says.

use std::num::NonZeroU32;
use std::time::Duration;

use gleaner_model::clock::UnixMillis;
use gleaner_model::key::Key;
use gleaner_model::setting::Condition;
use gleaner_model::units::Rate;
use tokio::time::Instant;

use crate::circuit::BreakerRule;
use crate::cooldown::LONGEST;
use crate::daily;
use crate::limiter::{KeyedLimiter, Why};
use crate::rules::Limit;
use crate::state::KeyState;

/// What an answer, or the lack of one, says of the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It works: 2xx and 3xx.
    Worked,
    /// It says that this is not there or not for us: 404, 403 and other 4xx.
    Neutral,
    /// It fails: another 5xx, no connection, no name, no TLS.
    Failed,
    /// It fails for too much to do: 503, no answer in time.
    Strained,
}

/// What an upstream says that it allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Announced {
    /// At once.
    pub concurrency: Option<NonZeroU32>,
    /// How often.
    pub rate: Option<Rate>,
    /// Nothing is left: so long until there is more.
    pub empty_for: Option<Duration>,
}

impl Announced {
    /// A limit, lowered to what is announced.
    pub(crate) fn of(&self, limit: Limit) -> Limit {
        let slower = |given: Rate| limit.rate.is_none_or(|own| is_slower(given, own));
        let rate = self.rate.filter(|given| slower(*given)).or(limit.rate);
        let burst = self.rate.map_or(limit.burst, |given| limit.burst.min(given.count));
        let concurrency = self.concurrency.map_or(limit.concurrency, |given| limit.concurrency.min(given));
        Limit { concurrency, rate, burst, ..limit }
    }
}

fn is_slower(one: Rate, other: Rate) -> bool {
    u128::from(one.count.get()) * other.per.as_nanos() < u128::from(other.count.get()) * one.per.as_nanos()
}

impl KeyState {
    fn note(&mut self, outcome: Outcome, rule: BreakerRule, now: Instant) {
        self.cooldown.answered();
        if outcome == Outcome::Strained {
            self.pace.strained(now);
        }
        match outcome {
            Outcome::Worked => {
                self.circuit.worked();
                self.pace.answered();
            }
            Outcome::Neutral => {}
            Outcome::Failed | Outcome::Strained => {
                let is_paused = self.cooldown.left(now).is_some();
                if let Some(pause) = self.circuit.failed(rule, is_paused) {
                    self.cooldown.extend(pause, Why::Breaker, now);
                }
            }
        }
    }
}

impl KeyedLimiter {
    /// Takes in what an answer says: strain slows the key down, failures in a row open its breaker.
    pub fn note(&self, key: &Key, outcome: Outcome) {
        let rule = self.0.rules().breaker();
        self.learn(key, |state, now| state.note(outcome, rule, now));
    }

    /// Takes in what an upstream announces: it lowers the key's limit, and nothing left begins a pause of at most
    /// a day.
    pub fn announce(&self, key: &Key, announced: &Announced) {
        self.learn(key, |state, now| {
            state.announced = Announced { empty_for: None, ..*announced };
            if let Some(pause) = announced.empty_for {
                state.cooldown.extend(pause.clamp(Duration::from_secs(1), LONGEST), Why::Cooldown, now);
            }
        });
    }

    /// What of its limit a key may use now; none for [`Key::Plan`].
    pub fn effective_limit(&self, key: &Key) -> Option<Limit> {
        let canonical = self.canonical(key);
        let state_limit = self.0.lock().states.get(&canonical).map(KeyState::limit);
        state_limit.or_else(|| self.get_limit(key))
    }

    /// How keys fare, of which that changed since this was last asked, for keeping.
    pub fn take_conditions(&self) -> Vec<(Key, Condition)> {
        let now = Instant::now();
        let mut keys = self.0.lock();
        let learnt = std::mem::take(&mut keys.learnt);
        let of = |key: Key| Some((key.clone(), keys.states.get(&key)?.condition(now)));
        learnt.into_iter().filter_map(of).collect()
    }

    /// Takes in what was written down of a key by an earlier run or by another process.
    pub(crate) fn take_in(&self, key: &Key, condition: &Condition, cooldown_until: UnixMillis) {
        let wall = self.0.wall();
        let is_today = condition.used > 0 && condition.day == daily::day_of(wall);
        let is_broken = condition.is_broken && cooldown_until > wall;
        if !is_today && !is_broken {
            return;
        }
        let key = self.canonical(key);
        let mut keys = self.0.lock();
        let Some(state) = self.0.any_state(&mut keys, &key, Instant::now()) else { return };
        state.daily.take_in(condition.day, condition.used);
        if is_broken && state.cooldown.left(Instant::now()).is_none() {
            state.circuit.was_broken();
        }
    }

    fn learn(&self, key: &Key, how: impl FnOnce(&mut KeyState, Instant)) {
        let key = self.canonical(key);
        let now = Instant::now();
        let mut keys = self.0.lock();
        let Some(state) = self.0.any_state(&mut keys, &key, now) else { return };
        let (limit, condition) = (state.limit(), state.condition(now));
        let (pause, was_broken) = (state.cooldown.left(now), state.circuit.is_broken());
        how(state, now);
        state.refit(now);
        let is_longer = state.cooldown.left(now) > pause;
        let is_another = state.limit() != limit || state.circuit.is_broken() != was_broken;
        let is_news = state.condition(now) != condition;
        if is_another || is_longer {
            state.wake_first();
        }
        if is_longer {
            keys.cooled.insert(key.clone());
        }
        if is_another {
            keys.changed.insert(key.clone());
        }
        if is_news || is_longer {
            keys.learnt.insert(key);
        }
        if is_another || is_longer {
            self.0.changes.notify_one();
        }
    }
}
