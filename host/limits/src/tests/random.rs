//! Random use of the limiter, in paused time: nothing is given that should not be, and who only listens to what
//! it tells sleeps through no chance.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use gleaner_model::clock::{FakeClock, UnixMillis};
use gleaner_model::key::Key;
use gleaner_model::setting::{KeyLimit, KeySetting};
use gleaner_model::units::Rate;
use proptest::prelude::*;
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance};

use super::{AllBut, host, resolver};
use crate::{KeyedLimiter, Limit, LimitRules, Ownership, Permit, Room};

/// A whole limit, for every key: concurrency, tokens a second (0: any), burst.
type Numbers = (u32, u32, u32);

#[derive(Debug, Clone)]
enum Call {
    Take { key: usize },
    Wait { key: usize, millis: u64 },
    GiveUp { waiter: usize },
    Drop { permit: usize, spent: bool },
    Limit { key: usize, limit: Numbers },
    Apply { settings: Vec<(usize, bool, Option<Numbers>)> },
    Throttled { key: usize, seconds: u64 },
    Own { key: usize, busy: Option<u64> },
    Disown { key: usize },
    Advance { millis: u64 },
}

fn call() -> impl Strategy<Value = Call> {
    let key = || 0..3_usize;
    let limit = || (1..4_u32, 0..4_u32, 1..4_u32);
    let setting = (key(), any::<bool>(), prop::option::of(limit()));
    prop_oneof![
        6 => key().prop_map(|key| Call::Take { key }),
        2 => (key(), 1..9000_u64).prop_map(|(key, millis)| Call::Wait { key, millis }),
        1 => any::<usize>().prop_map(|waiter| Call::GiveUp { waiter }),
        5 => (any::<usize>(), any::<bool>()).prop_map(|(permit, spent)| Call::Drop { permit, spent }),
        1 => (key(), limit()).prop_map(|(key, limit)| Call::Limit { key, limit }),
        1 => prop::collection::vec(setting, 0..3).prop_map(|settings| Call::Apply { settings }),
        1 => (key(), 0..5_u64).prop_map(|(key, seconds)| Call::Throttled { key, seconds }),
        2 => (key(), prop::option::of(1..3000_u64)).prop_map(|(key, busy)| Call::Own { key, busy }),
        1 => key().prop_map(|key| Call::Disown { key }),
        5 => prop_oneof![1..400_u64, 400..5000_u64].prop_map(|millis| Call::Advance { millis }),
    ]
}

fn set(limit: Numbers) -> KeyLimit {
    let rate = NonZeroU32::new(limit.1).map(|count| Rate { count, per: Duration::from_secs(1) });
    KeyLimit { concurrency: NonZeroU32::new(limit.0), rate, burst: NonZeroU32::new(limit.2) }
}

/// What the rules of the limiter are to a key, seen from outside.
#[derive(Debug, Default)]
struct Seen {
    owned: bool,
    paused: bool,
    cools_until: Option<Instant>,
    /// Tokens of permits since the limit or the owner last changed: had when, and whether used or still held.
    tokens: Vec<(u64, Instant)>,
    /// The listener found no room: until when it sleeps at most.
    sleeps: Option<Option<Instant>>,
}

struct Case {
    limiter: KeyedLimiter,
    clock: Arc<FakeClock>,
    keys: [Key; 3],
    seen: [Seen; 3],
    permits: Vec<(usize, u64, Permit)>,
    waiters: Vec<(usize, JoinHandle<Option<Permit>>)>,
    set: HashMap<usize, KeyLimit>,
    count: u64,
}

impl Case {
    fn new() -> Self {
        let clock = FakeClock::at(UnixMillis(1_000_000_000));
        let rules = r#"
            default-host = { concurrency = 2, rate = "2/s", burst = 3 }
            default-resolver = { concurrency = 2 }
            "#;
        let limiter = KeyedLimiter::new(toml::from_str::<LimitRules>(rules).unwrap(), clock.clone());
        let far = Instant::now() + Duration::from_secs(1_000_000);
        limiter.share(Arc::new(AllBut(host("nobody.org"))), far);
        let keys = [host("a.org"), host("b.org"), resolver("r")];
        let (seen, permits, waiters) = (Default::default(), vec![], vec![]);
        Self { limiter, clock, keys, seen, permits, waiters, set: HashMap::new(), count: 0 }
    }

    fn limit(&self, at: usize) -> Limit {
        self.limiter.get_limit(&self.keys[at]).unwrap()
    }

    /// A permit was given just now.
    fn given(&mut self, at: usize, permit: Permit) {
        let now = Instant::now();
        let limit = self.limit(at);
        let seen = &mut self.seen[at];
        assert!(seen.owned && !seen.paused, "{seen:?}");
        assert!(seen.cools_until.is_none_or(|until| until <= now), "{seen:?}");
        let out = self.permits.iter().filter(|(key, ..)| *key == at).count() as u32 + 1;
        assert!(out <= limit.concurrency.get(), "{out} of {limit:?}");
        self.count += 1;
        self.permits.push((at, self.count, permit));
        let Some(rate) = limit.rate else { return };
        let seen = &mut self.seen[at];
        seen.tokens.push((self.count, now));
        for (first, (_, start)) in seen.tokens.iter().enumerate() {
            let had = (seen.tokens.len() - first) as u128;
            let window = now.duration_since(*start).as_nanos() * u128::from(rate.count.get());
            let share = u128::from(limit.burst.get()) * rate.per.as_nanos() + window;
            assert!(had * rate.per.as_nanos() <= share, "{had} tokens of {limit:?} since {:?}", now - *start);
        }
    }

    /// The limit or the owner is another: what was had before is counted no more.
    fn starts_anew(&mut self, at: usize) {
        self.seen[at].tokens.clear();
    }

