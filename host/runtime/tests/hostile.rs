//! What a call's limits do beyond ending it: accounts, what is kept of an answer, who else is disturbed. How each
//! misdeed ends is in `misdeeds.rs`.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod harness;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gleaner_model::clock::{Clock, SystemClock};
use gleaner_model::reason::{Failure, FailureClass, Reason};
use gleaner_model::units::{ByteSize, Span};
use gleaner_runtime::{CallReport, GuestHost, GuestHttpError, GuestRequest, GuestResponse, Sandbox};
use harness::{Web, call, hostile, order, runtime};

fn failure(report: &CallReport) -> &Failure {
    report.outcome.as_ref().expect_err("the call fails")
}

fn assert_fault(report: &CallReport, reason: Reason, part: &str) {
    let failure = failure(report);
    assert_eq!((failure.reason, failure.class), (reason, FailureClass::PluginFault), "{failure:?}");
    assert!(failure.detail.contains(part), "{part}: {}", failure.detail);
    assert!(failure.detail.len() < 900, "{}", failure.detail);
}

fn short() -> Sandbox {
    Sandbox { cpu: Span(Duration::from_millis(200)), ..Sandbox::default() }
}

#[tokio::test]
async fn a_loop_ends_by_its_cpu_limit() {
    let runtime = runtime(2);
    let plugin = hostile(&runtime).await;
    let began = Instant::now();
    let report = plugin.resolve(&order("loop"), Arc::new(Web::default()), &short()).await;
    assert_fault(&report, Reason::PluginTimeout, "cpu: computed longer than 200ms");
    assert!(
        report.cpu >= Duration::from_millis(200) && report.cpu < Duration::from_millis(400),
        "{report:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(20));
    assert!(call(&plugin, "ok").await.outcome.is_ok());
}

#[tokio::test]
async fn a_loop_ends_by_its_wall_time_and_by_its_jobs() {
    let runtime = runtime(2);
    let plugin = hostile(&runtime).await;
    let patient = Sandbox { cpu: Span(Duration::from_secs(600)), ..Sandbox::default() };
    let sandbox = Sandbox { wall: Span(Duration::from_millis(100)), ..patient };
    let report = plugin.resolve(&order("loop"), Arc::new(Web::default()), &sandbox).await;
    assert_fault(&report, Reason::PluginTimeout, "wall: no answer within 100ms");
    let mut query = order("loop");
    query.deadline = Duration::from_millis(150);
    let report = plugin.resolve(&query, Arc::new(Web::default()), &patient).await;
    assert_fault(&report, Reason::PluginTimeout, "wall: no answer within 150ms");
}

#[tokio::test]
async fn hunger_for_memory_ends_at_the_limit() {
    let runtime = runtime(2);
    let plugin = hostile(&runtime).await;
    let sandbox = Sandbox { memory: ByteSize(16 << 20), ..Sandbox::default() };
    let report = plugin.resolve(&order("alloc"), Arc::new(Web::default()), &sandbox).await;
    assert_fault(&report, Reason::PluginMemory, "may have 16MiB");
    assert!(report.peak_memory <= 16 << 20 && report.peak_memory > 8 << 20, "{}", report.peak_memory);
    assert_fault(&call(&plugin, "big").await, Reason::PluginMemory, "may have 64MiB");
    assert!(call(&plugin, "ok").await.outcome.is_ok());
}

#[tokio::test]
async fn a_flood_of_log_lines_is_cut() {
    let runtime = runtime(2);
    let plugin = hostile(&runtime).await;
    let report = plugin.resolve(&order("log-flood"), Arc::new(Web::default()), &short()).await;
    assert_fault(&report, Reason::PluginTimeout, "cpu:");
    assert_eq!(report.log.len(), 50);
    assert!(report.log.iter().all(|line| line.message.len() <= 4099));
    let last = &report.log[49].message;
    assert!(last.ends_with("further lines dropped: a call may log 100"), "{last}");
}

#[tokio::test]
async fn bad_candidates_and_identifiers_are_dropped_one_by_one() {
    let runtime = runtime(2);
    let plugin = hostile(&runtime).await;
    let garbage = call(&plugin, "garbage").await.outcome.expect("the rest of the answer counts");
    let urls: Vec<_> = garbage.candidates.iter().map(|c| c.url.as_url().to_string()).collect();
    assert!(urls.contains(&"https://files.example.org/ok.pdf".to_owned()), "{urls:?}");
    assert!(urls.iter().all(|url| url.starts_with("http") && !url.contains('@')), "{urls:?}");
    assert!(garbage.candidates.iter().all(|c| c.version.is_none() && c.confidence == 1.0));
    assert!(garbage.complaints.iter().any(|text| text.contains("file:///etc/passwd")));

    let many = call(&plugin, "many").await.outcome.expect("the first candidates count");
    assert_eq!(many.candidates.len(), 64);
    assert_eq!(many.complaints, ["100000 candidates; those after the first 64 were dropped"]);

    let found = call(&plugin, "discover").await.outcome.expect("good identifiers count");
    let names: Vec<_> = found.discovered.iter().map(ToString::to_string).collect();
    assert!(names.contains(&"pmid:12345".to_owned()) && names.contains(&"arxiv:2104.12255v1".to_owned()));
    assert!(!found.complaints.is_empty());
}

#[tokio::test]
async fn failures_keep_their_disposition() {
    let runtime = runtime(2);
    let plugin = hostile(&runtime).await;
    for (what, reason, class) in [
        ("fail-retry", Reason::PluginContract, FailureClass::Transient { retry_after: None }),
        ("fail-give-up", Reason::PluginContract, FailureClass::Permanent),
        (
            "fail-limited:2500",
            Reason::RateLimited,
            FailureClass::Throttled { retry_after: Duration::from_millis(2500) },
        ),
        (
            "fail-limited:",
            Reason::RateLimited,
            FailureClass::Throttled { retry_after: Duration::from_secs(60) },
        ),
    ] {
        let report = call(&plugin, what).await;
        assert_eq!((failure(&report).reason, failure(&report).class), (reason, class), "{what}");
        assert!(failure(&report).detail.contains("as ordered"));
        assert_eq!(report.rate_limited, None);
    }
}

#[tokio::test]
async fn a_wait_that_a_source_asked_for_is_seen_though_the_guest_gives_up() {
    let runtime = runtime(2);
    let plugin = hostile(&runtime).await;
    let report = call(&plugin, "fetch:https%3a%2f%2ffiles.example.org%2flimited").await;
    assert_eq!(failure(&report).class, FailureClass::Permanent);
    assert_eq!(report.rate_limited, Some(Duration::from_secs(7)));
    let report = call(&plugin, "fetch:https%3a%2f%2ffiles.example.org%2fdenied").await;
    assert_eq!((failure(&report).reason, failure(&report).class), (Reason::Denied, FailureClass::Denied));
    assert_eq!(report.rate_limited, None);
}

#[tokio::test]
async fn requests_have_a_cap_and_run_together() {
    let runtime = runtime(2);
    let plugin = hostile(&runtime).await;
    let report = call(&plugin, "requests:32:https%3a%2f%2ffiles.example.org%2f10").await;
    assert!(report.outcome.is_ok(), "{report:?}");
    let report = call(&plugin, "requests:33:https%3a%2f%2ffiles.example.org%2f10").await;
    assert!(failure(&report).detail.contains("may send 32 requests"), "{report:?}");
    assert_eq!(report.requests, 32);

    let web = Arc::new(Web::default());
    let at_once = order("requests-at-once:16:https%3a%2f%2ffiles.example.org%2f10");
    let report = plugin.resolve(&at_once, web.clone(), &Sandbox::default()).await;
    assert!(report.outcome.is_ok(), "{report:?}");
    assert_eq!(web.most_in_flight.load(Ordering::SeqCst), 16);
}

#[tokio::test]
async fn settings_and_the_time_reach_the_guest() {
    let runtime = runtime(2);
    let plugin = hostile(&runtime).await;
    let report = call(&plugin, "setting:contact").await;
    assert_eq!(report.extra, [("setting".to_owned(), "someone@example.org".to_owned())]);
    let report = call(&plugin, "clock").await;
    assert_eq!(report.extra, [("now-ms".to_owned(), "1700000000123".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn waiting_costs_wall_time_and_no_cpu() {
    let runtime = runtime(2);
    let plugin = hostile(&runtime).await;
    let report = call(&plugin, "fetch:https%3a%2f%2ffiles.example.org%2fslow").await;
    assert_eq!(failure(&report).reason, Reason::Timeout, "{report:?}");
    assert_eq!(report.wall, Duration::from_secs(59));
    assert!(report.cpu < Duration::from_secs(1), "{:?}", report.cpu);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn misbehaviour_beside_good_calls_disturbs_none_of_them() {
    let runtime = runtime(4);
    let plugin = Arc::new(hostile(&runtime).await);
    let spawn = |what: &'static str| {
        let plugin = Arc::clone(&plugin);
        tokio::spawn(async move {
            plugin
                .resolve(&order(what), Arc::new(Web::default()), &short())
                .await
                .outcome
                .map_err(|f| f.reason)
        })
    };
    let bad: Vec<_> = ["loop", "alloc", "trap", "panic", "recurse", "log-flood", "big", "loop"]
        .map(|what| (what, spawn(what)))
        .into();
    let good: Vec<_> = (0..40).map(|_| spawn("ok")).collect();
    for call in good {
        assert_eq!(call.await.unwrap().map(|resolution| resolution.candidates.len()), Ok(1));
    }
    for (what, call) in bad {
        assert!(call.await.unwrap().is_err(), "{what}");
    }
}

#[tokio::test]
async fn a_dropped_call_frees_its_instance_and_its_requests() {
    let runtime = runtime(1);
    let plugin = hostile(&runtime).await;
    let web = Arc::new(Web::default());
    // More often than the pool has room for.
    for dropped in 1..=5 {
        let query = order("fetch:https%3a%2f%2ffiles.example.org%2fslow");
        let sandbox = Sandbox::default();
        let call = plugin.resolve(&query, web.clone(), &sandbox);
        let waiting = async {
            while web.most_in_flight.load(Ordering::SeqCst) < dropped {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            report = call => panic!("it never answers: {report:?}"),
            () = waiting => {}
        }
        assert_eq!(web.dropped.load(Ordering::SeqCst), dropped);
    }
    assert!(call(&plugin, "ok").await.outcome.is_ok());
}

/// Notes the thread on which the guest asks for the time.
#[derive(Default)]
struct Where(Mutex<Vec<bool>>);

#[async_trait::async_trait]
impl GuestHost for Where {
    async fn send(&self, _: GuestRequest) -> Result<GuestResponse, GuestHttpError> {
        Err(GuestHttpError::Timeout)
    }

    fn setting(&self, _: &str) -> Option<String> {
        None
    }

    fn now_ms(&self) -> u64 {
        let is_aside = std::thread::current().name() == Some("plugin-aside");
        self.0.lock().unwrap().push(is_aside);
        SystemClock.now().0 as u64
    }
}

#[tokio::test]
async fn a_call_that_computes_for_long_and_one_after_a_fault_are_computed_aside() {
    let runtime = runtime(2);
    let plugin = hostile(&runtime).await;
    let places = async |what: &str| {
        let host = Arc::new(Where::default());
        let report = plugin.resolve(&order(what), Arc::clone(&host) as _, &Sandbox::default()).await;
        let places = std::mem::take(&mut *host.0.lock().unwrap());
        (report, places)
    };
    let (report, begins) = places("clock").await;
    assert!(report.outcome.is_ok() && begins == [false], "{report:?} {begins:?}");
    // It begins where it is cheap, and goes on aside for good.
    let (report, during) = places("busy:300").await;
    assert!(report.outcome.is_ok(), "{report:?}");
    assert_eq!((during.first(), during.last()), (Some(&false), Some(&true)));
    assert!(during.is_sorted());
    let (_, after) = places("clock").await;
    assert_eq!(after, [false], "a slow answer is an answer");
    // Who failed of late is not trusted to be quick: eight answers show that it is.
    assert!(places("trap").await.0.outcome.is_err());
    for _ in 0..8 {
        let (report, doubted) = places("clock").await;
        assert!(report.outcome.is_ok() && doubted == [true], "{report:?} {doubted:?}");
    }
    assert_eq!(places("clock").await.1, [false]);
    // That it has no answer is no fault of the plugin.
    assert!(places("fail-give-up").await.0.outcome.is_err());
    assert_eq!(places("clock").await.1, [false]);
}
