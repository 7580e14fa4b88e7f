//! Guests that misbehave beside good ones, through the whole program: what they ask of the web and propose ends as
//! `docs/reference/misdeeds.md` says, and a plugin that keeps failing is suspended and comes back.
//!
//! The hostile guest is asked first; Unpaywall, asked after it, has a file for every work. So a job that ends well shows
//! that the step before it ended alone. Misdeeds that need no web are done in `host/runtime/tests/misdeeds.rs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gleaner_testing::{Row, quoted, rows_below};
use gleaner_tests::harness::Bench;
use gleaner_tests::simweb::{Location, Reply, Work, World};
use serde_json::{Value, json};

use crate::holdings::{self, end, job, text};
use crate::papers::{json, json_lines};

const FILES: &str = "https://files.example.org";

/// The hostile guest alone, with as many failures as there are rows.
const NEVER_SUSPENDED: &str = "plugins.suspend.after = 1000\nresolvers.unpaywall.enabled = false";

fn document(heading: &str) -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/misdeeds.md");
    rows_below(&fs::read_to_string(path).unwrap(), heading)
}

fn doi(order: &str) -> String {
    format!("10.5555/{order}")
}

/// An order with a URL, which a DOI must not change.
fn order(word: &str, url: &str) -> String {
    let escaped: String = url.bytes().map(|byte| format!("%{byte:02x}")).collect();
    format!("{word}:{escaped}")
}

