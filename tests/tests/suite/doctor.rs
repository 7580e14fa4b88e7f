//! `gleaner doctor`: each finding is brought about, and said with what would change it.
//!
//! What a test cannot make, such as a network file system, is held by tests beside the code.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use gleaner_tests::harness::{Bench, Running, Signal, TIMEOUT};
use gleaner_tests::simweb::{Reply, RetryAfter, World};
use serde_json::Value;

use crate::holdings::text;
use crate::papers::{PRESS, doi, held, json_lines};

/// What the doctor finds, which must end with that code.
fn doctor(bench: &Bench, args: &[&str], code: i32) -> Vec<Value> {
    let answer = bench.run(&[&["--format", "json", "doctor"], args].concat()).expect_code(code).json();
    let findings = answer["findings"].as_array().unwrap().clone();
    let count = |state: &str| findings.iter().filter(|one| one["state"] == state).count();
    assert_eq!(
        (answer["problems"].as_u64(), code),
        (Some(count("problem") as u64), i32::from(count("problem") > 0))
    );
    assert!(findings.iter().all(|one| one["state"] == "ok" || one["change"].is_string()), "{findings:#?}");
    findings
}

/// The one finding of a check that says this, and what it would change.
#[track_caller]
fn expect(findings: &[Value], check: &str, state: &str, what: &str, change: &str) {
    let of_check = |one: &&Value| one["check"] == check && one["state"] == state;
    let found = findings.iter().filter(of_check).find(|one| text(one, "what").contains(what));
    let found =
        found.unwrap_or_else(|| panic!("no {check} that is a {state} and says {what:?}: {findings:#?}"));
    assert!(text(found, "change").contains(change), "{found}");
}

fn not_ok(findings: &[Value]) -> Vec<&Value> {
    findings.iter().filter(|one| one["state"] != "ok").collect()
}

#[test]
fn a_library_that_is_well_is_found_so_with_one_request_to_a_host() {
    let bench = Bench::new(World::new());
    bench.run(&["queue", "enqueue", "10.5555/x"]).expect_code(0);
    let findings = doctor(&bench, &[], 0);
    assert_eq!(not_ok(&findings), Vec::<&Value>::new());
    let checks: std::collections::BTreeSet<&str> = findings.iter().map(|one| text(one, "check")).collect();
    for check in ["contact", "plugins", "compiled plugins", "disk", "fsync", "database", "network", "clock"] {
        assert!(checks.contains(check), "{check} is not looked at: {checks:?}");
    }
    let report = bench.sim().report();
    assert!(report.hosts.len() >= 4, "{:?}", report.hosts.keys());
    for host in report.hosts.keys() {
        let seen = bench.sim().seen(host).requests;
        assert_eq!((seen.len(), &*seen[0].method), (1, "HEAD"), "{host}: {seen:?}");
        let found = |one: &&Value| text(one, "what").starts_with(&format!("{host}: TCP, TLS and answer in"));
        assert!(findings.iter().any(|one| found(&one)), "{host} is not told of");
    }
    // People get the same as a table.
    let table = bench.run(&["doctor", "--offline"]).expect_code(0).stdout;
    assert!(table.starts_with("CHECK") && table.trim_end().ends_with("0 problems, 0 warnings"), "{table}");
}

#[test]
fn offline_nobody_is_asked() {
    let bench = Bench::new(World::new());
    let findings = doctor(&bench, &["--offline"], 0);
    assert!(findings.iter().any(|one| one["check"] == "network"));
    assert_eq!(bench.sim().report().hosts.len(), 0);
}

