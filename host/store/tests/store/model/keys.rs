//! The calls about keys, on both: who owns one, and what is set for it.

use std::num::NonZeroU32;
use std::time::Duration;

use gleaner_model::clock::UnixMillis;
use gleaner_model::key::Key;
use gleaner_model::setting::KeyLimit;
use gleaner_model::units::Rate;
use gleaner_store::{Claim, ProcessId};

use crate::model::expected::Wish;
use crate::model::key;
use crate::model::pair::Pair;

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Pair {
    /// Only a process that is there can claim.
    pub(super) async fn claim(&mut self, by: usize, keys: Vec<usize>, until: UnixMillis, is_needed: bool) {
        let me = self.handles[by].id;
        let keys: Vec<Key> = keys.into_iter().map(key).collect();
        let answers = self.handles[by].library.claim(keys.clone(), until, is_needed).await;
        if !self.expected.processes.contains_key(&me) {
            // Whose row is gone owns nothing, so every key would have to be written.
            return assert!(answers.is_err(), "{answers:?}");
        }
        let expected: Vec<Claim> =
            keys.iter().map(|key| self.claim_one(key, me, Wish { until, is_needed })).collect();
        let answers = answers.unwrap().into_iter().map(|mut answer| {
            if let Claim::Owned { busy_until, .. } = &mut answer {
                busy_until.sort();
            }
            answer
        });
        assert_eq!(answers.collect::<Vec<_>>(), expected);
    }

    fn claim_one(&mut self, key: &Key, me: ProcessId, wish: Wish) -> Claim {
        let (now, expected) = (self.now(), &mut self.expected);
        let owner = expected.owner(key).filter(|owner| *owner != me);
        if owner.is_some_and(|owner| expected.processes[&owner].alive_until > now) {
            let known = expected.wishes.get(&(key.clone(), me)).filter(|known| known.until > now);
            let is_needed = wish.is_needed || known.is_some_and(|known| known.is_needed);
            expected.wishes.insert((key.clone(), me), Wish { is_needed, ..wish });
            return Claim::Foreign;
        }
        let busy_until = expected.leases_of_others(key, me, now);
        if expected.key(key).owner.replace(me) != Some(me) {
            expected.wishes.remove(&(key.clone(), me));
        }
        let facts = &expected.keys[key];
        let released_at = if owner.is_some() { now } else { facts.released_at };
        Claim::Owned { cooldown_until: facts.cooldown_until, busy_until, released_at }
    }

    pub(super) async fn give(&mut self, by: usize, keys: Vec<usize>, to: Option<usize>) {
        let (now, me) = (self.now(), self.handles[by].id);
        let to = to.map(|to| self.strangers[to % self.strangers.len()]);
        let keys: Vec<(Key, Option<ProcessId>)> = keys.into_iter().map(|at| (key(at), to)).collect();
        self.handles[by].library.give(keys.clone()).await.unwrap();
        let expected = &mut self.expected;
        for (key, to) in keys {
            if expected.owner(&key) != Some(me) {
                continue;
            }
            let to = to.filter(|to| expected.processes.contains_key(to));
            let facts = expected.key(&key);
            (facts.owner, facts.released_at) = (to, now);
            if let Some(to) = to {
                expected.wishes.remove(&(key, to));
            }
        }
    }

    pub(super) async fn pause(&mut self, by: usize, at: usize, paused: bool) {
        self.handles[by].library.pause(key(at), paused).await.unwrap();
        self.expected.key(&key(at)).paused = paused;
    }

    pub(super) async fn limit(&mut self, by: usize, at: usize, (concurrency, rate, burst): (u32, u32, u32)) {
        let rate = NonZeroU32::new(rate).map(|count| Rate { count, per: Duration::from_secs(3) });
        let limit =
            KeyLimit { concurrency: NonZeroU32::new(concurrency), rate, burst: NonZeroU32::new(burst) };
        self.handles[by].library.limit(key(at), limit).await.unwrap();
        self.expected.key(&key(at)).limit = limit;
    }

    pub(super) async fn cooldown(&mut self, by: usize, at: usize, until: UnixMillis) {
        self.handles[by].library.save_cooldown(key(at), until).await.unwrap();
        self.expected.key(&key(at)).cooldown_until = until;
    }

    pub(super) async fn prune(&mut self, by: usize) {
        let now = self.now();
        self.handles[by].library.prune().await.unwrap();
        self.expected.wishes.retain(|_, wish| wish.until > now);
        self.expected.keys.retain(|_, facts| {
            facts.owner.is_some()
                || facts.paused
                || facts.limit != KeyLimit::default()
                || facts.cooldown_until > now
                || facts.released_at.after(DAY) > now
        });
    }
}
