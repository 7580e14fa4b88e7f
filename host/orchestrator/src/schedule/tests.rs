//! The schedule against a map that is scanned: every key stands in one place, and none is lost or passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gleaner_model::key::Key;
use proptest::prelude::*;
use tokio::time::Instant;

use super::{Place, Schedule, Slots};

const KEYS: [&str; 7] =
    ["plan", "resolver:r", "resolver:s", "resolver:t", "host:a.org", "host:b.org", "host:c.org"];

fn key(name: &str) -> Key {
    Key::parse(name).unwrap()
}

fn with_jobs(names: &[&str]) -> Schedule {
    let mut schedule = Schedule::default();
    for name in names {
        schedule.add(&key(name), 1);
    }
    schedule
}

fn next(schedule: &mut Schedule, slots: Slots) -> Option<String> {
    schedule.next(slots).map(|(key, _)| key.to_string())
}

#[test]
fn keys_take_turns_among_those_that_need_the_same_slots() {
    let mut schedule = with_jobs(&["host:a.org", "resolver:r", "host:b.org"]);
    schedule.add(&key("host:a.org"), 2);
    let mut turns = Vec::new();
    while let Some((key, jobs)) = schedule.next(Slots::Fetches) {
        schedule.took(&key, 1);
        turns.push((key.to_string(), jobs));
    }
    let turns: Vec<_> = turns.iter().map(|(key, jobs)| (key.as_str(), *jobs)).collect();
    assert_eq!(turns, [("host:a.org", 3), ("host:b.org", 1), ("host:a.org", 2), ("host:a.org", 1)]);
    assert!(!schedule.has(&key("host:a.org")) && schedule.has(&key("resolver:r")) && schedule.may_run());
}

#[test]
fn who_got_no_slot_stays_first() {
    let mut schedule = with_jobs(&["host:a.org", "host:b.org"]);
    let (first, _) = schedule.next(Slots::Fetches).unwrap();
    schedule.put_back(first);
    let [first, second] = std::array::from_fn(|_| schedule.next(Slots::Fetches).unwrap().0);
    schedule.put_back(second);
    schedule.put_back(first);
    assert_eq!(next(&mut schedule, Slots::Fetches).unwrap(), "host:a.org");
    assert_eq!(next(&mut schedule, Slots::Fetches).unwrap(), "host:b.org");
}

#[test]
fn a_blocked_key_comes_back_with_what_it_waits_for_and_not_before() {
    let mut schedule = with_jobs(&["resolver:r", "resolver:s", "resolver:t"]);
    let (limit, now) = (key("host:a.org"), Instant::now());
    let later = now + Duration::from_secs(9);
    let [r, s, t] = std::array::from_fn(|_| schedule.next(Slots::Calls).unwrap().0);
    schedule.park_behind(&r, &limit);
    schedule.park_until(&s, &s, later);
    schedule.park_served(&t);
    schedule.has_changed(&key("host:b.org"));
    schedule.has_slot(&r);
    schedule.tick(now);
    assert!(!schedule.may_run() && schedule.next_timer() == Some(later));
    assert!(!schedule.is_contended(&t) && schedule.is_contended(&r), "only who holds a slot could run");
    schedule.has_changed(&limit);
    assert_eq!(next(&mut schedule, Slots::Calls).unwrap(), r.to_string());
    schedule.has_slot(&t);
    assert_eq!(next(&mut schedule, Slots::Calls).unwrap(), t.to_string());
    schedule.tick(later);
    assert_eq!(next(&mut schedule, Slots::Calls).unwrap(), s.to_string());
    assert_eq!((next(&mut schedule, Slots::Calls), schedule.next_timer()), (None, None));
}

/// A resolver waits for the rate of the host it asks: when that is raised, the old time says nothing.
#[test]
fn a_time_ends_when_the_limit_changes_whosever_it_is() {
    let mut schedule = with_jobs(&["resolver:r", "resolver:s"]);
    let far = Instant::now() + Duration::from_secs(24 * 3600);
    let [r, s] = std::array::from_fn(|_| schedule.next(Slots::Calls).unwrap().0);
    schedule.park_until(&r, &key("host:a.org"), far);
    schedule.park_until(&s, &s, far);
    schedule.has_changed(&key("host:a.org"));
    assert_eq!(next(&mut schedule, Slots::Calls).unwrap(), r.to_string());
    schedule.has_changed(&s);
    assert_eq!(next(&mut schedule, Slots::Calls).unwrap(), s.to_string());
    assert_eq!(schedule.next_timer(), None);
}

