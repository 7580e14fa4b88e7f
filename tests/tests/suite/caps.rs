//! Limits as the simulated web saw them: how many requests at once, how many in a time, and who waits for whom.
//!
//! Held answers freeze a run in a known state; a test never guesses how long something takes. Bounds on rates are
//! counted from before the run began, or leave room for a request that was late on its way.

use std::time::{Duration, Instant};

use gleaner_tests::harness::{Bench, Running, Signal, TIMEOUT};
use gleaner_tests::simweb::{Barrier, Eprint, Location, Reply, Work, World};
use serde_json::Value;

use crate::holdings;
use crate::papers::{UNPAYWALL, count, json};

/// Far longer than a run needs to notice new works, and no part of a test that passes.
const A_WHILE: Duration = Duration::from_secs(20);

/// A work whose file stands at that host.
fn work(n: usize, host: &str) -> Work {
    Work::new(&doi(n), [Location::publisher(&url(n, host))])
}

fn doi(n: usize) -> String {
    format!("10.1000/{n}")
}

fn url(n: usize, host: &str) -> String {
    format!("https://{host}/{n}.pdf")
}

/// A list of these works, already enqueued.
fn enqueue(bench: &Bench, works: impl IntoIterator<Item = String>) {
    let works: Vec<_> = works.into_iter().collect();
    let list = bench.file("list", &works.join("\n"));
    assert_eq!(json(bench, &["queue", "enqueue", "--input", &list])["new"], works.len());
}

fn drain(bench: &Bench, flags: &[&str]) -> Running {
    bench.spawn(&[&["--format", "json", "queue", "run", "--drain"], flags].concat())
}

fn expect_done(run: Running, done: usize) -> Value {
    let totals = run.wait(TIMEOUT).expect_code(0).json();
    assert_eq!((&totals["done"], &totals["queued"]), (&done.into(), &0.into()), "{totals}");
    totals
}

