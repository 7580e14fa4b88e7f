//! Instances that are used for several calls: only when the operator says so, never after a failure, and with every
//! limit and every way out of a call as if it were the first.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod harness;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gleaner_model::reason::Reason;
use gleaner_model::units::{ByteSize, Span};
use gleaner_runtime::{
    CallReport, GuestHost, GuestHttpError, GuestRequest, GuestResponse, Plugin, Query, Sandbox,
};
use harness::{Web, hostile, order, runtime};

fn reusing(calls: u32) -> Sandbox {
    Sandbox { reuse: NonZeroU32::new(calls).unwrap(), ..Sandbox::default() }
}

async fn call(plugin: &Plugin, what: &str, sandbox: &Sandbox) -> CallReport {
    plugin.resolve(&order(what), Arc::new(Web::default()), sandbox).await
}

/// How often the instance of this call was asked to count.
async fn count(plugin: &Plugin, sandbox: &Sandbox) -> String {
    let report = call(plugin, "count", sandbox).await;
    assert!(report.outcome.is_ok(), "{report:?}");
    report.extra[0].1.clone()
}

#[tokio::test]
async fn an_instance_answers_as_often_as_the_operator_says() {
    let runtime = runtime(2);
    let plugin = hostile(&runtime).await;
    for expected in ["1", "1", "1"] {
        assert_eq!(count(&plugin, &Sandbox::default()).await, expected, "each call has a fresh one");
    }
    for expected in ["1", "2", "3", "1", "2"] {
        assert_eq!(count(&plugin, &reusing(3)).await, expected);
    }
    // The configuration was read again meanwhile.
    assert_eq!(count(&plugin, &Sandbox::default()).await, "1");
}

#[tokio::test]
async fn no_instance_is_used_after_a_call_without_an_answer() {
    let runtime = runtime(2);
    let plugin = hostile(&runtime).await;
    let sandbox = Sandbox {
        cpu: Span(Duration::from_millis(100)),
        wall: Span(Duration::from_secs(20)),
        ..reusing(1000)
    };
    for what in ["trap", "panic", "recurse", "loop", "alloc", "fail-retry", "fail-give-up"] {
        assert_eq!(count(&plugin, &sandbox).await, "1", "before {what}");
        assert_eq!(count(&plugin, &sandbox).await, "2", "before {what}");
        assert!(call(&plugin, what, &sandbox).await.outcome.is_err(), "{what}");
    }
    assert_eq!(count(&plugin, &sandbox).await, "1");
    // Nor after one that ran out of time, or that nobody waited for.
    let patient = Sandbox { cpu: Span(Duration::from_secs(600)), ..sandbox };
    let hasty = Sandbox { wall: Span(Duration::from_millis(50)), ..patient };
    assert_eq!(call(&plugin, "loop", &hasty).await.outcome.unwrap_err().reason, Reason::PluginTimeout);
    assert_eq!(count(&plugin, &sandbox).await, "1");
    let dropped = tokio::time::timeout(Duration::from_millis(50), call(&plugin, "loop", &patient)).await;
    assert!(dropped.is_err());
    assert_eq!(count(&plugin, &sandbox).await, "1");
}

/// A host whose time goes on.
struct RealTime(Instant);

#[async_trait::async_trait]
impl GuestHost for RealTime {
    async fn send(&self, _: GuestRequest) -> Result<GuestResponse, GuestHttpError> {
        Err(GuestHttpError::Timeout)
    }

    fn setting(&self, _: &str) -> Option<String> {
        None
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap()
    }
}

#[tokio::test]
async fn accounts_and_limits_are_of_each_call() {
    let runtime = runtime(2);
    let plugin = hostile(&runtime).await;
    let sandbox = Sandbox { cpu: Span(Duration::from_millis(400)), ..reusing(1000) };
    assert_eq!(count(&plugin, &sandbox).await, "1");
    for _ in 0..4 {
        let report = plugin.resolve(&order("busy:150"), Arc::new(RealTime(Instant::now())), &sandbox).await;
        assert!(report.outcome.is_ok(), "computing is counted anew: {report:?}");
        assert!(report.cpu <= sandbox.cpu.0, "{:?}", report.cpu);
    }
    for _ in 0..3 {
        let report = call(&plugin, "requests:32:https%3a%2f%2ffiles.example.org%2f10", &sandbox).await;
        assert!(report.outcome.is_ok(), "requests are counted anew: {report:?}");
        assert_eq!(report.requests, 32);
    }
    let report = call(&plugin, "ok", &sandbox).await;
    assert_eq!((report.requests, report.log.len(), report.rate_limited), (0, 0, None));
    assert_eq!(count(&plugin, &sandbox).await, "2", "all of these were calls of one instance");
}