#[test]
fn a_look_at_the_library_says_who_is_there() {
    let mut schedule = with_jobs(&["host:a.org", "host:b.org", "resolver:r"]);
    let (parked, _) = schedule.next(Slots::Calls).unwrap();
    schedule.park_behind(&parked, &key("host:a.org"));
    schedule.refresh(&[(key("host:b.org"), 5), (key("host:c.org"), 2)]);
    assert_eq!(schedule.next(Slots::Fetches), Some((key("host:b.org"), 5)));
    assert_eq!(schedule.next(Slots::Fetches), Some((key("host:c.org"), 2)));
    schedule.has_changed(&key("host:a.org"));
    assert!(!schedule.may_run() && !schedule.has(&parked));
}

#[test]
fn who_waits_for_more_jobs_goes_when_there_are_enough_or_when_its_time_comes() {
    let mut schedule = with_jobs(&["resolver:r", "resolver:s"]);
    let later = Instant::now() + Duration::from_secs(10);
    let [r, s] = std::array::from_fn(|_| schedule.next(Slots::Calls).unwrap().0);
    schedule.park_gathering(&r, later, 3);
    schedule.park_gathering(&s, later, 3);
    schedule.add(&r, 1);
    assert!(!schedule.may_run() && !schedule.has_gathered(&r) && !schedule.is_contended(&s));
    schedule.add(&r, 1);
    assert_eq!(schedule.next(Slots::Calls), Some((r.clone(), 3)));
    assert!(schedule.has_gathered(&r));
    schedule.tick(later);
    assert_eq!(schedule.next(Slots::Calls), Some((s.clone(), 1)));
    // It keeps its place in time while a limit is in the way, and those that are left wait anew.
    schedule.park_behind(&s, &s);
    schedule.has_changed(&s);
    assert!(schedule.next(Slots::Calls).is_some() && schedule.has_gathered(&s));
    schedule.add(&s, 1);
    schedule.took(&s, 1);
    assert!(!schedule.has_gathered(&s));
    schedule.next(Slots::Calls).unwrap();
    schedule.park_gathering(&s, later, 3);
    schedule.refresh(&[(s.clone(), 7)]);
    assert_eq!(schedule.next(Slots::Calls), Some((s, 7)), "others may bring jobs as well");
}

#[test]
fn nobody_waits_for_jobs_that_nobody_could_bring() {
    let mut schedule = with_jobs(&["resolver:r", "resolver:s", "host:a.org"]);
    let now = Instant::now();
    let after = |seconds| now + Duration::from_secs(seconds);
    let [r, s] = std::array::from_fn(|_| schedule.next(Slots::Calls).unwrap().0);
    schedule.park_gathering(&r, after(9), 3);
    schedule.park_gathering(&s, after(8), 3);
    assert!(!schedule.end_gathering(None), "a file may turn out to be none");
    let (host, _) = schedule.next(Slots::Fetches).unwrap();
    schedule.park_until(&host, &host, after(5));
    assert!(!schedule.end_gathering(None), "so it may in five seconds");
    assert!(schedule.end_gathering(Some(after(4))), "which is later than the run lasts");
    assert_eq!(schedule.next(Slots::Calls), Some((s.clone(), 1)), "the one whose time would have come first");
    schedule.took(&s, 1);
    schedule.has_changed(&host);
    schedule.next(Slots::Fetches).unwrap();
    schedule.park_until(&host, &host, after(60));
    assert!(schedule.end_gathering(None));
    assert_eq!(next(&mut schedule, Slots::Calls).unwrap(), r.to_string());
    assert!(!schedule.end_gathering(None), "nobody waits for more");
}