/// Asks again and again, as fast as the answer comes, until it is yes.
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !holds() {
        assert!(Instant::now() < deadline, "it never came to this: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn unpaywall_is_asked_one_question_at_a_time() {
    let mut world = World::new();
    world.latency(Duration::from_millis(5));
    for n in 0..20 {
        world.work(work(n, "press.example.org"));
    }
    let bench = holdings::bench(world);
    enqueue(&bench, (0..20).map(doi));
    expect_done(drain(&bench, &["--workers", "16"]), 20);
    let seen = bench.sim().seen(UNPAYWALL);
    assert_eq!((seen.requests.len(), seen.most_in_flight), (20, 1));
}

/// Runs `works` papers of one host with its answers held, until the cap is reached and everything else has ended.
/// Returns the most requests that were in flight at the host.
fn most_at_once(config: &str, flags: &[&str], cap: usize) -> usize {
    const HELD: &str = "press.example.org";
    let (barrier, mut world) = (Barrier::new(), World::new());
    for n in 0..12 {
        world.work(work(n, HELD));
        world.set(&url(n, HELD), Reply::pdf(4096).held_by(&barrier));
    }
    for n in 12..24 {
        world.work(work(n, "other.example.org"));
    }
    let mut bench = holdings::bench(world);
    bench.configure(config);
    enqueue(&bench, (0..24).map(doi));
    let run = drain(&bench, flags);
    bench.wait_for_requests(HELD, cap);
    // All others end meanwhile: time enough for one request too many.
    wait_until("the other host's works are done", || count(&bench, "done") == 12);
    assert_eq!(bench.sim().seen(HELD).requests.len(), cap, "before a single answer was given");
    barrier.open();
    expect_done(run, 24);
    bench.sim().seen(HELD).most_in_flight
}

#[test]
fn a_hosts_cap_is_reached_and_never_exceeded() {
    assert_eq!(most_at_once("[limits.hosts.\"press.example.org\"]\nconcurrency = 3", &[], 3), 3);
}

#[test]
fn the_flag_for_hosts_lays_a_cap_on_every_host() {
    assert_eq!(most_at_once("", &["--max-per-host", "2"], 2), 2);
}

#[test]
fn the_flag_for_resolvers_raises_and_lowers_a_resolvers_cap() {
    for (cap, flag) in [(3, "unpaywall=3,arxiv=1"), (1, "unpaywall=1")] {
        let (barrier, mut world) = (Barrier::new(), World::new());
        for n in 0..8 {
            world.work(work(n, "press.example.org"));
            let answer = Reply::json(&serde_json::json!({ "doi": doi(n), "is_oa": false })).held_by(&barrier);
            world.set(&format!("https://{UNPAYWALL}/v2/{}", doi(n)), answer);
        }
        let bench = holdings::bench(world);
        enqueue(&bench, (0..8).map(doi));
        let run = drain(&bench, &["--max-per-resolver", flag]);
        bench.wait_for_requests(UNPAYWALL, cap);
        barrier.open();
        expect_done(run, 0);
        assert_eq!(bench.sim().seen(UNPAYWALL).most_in_flight, cap, "{flag}");
    }
}

#[test]
fn the_flag_for_workers_bounds_plugin_calls_of_all_resolvers_together() {
    const ARXIV: &str = "export.arxiv.org";
    let mut world = World::new();
    world.latency(Duration::from_millis(5));
    for n in 0..6 {
        world.work(work(n, "press.example.org"));
        world.eprint(Eprint { id: format!("2401.0000{n}"), versions: 1, title: "An e-print".to_owned() });
    }
    let bench = holdings::bench(world);
    enqueue(&bench, (0..6).flat_map(|n| [doi(n), format!("arXiv:2401.0000{n}")]));
    expect_done(drain(&bench, &["--workers", "1"]), 12);
    assert_eq!(bench.sim().seen_together(&[UNPAYWALL, ARXIV]).most_in_flight, 1);
}

#[test]
fn downloads_are_bounded_over_all_hosts_together() {
    let hosts: Vec<String> = (0..8).map(|n| format!("host{n}.example.org")).collect();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let (barrier, mut world) = (Barrier::new(), World::new());
    for (n, host) in hosts.iter().enumerate() {
        world.set(&url(n, host), Reply::pdf(4096).held_by(&barrier));
    }
    let mut bench = holdings::bench(world);
    bench.configure("orchestrator.max-fetches = 3");
    enqueue(&bench, hosts.iter().enumerate().map(|(n, host)| url(n, host)));
    enqueue(&bench, ["10.1000/closed".to_owned()]);
    let run = drain(&bench, &[]);
    wait_until("three downloads are held", || bench.sim().seen_together(&hosts).requests.len() >= 3);
    wait_until("the closed work has ended", || count(&bench, "skipped") == 1);
    assert_eq!(bench.sim().seen_together(&hosts).requests.len(), 3);
    barrier.open();
    expect_done(run, 8);
    assert_eq!(bench.sim().seen_together(&hosts).most_in_flight, 3);
}

/// Known mistake 11: workers that wait inside a limiter let one slow host stop everything.
#[test]
fn a_slow_host_does_not_stop_the_others() {
    const SLOW: &str = "slow.example.org";
    let (barrier, mut world) = (Barrier::new(), World::new());
    for n in 0..40 {
        world.set(&url(n, SLOW), Reply::pdf(4096).held_by(&barrier));
    }
    for n in 40..60 {
        world.work(work(n, &format!("host{n}.example.org")));
    }
    let mut bench = holdings::bench(world);
    bench.configure("orchestrator.max-fetches = 5\nlimits.default-host.concurrency = 4");
    enqueue(&bench, (0..60).map(|n| if n < 40 { url(n, SLOW) } else { doi(n) }));
    let run = drain(&bench, &[]);
    bench.wait_for_requests(SLOW, 1);
    wait_until("every other host's work is done", || count(&bench, "done") == 20);
    barrier.open();
    expect_done(run, 60);
}

#[test]
fn a_slow_resolver_does_not_stop_the_others() {
    let (barrier, mut world) = (Barrier::new(), World::new());
    world.set_host(UNPAYWALL, Reply::error(404).held_by(&barrier));
    for n in 40..48 {
        world.set(&url(n, "press.example.org"), Reply::pdf(4096));
    }
    let mut bench = holdings::bench(world);
    bench.configure("orchestrator.workers = 2");
    enqueue(&bench, (0..48).map(|n| if n < 40 { doi(n) } else { url(n, "press.example.org") }));
    let run = drain(&bench, &[]);
    bench.wait_for_requests(UNPAYWALL, 1);
    wait_until("the works with a URL are done", || count(&bench, "done") == 8);
    assert_eq!(bench.sim().seen(UNPAYWALL).requests.len(), 1, "the first question is still held");
    barrier.open();
    expect_done(run, 8);
}

/// Whether a run that hangs at `slow` gets to a work that is enqueued only then.
fn finds_a_slot_later(command: &[&str], config: &str, slow: &str, held: usize) -> bool {
    const QUICK: &str = "quick.example.org";
    let (barrier, mut world) = (Barrier::new(), World::new());
    world.set_host(slow, Reply::error(404).held_by(&barrier));
    world.set(&url(0, QUICK), Reply::pdf(4096));
    let mut bench = holdings::bench(world);
    bench.configure(config);
    enqueue(&bench, (0..40).map(|n| if slow == UNPAYWALL { doi(n) } else { url(n, slow) }));
    let run = bench.spawn(command);
    bench.wait_for_requests(slow, held);
    enqueue(&bench, [url(0, QUICK)]);
    let found = bench.has_seen(QUICK, 1, A_WHILE);
    barrier.open();
    run.signal(Signal::TERM);
    run.wait(TIMEOUT).expect_code(0);
    found
}

/// A key that was alone may have taken much, but not all: who comes later need not wait for a slow one.
#[test]
fn works_of_other_hosts_that_come_later_find_a_slot() {
    let config = "orchestrator.max-fetches = 4";
    assert!(finds_a_slot_later(&["queue", "run"], config, "slow.example.org", 3));
}

#[test]
fn works_of_other_resolvers_that_come_later_find_a_slot() {
    let config = "orchestrator.workers = 4\n[limits.resolvers.unpaywall]\nconcurrency = 8";
    assert!(finds_a_slot_later(&["queue", "run"], config, UNPAYWALL, 3));
}

#[test]
fn a_draining_run_notices_what_another_process_enqueues_while_it_waits_for_a_slow_host() {
    assert!(finds_a_slot_later(&["queue", "run", "--drain"], "", "slow.example.org", 8));
}

#[test]
fn a_rate_bounds_the_requests_of_any_time() {
    const HOST: &str = "press.example.org";
    let (works, burst, rate) = (50_usize, 4_usize, 25_usize);
    let mut world = World::new();
    for n in 0..works {
        world.set(&url(n, HOST), Reply::pdf(4096));
    }
    let mut bench = holdings::bench(world);
    bench.configure(&format!(
        "[limits.hosts.\"{HOST}\"]\nconcurrency = 8\nrate = \"{rate}/s\"\nburst = {burst}"
    ));
    enqueue(&bench, (0..works).map(|n| url(n, HOST)));
    let earlier = bench.sim().now();
    expect_done(drain(&bench, &[]), works);
    let seen = bench.sim().seen(HOST);
    for (before, request) in seen.requests.iter().enumerate() {
        // The bucket starts empty, so that not even a burst comes at once.
        let passed = (request.at - earlier).as_secs_f64();
        assert!((before + 1) as f64 <= rate as f64 * passed, "{} requests in {passed} s", before + 1);
    }
    let window = Duration::from_secs(1);
    let late = rate / 4;
    let most = seen.most_within(window);
    assert!(most <= burst + rate + late, "{most} requests within {window:?}");
}

/// The rate of retries and of redirects counts as any other: it is requests that are limited, not jobs.
#[test]
fn failed_tries_and_redirects_count_as_requests() {
    const HOST: &str = "press.example.org";
    let mut world = World::new();
    for n in 0..4 {
        let place = format!("https://{HOST}/moved/{n}");
        world.set(&url(n, HOST), Reply::redirect(302, &place));
        world.set(&place, Reply::pdf(4096).after_first(1, Reply::error(500)));
    }
    let mut bench = holdings::bench(world);
    bench.configure(&format!("[limits.hosts.\"{HOST}\"]\nrate = \"20/s\""));
    enqueue(&bench, (0..4).map(|n| url(n, HOST)));
    let earlier = bench.sim().now();
    expect_done(drain(&bench, &[]), 4);
    let requests = bench.sim().seen(HOST).requests;
    assert_eq!(requests.len(), 16);
    for (before, request) in requests.iter().enumerate() {
        let passed = (request.at - earlier).as_secs_f64();
        assert!((before + 1) as f64 <= 20.0 * passed, "{} requests in {passed} s", before + 1);
    }
}

/// Its requests arrive under another host's jobs; whoever cannot wait for it goes back to the queue, free of charge.
#[test]
fn a_host_behind_redirects_has_its_cap_too() {
    const CDN: &str = "cdn.example.org";
    for max_wait in ["5s", "1ms"] {
        let mut world = World::new();
        for n in 0..12 {
            world.set(&url(n, "press.example.org"), Reply::redirect(302, &url(n, CDN)));
            world.set(&url(n, CDN), Reply::pdf(4096).delayed(Duration::from_millis(5)));
        }
        let mut bench = holdings::bench(world);
        bench.configure(&format!("egress.max-wait = \"{max_wait}\"\nlimits.hosts.\"{CDN}\".concurrency = 1"));
        enqueue(&bench, (0..12).map(|n| url(n, "press.example.org")));
        expect_done(drain(&bench, &[]), 12);
        let seen = bench.sim().seen(CDN);
        assert_eq!((seen.requests.len(), seen.most_in_flight), (12, 1), "max-wait {max_wait}");
        let failed = holdings::manifest(&bench).iter().filter(|record| record["reason"] != "ok").count();
        assert_eq!(failed, 0, "to wait is no failure: max-wait {max_wait}");
    }
}

/// arXiv's terms: one connection and one request in a time, over all of its hosts together.
#[test]
fn hosts_that_share_a_limit_are_one() {
    const HOSTS: [&str; 2] = ["export.arxiv.org", "arxiv.org"];
    let mut world = World::new();
    world.latency(Duration::from_millis(5));
    for n in 0..6 {
        world.eprint(Eprint { id: format!("2401.0000{n}"), versions: 1, title: "An e-print".to_owned() });
    }
    let mut bench = holdings::bench(world);
    bench.configure("[limits.hosts.\"arxiv.org\"]\nconcurrency = 1\nrate = \"1/100ms\"\nburst = 1");
    enqueue(&bench, (0..6).map(|n| format!("arXiv:2401.0000{n}")));
    let earlier = bench.sim().now();
    expect_done(drain(&bench, &[]), 6);
    let seen = bench.sim().seen_together(&HOSTS);
    assert_eq!((seen.requests.len(), seen.most_in_flight), (12, 1));
    assert!(HOSTS.iter().all(|host| bench.sim().seen(host).requests.len() == 6));
    for (before, request) in seen.requests.iter().enumerate() {
        let soonest = Duration::from_millis(100) * u32::try_from(before + 1).unwrap();
        assert!(
            request.at - earlier >= soonest,
            "request {} came after {:?}",
            before + 1,
            request.at - earlier
        );
    }
}

/// The shipped limits of arXiv, not a test's.
#[test]
fn arxiv_is_asked_once_in_three_seconds_unless_the_operator_says_otherwise() {
    let mut bench = Bench::new(World::new());
    bench.configure("");
    let shown = bench.run(&["--format", "json", "config", "show"]).expect_code(0);
    for part in ["arxiv.org", "export.arxiv.org", "1/3s"] {
        assert!(shown.stdout.contains(part), "{part} is missing in:\n{}", shown.stdout);
    }
}
