//! Guests that misbehave: each ends its own step, with its reason, and nothing else.
//!
//! The hostile guest is asked first; Unpaywall, asked after it, has a file for every work. So a job that ends well shows
//! that the step before it ended alone.

use std::fs;

use gleaner_tests::harness::Bench;
use gleaner_tests::simweb::{Barrier, Eprint, Location, Reply, Work, World};
use serde_json::{Value, json};

use crate::holdings::{self, end, files_in, get, job, text};
use crate::papers::json;

const FILES: &str = "https://files.example.org";

/// The hostile guest before all others.
const FIRST: &str = r#"
[tiers]
list = [{ name = "first", resolvers = ["hostile"] }, { name = "then", resolvers = ["unpaywall", "arxiv"] }]
budgets = { attempts = 100, time = "1d" }
[resolvers.hostile]
grants = { hosts = ["files.example.org"] }
"#;

/// A bench where Unpaywall has a file for each of these works.
fn bench(mut world: World, words: &[&str], config: &str) -> Bench {
    for (n, word) in words.iter().enumerate() {
        let url = format!("https://press.example.org/{n}.pdf");
        world.work(Work::new(&doi(word), [Location::publisher(&url)]));
    }
    let mut bench = holdings::bench(world);
    bench.configure(FIRST).configure(config);
    bench.plugins(bench.guests());
    bench
}

fn doi(word: &str) -> String {
    format!("10.5555/{word}")
}

/// A word with a URL to ask for.
fn asking(word: &str, page: &str) -> String {
    format!("{word}:{FILES}/{page}")
}

/// The hostile guest's attempts for a job.
fn calls(job: &Value) -> Vec<&Value> {
    let records = job["attempts_made"].as_array().unwrap();
    records
        .iter()
        .filter(|record| record["resolver"] == "hostile" && record["candidate_url"].is_null())
        .collect()
}

/// Every work ends well, each misdeed has its reason, and the library is sound.
fn expect_only_the_step_to_end(bench: &Bench, misdeeds: &[(&str, &str, &str)]) {
    let dois: Vec<String> = misdeeds.iter().map(|(word, ..)| doi(word)).collect();
    let good = "10.5555/nothing-special";
    let all: Vec<&str> = dois.iter().map(String::as_str).chain([good]).collect();
    let list = bench.file("list", &all.join("\n"));
    let totals = bench.run(&["--format", "json", "get", "--input", &list]).expect_code(0).json();
    assert_eq!(totals["done"], all.len(), "{totals}");
    for (word, reason, part) in misdeeds {
        let job = job(bench, &doi(word));
        let calls = calls(&job);
        assert_eq!(calls.len(), 1, "{word} is asked once: {job}");
        assert_eq!(text(calls[0], "reason"), *reason, "{word}: {}", calls[0]);
        let told = format!("{} {}", calls[0]["detail"], calls[0]["extra"]);
        assert!(told.contains(part), "{word}: {part:?} is missing in {told}");
        assert_eq!(end(&job), ("done", "ok"), "{word}");
        let last = job["attempts_made"].as_array().unwrap().last().unwrap();
        assert_eq!((text(last, "resolver"), text(last, "outcome")), ("unpaywall", "accepted"), "{word}");
    }
    let verdict = json(bench, &["library", "verify"]);
    assert_eq!((&verdict["checked"], &verdict["bad"]), (&json!(all.len()), &json!([])), "{verdict}");
    assert_eq!(files_in(bench, "files").len(), all.len());
    assert_eq!(files_in(bench, "tmp").len(), 0);
}

#[test]
fn a_guest_that_spends_without_end_ends_only_its_step() {
    let misdeeds = [("loop", "plugin_timeout", "cpu"), ("log-flood", "plugin_timeout", "")];
    let words = ["loop", "log-flood", "nothing-special"];
    let bench =
        bench(World::new(), &words, "resolvers.hostile.sandbox = { cpu = \"300ms\", wall = \"60s\" }");
    expect_only_the_step_to_end(&bench, &misdeeds);
}

#[test]
fn a_guest_that_breaks_its_limits_or_itself_ends_only_its_step() {
    let mut world = World::new();
    world.set(&format!("{FILES}/x"), Reply::bytes("text/plain", "x".repeat(1000)));
    world.set(&format!("{FILES}/large"), Reply::bytes("text/plain", "x".repeat(300_000)));
    let over = asking("requests:9", "x");
    let over_at_once = asking("requests-at-once:9", "x");
    let large = asking("fetch", "large");
    let misdeeds = [
        ("alloc", "plugin_memory", "may have 32MiB"),
        ("big", "plugin_memory", "may have 32MiB"),
        ("trap", "plugin_trap", "unreachable"),
        ("panic", "plugin_trap", "hostile panicked as ordered"),
        ("recurse", "plugin_trap", "call stack exhausted"),
        ("fail-give-up", "plugin_contract", "failed as ordered"),
        ("garbage", "ok", "file:///etc/passwd"),
        ("many", "ok", "100000 candidates; those after the first 64 were dropped"),
        (&over, "denied", "8 requests"),
        (&over_at_once, "denied", "8 requests"),
        (&large, "too_large", "too-large"),
    ];
    let words: Vec<&str> = misdeeds.iter().map(|(word, ..)| *word).chain(["nothing-special"]).collect();
    let sandbox =
        "resolvers.hostile.sandbox = { memory = \"32MiB\", requests = 8, bytes = \"200KiB\", cpu = \"20s\" }";
    let bench = bench(world, &words, sandbox);
    expect_only_the_step_to_end(&bench, &misdeeds);
    let asked = bench.sim().seen("files.example.org");
    for word in ["over", "over_at_once"] {
        assert!(asked.hits("/x") <= 16, "{word}: {} requests", asked.hits("/x"));
    }
    let kept = job(&bench, "10.5555/many")["plan"]["candidates"].as_array().unwrap().len();
    assert_eq!(kept, 64 + 1, "64 of the guest's, one of Unpaywall's");
}

