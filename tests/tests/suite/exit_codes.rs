//! Every exit code of the contract, brought about by a real case, and what the message then says.
//!
//! A message names what happened, to which thing, and what to do; the words here are those a user needs.
//! 130 is in `stop`.

use std::fs;
use std::path::{Path, PathBuf};

use gleaner_tests::harness::{Bench, Output, Running, TIMEOUT};
use gleaner_tests::simweb::{Behaviour, Reply, RetryAfter};
use serde_json::Value;

use crate::papers::{self, PRESS, json, json_lines};

/// The output of a command that has to end with `code` and say each of these.
fn expect(bench: &Bench, args: &[&str], code: i32, says: &[&str]) -> Output {
    let output = bench.run(args).expect_code(code);
    expect_says(&output, says);
    output
}

fn expect_says(output: &Output, says: &[&str]) {
    for part in says {
        assert!(output.stderr.contains(part), "{part:?} is missing in: {}", output.stderr);
    }
    assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
}

/// The same on another library.
fn expect_on(bench: &Bench, library: &Path, args: &[&str], code: i32, says: &[&str]) {
    let mut gleaner = bench.bare();
    gleaner.arg("--library").arg(library).arg("--config").arg(bench.path("gleaner.toml")).args(args);
    expect_says(&Running::of(gleaner).wait(TIMEOUT).expect_code(code), says);
}

#[test]
fn well_0_when_done_and_when_nothing_was_to_be_had() {
    let bench = papers::bench(1);
    assert_eq!(json(&bench, &["get", &papers::doi(1)])["done"], 1);
    let totals = json(&bench, &["get", "10.5555/nobody.has.it", "10.5555/nor.this"]);
    assert_eq!((&totals["skipped"], &totals["error"]), (&2.into(), &0.into()), "{totals}");
}

#[test]
fn well_0_when_what_is_left_waits_longer_than_it_may() {
    let bench = papers::bench(1);
    bench.sim().change(|world| {
        world.set_host(PRESS, Behaviour::of_host().first(1, Reply::too_many(RetryAfter::Seconds(3600))));
    });
    let output = bench.run(&["get", &papers::doi(1), "--max-wait", "5s"]).expect_code(0);
    assert!(output.stdout.contains("longer than --max-wait"), "{}", output.stdout);
    let totals = json(&bench, &["queue", "run", "--drain", "--max-wait", "5s"]);
    assert_eq!((&totals["queued"], &totals["error"]), (&1.into(), &0.into()), "{totals}");
    assert_eq!(bench.sim().seen(PRESS).requests.len(), 1, "the pause outlives the process");
}

#[test]
fn some_failed_1_when_a_job_fails_or_a_line_is_broken() {
    let bench = papers::bench(2);
    bench.sim().set(&papers::url(2), Reply::html("A page"));
    expect(&bench, &["get", &papers::doi(2)], 1, &[]);
    let list = bench.file("list.txt", "10.5555/paper.1\nnot a work\n");
    expect(&bench, &["get", "--input", &list], 1, &["list.txt: line 2", "not a work", "DOI"]);
    expect(&bench, &["queue", "enqueue", "--input", &list], 1, &["list.txt: line 2"]);
    assert_eq!(papers::count(&bench, "done"), 1, "the good line was kept");
}

#[test]
fn usage_2() {
    let bench = papers::bench(0);
    json(&bench, &["queue", "enqueue", "10.5555/known"]);
    for (args, says) in [
        (&["fetch"][..], &["unrecognized subcommand 'fetch'"][..]),
        (&[], &["Usage"]),
        (&["get"], &["nothing to add", "--input"]),
        (&["get", "--input", "nowhere.txt"], &["cannot read nowhere.txt", "No such file"]),
        (&["queue", "import", "nowhere.jsonl"], &["cannot read nowhere.jsonl"]),
        (&["resolve", "hello"], &["hello", "no identifier", "DOI"]),
        (&["queue", "show", "99"], &["\"99\"", "gleaner queue list"]),
        (&["queue", "list", "--state", "finished"], &["finished", "in_progress"]),
        (&["queue", "retry-failed", "--reason", "bad-luck"], &["bad-luck", "html_instead_of_pdf"]),
        (&["queue", "run", "--max-per-resolver", "unpaywall"], &["unpaywall=2"]),
        (&["queue", "run", "--max-per-resolver", "unpaywall=0"], &["\"0\"", "1 to 65535"]),
        (&["queue", "run", "--workers", "0"], &["--workers", "256"]),
        (&["queue", "run", "--workers", "257"], &["--workers", "256"]),
        (&["queue", "run", "--max-per-host", "-3"], &["-3"]),
        (&["get", "10.5555/x", "--max-wait", "5"], &["--max-wait", "30s"]),
        (&["plugin", "inspect", "nobody"], &["nobody", "gleaner plugin list"]),
        (&["library", "export", "--output", "nowhere/x"], &["cannot write nowhere/x"]),
        (&["--format", "xml", "queue", "stats"], &["xml", "json"]),
        (&["-q", "-v", "queue", "stats"], &["--quiet", "--verbose"]),
    ] {
        let output = expect(&bench, args, 2, says);
        assert_eq!(output.stdout, "", "{args:?}");
    }
}

