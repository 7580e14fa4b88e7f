//! A configuration that changes while a run goes on: what can be taken in holds at once, the rest is named, mistakes
//! change nothing. Plugin files that change are `hot_plugins`.
//!
//! Where downloads are held, a limit is seen as the number of requests that the web has at once.

use gleaner_tests::harness::{Bench, Running, Signal, TIMEOUT};
use gleaner_tests::simweb::{Barrier, Reply, World};
use serde_json::Value;

use crate::papers::{self, PRESS, UNPAYWALL, count, json};
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
    run.wait_until_it_says("limits holds from now on");
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
    run.wait_until_it_says("(its file has changed): what changed in limits holds from now on");
    bench.wait_for_requests(PRESS, 6);
    finish(&bench, &barrier, run);
    assert_eq!(bench.sim().seen(PRESS).most_in_flight, 6);
}

#[test]
fn what_cannot_change_under_a_run_is_named() {
    let (mut bench, barrier, run) = held_run();
    bench.configure(
        "[orchestrator]\nworkers = 3\n[content]\nmax-size = \"1MiB\"\n[limits.default-host]\nconcurrency = 5",
    );
    run.signal(Signal::HUP);
    run.wait_until_it_says(
        "what changed in limits holds from now on; what changed in content.max-size, orchestrator.workers holds from the next start on",
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
    run.wait_until_it_says("limits holds from now on");
    bench.wait_for_requests(PRESS, 6);
    finish(&bench, &barrier, run);
    assert_eq!(bench.sim().seen(PRESS).most_in_flight, 6);
}

/// Enqueues a job for the hostile guest, and returns what it made of it.
fn asked(bench: &Bench, order: &str) -> Value {
    let doi = format!("10.5555/{order}");
    json(bench, &["queue", "enqueue", "--resolver", "hostile", &doi]);
    let job = || json(bench, &["queue", "show", &doi]);
    wait_until("the job has ended", || job()["state"] == "skipped" || job()["state"] == "error");
    job()["attempts_made"][0].clone()
}

fn stop(run: Running) {
    run.signal(Signal::TERM);
    run.wait(TIMEOUT).expect_code(0);
}

#[test]
fn grants_and_settings_of_a_resolver_and_the_way_out_are_taken_in_together() {
    let page = "https://files.example.org/page";
    let mut world = World::new();
    world.set(page, Reply::bytes("text/plain", "page"));
    let mut bench = Bench::new(world);
    bench.plugins(bench.guests());
    let run = bench.spawn(&["queue", "run"]);
    assert_eq!(asked(&bench, &format!("fetch:{page}"))["reason"], "denied");
    bench.configure(
        "[resolvers.hostile]\ngrants = { hosts = [\"files.example.org\"] }\nsettings = { colour = \"blue\" }\n[egress]\ntimeout = \"77s\"",
    );
    run.wait_until_it_says("(its file has changed): what changed in egress, resolvers holds from now on");
    let granted = asked(&bench, &format!("fetch:{page}?again"));
    assert_eq!(granted["reason"], "ok", "{granted}");
    let setting = asked(&bench, "setting:colour");
    assert!(setting["extra"].to_string().contains("blue"), "{setting}");
    stop(run);
}

/// Who is asked first for a work that nobody has.
fn first_asked(bench: &Bench, doi: &str) -> Value {
    json(bench, &["queue", "enqueue", doi]);
    let job = || json(bench, &["queue", "show", doi]);
    wait_until("the job has ended", || job()["state"] == "skipped");
    job()["attempts_made"][0]["resolver"].clone()
}

#[test]
fn tiers_are_taken_in_and_resolvers_are_switched_off() {
    let mut bench = Bench::new(World::new());
    bench.plugins(bench.guests());
    bench.configure("tiers.list = [{ name = \"one\", resolvers = [\"noop\", \"hostile\"] }]");
    let run = bench.spawn(&["queue", "run"]);
    assert_eq!(first_asked(&bench, "10.5555/one"), "noop");
    bench.configure("tiers.list = [{ name = \"one\", resolvers = [\"hostile\", \"noop\"] }]");
    run.wait_until_it_says("what changed in tiers holds from now on");
    assert_eq!(first_asked(&bench, "10.5555/two"), "hostile");
    bench.configure("resolvers.hostile.enabled = false");
    run.wait_until_it_says("hostile is gone");
    assert_eq!(first_asked(&bench, "10.5555/three"), "noop");
    stop(run);
}

/// Directories of `--plugins` would win over those of the file.
#[test]
fn a_directory_of_the_file_is_taken_in_and_its_plugins_with_it() {
    let bench = Bench::new(World::new());
    let (library, guests) = (bench.library(), bench.guests());
    let config = bench.file("own.toml", "contact = \"a@example.org\"\n");
    let gleaner = |args: &[&str]| {
        let mut command = bench.bare();
        command.arg("--library").arg(&library).arg("--config").arg(&config).args(args);
        Running::of(command)
    };
    let run = gleaner(&["queue", "run"]);
    wait_until("the run is there", || library.join("library.db").exists());
    bench.file("own.toml", &format!("contact = \"a@example.org\"\n[plugins]\ndirs = [{guests:?}]\n"));
    run.wait_until_it_says("what changed in plugins.dirs holds from now on");
    run.wait_until_it_says("hostile 0.1.0 is new, noop 0.1.0 is new");
    stop(run);
}