/// What the schedule is asked to do. Numbers pick a key, or one of those whose turn it is.
#[derive(Debug, Clone)]
enum Call {
    Add { key: usize, jobs: u64 },
    Next { slots: Slots },
    Took { turn: usize, jobs: u64 },
    Until { turn: usize, limit: usize, seconds: u64 },
    Behind { turn: usize, limit: usize },
    Served { turn: usize },
    Gathering { turn: usize, seconds: u64, enough: u64 },
    PutBack,
    Refresh { jobs: Vec<u64> },
    Emptied { key: usize },
    Changed { limit: usize },
    Slot { key: usize },
    Tick { seconds: u64 },
}

fn call() -> impl Strategy<Value = Call> {
    let key = || 0..KEYS.len();
    let turn = any::<usize>;
    prop_oneof![
        4 => (key(), 1..4_u64).prop_map(|(key, jobs)| Call::Add { key, jobs }),
        5 => prop_oneof![Just(Slots::Calls), Just(Slots::Fetches)].prop_map(|slots| Call::Next { slots }),
        3 => (turn(), 1..4_u64).prop_map(|(turn, jobs)| Call::Took { turn, jobs }),
        2 => (turn(), key(), 0..9_u64)
            .prop_map(|(turn, limit, seconds)| Call::Until { turn, limit, seconds }),
        2 => (turn(), key()).prop_map(|(turn, limit)| Call::Behind { turn, limit }),
        1 => turn().prop_map(|turn| Call::Served { turn }),
        2 => (turn(), 0..9_u64, 1..6_u64)
            .prop_map(|(turn, seconds, enough)| Call::Gathering { turn, seconds, enough }),
        1 => Just(Call::PutBack),
        1 => prop::collection::vec(0..4_u64, KEYS.len()).prop_map(|jobs| Call::Refresh { jobs }),
        1 => key().prop_map(|key| Call::Emptied { key }),
        2 => key().prop_map(|limit| Call::Changed { limit }),
        1 => key().prop_map(|key| Call::Slot { key }),
        2 => (0..6_u64).prop_map(|seconds| Call::Tick { seconds }),
    ]
}

/// A key as it should be, and when it got its last turn and its place in the ring, counted in calls.
#[derive(Debug, Clone)]
struct Seen {
    ready: u64,
    place: Place,
    lined_up: usize,
    turn: Option<usize>,
    turn_before: Option<usize>,
}

struct Pair {
    schedule: Schedule,
    keys: BTreeMap<Key, Seen>,
    /// Given out and not put anywhere yet.
    turns: Vec<Key>,
    now: Instant,
    calls: usize,
}

impl Pair {
    fn new() -> Self {
        let (schedule, keys, turns) = (Schedule::default(), BTreeMap::new(), Vec::new());
        Self { schedule, keys, turns, now: Instant::now(), calls: 0 }
    }

    fn take_turn(&mut self, index: usize) -> Option<Key> {
        (!self.turns.is_empty()).then(|| self.turns.remove(index % self.turns.len()))
    }

    fn line_up(&mut self, who: impl Fn(&Key, &Place) -> bool) {
        for (key, seen) in &mut self.keys {
            if who(key, &seen.place) {
                (seen.place, seen.lined_up) = (Place::Ring, self.calls);
            }
        }
    }

    fn add(&mut self, key: Key, jobs: u64) {
        let fresh =
            Seen { ready: 0, place: Place::Ring, lined_up: self.calls, turn: None, turn_before: None };
        self.keys.entry(key).or_insert(fresh).ready += jobs;
    }

    /// Who waits for more jobs and has enough lines up.
    fn look_at_gathering(&mut self, key: &Key) {
        let ready = self.keys[key].ready;
        self.line_up(|other, place| {
            other == key && matches!(place, Place::Gathering(_, enough) if ready >= *enough)
        });
    }

    fn park(&mut self, key: &Key, place: Place) {
        self.keys.get_mut(key).unwrap().place = place;
    }

