//! Random calls of several processes on one library, each compared with a model that is plain to see right.
//!
//! The model must never ask the library what it should know by itself: it scans its maps, and counts anew.

mod calls;
mod compare;
mod expected;
mod jobs;
mod keys;
mod pair;
mod processes;

use gleaner_model::key::Key;
use proptest::prelude::*;

use crate::model::pair::Pair;

/// The keys of a case: no two behave differently, but each kind has more than one.
const KEYS: [&str; 6] = ["plan", "resolver:r", "resolver:s", "host:a.org", "host:b.org", "host:c.org:8080"];
/// Those that may have an owner and settings.
const LIMITED: std::ops::Range<usize> = 1..KEYS.len();
/// Processes at once.
const PROCESSES: usize = 3;
/// A job is poison after so many leases without a record.
const MAX_ATTEMPTS: u32 = 2;

fn key(index: usize) -> Key {
    Key::parse(KEYS[index]).unwrap()
}

/// `PROPTEST_CASES` asks for another number.
fn cases() -> ProptestConfig {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let default = ProptestConfig::default();
    ProptestConfig { cases: if asked { default.cases } else { 40 }, ..default }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn the_library_is_as_its_model(calls in prop::collection::vec(calls::call(), 1..140)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut pair = Pair::new().await;
            for call in calls {
                pair.call(call).await;
                pair.compare().await;
            }
            pair.reopen().await;
        });
    }
}
