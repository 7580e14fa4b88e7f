//! A configuration that changes while a run goes on: limits hold at once, the rest is named, mistakes change nothing.
//!
//! Downloads are held, so that a limit is seen as the number of requests that the web has at once.

use gleaner_tests::harness::{Bench, Running, Signal, TIMEOUT};
use gleaner_tests::simweb::Barrier;

use crate::papers::{self, PRESS, UNPAYWALL, count};
use crate::queue_commands::wait_until;

/// A run with four downloads of eight held.
fn held_run() -> (Bench, Barrier, Running) {
    let (bench, barrier) = papers::held(8);
    papers::enqueue(&bench, 8);
    let run = bench.spawn(&["queue", "run"]);
    bench.wait_for_requests(PRESS, 4);
    bench.wait_for_requests(UNPAYWALL, 8);
    (bench, barrier, run)
}

fn finish(bench: &Bench, barrier: &Barrier, run: Running) {
    barrier.open();
    wait_until("all are done", || count(bench, "done") == 8);
    run.signal(Signal::TERM);
    run.wait(TIMEOUT).expect_code(0);
}

const SIX: &str = "limits.default-host.concurrency = 6";

#[test]
fn a_hangup_brings_new_limits_into_force() {
    let (mut bench, barrier, run) = held_run();
    bench.configure(SIX);
    run.signal(Signal::HUP);
    run.wait_until_it_says("[limits] holds from now on");
    bench.wait_for_requests(PRESS, 6);
    run.signal(Signal::HUP);
    run.wait_until_it_says("(SIGHUP): nothing in it has changed");
    finish(&bench, &barrier, run);
    assert_eq!(bench.sim().seen(PRESS).most_in_flight, 6);
}

#[test]
fn a_file_that_changes_is_read_again_by_itself() {
    let (mut bench, barrier, run) = held_run();
    bench.configure(SIX);
    run.wait_until_it_says("(its file has changed): [limits] holds from now on");
    bench.wait_for_requests(PRESS, 6);
    finish(&bench, &barrier, run);
    assert_eq!(bench.sim().seen(PRESS).most_in_flight, 6);
}

#[test]
fn what_cannot_change_under_a_run_is_named() {
    let (mut bench, barrier, run) = held_run();
    bench.configure("contact = \"other@example.org\"\n[egress]\ntimeout = \"77s\"\n[limits.default-host]\nconcurrency = 5");
    run.signal(Signal::HUP);
    run.wait_until_it_says(
        "[limits] holds from now on; what changed in [egress], contact holds from the next start on",
    );
    bench.wait_for_requests(PRESS, 5);
    finish(&bench, &barrier, run);
}

#[test]
fn a_broken_file_leaves_the_old_configuration_in_force_and_says_why() {
    let (mut bench, barrier, run) = held_run();
    bench.file("gleaner.toml", "[limits]\ndefault-host = { concurency = 6 }\n");
    run.signal(Signal::HUP);
    run.wait_until_it_says("the old one stays in force");
    run.wait_until_it_says("did you mean \"concurrency\"?");
    bench.configure(SIX);
    run.wait_until_it_says("[limits] holds from now on");
    bench.wait_for_requests(PRESS, 6);
    finish(&bench, &barrier, run);
    assert_eq!(bench.sim().seen(PRESS).most_in_flight, 6);
}