    fn call(&mut self, call: Call) {
        self.calls += 1;
        match call {
            Call::Add { key: at, jobs } => {
                let in_ring =
                    |pair: &Self| pair.keys.get(&key(KEYS[at])).is_some_and(|seen| seen.place == Place::Ring);
                let before = in_ring(self);
                let takes_turn = self.schedule.add(&key(KEYS[at]), jobs);
                self.add(key(KEYS[at]), jobs);
                self.look_at_gathering(&key(KEYS[at]));
                assert_eq!(takes_turn, in_ring(self) && !before);
            }
            Call::Next { slots } => self.next(slots),
            Call::Took { turn, jobs } => {
                let Some(key) = self.take_turn(turn) else { return };
                let seen = self.keys.get_mut(&key).unwrap();
                let jobs = jobs.min(seen.ready);
                seen.ready -= jobs;
                if seen.ready == 0 {
                    self.keys.remove(&key);
                } else {
                    (seen.place, seen.lined_up) = (Place::Ring, self.calls);
                }
                self.schedule.took(&key, jobs);
            }
            Call::Until { turn, limit, seconds } => {
                let Some(waiting) = self.take_turn(turn) else { return };
                let (limit, until) = (key(KEYS[limit]), self.now + Duration::from_secs(seconds));
                self.schedule.park_until(&waiting, &limit, until);
                self.park(&waiting, Place::Until(until, limit));
            }
            Call::Behind { turn, limit } => {
                let Some(waiting) = self.take_turn(turn) else { return };
                self.schedule.park_behind(&waiting, &key(KEYS[limit]));
                self.park(&waiting, Place::Behind(key(KEYS[limit])));
            }
            Call::Served { turn } => {
                let Some(waiting) = self.take_turn(turn) else { return };
                self.schedule.park_served(&waiting);
                self.park(&waiting, Place::Served);
            }
            Call::Gathering { turn, seconds, enough } => {
                let Some(waiting) = self.take_turn(turn) else { return };
                let until = self.now + Duration::from_secs(seconds);
                self.schedule.park_gathering(&waiting, until, enough);
                self.park(&waiting, Place::Gathering(until, enough));
            }
            Call::PutBack => {
                let Some(key) = self.turns.pop() else { return };
                let seen = self.keys.get_mut(&key).unwrap();
                // As if it had not been its turn.
                (seen.place, seen.turn) = (Place::Ring, seen.turn_before);
                self.schedule.put_back(key);
            }
            // These two come when every turn has been dealt with.
            Call::Refresh { .. } | Call::Emptied { .. } if !self.turns.is_empty() => {}
            Call::Refresh { jobs } => {
                let backlog: Vec<(Key, u64)> =
                    KEYS.iter().map(|name| key(name)).zip(jobs).filter(|(_, jobs)| *jobs > 0).collect();
                self.schedule.refresh(&backlog);
                self.keys.retain(|key, _| backlog.iter().any(|(there, _)| there == key));
                for (key, jobs) in backlog {
                    self.add(key.clone(), 0);
                    self.keys.get_mut(&key).unwrap().ready = jobs;
                    self.look_at_gathering(&key);
                }
            }
            Call::Emptied { key: at } => {
                self.schedule.emptied(&key(KEYS[at]));
                self.keys.remove(&key(KEYS[at]));
            }
            Call::Changed { limit } => {
                let limit = key(KEYS[limit]);
                self.schedule.has_changed(&limit);
                self.line_up(|_, place| {
                    matches!(place, Place::Behind(other) | Place::Until(_, other) if *other == limit)
                });
            }
            Call::Slot { key: at } => {
                self.schedule.has_slot(&key(KEYS[at]));
                self.line_up(|key, place| *place == Place::Served && key.to_string() == KEYS[at]);
            }
            Call::Tick { seconds } => {
                self.now += Duration::from_secs(seconds);
                self.schedule.tick(self.now);
                let now = self.now;
                self.line_up(
                    |_, place| matches!(place, Place::Until(at, _) | Place::Gathering(at, _) if *at <= now),
                );
            }
        }
    }

