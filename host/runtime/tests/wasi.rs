//! Guests of a few instructions that use WASI 0.2, and answers that no compiler would write.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod harness;
#[path = "wasi/mod.rs"]
mod wasi;

use std::sync::Arc;
use std::time::Duration;

use gleaner_model::reason::{Failure, FailureClass, Reason};
use gleaner_runtime::{CallReport, Plugin, Sandbox};
use harness::{Web, order, runtime};

async fn load(resolve: &str) -> Plugin {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), wasi::resolver(resolve)).unwrap();
    runtime(1).load(file.path()).await.unwrap()
}

async fn call(resolve: &str) -> CallReport {
    load(resolve).await.resolve(&order("x"), Arc::new(Web::default()), &Sandbox::default()).await
}

async fn fault(resolve: &str) -> Failure {
    let failure = call(resolve).await.outcome.unwrap_err();
    assert_eq!(failure.class, FailureClass::PluginFault);
    failure
}

#[tokio::test]
async fn an_empty_answer_is_an_answer() {
    let report = call("i32.const 0").await;
    assert_eq!(report.outcome.unwrap().candidates, []);
    assert_eq!(report.peak_memory, 64 << 10);
}

#[tokio::test]
async fn an_exit_is_no_answer() {
    let failure = fault("i32.const 0 call $exit unreachable").await;
    assert_eq!(failure.reason, Reason::PluginContract);
    assert_eq!(failure.detail, "exited with code 0 instead of answering");
}

#[tokio::test]
async fn the_last_words_on_standard_error_are_told() {
    let failure =
        fault("call $get-stderr i32.const 256 i32.const 12 i32.const 512 call $write unreachable").await;
    assert_eq!(failure.reason, Reason::PluginTrap);
    assert!(failure.detail.contains("last words: no such key"), "{}", failure.detail);
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_sleeps_ends_by_its_wall_time() {
    let plugin = load("i64.const 3600000000000 call $subscribe call $block i32.const 0").await;
    let report = plugin.resolve(&order("x"), Arc::new(Web::default()), &Sandbox::default()).await;
    let failure = report.outcome.unwrap_err();
    assert_eq!((failure.reason, failure.class), (Reason::PluginTimeout, FailureClass::PluginFault));
    assert!(failure.detail.contains("wall: no answer within 1m"), "{}", failure.detail);
    assert_eq!(report.wall, Duration::from_secs(60));
}

#[tokio::test]
async fn an_answer_that_points_nowhere_breaks_the_contract() {
    // A list of candidates beyond the end of memory; then one with far more than the memory could hold.
    for (address, length) in [(0x00ff_0000_u32, 1), (0, 0x0fff_ffff)] {
        let failure = fault(&format!(
            "i32.const 520 i32.const {address} i32.store i32.const 524 i32.const {length} i32.store i32.const 512"
        ))
        .await;
        assert_eq!(failure.reason, Reason::PluginContract, "{}", failure.detail);
        assert!(!failure.detail.is_empty() && !failure.detail.contains("backtrace"), "{}", failure.detail);
    }
}
