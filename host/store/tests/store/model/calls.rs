//! The calls that a case is made of, drawn at random.
//!
//! Must never know what a call does: numbers pick from what is there when it is made.

use proptest::prelude::*;

use crate::model::{KEYS, LIMITED, PROCESSES};

/// Which process makes a call, and which.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) by: usize,
    pub(super) what: What,
}

/// A call. `lease` picks one of all leases that were ever given, stale ones among them; `key` one of [`KEYS`].
#[derive(Debug, Clone)]
pub(super) enum What {
    Enqueue { works: Vec<u8>, key: usize, priority: i32, delay: u64 },
    Lease { wanted: Vec<(usize, u32)> },
    Record { lease: usize, next: Next, key: usize, delay: u64, notes: Notes },
    Snooze { lease: usize, key: usize, delay: u64 },
    Ack { lease: usize, end: u8, notes: Notes },
    Heartbeat { leases: Vec<(usize, u64)> },
    Expire,
    Promote,
    Retry { states: u8, reason: u8, resolver: u8, host: u8, older_than: u64 },
    Cancel { jobs: Vec<u8> },
    Purge { states: u8, older_than: u64 },
    Run,
    Claim { keys: Vec<usize>, wish: u64, is_needed: bool },
    Give { keys: Vec<usize>, to: Option<usize> },
    Pause { key: usize, paused: bool },
    Limit { key: usize, limit: (u32, u32, u32) },
    Cooldown { key: usize, seconds: u64 },
    Prune,
    Join { ttl: u64 },
    Renew { ttl: u64 },
    Leave,
    Crash { closes: bool },
    Bury,
    Advance { seconds: u64 },
}

/// Where a job goes after a record.
#[derive(Debug, Clone, Copy)]
pub(super) enum Next {
    Keep,
    Queue,
    Wait,
    FailAndRetry,
}

/// Manifest records: of which resolver, at which host (0: none).
pub(super) type Notes = Vec<(u8, u8)>;

pub(super) fn call() -> impl Strategy<Value = Call> {
    let what = prop_oneof![30 => on_leases(), 12 => on_jobs(), 14 => on_keys(), 12 => on_processes()];
    (0..PROCESSES, what).prop_map(|(by, what)| Call { by, what })
}

fn delay() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1..1000_u64]
}

fn any_key() -> impl Strategy<Value = usize> {
    // Few keys most of the time, so that calls meet.
    prop_oneof![0..3_usize, 0..KEYS.len()]
}

fn limited() -> impl Strategy<Value = usize> {
    prop_oneof![Just(1_usize), LIMITED]
}

fn notes() -> impl Strategy<Value = Notes> {
    prop::collection::vec((0..2_u8, 0..3_u8), 0..3)
}

/// A job's way from being enqueued to its end.
fn on_leases() -> impl Strategy<Value = What> {
    let next = prop_oneof![Just(Next::Keep), Just(Next::Queue), Just(Next::Wait), Just(Next::FailAndRetry)];
    prop_oneof![
        5 => (prop::collection::vec(0..8_u8, 1..4), any_key(), -1..2, delay())
            .prop_map(|(works, key, priority, delay)| What::Enqueue { works, key, priority, delay }),
        7 => prop::collection::vec((any_key(), 0..3_u32), 1..4).prop_map(|wanted| What::Lease { wanted }),
        4 => (any::<usize>(), next, any_key(), delay(), notes())
            .prop_map(|(lease, next, key, delay, notes)| What::Record { lease, next, key, delay, notes }),
        1 => (any::<usize>(), any_key(), delay())
            .prop_map(|(lease, key, delay)| What::Snooze { lease, key, delay }),
        3 => (any::<usize>(), 0..4_u8, notes()).prop_map(|(lease, end, notes)| What::Ack { lease, end, notes }),
        1 => prop::collection::vec((any::<usize>(), delay()), 0..3).prop_map(|leases| What::Heartbeat { leases }),
    ]
}

/// What happens to jobs that nobody works on.
fn on_jobs() -> impl Strategy<Value = What> {
    let age = || prop_oneof![3 => Just(0), 1 => 1..3000_u64];
    prop_oneof![
        2 => Just(What::Expire),
        2 => Just(What::Promote),
        2 => (0..8_u8, 0..6_u8, 0..4_u8, 0..4_u8, age()).prop_map(
            |(states, reason, resolver, host, older_than)| What::Retry { states, reason, resolver, host, older_than }
        ),
        2 => prop::collection::vec(0..8_u8, 0..4).prop_map(|jobs| What::Cancel { jobs }),
        2 => (0..8_u8, age()).prop_map(|(states, older_than)| What::Purge { states, older_than }),
        2 => Just(What::Run),
    ]
}

fn on_keys() -> impl Strategy<Value = What> {
    let keys = || prop::collection::vec(limited(), 1..3);
    prop_oneof![
        6 => (keys(), delay(), any::<bool>())
            .prop_map(|(keys, wish, is_needed)| What::Claim { keys, wish, is_needed }),
        3 => (keys(), prop::option::of(any::<usize>())).prop_map(|(keys, to)| What::Give { keys, to }),
        1 => (limited(), any::<bool>()).prop_map(|(key, paused)| What::Pause { key, paused }),
        1 => (limited(), (0..3_u32, 0..3_u32, 0..3_u32)).prop_map(|(key, limit)| What::Limit { key, limit }),
        1 => (limited(), delay()).prop_map(|(key, seconds)| What::Cooldown { key, seconds }),
        1 => Just(What::Prune),
    ]
}

fn on_processes() -> impl Strategy<Value = What> {
    let seconds = prop_oneof![8 => 1..1000_u64, 1 => Just(5000_u64), 1 => Just(100_000_u64)];
    prop_oneof![
        4 => (1..2000_u64).prop_map(|ttl| What::Join { ttl }),
        2 => (0..2000_u64).prop_map(|ttl| What::Renew { ttl }),
        1 => Just(What::Leave),
        1 => any::<bool>().prop_map(|closes| What::Crash { closes }),
        2 => Just(What::Bury),
        4 => seconds.prop_map(|seconds| What::Advance { seconds }),
    ]
}