#[test]
fn configuration_3() {
    let bench = papers::bench(1);
    let text = bench.file("text.wasm", "no component");
    for (args, says) in [
        (&["--plugins", "nowhere", "plugin", "list"][..], &["--plugins nowhere", "no such directory"][..]),
        (
            &["resolve", "10.5555/x", "--resolver", "nobody"],
            &["no resolver \"nobody\"", "gleaner plugin list"],
        ),
        (&["plugin", "inspect", &text], &["text.wasm", "not WebAssembly"]),
    ] {
        expect(&bench, args, 3, says);
    }
    let mut broken = bench.bare();
    broken.args(["--config", &bench.file("broken.toml", "[egress\n"), "config", "show"]);
    expect_says(
        &Running::of(broken).wait(TIMEOUT).expect_code(3),
        &["broken.toml is not valid TOML", "line 1"],
    );
}

#[test]
fn configuration_3_without_a_contact_unless_another_address_stands_in() {
    let bench = papers::bench(1);
    let advice = ["no contact is configured", "GLEANER_CONTACT=you@example.org", "contact = "];
    for command in [&["get", "10.5555/paper.1"][..], &["resolve", "10.5555/paper.1"], &["queue", "run"]] {
        let mut gleaner = bench.bare();
        // No configuration lies beside a library there.
        gleaner.arg("--library").arg(bench.path("elsewhere/library")).args(command);
        expect_says(&Running::of(gleaner).wait(TIMEOUT).expect_code(3), &advice);
    }
    assert!(!bench.path("elsewhere").exists(), "a library was made before anything could begin");
    let config = fs::read_to_string(bench.path("gleaner.toml")).unwrap();
    let without: String =
        config.lines().filter(|line| !line.starts_with("contact")).map(|l| format!("{l}\n")).collect();
    bench.file("gleaner.toml", &without);
    bench.sim().set("https://press.example.org/1.pdf", Reply::pdf(4096));
    assert_eq!(json(&bench, &["get", "https://press.example.org/1.pdf"])["done"], 1);
}

#[test]
fn storage_4() {
    let bench = papers::bench(1);
    let file = PathBuf::from(bench.file("file", "not a directory"));
    let missing = bench.path("nowhere");
    let other = bench.path("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("library.db"), "some other program's file, longer than any header could be")
        .unwrap();
    for command in
        [&["queue", "stats"][..], &["queue", "list"], &["library", "export"], &["library", "verify"]]
    {
        expect_on(&bench, &missing, command, 4, &["there is no library at", "nowhere", "gleaner get"]);
        expect_on(&bench, &other, command, 4, &["other/library.db is not a gleaner library", "--library"]);
        expect_on(&bench, &file, command, 4, &["file", "--library"]);
    }
    let add = ["queue", "enqueue", "10.5555/paper.1"];
    expect_on(&bench, &file, &add, 4, &["file", "--library"]);
    expect_on(&bench, &other, &add, 4, &["other/library.db is not a gleaner library"]);
    assert!(!missing.exists(), "a command that only reads made a library");
}

#[test]
fn storage_4_when_the_library_is_of_a_later_version() {
    let bench = papers::bench(1);
    json(&bench, &["queue", "enqueue", &papers::doi(1)]);
    let path = bench.library().join("library.db");
    let mut bytes = fs::read(&path).unwrap();
    // `user_version` of the SQLite file format: bytes 60 to 63, big-endian.
    bytes[60..64].copy_from_slice(&999_u32.to_be_bytes());
    fs::write(&path, &bytes).unwrap();
    for command in [&["queue", "stats"][..], &["get", "10.5555/paper.1"]] {
        expect(&bench, command, 4, &["library.db has schema version 999", "use a newer gleaner"]);
    }
    assert_eq!(fs::read(&path).unwrap(), bytes, "it was not touched");
}

#[test]
fn a_damaged_database_is_reported_and_not_a_panic() {
    let bench = papers::bench(1);
    json(&bench, &["get", &papers::doi(1)]);
    let path = bench.library().join("library.db");
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len();
    bytes[4096..end].fill(0x5a);
    fs::write(&path, &bytes).unwrap();
    for command in [&["queue", "list"][..], &["queue", "run", "--drain"], &["library", "list"]] {
        expect(&bench, command, 4, &["library.db"]);
    }
}

/// The blob of the only file, with the job's row about it.
fn only_blob(bench: &Bench) -> (PathBuf, Value) {
    json(bench, &["get", &papers::doi(1)]);
    let row = json_lines(bench, &["library", "list"]).remove(0);
    let sha256 = row["sha256"].as_str().unwrap();
    let path = bench.library().join("blobs").join(&sha256[..2]).join(&sha256[2..]);
    assert!(path.is_file(), "{} is not there", path.display());
    (path, row)
}

fn expect_bad(bench: &Bench, row: &Value, problem: &str) {
    let verdict = bench.run(&["--format", "json", "library", "verify"]).expect_code(1).json();
    assert_eq!(verdict["checked"], 1);
    let bad = verdict["bad"].as_array().unwrap();
    assert_eq!(bad.len(), 1, "{verdict}");
    for key in ["artifact_id", "sha256", "name"] {
        assert_eq!(bad[0][key], row[key], "{verdict}");
    }
    assert!(bad[0]["problem"].as_str().unwrap().contains(problem), "{verdict}");
    let table = bench.run(&["library", "verify"]).expect_code(1).stdout;
    assert!(table.contains(row["name"].as_str().unwrap()) && table.contains("1 problems"), "{table}");
}

#[test]
fn a_flipped_bit_is_found() {
    let bench = papers::bench(1);
    let (path, row) = only_blob(&bench);
    let mut bytes = fs::read(&path).unwrap();
    bytes[1000] ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    expect_bad(&bench, &row, "has changed");
}

#[test]
fn a_missing_file_is_found() {
    let bench = papers::bench(1);
    let (path, row) = only_blob(&bench);
    fs::remove_file(&path).unwrap();
    expect_bad(&bench, &row, "missing");
}