#[test]
fn what_the_configuration_lacks_is_named_with_the_line_to_write() {
    let mut bench = Bench::new(World::new());
    let (open, empty) = (bench.file("open.key", "sesame-4711"), bench.file("empty.key", ""));
    fs::set_permissions(&open, Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(&empty, Permissions::from_mode(0o600)).unwrap();
    let config = fs::read_to_string(bench.path("gleaner.toml")).unwrap();
    let without: Vec<_> = config.lines().filter(|line| !line.starts_with("contact")).collect();
    bench.file("gleaner.toml", &without.join("\n"));
    let findings = doctor(&bench, &["--offline"], 1);
    expect(&findings, "contact", "problem", "none is set", "contact = \"you@example.org\"");
    expect(&findings, "settings", "problem", "unpaywall needs the setting \"contact\"", "contact = ");
    bench.configure(&format!("[secrets]\nopen = {{ file = {open:?} }}\nempty = {{ file = {empty:?} }}\n[content]\nfree-space = \"1000000000GiB\""));
    let findings = doctor(&bench, &["--offline"], 1);
    expect(&findings, "secrets", "problem", "others can read", "chmod 600");
    expect(&findings, "secrets", "problem", "is empty", "secrets.empty.file");
    expect(&findings, "disk", "problem", "downloads pause", "free-space");
    assert!(!findings.iter().any(|one| one.to_string().contains("sesame")));
    // A library that cannot be made.
    let mut gleaner = bench.bare();
    gleaner.args([
        "--library",
        "/proc/gleaner/library",
        "--config",
        "gleaner.toml",
        "--format",
        "json",
        "doctor",
        "--offline",
    ]);
    let answer = Running::of(gleaner).wait(TIMEOUT).expect_code(1).json();
    expect(answer["findings"].as_array().unwrap(), "fsync", "problem", "cannot be written", "[library] path");
}

#[test]
fn plugins_that_do_not_work_are_named() {
    let mut bench = Bench::new(World::new());
    fs::create_dir(bench.path("mine")).unwrap();
    fs::copy(bench.guests().join("ways.wasm"), bench.path("mine/ways.wasm")).unwrap();
    fs::write(bench.path("mine/broken.wasm"), "no component").unwrap();
    let mine = bench.path("mine");
    bench.plugins(mine);
    let findings = doctor(&bench, &["--offline"], 1);
    expect(&findings, "plugins", "problem", "broken.wasm is not used", "gleaner plugin check");
    let asks = |one: &&Value| one["check"] == "grants" && text(one, "what").contains("asks for more");
    for found in findings.iter().filter(asks) {
        assert!(text(found, "change").contains("gleaner plugin grant"), "{found}");
    }
}

#[test]
fn a_plugin_without_its_grants_is_named_with_the_command() {
    let bench = Bench::new(World::new());
    fs::create_dir(bench.path("mine")).unwrap();
    // A resolver that is not bundled gets nothing that it asks for.
    fs::copy(bench.bundled().join("unpaywall.wasm"), bench.path("mine/unpaywall.wasm")).unwrap();
    let mut gleaner = bench.bare();
    gleaner.args([
        "--config",
        "gleaner.toml",
        "--plugins",
        "mine",
        "--format",
        "json",
        "doctor",
        "--offline",
    ]);
    let answer = Running::of(gleaner).wait(TIMEOUT).expect_code(1).json();
    let findings = answer["findings"].as_array().unwrap();
    expect(
        findings,
        "grants",
        "problem",
        "unpaywall asks for more than it is granted",
        "gleaner plugin grant unpaywall",
    );
}

#[test]
fn a_cache_that_others_can_write_to_is_named() {
    let bench = Bench::new(World::new());
    let cache = bench.path("cache/gleaner/components");
    fs::create_dir_all(&cache).unwrap();
    fs::set_permissions(&cache, Permissions::from_mode(0o777)).unwrap();
    let mut gleaner = bench.bare();
    gleaner.env("XDG_CACHE_HOME", bench.path("cache")).args([
        "--config",
        "gleaner.toml",
        "--format",
        "json",
        "doctor",
        "--offline",
    ]);
    let answer = Running::of(gleaner).wait(TIMEOUT).expect_code(0).json();
    let findings = answer["findings"].as_array().unwrap();
    expect(findings, "compiled plugins", "warning", "others may write to it", "rm -r");
}

#[test]
fn a_host_that_cannot_be_reached_and_a_clock_that_is_wrong_are_told() {
    let mut world = World::new();
    let early = Reply::empty().header("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    for host in
        ["api.unpaywall.org", "api.crossref.org", "www.ebi.ac.uk", "doi.org", "export.arxiv.org", "arxiv.org"]
    {
        world.set_host(host, early.clone());
    }
    let mut bench = Bench::new(world);
    bench.configure("[egress.connect-to]\n\"api.crossref.org:443\" = \"127.0.0.1:1\"");
    let findings = doctor(&bench, &[], 1);
    expect(&findings, "network", "problem", "api.crossref.org cannot be reached", "firewall");
    expect(&findings, "clock", "warning", "1994-11-06T08:49:37.000Z elsewhere", "timedatectl");
}

#[test]
fn a_host_that_asks_to_wait_is_not_asked_again_and_runs_obey() {
    let mut world = World::new();
    world.set_host("api.crossref.org", Reply::too_many(RetryAfter::Seconds(3600)));
    let bench = Bench::new(world);
    bench.run(&["queue", "enqueue", "10.5555/x"]).expect_code(0);
    let findings = doctor(&bench, &[], 0);
    expect(
        &findings,
        "network",
        "warning",
        "api.crossref.org can be reached, and asks to wait for",
        "wait, or lower its limit",
    );
    let keys = json_lines(&bench, &["queue", "keys"]);
    let key = keys.iter().find(|key| key["key"] == "host:api.crossref.org").unwrap();
    assert!(key["cooldown_until"].is_string(), "{key}");
    let findings = doctor(&bench, &[], 0);
    expect(
        &findings,
        "network",
        "warning",
        "api.crossref.org was not asked",
        "wait, or look at its limit: `gleaner queue keys`",
    );
    assert_eq!(bench.sim().seen("api.crossref.org").requests.len(), 1);
}

#[test]
fn a_damaged_database_and_one_of_another_kind_are_told() {
    let bench = Bench::new(World::new());
    let ids: Vec<String> = (0..300).map(|n| format!("10.5555/{n:0>200}")).collect();
    bench.run_with_input(&["queue", "enqueue", "--input", "-"], &ids.join("\n")).expect_code(0);
    doctor(&bench, &["--offline"], 0);
    let database = bench.library().join("library.db");
    damage(&database);
    let findings = doctor(&bench, &["--offline"], 1);
    expect(&findings, "database", "problem", "", "gleaner library backup");
    fs::write(&database, "not a database, but long enough to look at ".repeat(100)).unwrap();
    let findings = doctor(&bench, &["--offline"], 1);
    expect(&findings, "database", "problem", "", "--library");
}

/// Zeroes pages in the middle; the first ones stay, so that it opens.
fn damage(database: &Path) {
    let mut bytes = fs::read(database).unwrap();
    let end = bytes.len();
    assert!(end > 16 * 4096, "{end} bytes");
    bytes[end / 2..end / 2 + 8 * 4096].fill(0x5a);
    fs::write(database, bytes).unwrap();
}

#[test]
fn what_a_dead_process_holds_is_told() {
    let (bench, barrier) = held(1);
    let run = bench.spawn(&["get", &doi(1)]);
    bench.wait_for_requests(PRESS, 1);
    run.signal(Signal::KILL);
    run.wait(TIMEOUT);
    let findings = doctor(&bench, &["--offline"], 0);
    expect(&findings, "leases", "warning", "died and holds 1 works", "gleaner queue run");
    barrier.open();
}

#[test]
fn a_certificate_that_is_missing_costs_no_other_finding() {
    let mut bench = Bench::new(World::new());
    bench.configure("egress.extra-ca-certs = [\"nowhere.pem\"]");
    let findings = doctor(&bench, &[], 1);
    expect(&findings, "network", "problem", "nowhere.pem", "[egress]");
    assert!(findings.iter().any(|one| one["check"] == "contact"), "{findings:#?}");
}

#[test]
fn a_library_that_is_a_file_is_no_new_one() {
    let bench = Bench::new(World::new());
    let file = bench.file("plain", "no directory");
    let findings = doctor(&bench, &["--library", &file, "--offline"], 1);
    expect(&findings, "database", "problem", "", "--library DIR");
}

#[test]
fn a_server_that_would_not_begin_is_named() {
    let mut bench = Bench::new(World::new());
    let findings = doctor(&bench, &["--offline"], 0);
    let server: Vec<_> = findings.iter().filter(|one| one["check"] == "server").collect();
    assert_eq!(text(server[0], "what"), "`gleaner serve` would listen on 127.0.0.1:8417");

    bench.configure("[serve]\nlisten = \"0.0.0.0:8417\"");
    let findings = doctor(&bench, &["--offline"], 0);
    expect(&findings, "server", "warning", "is not a loopback address", "the section [serve]");

    // A token that cannot be read is no server without one.
    let mut gleaner = bench.bare();
    gleaner.env("GLEANER_SECRET_SERVE_TOKEN", OsStr::from_bytes(b"\xff"));
    gleaner.args(["--config", "gleaner.toml", "--format", "json", "doctor", "--offline"]);
    let answer = Running::of(gleaner).wait(TIMEOUT).json();
    let findings = answer["findings"].as_array().unwrap();
    let unreadable = "the environment variable GLEANER_SECRET_SERVE_TOKEN is not UTF-8; write the secret";
    expect(findings, "server", "warning", unreadable, "the section [serve]");
}
