//! Plugin files that come, change and go while a run goes on: each way of changing a file, files that are no plugin, calls
//! in flight, and a hundred changes under load.
//!
//! The guest `noop` is told apart from itself by a custom section, which changes its digest and nothing else.

use std::fs::{self, create_dir, remove_file, rename, write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use gleaner_tests::harness::{Bench, Running, Signal, TIMEOUT};
use gleaner_tests::simweb::{Barrier, Reply, World};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::holdings::text;
use crate::papers::{count, json, json_lines};
use crate::queue_commands::wait_until;

/// A bench with a plugin directory of its own, and a run that nothing is enqueued for yet.
struct Hot {
    bench: Bench,
    dir: PathBuf,
}

impl Hot {
    fn new() -> Self {
        Self::in_world(World::default())
    }

    fn in_world(world: World) -> Self {
        let mut bench = Bench::new(world);
        let dir = bench.path("hot");
        create_dir(&dir).unwrap();
        bench.plugins(&dir);
        Self { bench, dir }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A guest with a mark of its own.
    fn marked(&self, guest: &str, mark: &str) -> Vec<u8> {
        let mut bytes = fs::read(self.bench.guests().join(guest)).unwrap();
        assert!(mark.len() < 100);
        bytes.extend([0, u8::try_from(mark.len() + 5).unwrap(), 4]);
        bytes.extend(b"mark");
        bytes.extend(mark.as_bytes());
        bytes
    }

    fn noop(&self, mark: &str) -> Vec<u8> {
        self.marked("noop.wasm", mark)
    }

    /// A run with the plugins that are there now.
    fn run(&self) -> Running {
        let run = self.bench.spawn(&["queue", "run"]);
        // Plugins are loaded before the library is made.
        wait_until("the run is there", || self.bench.library().join("library.db").exists());
        run
    }

    /// A job for `noop` alone is answered by the component with these bytes.
    fn expect_served_by(&self, doi: &str, bytes: &[u8]) {
        let served = self.served(doi, "noop");
        assert_eq!(text(&served, "component_sha256"), sha256(bytes), "{served}");
    }

    /// Enqueues a job for one resolver, waits for its end, and returns the only attempt.
    fn served(&self, doi: &str, resolver: &str) -> Value {
        json(&self.bench, &["queue", "enqueue", "--resolver", resolver, doi]);
        self.attempt(doi)
    }

    fn attempt(&self, doi: &str) -> Value {
        wait_until("the job has ended", || json(&self.bench, &["queue", "show", doi])["state"] == "skipped");
        let job = json(&self.bench, &["queue", "show", doi]);
        let attempts = job["attempts_made"].as_array().unwrap();
        assert_eq!(attempts.len(), 1, "{job}");
        attempts[0].clone()
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a run says when `noop` has become that.
fn replaced(bytes: &[u8]) -> String {
    format!("noop is replaced by 0.1.0 ({})", &sha256(bytes)[..8])
}

fn stop(run: Running) {
    run.signal(Signal::TERM);
    run.wait(TIMEOUT).expect_code(0);
}

/// With `noop.wasm` there at first, however it got there, and changed into another one like this.
fn change(before: fn(&Path, &[u8]), change: fn(&Path, &[u8])) {
    let hot = Hot::new();
    let (one, other) = (hot.noop("one"), hot.noop("other"));
    before(&hot.dir, &one);
    let run = hot.run();
    hot.expect_served_by("10.1000/before", &one);
    change(&hot.dir, &other);
    run.wait_until_it_says(&replaced(&other));
    hot.expect_served_by("10.1000/after", &other);
    stop(run);
}

fn put(dir: &Path, bytes: &[u8]) {
    write(dir.join("noop.wasm"), bytes).unwrap();
}

#[test]
fn a_file_rewritten_in_place_is_loaded() {
    change(put, put);
}

#[test]
fn a_file_renamed_over_another_is_loaded() {
    change(put, |dir, bytes| {
        write(dir.join("noop.new"), bytes).unwrap();
        rename(dir.join("noop.new"), dir.join("noop.wasm")).unwrap();
    });
}

#[test]
fn a_file_deleted_and_made_anew_is_loaded() {
    change(put, |dir, bytes| {
        remove_file(dir.join("noop.wasm")).unwrap();
        put(dir, bytes);
    });
}

#[test]
fn a_link_that_leads_to_another_file_is_followed() {
    change(
        |dir, bytes| {
            write(dir.join("first"), bytes).unwrap();
            symlink("first", dir.join("noop.wasm")).unwrap();
        },
        |dir, bytes| {
            write(dir.join("second"), bytes).unwrap();
            symlink("second", dir.join("link")).unwrap();
            rename(dir.join("link"), dir.join("noop.wasm")).unwrap();
        },
    );
}

#[test]
fn a_directory_that_becomes_a_link_to_another_is_followed() {
    change(put, |dir, bytes| {
        let second = dir.with_file_name("second");
        create_dir(&second).unwrap();
        put(&second, bytes);
        rename(dir, dir.with_file_name("first")).unwrap();
        symlink(&second, dir).unwrap();
    });
}

#[test]
fn files_and_directories_that_appear_and_go_come_and_go_as_resolvers() {
    let hot = Hot::new();
    let bytes = hot.noop("one");
    let run = hot.run();
    write(hot.at("noop.part"), &bytes).unwrap();
    rename(hot.at("noop.part"), hot.at("noop.wasm")).unwrap();
    run.wait_until_it_says("plugins have changed (generation 2): noop 0.1.0 is new");
    hot.expect_served_by("10.1000/new", &bytes);
    remove_file(hot.at("noop.wasm")).unwrap();
    run.wait_until_it_says("(generation 3): noop is gone");
    fs::remove_dir(&hot.dir).unwrap();
    create_dir(&hot.dir).unwrap();
    put(&hot.dir, &bytes);
    run.wait_until_it_says("(generation 4): noop 0.1.0 is new");
    hot.expect_served_by("10.1000/again", &bytes);
    rename(&hot.dir, hot.bench.path("aside")).unwrap();
    run.wait_until_it_says("(generation 5): noop is gone");
    stop(run);
}

#[test]
fn a_file_that_is_no_plugin_leaves_the_one_before_in_use_and_says_why() {
    let hot = Hot::new();
    let (one, other) = (hot.noop("one"), hot.noop("other"));
    put(&hot.dir, &one);
    let run = hot.run();
    let broken: [(&str, &[u8], &str); 4] = [
        ("half", &other[..other.len() / 2], "is cut short"),
        ("module", b"\0asm\x01\0\0\0", "is a core module"),
        ("empty", b"", "is empty"),
        ("world", b"\0asm\x0d\0\x01\0", "is a component, but no resolver"),
    ];
    for (name, bytes, reason) in broken {
        put(&hot.dir, bytes);
        run.wait_until_it_says(&format!("noop.wasm is not used: {reason}"));
        hot.expect_served_by(&format!("10.1000/{name}"), &one);
        // Another process sees the reason too; it has nothing from before to fall back on.
        let listed = hot.bench.run(&["plugin", "list"]).expect_code(3).stdout;
        assert!(listed.contains(reason) && !listed.contains("noop 0.1.0"), "{listed}");
    }
    run.wait_until_it_says("; what was loaded from it before stays in use");
    put(&hot.dir, &other);
    run.wait_until_it_says(&replaced(&other));
    hot.expect_served_by("10.1000/whole", &other);
    stop(run);
}

#[test]
fn a_file_that_the_operator_did_not_pin_leaves_the_pinned_one_in_use() {
    let mut hot = Hot::new();
    let (one, other) = (hot.noop("one"), hot.noop("other"));
    put(&hot.dir, &one);
    hot.bench.configure(&format!("resolvers.noop.sha256 = \"{}\"", sha256(&one)));
    let run = hot.run();
    put(&hot.dir, &other);
    run.wait_until_it_says("if the new file is meant, change the pin; what was loaded from it before stays");
    hot.expect_served_by("10.1000/pinned", &one);
    hot.bench.configure(&format!("resolvers.noop.sha256 = \"{}\"", sha256(&other)));
    run.wait_until_it_says(&replaced(&other));
    hot.expect_served_by("10.1000/meant", &other);
    stop(run);
}

/// The hostile guest, which may ask one host.
const GRANT: &str = "resolvers.hostile.grants.hosts = [\"files.example.org\"]\n";

#[test]
fn a_call_in_flight_ends_with_the_component_that_it_began_with() {
    let (mut world, barrier) = (World::new(), Barrier::new());
    world.set("https://files.example.org/held", Reply::bytes("text/plain", "late").held_by(&barrier));
    let mut hot = Hot::in_world(world);
    hot.bench.configure(GRANT);
    let (one, other) = (hot.marked("hostile.wasm", "one"), hot.marked("hostile.wasm", "other"));
    write(hot.at("hostile.wasm"), &one).unwrap();
    let run = hot.run();
    let held = "10.5555/fetch:https://files.example.org/held";
    json(&hot.bench, &["queue", "enqueue", "--resolver", "hostile", held]);
    hot.bench.wait_for_requests("files.example.org", 1);
    write(hot.at("hostile.wasm"), &other).unwrap();
    run.wait_until_it_says("hostile is replaced by");
    assert_eq!(text(&hot.served("10.5555/clock", "hostile"), "component_sha256"), sha256(&other));
    remove_file(hot.at("hostile.wasm")).unwrap();
    run.wait_until_it_says("hostile is gone");
    barrier.open();
    let attempt = hot.attempt(held);
    assert_eq!((text(&attempt, "component_sha256"), text(&attempt, "reason")), (&*sha256(&one), "ok"));
    stop(run);
}

/// They wait for a host whose limit lets nothing through for an hour, until nobody asks that host any more.
#[test]
fn jobs_of_a_resolver_that_goes_are_planned_on() {
    let mut hot = Hot::new();
    hot.bench.configure(GRANT).configure(
        "limits.hosts.\"files.example.org\" = { concurrency = 1, rate = \"1/1h\", burst = 1 }
         tiers.list = [{ name = \"first\", resolvers = [\"hostile\"] }, { name = \"then\", resolvers = [\"noop\"] }]
         resolvers = { direct.enabled = false, unpaywall.enabled = false, doi.enabled = false,
                       crossref.enabled = false, europe_pmc.enabled = false }",
    );
    let noop = hot.noop("one");
    put(&hot.dir, &noop);
    write(hot.at("hostile.wasm"), hot.marked("hostile.wasm", "one")).unwrap();
    let run = hot.run();
    let dois = ["10.5555/a", "10.5555/b", "10.5555/c"];
    json(&hot.bench, &[&["queue", "enqueue"][..], &dois].concat());
    hot.expect_served_by("10.1000/other", &noop);
    assert_eq!(count(&hot.bench, "queued"), 3);
    remove_file(hot.at("hostile.wasm")).unwrap();
    for doi in dois {
        assert_eq!(text(&hot.attempt(doi), "resolver"), "noop");
    }
    stop(run);
}

/// Changes of the plugin, and jobs that are worked on meanwhile, two hundred a second.
const CHANGES: usize = 100;
const JOBS: usize = 2000;

#[test]
fn a_hundred_changes_under_load_fail_no_job_and_leave_nothing_behind() {
    let mut hot = Hot::new();
    hot.bench.configure("limits.resolvers.noop = { concurrency = 8, rate = \"200/s\", burst = 1 }");
    put(&hot.dir, &hot.noop("first"));
    let dois: Vec<String> = (0..JOBS).map(|n| format!("10.1000/load.{n}")).collect();
    let list = hot.bench.file("list", &dois.join("\n"));
    json(&hot.bench, &["queue", "enqueue", "--resolver", "noop", "--input", &list]);
    let run = hot.run();
    wait_until("jobs are being worked on", || count(&hot.bench, "skipped") > 0);
    let mut before = None;
    for n in 0..CHANGES {
        let bytes = hot.noop(&format!("change {n}"));
        put(&hot.dir, &bytes);
        run.wait_until_it_says(&replaced(&bytes));
        if n == CHANGES / 5 {
            before = Some((compiled(run.pid()), memory(run.pid())));
        }
    }
    let (compiled_before, memory_before) = before.unwrap();
    let (compiled_after, memory_after) = (compiled(run.pid()), memory(run.pid()));
    wait_until("all jobs have ended", || count(&hot.bench, "skipped") == JOBS as u64);
    assert_eq!(count(&hot.bench, "error"), 0);
    let attempts = json_lines(&hot.bench, &["library", "export"]);
    assert_eq!(attempts.len(), JOBS);
    assert!(attempts.iter().all(|attempt| attempt["outcome"] == "answered"));
    let mut served: Vec<&str> = attempts.iter().map(|attempt| text(attempt, "component_sha256")).collect();
    served.sort_unstable();
    served.dedup();
    assert!(served.len() > CHANGES / 10, "only {} components were asked", served.len());
    // A generation whose calls have ended is gone with its code.
    assert!(
        compiled_after <= compiled_before + 4,
        "{compiled_before} pieces of code became {compiled_after}"
    );
    // What the allocator keeps for threads that compile differs from run to run.
    assert!(memory_after < memory_before + (64 << 10), "{memory_before} KiB became {memory_after}");
    stop(run);
}

/// How many pieces of compiled code a process holds, besides programs and libraries.
fn compiled(pid: i32) -> usize {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let is_code = |line: &&str| line.split(' ').nth(1).is_some_and(|mode| mode.contains('x'));
    let is_ours = |line: &&str| line.ends_with(".cwasm") || line.split_whitespace().count() == 5;
    maps.lines().filter(is_code).filter(is_ours).count()
}

/// KiB of memory.
fn memory(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