    /// Somebody has a turn if anybody waits for it, and nobody has two while another waits.
    fn next(&mut self, slots: Slots) {
        let given = self.schedule.next(slots);
        let waiting =
            self.keys.iter().filter(|(key, seen)| Slots::of(key) == slots && seen.place == Place::Ring);
        let Some((given, jobs)) = given else { return assert_eq!(waiting.count(), 0) };
        let seen = &self.keys[&given];
        assert_eq!((Slots::of(&given), &seen.place, seen.ready), (slots, &Place::Ring, jobs));
        if let Some(turn) = seen.turn {
            for (other, theirs) in waiting {
                assert!(theirs.lined_up >= turn, "{given} has another turn before {other} has one");
            }
        }
        let seen = self.keys.get_mut(&given).unwrap();
        (seen.place, seen.turn_before, seen.turn) = (Place::Turn, seen.turn, Some(self.calls));
        self.turns.push(given);
    }

    fn compare(&self) {
        let places = |is: &dyn Fn(&Key, &Place) -> bool| -> BTreeSet<Key> {
            let keys = self.keys.iter().filter(|(key, seen)| is(key, &seen.place));
            keys.map(|(key, _)| key.clone()).collect()
        };
        let schedule = &self.schedule;
        assert_eq!(schedule.keys.len(), self.keys.len());
        for (key, seen) in &self.keys {
            let entry = &schedule.keys[key];
            assert_eq!((entry.ready, &entry.place), (seen.ready, &seen.place), "{key}");
        }
        for slots in Slots::ALL {
            let ring = &schedule.rings[slots as usize];
            let expected = places(&|key, place| Slots::of(key) == slots && *place == Place::Ring);
            assert_eq!(ring.len(), expected.len(), "nobody stands in a ring twice");
            assert_eq!(ring.iter().cloned().collect::<BTreeSet<_>>(), expected);
        }
        let timers: BTreeSet<_> = self
            .keys
            .iter()
            .filter_map(|(key, seen)| match &seen.place {
                Place::Until(at, _) | Place::Gathering(at, _) => Some((*at, key.clone())),
                _ => None,
            })
            .collect();
        assert_eq!(schedule.next_timer(), timers.first().map(|(at, _)| *at));
        assert_eq!(schedule.timers, timers);
        let behind = |place: &Place, limit: &Key| match place {
            Place::Behind(other) | Place::Until(_, other) => other == limit,
            Place::Ring | Place::Turn | Place::Served | Place::Gathering(..) => false,
        };
        let limits = KEYS.iter().map(|name| key(name));
        let blocked = limits.map(|limit| (places(&|_, place| behind(place, &limit)), limit));
        let blocked: BTreeMap<_, _> =
            blocked.filter(|(keys, _)| !keys.is_empty()).map(|(keys, limit)| (limit, keys)).collect();
        let found = schedule.blocked.iter();
        let found: BTreeMap<_, _> =
            found.map(|(limit, keys)| (limit.clone(), keys.iter().cloned().collect())).collect();
        assert_eq!(found, blocked);
        let rings = places(&|_, place| *place == Place::Ring);
        assert_eq!(schedule.may_run(), !rings.is_empty());
        let served = places(&|_, place| *place == Place::Served);
        assert_eq!(schedule.waits_for_slots(), !rings.is_empty() || !served.is_empty());
        for one in KEYS.iter().map(|name| key(name)) {
            let rivals = places(&|other, place| {
                let is_able = matches!(place, Place::Ring | Place::Turn | Place::Served);
                *other != one && Slots::of(other) == Slots::of(&one) && is_able
            });
            assert_eq!(schedule.is_contended(&one), !rivals.is_empty(), "{one}");
            assert_eq!(schedule.has(&one), self.keys.contains_key(&one));
        }
    }

    /// Whoever waits for a turn gets one within a round.
    fn finish(mut self) {
        for slots in Slots::ALL {
            let waiting = self.keys.iter().filter(|(key, _)| Slots::of(key) == slots);
            let mut waiting: BTreeSet<Key> =
                waiting.filter(|(_, seen)| seen.place == Place::Ring).map(|(key, _)| key.clone()).collect();
            for _ in 0..waiting.len() {
                let (given, _) = self.schedule.next(slots).unwrap();
                assert!(waiting.remove(&given));
            }
            assert_eq!(self.schedule.next(slots), None);
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
    fn the_schedule_is_as_a_map_that_is_scanned(calls in prop::collection::vec(call(), 1..80)) {
        let mut pair = Pair::new();
        for call in calls {
            pair.call(call);
            pair.compare();
        }
        pair.finish();
    }
}