    async fn call(&mut self, call: Call) {
        match call {
            Call::Take { key } => {
                let room = self.limiter.room(&self.keys[key]);
                let taken = self.limiter.try_now(&self.keys[key]);
                assert_eq!(matches!(room, Room::Now(_)), taken.is_ok(), "{room:?}");
                if let Ok(permit) = taken {
                    self.given(key, permit);
                }
            }
            Call::Wait { key: at, millis } if self.seen[at].owned => {
                let (limiter, key) = (self.limiter.clone(), self.keys[at].clone());
                let wait = Duration::from_millis(millis);
                let waiter = tokio::spawn(async move { limiter.try_acquire(&key, wait).await.ok() });
                self.waiters.push((at, waiter));
            }
            Call::GiveUp { waiter } if !self.waiters.is_empty() => {
                let (_, waiter) = self.waiters.swap_remove(waiter % self.waiters.len());
                waiter.abort();
                assert!(waiter.await.is_err(), "it waited");
            }
            Call::Drop { permit, spent } if !self.permits.is_empty() => {
                let (at, number, permit) = self.permits.swap_remove(permit % self.permits.len());
                if spent {
                    permit.spend();
                } else {
                    self.seen[at].tokens.retain(|(other, _)| *other != number);
                }
                drop(permit);
                // Between the return of a permit and the turn of who waits for it.
                if number % 3 == 0
                    && let Some(place) = self.waiters.iter().position(|(key, _)| *key == at)
                {
                    self.listen();
                    let (_, waiter) = self.waiters.swap_remove(place);
                    waiter.abort();
                    assert!(waiter.await.is_err(), "it waited");
                }
            }
            Call::Limit { key, limit } => {
                self.limiter.set_limit(&self.keys[key], set(limit));
                self.set.insert(key, set(limit));
                self.starts_anew(key);
            }
            Call::Apply { settings } => {
                let settings: HashMap<usize, _> =
                    settings.into_iter().map(|(at, paused, limit)| (at, (paused, limit.map(set)))).collect();
                let setting = |(at, (paused, limit)): (&usize, &(bool, Option<KeyLimit>))| KeySetting {
                    paused: *paused,
                    limit: limit.unwrap_or_default(),
                    ..KeySetting::none(self.keys[*at].clone())
                };
                self.limiter.apply(&settings.iter().map(setting).collect::<Vec<_>>());
                for at in 0..self.keys.len() {
                    let (paused, limit) = settings.get(&at).copied().unwrap_or_default();
                    self.seen[at].paused = paused;
                    let before = match limit {
                        Some(limit) => self.set.insert(at, limit),
                        None => self.set.remove(&at),
                    };
                    if before != limit {
                        self.starts_anew(at);
                    }
                }
            }
            Call::Throttled { key, seconds } => {
                let asked = Some(Duration::from_secs(seconds)).filter(|asked| !asked.is_zero());
                let pause = self.limiter.throttled(&self.keys[key], asked);
                self.seen[key].cools_until = Some(Instant::now() + pause);
            }
            Call::Own { key: at, busy } => {
                let now = gleaner_model::clock::Clock::now(&*self.clock);
                let busy_until = busy.map(|millis| now.after(Duration::from_millis(millis)));
                let how = Ownership {
                    cooldown_until: UnixMillis(0),
                    busy_until: busy_until.into_iter().collect(),
                    released_at: now,
                };
                self.limiter.own(&self.keys[at], &how);
                self.seen[at].owned = true;
            }
            Call::Disown { key } => {
                self.limiter.disown(&self.keys[key]);
                self.seen[key].owned = false;
                self.starts_anew(key);
            }
            Call::Advance { millis } => {
                self.clock.advance(Duration::from_millis(millis));
                advance(Duration::from_millis(millis)).await;
            }
            Call::Wait { .. } | Call::GiveUp { .. } | Call::Drop { .. } => {}
        }
        self.listen();
        self.settle().await;
        self.listen();
    }

    /// Lets those who wait look, and takes what they were given.
    async fn settle(&mut self) {
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        while let Some(place) = self.waiters.iter().position(|(_, waiter)| waiter.is_finished()) {
            let (at, waiter) = self.waiters.remove(place);
            if let Some(permit) = waiter.await.unwrap() {
                // A key that is claimed on the way is owned.
                self.given(at, permit);
            }
        }
        for (at, key) in self.keys.iter().enumerate() {
            let out = self.permits.iter().filter(|(key, ..)| *key == at).count();
            assert_eq!(self.limiter.in_flight(key) as usize, out);
        }
    }

    /// As the dispatcher does: looks again at a key only when its time has come or the limiter names it.
    fn listen(&mut self) {
        let (now, changed) = (Instant::now(), self.limiter.take_changed());
        for (key, seen) in self.keys.iter().zip(&mut self.seen) {
            let wakes = match seen.sleeps {
                None => true,
                Some(until) => changed.contains(key) || until.is_some_and(|until| until <= now),
            };
            let room = self.limiter.room(key);
            assert!(wakes || !matches!(room, Room::Now(_)), "{key} has {room:?}, and nobody told");
            if wakes {
                seen.sleeps = match room {
                    Room::Now(_) => None,
                    Room::Blocked { wait, .. } => Some(wait.map(|wait| now + wait)),
                };
            }
        }
    }
}

/// `PROPTEST_CASES` asks for another number.
fn cases() -> ProptestConfig {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let default = ProptestConfig::default();
    ProptestConfig { cases: if asked { default.cases } else { 1000 }, ..default }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn what_is_given_is_within_every_limit(calls in prop::collection::vec(call(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let mut case = Case::new();
            for call in calls {
                case.call(call).await;
            }
        });
    }
}
