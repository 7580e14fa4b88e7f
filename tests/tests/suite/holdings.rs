//! What the suites about harvests share: a bench that does not wait, and what a library holds after a run.
//!
//! Not a suite. Must never decide what is right: each suite says that itself.

use std::fs;
use std::path::{Path, PathBuf};

use gleaner_tests::harness::Bench;
use gleaner_tests::simweb::World;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::papers::{json, json_lines};

/// No pause that a test would have to sit out, and no limit that it does not set itself.
const QUICK: &str = "
[limits]
default-host = { concurrency = 8, rate = \"1000/s\", burst = 1000 }
[limits.hosts.\"arxiv.org\"]
shared = [\"export.arxiv.org\"]
concurrency = 4
rate = \"1000/s\"
burst = 1000
[orchestrator]
backoff = \"20ms\"
";

/// A bench with `unpaywall`, `arxiv` and `direct` alone, and without limits that make it wait.
pub(crate) fn bench(world: World) -> Bench {
    bench_with(world, &["unpaywall", "arxiv", "direct"])
}

/// The same with these bundled resolvers.
pub(crate) fn bench_with(world: World, resolvers: &[&str]) -> Bench {
    let mut bench = Bench::with_resolvers(world, resolvers);
    bench.configure(QUICK);
    bench
}

/// Runs `get` for these works; it has to end with that code.
pub(crate) fn get(bench: &Bench, ids: &[&str], code: i32) -> Value {
    bench.run(&[&["--format", "json", "get"], ids].concat()).expect_code(code).json()
}

/// Everything about one job: `queue show`.
pub(crate) fn job(bench: &Bench, id: &str) -> Value {
    json(bench, &["queue", "show", id])
}

/// State and reason of a job, of `queue show` or `queue list`.
pub(crate) fn end(job: &Value) -> (&str, &str) {
    (text(job, "state"), text(job, "reason"))
}

/// Who was asked or what was fetched, and what came of it: the attempts of a job in their order.
pub(crate) fn attempts(job: &Value) -> Vec<(&str, &str)> {
    let what = |record| match text(record, "candidate_url") {
        "" => text(record, "resolver"),
        url => url,
    };
    let records = job["attempts_made"].as_array().unwrap();
    records.iter().map(|record| (what(record), text(record, "reason"))).collect()
}

/// The manifest: `library export`.
pub(crate) fn manifest(bench: &Bench) -> Vec<Value> {
    json_lines(bench, &["library", "export"])
}

/// A text field; empty when there is none.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// Every file in one of the library's directories, at any depth; the lock of `tmp` is not one.
pub(crate) fn files_in(bench: &Bench, part: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(&bench.library().join(part), &mut found);
    found.retain(|path| path.file_name().is_some_and(|name| name != ".lock"));
    found
}

/// Every file of a directory, at any depth.
pub(crate) fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, found) } else { found.push(path) }
    }
}

/// Lower-case hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
