//! `library backup`: a copy taken while a run goes on is a whole library of its own.
//!
//! That the database's copy is consistent is the store's promise; here it is files, names and directories.

use std::fs;
use std::path::Path;

use gleaner_tests::harness::{Bench, Output, Running, TIMEOUT};
use gleaner_tests::simweb::Reply;
use serde_json::{Value, json};

use crate::papers::{self, PRESS, count, json};
use crate::queue_commands::wait_until;

/// Runs a command on another library than the bench's.
fn on(bench: &Bench, library: &Path, args: &[&str]) -> Value {
    let mut gleaner = bench.bare();
    gleaner.args(["--format", "json", "--library"]).arg(library);
    gleaner.arg("--config").arg(bench.path("gleaner.toml")).arg("--plugins").arg(bench.bundled()).args(args);
    Running::of(gleaner).wait(TIMEOUT).expect_code(0).json()
}

/// Runs the backup and returns how it ended.
fn run_backup(bench: &Bench, dir: &Path) -> Output {
    bench.run(&["--format", "json", "library", "backup", &dir.display().to_string()])
}

fn backup(bench: &Bench, dir: &Path) -> Value {
    run_backup(bench, dir).expect_code(0).json()
}

/// Names of files, and whether each leads to bytes.
fn names(library: &Path) -> Vec<String> {
    let entries = fs::read_dir(library.join("files")).unwrap().map(|entry| entry.unwrap());
    let mut names: Vec<_> = entries
        .inspect(|entry| assert!(fs::metadata(entry.path()).unwrap().len() > 0))
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_backup_taken_while_a_run_goes_on_is_whole_and_can_be_worked_on() {
    let (bench, barrier) = papers::held(6);
    for number in 1..=3 {
        bench.sim().set(&papers::url(number), Reply::pdf(4096 + number));
    }
    papers::enqueue(&bench, 6);
    let run = bench.spawn(&["--format", "json", "queue", "run", "--drain"]);
    wait_until("three are done", || count(&bench, "done") == 3);
    bench.wait_for_requests(PRESS, 6);
    let dir = bench.path("copies/today");
    let told = backup(&bench, &dir);
    assert_eq!((&told["files"], &told["problems"]), (&3.into(), &json!([])), "{told}");
    assert_eq!(told["path"], dir.display().to_string());
    assert!(told["bytes"].as_u64().unwrap() > 3 * 4096, "{told}");
    let verified = on(&bench, &dir, &["library", "verify"]);
    assert_eq!((&verified["checked"], &verified["bad"]), (&3.into(), &json!([])), "{verified}");
    assert_eq!(names(&dir).len(), 3);
    barrier.open();
    assert_eq!(run.wait(TIMEOUT).expect_code(0).json()["done"], 6);
    // What the run did since is not in the copy, and is done there once more.
    let stats = on(&bench, &dir, &["queue", "stats"]);
    assert_eq!((&stats["done"], &stats["total"]), (&3.into(), &6.into()), "{stats}");
    assert_eq!(on(&bench, &dir, &["queue", "run", "--drain"])["done"], 6);
    assert_eq!(names(&dir), names(&bench.library()));
    for library in [&dir, &bench.library()] {
        assert_eq!(on(&bench, library, &["library", "verify"])["bad"], json!([]));
    }
}

#[test]
fn a_backup_that_was_interrupted_is_finished_by_running_it_again() {
    let bench = papers::bench(2);
    json(&bench, &["get", &papers::doi(1), &papers::doi(2)]);
    let dir = bench.path("copy");
    backup(&bench, &dir);
    // As it is just before the database gets its name, with one file not yet there.
    fs::create_dir(dir.join("backup.unfinished")).unwrap();
    fs::rename(dir.join("library.db"), dir.join("backup.unfinished/library.db")).unwrap();
    let gone = names(&dir).remove(0);
    fs::remove_file(dir.join("files").join(gone)).unwrap();
    let output = run_backup(&bench, &dir).expect_code(0);
    assert!(output.stderr.contains("was interrupted"), "{}", output.stderr);
    assert_eq!(on(&bench, &dir, &["library", "verify"])["checked"], 2);
    assert_eq!(names(&dir), names(&bench.library()));
    assert!(!dir.join("backup.unfinished").exists());
}

#[test]
fn a_directory_that_is_in_use_is_left_alone() {
    let bench = papers::bench(1);
    json(&bench, &["get", &papers::doi(1)]);
    let (copy, used) = (bench.path("copy"), bench.path("used"));
    backup(&bench, &copy);
    fs::create_dir(&used).unwrap();
    bench.file("used/letter.txt", "Dear reader");
    bench.file("plain", "");
    for (dir, says) in [
        (&copy, "holds a library already; name another directory"),
        (&bench.library(), "holds a library already"),
        (&used, "is not empty"),
        (&bench.path("plain"), "is a file"),
    ] {
        let output = run_backup(&bench, dir).expect_code(2);
        assert!(
            output.stderr.contains(says) && output.stderr.contains("name"),
            "{says:?}: {}",
            output.stderr
        );
    }
    assert_eq!(fs::read_dir(&used).unwrap().count(), 1);
}

#[test]
fn a_file_that_the_library_lost_is_named_and_the_rest_is_copied() {
    let bench = papers::bench(2);
    json(&bench, &["get", &papers::doi(1), &papers::doi(2)]);
    let sha256 =
        json(&bench, &["queue", "show", &papers::doi(1)])["file"]["sha256"].as_str().unwrap().to_owned();
    fs::remove_file(bench.library().join("blobs").join(&sha256[..2]).join(&sha256[2..])).unwrap();
    let dir = bench.path("copy");
    let told = run_backup(&bench, &dir).expect_code(1).json();
    assert_eq!(
        (told["problems"][0]["sha256"].as_str(), told["problems"].as_array().unwrap().len()),
        (Some(&*sha256), 1)
    );
    assert_eq!(names(&dir).len(), 1);
}