/// A bench where these plugins are asked before Unpaywall, which has a file for each of these orders.
fn bench(mut world: World, orders: &[String], first: &[&str], config: &str) -> Bench {
    for (n, order) in orders.iter().enumerate() {
        let url = format!("https://press.example.org/{n}.pdf");
        world.work(Work::new(&doi(order), [Location::publisher(&url)]));
    }
    world.set(&format!("{FILES}/ok.pdf"), Reply::pdf(9000));
    let mut bench = holdings::bench(world);
    bench.configure(&format!(
        "[tiers]
        list = [{{ name = \"first\", resolvers = {first:?} }}, {{ name = \"then\", resolvers = [\"unpaywall\"] }}]
        budgets = {{ attempts = 100, time = \"1d\" }}"
    ));
    for name in first {
        bench.configure(&format!("[resolvers.{name}]\ngrants = {{ hosts = [\"*\"] }}"));
    }
    bench.configure(config);
    bench
}

/// The attempts of the hostile guest for a job: calls, and fetches of what it proposed.
fn attempts(job: &Value, is_fetch: bool) -> Vec<&Value> {
    let records = job["attempts_made"].as_array().unwrap();
    let wanted =
        |record: &&Value| record["resolver"] == "hostile" && record["candidate_url"].is_null() != is_fetch;
    records.iter().filter(wanted).collect()
}

/// How they ended.
fn brief(records: &[&Value]) -> String {
    records
        .iter()
        .map(|record| format!("{} {} {}; ", record["reason"], record["detail"], record["extra"]))
        .collect()
}

/// Whether a record tells what these parts say, the first of them being its reason.
fn tells(record: &Value, parts: &[String]) -> bool {
    let told = format!("{} {}", record["detail"], record["extra"]);
    parts[0] == text(record, "reason") && parts[1..].iter().all(|part| told.contains(part.as_str()))
}

/// Runs all orders at once. Nobody knows their DOIs but the hostile guest.
fn run_alone(bench: &Bench, orders: &[String]) {
    let list: Vec<_> = orders.iter().map(|order| doi(order)).collect();
    let list = bench.file("list", &list.join("\n"));
    let totals = bench.run(&["--format", "json", "get", "--input", &list]).expect_code(1).json();
    let ended: u64 = ["error", "skipped"].iter().map(|state| totals[state].as_u64().unwrap()).sum();
    assert_eq!(ended, orders.len() as u64, "{totals}");
}

/// Runs all orders at once; every work has to be done.
fn run(bench: &Bench, orders: &[String]) {
    let list: Vec<_> = orders.iter().map(|order| doi(order)).collect();
    let list = bench.file("list", &list.join("\n"));
    let totals = bench.run(&["--format", "json", "get", "--input", &list]).expect_code(0).json();
    assert_eq!(totals["done"], orders.len(), "{totals}");
}

#[test]
fn where_a_guest_may_not_go_it_does_not_come_by_request_or_by_candidate() {
    let rows = document("## Where a guest wants to go");
    let orders: Vec<String> = ["fetch", "propose"]
        .iter()
        .flat_map(|word| rows.iter().map(move |row| order(word, &quoted(&row[1])[0])))
        .collect();
    let mut world = World::new();
    world.set(&format!("{FILES}/to-metadata"), Reply::redirect(302, "https://169.254.169.254/iam"));
    let mut bench = bench(world, &[], &["hostile"], NEVER_SUSPENDED);
    bench.plugins(bench.guests());
    // All names but one are looked up as usual, over https as over http, and `localhost` is private everywhere.
    let config = fs::read_to_string(bench.path("gleaner.toml")).unwrap();
    let without: Vec<_> = config.lines().filter(|line| !line.starts_with("\"*:80\"")).collect();
    assert_eq!(without.len() + 1, config.lines().count());
    let only = without.join("\n").replace("\"*:443\"", "\"files.example.org:443\"");
    assert!(!only.contains("*:443") && only.contains("files.example.org:443"), "{only}");
    bench.file("gleaner.toml", &only);
    run_alone(&bench, &orders);
    let mut wrong = Vec::new();
    for row in &rows {
        let url = &quoted(&row[1])[0];
        let asked = job(&bench, &doi(&order("fetch", url)));
        let calls = attempts(&asked, false);
        if calls.len() != 1 || !tells(calls[0], &quoted(&row[2])) {
            wrong.push(format!("asking for {url}: {}", brief(&calls)));
        }
        let proposed = job(&bench, &doi(&order("propose", url)));
        let (calls, fetches) = (attempts(&proposed, false), attempts(&proposed, true));
        let parts = quoted(&row[3]);
        let is_right = match fetches[..] {
            [] => calls.len() == 1 && tells(calls[0], &parts),
            [fetch] => tells(fetch, &parts),
            _ => false,
        };
        if !is_right {
            wrong.push(format!("proposing {url}: {} {}", brief(&calls), brief(&fetches)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Of all these only the redirect was asked for: by the guest, once robots.txt allowed it, and by the download.
    let asked = bench.sim().seen("files.example.org").requests;
    let is_known = |target: &str| ["/to-metadata", "/robots.txt"].contains(&target);
    assert!(asked.iter().all(|seen| is_known(&seen.target)), "{asked:?}");
    let hosts: Vec<_> = bench.sim().report().hosts.into_keys().collect();
    assert_eq!(hosts, ["files.example.org"]);
}

#[test]
fn what_a_guest_asks_too_much_of_the_web_it_does_not_get() {
    let rows = document("## What a guest asks of the web");
    let mut world = World::new();
    world.set(&format!("{FILES}/x"), Reply::bytes("text/plain", "x").header("cache-control", "no-store"));
    let drop = Reply::bytes("text/plain", "x".repeat(10_000)).dribbled(1, Duration::from_millis(100));
    world.set(&format!("{FILES}/slow"), drop);
    world.set(&format!("{FILES}/bomb"), Reply::bytes("text/plain", vec![0; 64 << 20]).gzip());
    world.set(&format!("{FILES}/endless"), Reply::endless());
    world.set(&format!("{FILES}/large"), Reply::bytes("text/plain", vec![b'x'; 300_000]));
    let orders: Vec<String> = rows
        .iter()
        .map(|row| {
            let wanted = quoted(&row[1]);
            let (word, path) = wanted[0].split_once(' ').unwrap();
            order(word, &format!("{FILES}{path}"))
        })
        .collect();
    let mut bench = bench(world, &[], &["hostile"], NEVER_SUSPENDED);
    bench.configure("resolvers.hostile.sandbox = { wall = \"4s\", response = \"200KiB\" }");
    bench.plugins(bench.guests());
    run_alone(&bench, &orders);
    let mut wrong = Vec::new();
    for (row, order) in rows.iter().zip(&orders) {
        let job = job(&bench, &doi(order));
        let calls = attempts(&job, false);
        let reasons = quoted(&row[2]);
        let is_right = calls.len() == 1 && {
            let told = format!("{} {}", calls[0]["detail"], calls[0]["extra"]);
            reasons.iter().any(|reason| reason == text(calls[0], "reason"))
                && quoted(&row[3]).iter().all(|part| told.contains(part.as_str()))
        };
        if !is_right {
            wrong.push(format!("{}: {}", row[0], brief(&calls)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let sent = bench.sim().seen("files.example.org").hits("/x");
    assert_eq!(sent, 32, "of ten thousand one after the other, and of none at once");
}

/// The hostile guest under other names of as many letters, and as it is.
fn gang(bench: &Bench) -> PathBuf {
    let original = fs::read(bench.guests().join("hostile.wasm")).unwrap();
    let dir = bench.path("gang");
    fs::create_dir(&dir).unwrap();
    for name in GANG {
        fs::write(dir.join(format!("{name}.wasm")), renamed(&original, name)).unwrap();
    }
    dir
}

const GANG: [&str; 3] = ["hostile", "rascals", "villain"];

fn renamed(component: &[u8], name: &str) -> Vec<u8> {
    let (from, mut bytes, mut at) = (b"hostile", component.to_vec(), 0);
    while let Some(found) = bytes[at..].windows(from.len()).position(|window| window == from) {
        at += found;
        bytes[at..at + from.len()].copy_from_slice(name.as_bytes());
        at += from.len();
    }
    bytes
}

#[test]
fn hostile_plugins_beside_a_good_one_end_no_job_but_their_own_steps_and_are_suspended() {
    let words = ["trap", "loop", "alloc", "panic", "recurse"];
    let orders: Vec<String> = (0..30).map(|n| format!("{}:{n}", words[n % words.len()])).collect();
    let mut bench = bench(
        World::new(),
        &orders,
        &GANG,
        "plugins.suspend = { after = 4, pause = \"1h\" }
        plugins.sandbox = { cpu = \"300ms\", memory = \"32MiB\" }",
    );
    let dir = gang(&bench);
    bench.plugins(&dir);
    run(&bench, &orders);
    for name in GANG {
        let mut faults = 0;
        for order in &orders {
            let job = job(&bench, &doi(order));
            assert_eq!(end(&job), ("done", "ok"), "{order}");
            let records = job["attempts_made"].as_array().unwrap();
            let last = records.last().unwrap();
            assert_eq!((text(last, "resolver"), text(last, "outcome")), ("unpaywall", "accepted"), "{order}");
            let calls: Vec<_> = records.iter().filter(|record| record["resolver"] == name).collect();
            assert!(calls.len() <= 1, "{order}: {calls:?}");
            let expected = match order.split(':').next().unwrap() {
                "trap" | "panic" | "recurse" => "plugin_trap",
                "loop" => "plugin_timeout",
                _ => "plugin_memory",
            };
            assert!(calls.iter().all(|call| text(call, "reason") == expected), "{order}: {calls:?}");
            faults += calls.len();
        }
        // Those that were under way when the fourth failed are the last.
        assert!((4..=4 + 8).contains(&faults), "{name} was called {faults} times");
    }
    let listed = json_lines(&bench, &["plugin", "list"]);
    for plugin in &listed {
        let is_suspended = !plugin["suspended"].is_null();
        assert_eq!(is_suspended, GANG.contains(&text(plugin, "name")), "{plugin}");
        assert!(!is_suspended || plugin["suspended"]["failures"] == 4, "{plugin}");
    }
    let doctor = json(&bench, &["doctor", "--offline"]);
    let told = doctor["findings"].as_array().unwrap().iter().filter(|one| {
        text(one, "what").contains("is suspended until")
            && text(one, "change").contains("queue resume resolver:")
    });
    assert_eq!(told.count(), GANG.len(), "{doctor}");
    let shown = bench.run(&["plugin", "list"]).expect_code(0).stdout;
    assert!(shown.contains("suspended: villain until 20"), "{shown}");
}

/// A suspended hostile guest, and a work that nobody else may be asked about.
fn suspended(pause: &str) -> Bench {
    let orders: Vec<String> = (0..3).map(|n| format!("trap:{n}")).collect();
    let config = format!("plugins.suspend = {{ after = 3, pause = \"{pause}\" }}");
    let mut bench = bench(World::new(), &orders, &["hostile"], &config);
    let dir = bench.path("plugins");
    fs::create_dir(&dir).unwrap();
    fs::copy(bench.guests().join("hostile.wasm"), dir.join("hostile.wasm")).unwrap();
    bench.plugins(&dir);
    run(&bench, &orders);
    json(&bench, &["queue", "enqueue", "--resolver", "hostile", "10.5555/ok"]);
    bench
}

fn drain(bench: &Bench, max_wait: &str) -> Value {
    json(bench, &["queue", "run", "--drain", "--max-wait", max_wait])
}

#[test]
fn jobs_of_a_suspended_plugin_wait_unharmed_and_say_why() {
    let bench = suspended("1h");
    let totals = drain(&bench, "100ms");
    assert_eq!((&totals["done"], &totals["queued"], &totals["error"]), (&json!(3), &json!(1), &json!(0)));
    assert!(
        attempts(&job(&bench, "10.5555/ok"), false).is_empty(),
        "it was not called, though this is another run"
    );
    let keys = json_lines(&bench, &["queue", "keys"]);
    let key = keys.iter().find(|key| key["key"] == "resolver:hostile").unwrap();
    assert!(text(key, "suspended_because").starts_with("plugin_trap: "), "{key}");
    assert_eq!(
        (&key["ready"], &key["in_flight"], &key["delayed"]),
        (&json!(0), &json!(0), &json!(1)),
        "{key}"
    );
    let explained = json(&bench, &["queue", "explain", "10.5555/ok"]);
    let why = explained["why"].as_array().unwrap().iter().find(|why| why["what"] == "suspended").unwrap();
    assert!(text(why, "says").contains("failed 3 times in a row, the last time with plugin_trap: "), "{why}");
    assert!(text(why, "to_do").contains("gleaner queue resume resolver:hostile"), "{why}");
    assert_eq!(explained["next"][0]["not_before"], key["suspended_until"], "{explained}");
    let shown = bench.run(&["queue", "keys"]).expect_code(0).stdout;
    assert!(shown.contains("suspended until 20"), "{shown}");
}

#[test]
fn an_operator_ends_a_suspension() {
    let bench = suspended("1h");
    bench.run(&["queue", "resume", "resolver:hostile"]).expect_code(0);
    assert_eq!(drain(&bench, "100ms")["done"], 4);
    assert_eq!(end(&job(&bench, "10.5555/ok")), ("done", "ok"));
}

#[test]
fn another_file_ends_a_suspension() {
    let bench = suspended("1h");
    let file = bench.path("plugins/hostile.wasm");
    // A custom section named `x`: another digest, the same plugin.
    let bytes = [fs::read(&file).unwrap(), vec![0, 2, 1, b'x']].concat();
    fs::write(&file, bytes).unwrap();
    assert_eq!(drain(&bench, "100ms")["done"], 4);
    let listed = json_lines(&bench, &["plugin", "list"]);
    assert!(listed.iter().all(|plugin| plugin["suspended"].is_null()), "{listed:?}");
    let keys = json_lines(&bench, &["queue", "keys"]);
    assert!(keys.iter().all(|key| key["suspended_until"].is_null()), "{keys:?}");
}

#[test]
fn after_the_pause_one_call_shows_whether_a_plugin_works_again() {
    let bench = suspended("300ms");
    let run = bench.run(&["--format", "json", "queue", "run", "--drain", "--max-wait", "30s"]).expect_code(0);
    assert_eq!(run.json()["done"], 4, "{}", run.stderr);
    assert!(run.stderr.contains("hostile is called again"), "{}", run.stderr);

    // A call that fails again makes the pause longer, and is charged to its job alone.
    let bench = suspended("300ms");
    json(&bench, &["queue", "cancel", "10.5555/ok"]);
    json(&bench, &["queue", "enqueue", "--resolver", "hostile", "10.5555/trap:9"]);
    let totals =
        bench.run(&["--format", "json", "queue", "run", "--drain", "--max-wait", "30s"]).expect_code(1);
    assert_eq!(totals.json()["error"], 1);
    assert_eq!(end(&job(&bench, "10.5555/trap:9")), ("error", "plugin_trap"));
    assert!(totals.stderr.contains("plugin suspended"), "{}", totals.stderr);
}

/// While a run goes on: no restart is needed for what an operator says.
#[test]
fn a_run_hears_that_a_suspension_was_ended() {
    let bench = suspended("1h");
    let running = bench.spawn(&["--format", "json", "get", "--max-wait", "2h", "10.5555/ok"]);
    // It has looked at the queue, and does not call the plugin.
    bench.run(&["queue", "enqueue", "10.5555/seen"]).expect_code(0);
    bench.wait_for_requests("api.unpaywall.org", 4);
    bench.run(&["queue", "resume", "resolver:hostile"]).expect_code(0);
    let totals = running.wait(gleaner_tests::harness::TIMEOUT).expect_code(0).json();
    assert_eq!(totals["done"], 1, "{totals}");
}