#[tokio::test]
async fn memory_that_an_instance_keeps_counts_against_its_next_call() {
    let runtime = runtime(2);
    let plugin = hostile(&runtime).await;
    let sandbox = Sandbox { memory: ByteSize(16 << 20), ..reusing(1000) };
    let mut last = 0;
    let refused = loop {
        let report = call(&plugin, "hoard:4", &sandbox).await;
        assert!(report.peak_memory <= sandbox.memory.0 && report.peak_memory >= last, "{report:?}");
        last = report.peak_memory;
        match report.outcome {
            Ok(_) => assert_eq!(report.extra[0].0, "hoard"),
            Err(failure) => break failure,
        }
    };
    assert_eq!(refused.reason, Reason::PluginMemory, "{refused:?}");
    // And what it hoarded went with it.
    assert_eq!(count(&plugin, &sandbox).await, "1");
    assert!(call(&plugin, "hoard:4", &sandbox).await.outcome.is_ok());
}

/// The host of one job: it has a setting, a time and a way out of its own.
struct Job {
    number: u64,
    sent: AtomicUsize,
}

#[async_trait::async_trait]
impl GuestHost for Job {
    async fn send(&self, _: GuestRequest) -> Result<GuestResponse, GuestHttpError> {
        self.sent.fetch_add(1, Ordering::SeqCst);
        Err(GuestHttpError::Transport(format!("of job {}", self.number)))
    }

    fn setting(&self, _: &str) -> Option<String> {
        Some(format!("of job {}", self.number))
    }

    fn now_ms(&self) -> u64 {
        self.number
    }
}

#[tokio::test]
async fn an_instance_never_sees_another_jobs_host() {
    let runtime = runtime(2);
    let plugin = hostile(&runtime).await;
    let sandbox = reusing(1000);
    let mut before: Option<Arc<Job>> = None;
    for number in 1..=3 {
        let job = Arc::new(Job { number, sent: AtomicUsize::new(0) });
        let ask = async |what: &str| {
            let query = Query { job: format!("job-{number}"), ..order(what) };
            plugin.resolve(&query, Arc::clone(&job) as Arc<dyn GuestHost>, &sandbox).await
        };
        assert_eq!(ask("count").await.extra[0].1, number.to_string());
        assert_eq!(ask("setting:contact").await.extra[0].1, format!("of job {number}"));
        assert_eq!(ask("clock").await.extra[0].1, number.to_string());
        assert_eq!(Arc::strong_count(&job), 1, "between its calls nothing holds a job's host");
        if let Some(before) = before.replace(Arc::clone(&job)) {
            assert_eq!(before.sent.load(Ordering::SeqCst), 0);
        }
    }
    // A request goes out through the host of its own call, and through no other.
    let (first, second) = (before.unwrap(), Arc::new(Job { number: 9, sent: AtomicUsize::new(0) }));
    let fetch = order("fetch:https%3a%2f%2ffiles.example.org%2fx");
    let report = plugin.resolve(&fetch, Arc::clone(&second) as Arc<dyn GuestHost>, &sandbox).await;
    assert!(report.outcome.unwrap_err().detail.contains("of job 9"));
    assert_eq!((first.sent.load(Ordering::SeqCst), second.sent.load(Ordering::SeqCst)), (0, 1));
}

/// Calls that overlap have instances of their own; those that wait never keep a call from its place in the pool.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_wait_take_no_room_from_calls() {
    let runtime = runtime(2);
    let plugins = [Arc::new(hostile(&runtime).await), Arc::new(hostile(&runtime).await)];
    for _ in 0..3 {
        let calls: Vec<_> = (0..12)
            .map(|n| {
                let plugin = Arc::clone(&plugins[n % 2]);
                tokio::spawn(async move { count(&plugin, &reusing(5)).await })
            })
            .collect();
        for call in calls {
            let count: u32 = call.await.unwrap().parse().unwrap();
            assert!((1..=5).contains(&count));
        }
        for plugin in &plugins {
            assert_eq!(count(plugin, &Sandbox::default()).await, "1");
        }
    }
}
