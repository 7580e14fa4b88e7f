//! What an author learns when a guest falls: the trap, where, and its last words; with names and without.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod harness;

use std::path::Path;

use gleaner_model::reason::{Failure, Reason};
use harness::{call, hostile, runtime};

fn fell(failure: &Failure) -> &str {
    assert_eq!(failure.reason, Reason::PluginTrap);
    assert!(failure.detail.len() < 900, "{}", failure.detail);
    &failure.detail
}

#[tokio::test]
async fn a_panic_of_a_rust_guest_says_what_and_where_in_its_own_names() {
    let runtime = runtime(1);
    let plugin = hostile(&runtime).await;
    let failure = call(&plugin, "panic").await.outcome.unwrap_err();
    let said = fell(&failure);
    let (trap, words) = said.split_once("; last words: ").unwrap();
    assert_eq!(
        trap,
        "wasm `unreachable` instruction executed in gleaner_guest_hostile::misdeeds::panic < \
         <gleaner_guest_hostile::Hostile as gleaner_sdk::Resolver>::resolve"
    );
    assert!(words.starts_with("panicked at tests/guests/hostile/src/misdeeds.rs:"), "{words}");
    assert!(words.ends_with("hostile panicked as ordered"), "{words}");
}

/// The golden component is stripped, like what C compilers give with `-s`.
#[tokio::test]
async fn without_names_a_trap_says_numbers_and_places() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/resolver-0.1.0.wasm");
    let plugin = runtime(1).load(&golden).await.unwrap();
    let failure = call(&plugin, "anything").await.outcome.unwrap_err();
    let places = fell(&failure).strip_prefix("wasm `unreachable` instruction executed in ").unwrap();
    for place in places.split(" < ") {
        let (number, offset) =
            place.strip_prefix("function ").and_then(|place| place.split_once(" at 0x")).unwrap();
        assert!(number.parse::<u32>().is_ok() && u32::from_str_radix(offset, 16).is_ok(), "{places}");
    }
}
