//! What every command prints for a program: one JSON document, or JSON lines, with the keys of the contract.
//!
//! Standard output must never have anything else on it; `exit_codes` has what the commands end with.

use std::io;

use gleaner_tests::harness::{Bench, Running, TIMEOUT};
use gleaner_tests::simweb::{Location, Reply, Work};
use serde_json::{Value, json};

use crate::papers::{self, PRESS, json, json_lines};

const TOTALS: [&str; 6] = ["bytes", "done", "error", "queued", "seconds", "skipped"];
const STATS: [&str; 6] = ["done", "error", "in_progress", "queued", "skipped", "total"];

/// Every command with the options that the contract gives it.
const COMMANDS: [(&str, &[&str]); 32] = [
    ("", &["--library", "--config", "--plugins", "--format", "--quiet", "--verbose"]),
    ("get", &["--input", "--max-wait", "--license", "--priority", "--not-before"]),
    ("resolve", &["--resolver", "--license"]),
    (
        "queue",
        &[
            "enqueue",
            "import",
            "run",
            "stats",
            "retry-failed",
            "list",
            "show",
            "explain",
            "keys",
            "pause",
            "resume",
            "limit",
            "cancel",
            "purge",
        ],
    ),
    ("queue enqueue", &["--input", "--resolver", "--priority", "--not-before"]),
    ("queue import", &["FILE.jsonl", "--priority", "--not-before"]),
    (
        "queue run",
        &["--drain", "--workers", "--max-per-resolver", "--max-per-host", "--license", "--max-wait"],
    ),
    ("queue stats", &[]),
    ("queue retry-failed", &["--reason", "--dry-run"]),
    ("queue list", &["--state"]),
    ("queue show", &["ID"]),
    ("queue explain", &["ID"]),
    ("queue keys", &[]),
    ("queue pause", &["KEY"]),
    ("queue resume", &["KEY"]),
    ("queue limit", &["KEY", "--concurrency", "--rate", "--burst", "--reset"]),
    ("queue cancel", &["ID", "--input"]),
    ("queue purge", &["--older-than", "--state", "--dry-run"]),
    ("plugin list", &[]),
    ("plugin inspect", &["FILE|NAME"]),
    ("plugin check", &["FILE|NAME"]),
    ("library list", &[]),
    ("library export", &["--output"]),
    ("library manifest", &["--run", "--since", "--job", "--after", "--output"]),
    ("library verify", &[]),
    ("library path", &["ID", "--all", "--blob", "--null"]),
    ("library refresh", &["ID", "--older-than", "--force", "--max-wait", "--dry-run"]),
    ("library gc", &["--grace", "--dry-run"]),
    ("library backup", &["DIR"]),
    ("config show", &[]),
    ("config check", &[]),
    ("config", &["show", "check"]),
];

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value.as_object().expect("a JSON object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

fn expect_keys(value: &Value, wanted: &[&str]) {
    for key in wanted {
        assert!(value.get(key).is_some(), "{key} is missing in {value}");
    }
}

/// One paper fetched, one work that nobody has, one that ends badly, one that waits.
fn bench_with_every_state() -> Bench {
    let bench = papers::bench(2);
    bench.sim().set(&papers::url(2), Reply::html("A page"));
    let got = bench.run(&["get", &papers::doi(1), &papers::doi(2), "10.5555/nobody.has.it"]);
    got.expect_code(1);
    json(&bench, &["queue", "enqueue", "10.5555/waits"]);
    bench
}

#[test]
fn totals_end_get_and_a_drain() {
    let bench = papers::bench(2);
    let totals = json(&bench, &["get", &papers::doi(1)]);
    assert_eq!(keys(&totals), TOTALS);
    assert_eq!((&totals["done"], &totals["queued"]), (&1.into(), &0.into()));
    assert!(totals["bytes"].as_u64() > Some(1000) && totals["seconds"].is_f64(), "{totals}");
    json(&bench, &["queue", "enqueue", &papers::doi(2)]);
    let totals = json(&bench, &["queue", "run", "--drain"]);
    assert_eq!(keys(&totals), TOTALS);
    assert_eq!(totals["done"], 2, "a drain counts the whole library");
}

#[test]
fn a_second_get_of_the_same_works_asks_nobody() {
    let bench = papers::bench(1);
    json(&bench, &["get", &papers::doi(1)]);
    bench.sim().forget();
    assert_eq!(json(&bench, &["get", &papers::doi(1), "https://doi.org/10.5555/PAPER.1"])["done"], 1);
    assert_eq!(bench.sim().report().requests, 0);
}

#[test]
fn resolve_prints_candidates_and_failures_and_enqueues_nothing() {
    let bench = papers::bench(1);
    bench.sim().change(|world| {
        let mut landing = Location::landing_page("https://press.example.org/1");
        landing.host_type = "repository";
        world.work(Work::new(&papers::doi(1), [Location::publisher(&papers::url(1)), landing]));
    });
    let answer = json(&bench, &["resolve", "https://doi.org/10.5555/PAPER.1", "--resolver", "unpaywall"]);
    assert_eq!(keys(&answer), ["answers", "artifact", "candidates", "discovered", "failures", "first"]);
    assert_eq!(answer["artifact"]["artifact_id"], "doi:10.5555/paper.1");
    assert_eq!(answer["artifact"]["identifiers"], json!(["doi:10.5555/paper.1"]));
    let fields =
        ["confidence", "host_type", "kind", "license", "media_type", "reason", "resolver", "url", "version"];
    for candidate in answer["candidates"].as_array().unwrap() {
        assert_eq!(keys(candidate), fields);
    }
    let first = &answer["candidates"][0];
    assert_eq!((&first["url"], &first["kind"]), (&papers::url(1).into(), &"file".into()), "{first}");
    assert_eq!((&first["resolver"], &first["license"]), (&"unpaywall".into(), &"cc-by".into()), "{first}");
    assert_eq!(answer["failures"], json!([]));
    assert_eq!((&answer["first"], &answer["discovered"]), (&papers::url(1).into(), &json!([])));
    let said = &answer["answers"][0];
    assert_eq!(
        (&said["resolver"], &said["files"], &said["landing_pages"]),
        (&"unpaywall".into(), &1.into(), &1.into())
    );
    assert!(said["took_ms"].is_u64(), "{said}");
    assert!(!bench.library().exists());
    assert_eq!(bench.sim().seen(PRESS).hits("/1.pdf"), 0, "the file was fetched");
}

#[test]
fn resolve_names_what_failed_and_asks_only_whom_it_is_told_to() {
    let bench = papers::bench(1);
    bench.sim().set("https://api.unpaywall.org/v2/10.5555/paper.1", Reply::error(500));
    let output = bench
        .run(&["--format", "json", "resolve", &papers::doi(1), "--resolver", "unpaywall"])
        .expect_code(1);
    let failure = &output.json()["failures"][0];
    assert_eq!(keys(failure), ["detail", "reason", "resolver"]);
    assert_eq!((&failure["resolver"], &failure["reason"]), (&"unpaywall".into(), &"http_status".into()));
    assert!(failure["detail"].as_str().unwrap().contains("500"), "{failure}");
    bench.sim().forget();
    let answer = json(&bench, &["resolve", &papers::doi(1), "--resolver", "arxiv", "--resolver", "direct"]);
    assert_eq!((&answer["candidates"], &answer["failures"]), (&json!([]), &json!([])));
    assert_eq!(bench.sim().report().requests, 0);
}

#[test]
fn the_queue_counts_lists_and_shows() {
    let bench = bench_with_every_state();
    let stats = json(&bench, &["queue", "stats"]);
    assert_eq!(keys(&stats), STATS);
    let counts = ["done", "skipped", "error", "queued", "in_progress", "total"].map(|state| &stats[state]);
    assert_eq!(counts.map(|count| count.as_u64().unwrap()), [1, 1, 1, 1, 0, 4]);
    let jobs = json_lines(&bench, &["queue", "list"]);
    let states: Vec<_> = jobs.iter().map(|job| job["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["done", "error", "skipped", "queued"]);
    jobs.iter().for_each(|job| expect_keys(job, &["job", "artifact_id", "state", "reason", "attempts"]));
    for state in ["done", "error", "skipped", "queued"] {
        let of_state = json_lines(&bench, &["queue", "list", "--state", state]);
        assert_eq!((of_state.len(), &of_state[0]["state"]), (1, &state.into()));
    }
    let shown = json(&bench, &["queue", "show", "doi:10.5555/PAPER.2"]);
    expect_keys(&shown, &["job", "artifact_id", "state", "reason", "detail", "artifact", "plan", "file"]);
    assert_eq!((&shown["state"], &shown["reason"]), (&"error".into(), &"html_instead_of_pdf".into()));
    let attempts = shown["attempts_made"].as_array().unwrap();
    let downloads: Vec<_> = attempts.iter().filter(|attempt| !attempt["candidate_url"].is_null()).collect();
    assert_eq!((downloads.len(), &downloads[0]["host"]), (1, &PRESS.into()), "{shown}");
    for same in ["2", "doi:10.5555/paper.2", "https://doi.org/10.5555/paper.2"] {
        assert_eq!(json(&bench, &["queue", "show", same])["job"], 2, "{same}");
    }
}

#[test]
fn failed_jobs_are_counted_and_then_really_run_again() {
    let bench = bench_with_every_state();
    let dry = json(&bench, &["queue", "retry-failed", "--reason", "html_instead_of_pdf", "--dry-run"]);
    assert_eq!(dry, json!({ "retried": 1, "dry_run": true }));
    assert_eq!(papers::count(&bench, "error"), 1);
    assert_eq!(json(&bench, &["queue", "retry-failed", "--reason", "timeout"])["retried"], 0);
    assert_eq!(json(&bench, &["queue", "retry-failed"])["retried"], 1);
    bench.sim().set(&papers::url(2), Reply::pdf(4096));
    assert_eq!(json(&bench, &["queue", "run", "--drain"])["done"], 2);
}

#[test]
fn an_import_keeps_the_good_lines_and_names_the_bad_ones() {
    let bench = papers::bench(2);
    let lines = [
        r#"{"doi":"10.5555/paper.1","title":"One","year":2001,"shelf":"A 7"}"#,
        r#"{"nothing":"of use"}"#,
        "no JSON",
        "",
        r#"{"artifact_id":"mine","identifiers":["doi:10.5555/paper.2"]}"#,
        "[]",
    ];
    let file = bench.file("works.jsonl", &lines.join("\n"));
    let output = bench.run(&["--format", "json", "queue", "import", &file]).expect_code(1);
    let added = json!({ "new": 2, "known": 0, "requeued": 0, "conflicts": 0, "broken": 3 });
    assert_eq!(output.json(), added);
    for line in [2, 3, 6] {
        assert!(output.stderr.contains(&format!("works.jsonl: line {line}: ")), "{}", output.stderr);
    }
    assert_eq!(json(&bench, &["queue", "run", "--drain"])["done"], 2);
    let records = json_lines(&bench, &["library", "export"]);
    assert!(records.iter().any(|record| record["artifact_id"] == "mine"));
    assert!(records.iter().any(|record| record["title"] == "One" && record["year"] == 2001));
}

#[test]
fn an_artifact_id_that_is_an_identifier_is_one() {
    let bench = papers::bench(1);
    let file = bench.file("works.jsonl", r#"{"artifact_id":"doi:10.5555/paper.1"}"#);
    assert_eq!(json(&bench, &["queue", "import", &file])["new"], 1);
    assert_eq!(json(&bench, &["queue", "run", "--drain"])["done"], 1);
}

#[test]
fn a_list_is_read_from_standard_input() {
    let bench = papers::bench(2);
    let list = "# two papers\n10.5555/paper.1\n\n  https://doi.org/10.5555/paper.2  # the second\nhello\n";
    let output = bench.run_with_input(&["--format", "json", "get", "--input", "-"], list).expect_code(1);
    assert_eq!(output.json()["done"], 2);
    assert!(output.stderr.contains("line 5") && output.stderr.contains("hello"), "{}", output.stderr);
    let object = r#"{"doi":"10.5555/paper.1"}"#;
    let output = bench.run_with_input(&["--format", "json", "queue", "import", "-"], object).expect_code(0);
    assert_eq!(output.json()["known"], 1);
}

#[test]
fn plugins_are_listed_and_inspected() {
    let bench = papers::bench(0);
    let fields = ["name", "version", "summary", "path", "sha256", "wit", "takes", "hosts", "granted_hosts"];
    let plugins = json_lines(&bench, &["plugin", "list"]);
    for name in ["arxiv", "direct", "unpaywall"] {
        let listed = plugins.iter().find(|plugin| plugin["name"] == name).expect(name);
        expect_keys(listed, &fields);
        let inspected = json(&bench, &["plugin", "inspect", name]);
        expect_keys(&inspected, &fields);
        assert_eq!(inspected["sha256"], listed["sha256"]);
        let file = listed["path"].as_str().unwrap();
        let mut of_file = json(&bench, &["plugin", "inspect", file]);
        of_file["compile_ms"] = inspected["compile_ms"].clone();
        assert_eq!(of_file, inspected, "a file is what it would be in use");
    }
}

#[test]
fn the_library_lists_and_exports() {
    let bench = bench_with_every_state();
    let files = json_lines(&bench, &["library", "list"]);
    assert_eq!(files.len(), 1);
    expect_keys(&files[0], &["artifact_id", "sha256", "size", "media_type", "name"]);
    let records = json_lines(&bench, &["library", "export"]);
    let accepted: Vec<_> = records.iter().filter(|record| record["outcome"] == "accepted").collect();
    assert_eq!((accepted.len(), &accepted[0]["sha256"]), (1, &files[0]["sha256"]));
    assert_eq!(accepted[0]["url_chain"], json!([papers::url(1)]));
    let to = bench.path("manifest.jsonl");
    let output = bench.run(&["--format", "json", "library", "export", "--output", to.to_str().unwrap()]);
    assert_eq!(output.expect_code(0).stdout, "");
    let written = std::fs::read_to_string(to).unwrap();
    assert_eq!(
        written.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>(),
        records
    );
    let sheets =
        ["export", "manifest"].map(|of| bench.run(&["--format", "csv", "library", of]).expect_code(0).stdout);
    assert!(sheets[0] == sheets[1] && sheets[0].lines().count() == records.len() + 1, "{sheets:?}");
    let verdict = json!({ "checked": 1, "bad": [], "extra": { "files": 0, "bytes": 0, "paths": [] } });
    assert_eq!(json(&bench, &["library", "verify"]), verdict);
}

#[test]
fn quiet_leaves_only_errors_and_broken_lines() {
    let bench = papers::bench(1);
    let output = bench.run(&["-q", "--format", "json", "get", &papers::doi(1)]).expect_code(0);
    assert_eq!(output.stderr, "");
    let list = bench.file("list", "10.5555/paper.1\nhello\n");
    let output = bench.run(&["-q", "--format", "json", "get", "--input", &list]).expect_code(1);
    let said: Vec<_> = output.stderr.lines().collect();
    assert!(matches!(said[..], [line] if line.contains("line 2")), "{}", output.stderr);
    let output = bench.run(&["-q", "queue", "show", "99"]).expect_code(2);
    assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
}

#[test]
fn a_table_is_for_people_and_names_files_and_reasons() {
    let bench = bench_with_every_state();
    // The totals are of the library; the error is not of this run.
    let output = bench.run(&["queue", "run", "--drain"]).expect_code(0);
    for part in ["html_instead_of_pdf", "unpaywall", "1 done, 2 skipped, 1 error, 0 queued", "library/files"]
    {
        assert!(output.stdout.contains(part), "{part:?} is missing in\n{}", output.stdout);
    }
    for command in [&["queue", "stats"][..], &["queue", "list"], &["library", "list"], &["plugin", "list"]] {
        let output = bench.run(command).expect_code(0);
        assert!(output.stdout.lines().count() > 1 && !output.stdout.contains('{'), "{}", output.stdout);
    }
}

#[test]
fn every_command_explains_itself_and_every_option() {
    let bench = papers::bench(0);
    for (command, words) in COMMANDS {
        let args: Vec<_> = command.split_whitespace().chain(["--help"]).collect();
        let output = bench.run(&args).expect_code(0);
        for word in words {
            assert!(output.stdout.contains(word), "`{command} --help` lacks {word}:\n{}", output.stdout);
        }
    }
}

#[test]
fn a_reader_that_went_away_ends_a_command_quietly() {
    let bench = bench_with_every_state();
    for (format, command) in [
        ("json", "queue list"),
        ("table", "queue list"),
        ("json", "library export"),
        ("json", "library list"),
        ("json", "plugin list"),
        ("table", "plugin inspect unpaywall"),
        ("table", "config show"),
        ("json", "queue run --drain"),
        ("table", "get --help"),
    ] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut gleaner = bench.bare();
        gleaner.arg("--library").arg(bench.library()).arg("--config").arg(bench.path("gleaner.toml"));
        gleaner.args(["--format", format]).args(command.split(' ')).stdout(writer);
        let output = Running::of(gleaner).wait(TIMEOUT);
        assert!(!output.stderr.contains("panicked"), "{command}: {}", output.stderr);
        assert!(matches!(output.code, Some(0 | 1)) && output.stderr.is_empty(), "{command}: {output:?}");
    }
}

/// An input that breaks off is an error, and what was read before the break is kept all the same.
#[test]
fn works_read_before_an_input_breaks_off_are_kept() {
    let bench = papers::bench(0);
    let folder = bench.path("a-folder");
    std::fs::create_dir(&folder).unwrap();
    let input = folder.display().to_string();
    let refused = bench.run(&["queue", "enqueue", "10.5555/kept", "--input", &input]).expect_code(2);
    assert!(refused.stderr.contains(&format!("cannot read {input}")), "{}", refused.stderr);
    assert_eq!(papers::count(&bench, "queued"), 1);
}