/// Its request ends a little before its wall, so that it may still say so itself, if it is quick.
#[test]
fn a_guest_that_waits_without_end_ends_at_its_wall() {
    let (mut world, barrier) = (World::new(), Barrier::new());
    world.set(&format!("{FILES}/held"), Reply::bytes("text/plain", "late").held_by(&barrier));
    let word = asking("fetch", "held");
    let bench = bench(world, &[&word, "nothing-special"], "resolvers.hostile.sandbox = { wall = \"1s\" }");
    assert_eq!(get(&bench, &[&doi(&word), "10.5555/nothing-special"], 0)["done"], 2);
    let job = job(&bench, &doi(&word));
    assert!(["timeout", "plugin_timeout"].contains(&text(calls(&job)[0], "reason")), "{job}");
    assert_eq!(end(&job), ("done", "ok"));
    barrier.open();
}

#[test]
fn a_guest_may_ask_for_another_try_and_for_a_pause() {
    let words = ["fail-retry", "fail-limited:3600000"];
    let bench = bench(World::new(), &words, "");
    assert_eq!(get(&bench, &["10.5555/fail-retry"], 0)["done"], 1);
    let retried = job(&bench, "10.5555/fail-retry");
    assert!(!calls(&retried).is_empty());
    assert!(calls(&retried).iter().all(|record| record["outcome"] == "failed"), "{retried}");

    let totals = get(&bench, &["10.5555/fail-limited:3600000", "--max-wait", "100ms"], 0);
    assert_eq!(totals["done"], 1, "another has it meanwhile: {totals}");
    assert!(calls(&job(&bench, "10.5555/fail-limited:3600000")).is_empty(), "a pause is not charged");
    let totals = get(&bench, &["10.5555/fail-limited:3600001", "--max-wait", "100ms"], 0);
    assert_eq!((&totals["queued"], &totals["error"]), (&json!(1), &json!(0)), "nobody else has it: {totals}");
    assert!(calls(&job(&bench, "10.5555/fail-limited:3600001")).is_empty(), "nor is that charged");
}

#[test]
fn what_a_guest_discovers_is_used_if_it_is_sound() {
    let mut world = World::new();
    world.eprint(Eprint { id: "2104.12255".to_owned(), versions: 1, title: "Discovered".to_owned() });
    let bench = bench(world, &[], "");
    assert_eq!(get(&bench, &["10.5555/discover"], 0)["done"], 1);
    let job = job(&bench, "10.5555/discover");
    assert_eq!(
        job["plan"]["discovered"],
        json!(["pmid:12345", "arxiv:2104.12255v1", "no-such-scheme:anything"])
    );
    assert_eq!(bench.sim().seen("arxiv.org").hits("/pdf/2104.12255v1"), 1);
    assert!(text(calls(&job)[0], "detail").contains("dropped"), "{job}");
}

#[test]
fn files_that_are_no_resolvers_are_named_and_the_rest_works() {
    let mut world = World::new();
    world.set(&format!("{FILES}/ok.pdf"), Reply::pdf(9000));
    let mut bench = holdings::bench(world);
    let hostile = fs::read(bench.guests().join("hostile.wasm")).unwrap();
    let dir = bench.path("mixed");
    fs::create_dir(&dir).unwrap();
    let broken: [(&str, &[u8], &str); 6] = [
        ("text.wasm", b"#!/bin/sh\necho this is no component\n", "is not WebAssembly"),
        ("empty.wasm", b"", "is empty"),
        ("module.wasm", b"\0asm\x01\0\0\0", "is a core module"),
        ("truncated.wasm", &hostile[..hostile.len() / 2], ""),
        ("garbled.wasm", &[&hostile[..200], &[0xff; 400], &hostile[600..]].concat(), ""),
        ("component.wasm", b"\0asm\x0d\0\x01\0", "no resolver"),
    ];
    for (name, bytes, _) in &broken {
        fs::write(dir.join(name), bytes).unwrap();
    }
    fs::write(dir.join("README.txt"), "not looked at").unwrap();
    fs::write(dir.join("fine.wasm"), &hostile).unwrap();
    bench.plugins(&dir);

    let listed = bench.run(&["plugin", "list"]).expect_code(3);
    let json = bench.run(&["--format", "json", "plugin", "list"]).expect_code(3).json_lines();
    for (name, _, part) in &broken {
        let path = dir.join(name).display().to_string();
        let line = listed.stdout.lines().find(|line| line.contains(&path));
        let line = line.unwrap_or_else(|| panic!("{name} is not named in:\n{}", listed.stdout));
        assert!(line.starts_with("not used: ") && line.contains(part), "{line}");
        let problem = json.iter().find(|row| row["path"] == path.as_str()).unwrap();
        assert!(!text(problem, "problem").is_empty(), "{problem}");
    }
    assert!(!listed.stdout.contains("README.txt"));
    let named = |name: &str| json.iter().any(|row| row["name"] == name);
    assert!(named("hostile") && named("unpaywall"), "{json:?}");

    let run = bench.run(&["--format", "json", "get", "10.5555/ok"]).expect_code(0);
    assert_eq!(run.json()["done"], 1);
    assert!(run.stderr.contains("truncated.wasm is not used"), "{}", run.stderr);
}
