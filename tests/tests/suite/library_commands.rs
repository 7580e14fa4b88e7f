//! `library manifest|path|gc` and the permissions of a library, with the real binary.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use gleaner_tests::harness::{Bench, Signal, TIMEOUT};
use serde_json::{Value, json};

use crate::holdings::{files_in, sha256, walk};
use crate::papers::{self, json, json_lines};

fn get(bench: &Bench, count: usize) {
    let dois = papers::dois(count);
    let args: Vec<&str> = std::iter::once("get").chain(dois.iter().map(String::as_str)).collect();
    assert_eq!(json(bench, &args)["done"], count);
}

fn manifest(bench: &Bench, args: &[&str]) -> Vec<Value> {
    bench.run(&[&["--format", "jsonl", "library", "manifest"], args].concat()).expect_code(0).json_lines()
}

#[test]
fn the_manifest_is_read_in_parts_and_as_a_sheet() {
    let bench = papers::bench(3);
    get(&bench, 2);
    let all = manifest(&bench, &[]);
    assert_eq!(all.len(), 4, "two answers, two files");
    assert!(all.iter().all(|record| record["schema"] == 1));
    let seqs: Vec<i64> = all.iter().map(|record| record["seq"].as_i64().unwrap()).collect();
    assert!(seqs.is_sorted());
    assert_eq!(json_lines(&bench, &["library", "export"]), all);
    json(&bench, &["get", &papers::doi(3)]);
    let new = manifest(&bench, &["--after", &seqs[3].to_string()]);
    assert_eq!(new.len(), 2);
    assert!(new.iter().all(|record| record["artifact_id"] == format!("doi:{}", papers::doi(3))));
    let run = new[0]["run_id"].as_str().unwrap();
    assert_eq!(manifest(&bench, &["--run", run]), new);
    assert_eq!(manifest(&bench, &["--job", &papers::doi(3)]), new);
    assert_eq!(manifest(&bench, &["--since", "1h"]).len(), 6);
    assert_eq!(manifest(&bench, &["--since", "2100-01-01T00:00:00Z"]).len(), 0);
    assert_eq!(manifest(&bench, &["--run", "none"]).len(), 0);
    bench.run(&["library", "manifest", "--job", "10.5555/none"]).expect_code(2);

    let sheet = bench.run(&["--format", "csv", "library", "manifest"]).expect_code(0).stdout;
    let lines: Vec<_> = sheet.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 1 + 6);
    assert!(lines[0].starts_with("seq,schema,run_id,time,artifact_id,title,"), "{}", lines[0]);
    let columns = lines[0].split(',').count();
    assert!(lines.iter().all(|line| line.split(',').count() == columns), "no text here needs quotes");
    let more = bench.run(&["--format", "csv", "library", "manifest", "--after", &seqs[3].to_string()]);
    assert_eq!(more.expect_code(0).stdout.lines().count(), 2, "rows to add to those there are");
    let refused = bench.run(&["--format", "csv", "library", "list"]).expect_code(2);
    assert!(
        refused.stderr.contains("only `gleaner library manifest` and `export` print CSV"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_reader_of_the_manifest_misses_nothing_when_works_are_forgotten() {
    let bench = papers::bench(1);
    bench.run(&["--format", "json", "get", "10.5555/nobody.has.it"]).expect_code(0);
    let last = manifest(&bench, &[]).last().unwrap()["seq"].to_string();
    assert_eq!(json(&bench, &["queue", "purge", "--older-than", "0s"])["purged"], 1);
    assert_eq!(manifest(&bench, &[]).len(), 0);
    get(&bench, 1);
    assert_eq!(manifest(&bench, &["--after", &last]).len(), 2, "both records of the new work");
}

#[test]
fn a_file_is_found_by_whatever_names_it() {
    let bench = papers::bench(2);
    get(&bench, 2);
    let row = json_lines(&bench, &["library", "list"]).remove(0);
    let name = bench.library().join(row["name"].as_str().unwrap());
    let hash = row["sha256"].as_str().unwrap();
    let of = |args: &[&str]| bench.run(&[&["library", "path"], args].concat()).expect_code(0).stdout;
    let doi = papers::doi(1);
    let (upper, sha) = (hash.to_uppercase(), format!("sha256:{hash}"));
    let spellings = [
        doi.clone(),
        format!("doi:{doi}"),
        format!("https://dx.doi.org/{doi}"),
        doi.to_uppercase(),
        "1".into(),
        upper,
        sha,
    ];
    for id in &spellings {
        assert_eq!(of(&[id]), format!("{}\n", name.display()), "{id}");
    }
    let blob = of(&["--blob", &doi]);
    assert!(blob.trim_end().ends_with(&hash[2..]) && sha256(&fs::read(blob.trim_end()).unwrap()) == hash);
    let both = of(&["-0", &doi, &papers::doi(2)]);
    assert_eq!((both.matches('\0').count(), both.contains('\n')), (2, false));
    assert_eq!(json(&bench, &["library", "path", &doi])["artifact_id"], row["artifact_id"]);
    // The others are printed all the same.
    let output = bench.run(&["library", "path", "10.5555/none", &doi]).expect_code(1);
    assert_eq!(output.stdout, format!("{}\n", name.display()));
    assert!(output.stderr.contains("10.5555/none: the library has no file of it"), "{}", output.stderr);
    fs::remove_file(&name).unwrap();
    assert!(of(&[&doi]).contains("/blobs/"), "the bytes are there");
}

/// Everything under a folder was touched long ago.
fn age(dir: &Path) {
    let mut files = Vec::new();
    walk(dir, &mut files);
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    files.iter().for_each(|path| File::open(path).unwrap().set_modified(long_ago).unwrap());
}

#[test]
fn leftovers_go_and_files_stay() {
    let bench = papers::bench(1);
    get(&bench, 1);
    let library = bench.library();
    fs::create_dir_all(library.join("blobs/ab")).unwrap();
    let orphan = library.join("blobs/ab").join("0".repeat(62));
    fs::write(&orphan, "of a run that was killed").unwrap();
    fs::hard_link(&orphan, library.join("files/orphan.pdf")).unwrap();
    fs::write(library.join("tmp/download-x"), "half").unwrap();
    fs::write(library.join("files/mine.txt"), "notes").unwrap();
    let gc = |args: &[&str]| json(&bench, &[&["library", "gc"], args].concat());
    assert_eq!(gc(&[])["paths"], json!([]), "all of it may be a run's that goes on");
    age(&library);
    let verdict = json(&bench, &["library", "verify"]);
    assert_eq!((&verdict["extra"]["files"], &verdict["bad"]), (&1.into(), &json!([])), "{verdict}");
    let dry = gc(&["--dry-run"]);
    assert!(orphan.exists());
    let told = gc(&[]);
    for told in [&dry, &told] {
        let counts = ["blobs", "names", "temporary"].map(|field| told[field].as_u64().unwrap());
        // The first command after a kill sweeps tmp/ itself when nobody else is there.
        assert_eq!((counts[0], counts[1]), (1, 1), "{told}");
    }
    assert!(!orphan.exists() && !library.join("files/orphan.pdf").exists());
    assert!(library.join("files/mine.txt").exists());
    assert_eq!(files_in(&bench, "blobs").len(), 1);
    let verdict = json(&bench, &["library", "verify"]);
    assert_eq!((&verdict["checked"], &verdict["extra"]["files"]), (&1.into(), &0.into()), "{verdict}");
}

/// The blobs of a lost database are stored once more by a run, known ones each, while they are being removed.
#[test]
fn what_a_run_stores_is_never_taken_from_it() {
    const PAPERS: usize = 40;
    let bench = papers::bench(PAPERS);
    get(&bench, PAPERS);
    for name in ["library.db", "library.db-wal", "library.db-shm"] {
        let _ = fs::remove_file(bench.library().join(name));
    }
    papers::enqueue(&bench, PAPERS);
    for part in ["blobs", "files"] {
        age(&bench.library().join(part));
    }
    let run = bench.spawn(&["--format", "json", "queue", "run", "--drain"]);
    bench.wait_for_requests(papers::PRESS, PAPERS + 1);
    let mut removed = 0;
    while papers::count(&bench, "done") < PAPERS as u64 {
        removed += json(&bench, &["library", "gc", "--grace", "1h"])["blobs"].as_u64().unwrap();
    }
    assert_eq!(run.wait(TIMEOUT).expect_code(0).json()["done"], PAPERS);
    assert!(removed <= PAPERS as u64);
    assert_eq!(json(&bench, &["library", "gc", "--grace", "1h"])["blobs"], 0);
    let verdict = json(&bench, &["library", "verify"]);
    assert_eq!((&verdict["checked"], &verdict["bad"]), (&PAPERS.into(), &json!([])), "{verdict}");
    for row in json_lines(&bench, &["library", "list"]) {
        let bytes = fs::read(bench.library().join(row["name"].as_str().unwrap())).unwrap();
        assert_eq!(sha256(&bytes), row["sha256"].as_str().unwrap());
    }
}

#[test]
fn a_library_is_its_owners_and_their_groups_as_far_as_the_umask_allows() {
    for (umask, dir, blob) in [("022", 0o750, 0o444), ("077", 0o700, 0o400), ("027", 0o750, 0o440)] {
        let bench = papers::bench(1);
        let script = format!("umask {umask}; exec \"$@\"");
        let run =
            bench.spawn_under(&["sh", "-c", &script, "sh"], &["--format", "json", "get", &papers::doi(1)]);
        assert_eq!(run.wait(TIMEOUT).expect_code(0).json()["done"], 1);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(format!("{:o}", mode(&bench.library())), format!("{dir:o}"), "umask {umask}");
        for part in ["blobs", "files"] {
            let path = files_in(&bench, part).remove(0);
            assert_eq!(format!("{:o}", mode(&path)), format!("{blob:o}"), "umask {umask}: {part}");
        }
        assert_eq!(mode(&bench.library().join("library.db")) & 0o111, 0);
    }
}

#[test]
fn a_run_that_is_killed_leaves_nothing_that_gc_cannot_tell() {
    let (bench, barrier) = papers::held(4);
    papers::enqueue(&bench, 4);
    let run = bench.spawn(&["queue", "run", "--drain"]);
    bench.wait_for_requests(papers::PRESS, 4);
    run.signal(Signal::KILL);
    run.wait(TIMEOUT);
    barrier.open();
    age(&bench.library().join("tmp"));
    json(&bench, &["library", "gc"]);
    assert_eq!(files_in(&bench, "tmp").len(), 0);
    assert_eq!(json(&bench, &["queue", "run", "--drain"])["done"], 4);
}
