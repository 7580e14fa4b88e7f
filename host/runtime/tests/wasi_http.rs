//! What is special about `wasi:http`: its requests run beside the guest, in tasks of their own.
//!
//! The rules are the same as of every other way out; the suite `ways` holds all of them against each other.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod harness;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gleaner_model::units::ByteSize;
use gleaner_runtime::{CallReport, Plugin, Query, Sandbox};
use harness::{Web, guest, order, runtime};

async fn ways() -> Plugin {
    runtime(1).load(&guest("ways")).await.unwrap()
}

fn asking(more: &str) -> Query {
    let metadata = format!(r#"{{"order":{{"way":"wasi",{more}}}}}"#);
    Query { metadata: Some(metadata), ..order("x") }
}

fn extra<'a>(report: &'a CallReport, key: &str) -> &'a str {
    let field = report.extra.iter().find(|(name, _)| name == key);
    field.map(|(_, value)| value.as_str()).unwrap_or_default()
}

#[tokio::test]
async fn sixteen_requests_run_together_and_seventeen_do_not() {
    let plugin = ways().await;
    for (count, outcome, sent) in [(16, "answer", 16), (17, "denied", 16)] {
        let web = Arc::new(Web::default());
        let query = asking(&format!(r#""url":"https://files.example.org/10","at-once":{count}"#));
        let report = plugin.resolve(&query, web.clone(), &Sandbox::default()).await;
        assert_eq!((extra(&report, "outcome"), report.requests), (outcome, sent), "{report:?}");
        assert_eq!(web.most_in_flight.load(Ordering::SeqCst), 16);
    }
}

#[tokio::test]
async fn a_refusal_stands_in_the_log_of_the_call() {
    let query = asking(r#""url":"https://files.example.org/10","times":3"#);
    let sandbox = Sandbox { requests: 1, ..Sandbox::default() };
    let report = ways().await.resolve(&query, Arc::new(Web::default()), &sandbox).await;
    let lines: Vec<_> = report.log.iter().map(|line| line.message.as_str()).collect();
    assert_eq!(lines, ["wasi:http: denied: a call of this resolver may send 1 requests"]);
}

/// Requests that are sent at once know nothing of each other's answers; what they bring together has one cap.
#[tokio::test]
async fn answers_together_stay_below_the_cap() {
    let query = asking(r#""url":"https://files.example.org/600","at-once":3"#);
    let sandbox = Sandbox { bytes: ByteSize(1500), ..Sandbox::default() };
    let report = ways().await.resolve(&query, Arc::new(Web::default()), &sandbox).await;
    // Told before it is sent where the others have answered by then, else after.
    assert!(["denied", "too-large"].contains(&extra(&report, "outcome")), "{report:?}");
}

#[tokio::test]
async fn a_wait_that_a_source_asked_for_is_seen_whatever_the_guest_makes_of_it() {
    let query = asking(r#""url":"https://files.example.org/limited""#);
    let report = ways().await.resolve(&query, Arc::new(Web::default()), &Sandbox::default()).await;
    assert_eq!((extra(&report, "outcome"), extra(&report, "told")), ("rate-limited", "7 s"));
    assert_eq!(report.rate_limited, Some(Duration::from_secs(7)));
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_answer_ends_a_little_before_its_call() {
    let query = asking(r#""url":"https://files.example.org/slow""#);
    let report = ways().await.resolve(&query, Arc::new(Web::default()), &Sandbox::default()).await;
    assert_eq!(extra(&report, "outcome"), "timeout", "{report:?}");
    assert_eq!(report.wall, Duration::from_secs(59));
    assert!(report.cpu < Duration::from_secs(1), "{:?}", report.cpu);
}

#[tokio::test]
async fn a_call_that_ends_takes_its_requests_along() {
    let plugin = ways().await;
    let web = Arc::new(Web::default());
    let query = asking(r#""url":"https://files.example.org/slow","at-once":4"#);
    let sandbox = Sandbox::default();
    let call = plugin.resolve(&query, web.clone(), &sandbox);
    let waiting = async {
        while web.most_in_flight.load(Ordering::SeqCst) < 4 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        report = call => panic!("it never answers: {report:?}"),
        () = waiting => {}
    }
    while web.dropped.load(Ordering::SeqCst) < 4 {
        tokio::task::yield_now().await;
    }
    assert!(plugin.resolve(&order("x"), web, &sandbox).await.outcome.is_ok());
}
