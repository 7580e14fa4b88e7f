//! What is on the disk before what, and that a harvest which is killed again and again loses nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use gleaner_model::fault;
use gleaner_tests::crash;
use gleaner_tests::harness::{Bench, TIMEOUT};
use gleaner_tests::simweb::{Reply, World};

const URL: &str = "https://files.example.org/work.pdf";

/// The short form of `cargo xtask crash`: every fault point once, and as many random moments.
#[test]
fn a_harvest_that_is_killed_at_every_fault_point_loses_nothing() {
    let report = crash::run(2 * fault::NAMES.len(), 7);
    let missed: Vec<_> = fault::NAMES.into_iter().filter(|name| !report.kills.contains_key(name)).collect();
    assert!(missed.is_empty(), "no harvest passed {missed:?}");
    assert!(report.adopted > 0, "no kill fell between a blob and its row");
    assert!(report.most_attempts > 1, "no job was leased again after its process died");
    assert!(report.accompanied > 0, "no process had company");
}

#[test]
fn every_fault_point_in_the_code_is_listed_and_every_listed_one_is_there() {
    let mut found = BTreeSet::new();
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host");
    for_each_source(&host, &mut |text| {
        let points = text.split("fault::point(\"").skip(1);
        found.extend(points.filter_map(|rest| rest.split('"').next()).map(str::to_owned));
    });
    assert_eq!(found, fault::NAMES.map(str::to_owned).into());
}

fn for_each_source(dir: &Path, visit: &mut impl FnMut(&str)) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            for_each_source(&path, visit);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            visit(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn a_fault_point_that_does_not_exist_is_a_mistake_of_the_configuration() {
    let bench = Bench::new(World::new());
    let running = bench.spawn_under(&["env", "GLEANER_FAULT=blob.sink:1"], &["queue", "stats"]);
    let output = running.wait(TIMEOUT).expect_code(3);
    assert!(output.stderr.contains("blob.synced"), "{}", output.stderr);
}

#[test]
fn a_work_whose_file_kills_the_process_three_times_is_poison() {
    let mut world = World::new();
    world.set(URL, Reply::pdf(4096));
    let bench = Bench::new(world);
    let jobs = || bench.run(&["--format", "json", "queue", "list"]).expect_code(0).json_lines();
    for time in 1..=3 {
        let died = bench.spawn_under(&["env", "GLEANER_FAULT=blob.written:1"], &["get", URL]).wait(TIMEOUT);
        assert_eq!(died.code, None, "{}", died.stderr);
        assert_eq!((&jobs()[0]["state"], &jobs()[0]["attempts"]), (&"in_progress".into(), &time.into()));
    }
    bench.run(&["get", URL]).expect_code(1);
    assert_eq!((&jobs()[0]["state"], &jobs()[0]["reason"]), (&"error".into(), &"poison".into()));
    assert_eq!(bench.sim().seen("files.example.org").requests.len(), 3, "poison was fetched once more");
}

/// File before name before row, each on the disk before the next.
#[test]
fn bytes_are_synced_before_their_name_and_the_name_before_the_row() {
    let mut world = World::new();
    world.set(URL, Reply::pdf(100_000));
    let bench = Bench::new(world);
    let output = bench.path("calls").display().to_string();
    let calls =
        "trace=write,pwritev2,pwrite64,fsync,fdatasync,?mkdir,mkdirat,?rename,renameat,renameat2,linkat";
    // `-y` names the file behind each descriptor; the row's bytes are within the first page of each write.
    let strace = ["strace", "-f", "-y", "-s", "4096", "-e", calls, "-o", &output];
    // It dies before the log is merged, which would sync what the commit had left in memory.
    let tools = [&strace[..], &["env", "GLEANER_FAULT=log.merge:1"]].concat();
    let died = bench.spawn_under(&tools, &["-q", "get", URL]).wait(TIMEOUT);
    assert_eq!(died.code, None, "{}", died.stderr);

    let files = bench.run(&["--format", "json", "library", "list"]).expect_code(0).json_lines();
    let sha256 = files[0]["sha256"].as_str().unwrap();
    let shard = format!("blobs/{}", &sha256[..2]);
    let blob = format!("{shard}/{}", &sha256[2..]);
    let trace = Trace::read(&fs::read_to_string(output).unwrap());

    let written = trace.last("write", "/tmp/download-");
    let made = trace.first("mkdir", &format!("{shard}\""));
    let shard_synced = trace.after(made, "sync", "/blobs>");
    let synced = trace.after(written, "sync", "/tmp/download-");
    let renamed = trace.first("rename", &blob);
    let in_order = synced.ended < renamed.begun && shard_synced.ended < renamed.begun;
    assert!(in_order, "a blob has its name too early: {synced:?}, {shard_synced:?}, {renamed:?}");
    let blob_durable = trace.after(renamed, "sync", &format!("/{shard}>"));
    let linked = trace.after(blob_durable, "link", "/files/");
    let name_durable = trace.after(linked, "sync", "/files>");
    let row = trace.first("pwrite64", sha256);
    assert!(name_durable.ended < row.begun, "a row names a file too early: {name_durable:?}, {row:?}");
    assert!(row.text.contains("library.db-wal"), "the row is not in the log: {row:?}");
    trace.after(row, "sync", "library.db-wal");
}

/// Files that are ready together are synced together, and none has its name before.
#[test]
fn bytes_of_many_files_are_synced_before_their_names() {
    let urls: Vec<_> = (0..40).map(|n| format!("https://files.example.org/{n}.pdf")).collect();
    let mut world = World::new();
    for (url, size) in urls.iter().zip(20_000..) {
        world.set(url, Reply::pdf(size));
    }
    let mut bench = Bench::new(world);
    bench.configure("[limits]\ndefault-host = { concurrency = 16, rate = \"100000/s\", burst = 100000 }\n");
    let (output, list) =
        (bench.path("calls").display().to_string(), bench.file("list.txt", &urls.join("\n")));
    let calls = "trace=write,pwritev2,fsync,syncfs,?rename,renameat,renameat2";
    let strace = ["strace", "-f", "-y", "-e", calls, "-o", &output];
    bench.spawn_under(&strace, &["-q", "get", "--input", &list]).wait(TIMEOUT).expect_code(0);

    let trace = Trace::read(&fs::read_to_string(output).unwrap());
    let renamed: Vec<_> =
        trace.all("rename", "/tmp/download-").filter(|c| c.text.contains("/blobs/")).collect();
    assert_eq!(renamed.len(), urls.len());
    for renamed in renamed {
        let (_, rest) = renamed.text.split_once("/tmp/download-").unwrap();
        let file = format!("/tmp/download-{}", rest.split('"').next().unwrap());
        let written = trace.last("write", &file);
        let syncs = trace.all("fsync", &file).chain(trace.all("syncfs", ""));
        let in_order = |sync: &Call| written.ended < sync.begun && sync.ended < renamed.begun;
        assert!(syncs.into_iter().any(in_order), "a blob has its name too early: {renamed:?}");
    }
}

/// The system calls of a run that succeeded, as strace wrote them.
struct Trace(Vec<Call>);

#[derive(Debug)]
struct Call {
    /// From the name to the result.
    text: String,
    /// Lines of the trace: two calls of two threads overlap if neither has ended before the other begins.
    begun: usize,
    ended: usize,
}

impl Trace {
    fn read(text: &str) -> Self {
        let (mut calls, mut under_way) = (Vec::new(), BTreeMap::new());
        for (line, text) in text.lines().enumerate() {
            let Some((thread, text)) = text.split_once(' ') else { continue };
            let text = text.trim_start();
            let call = if let Some(start) = text.strip_suffix("<unfinished ...>") {
                under_way.insert(thread, Call { text: start.to_owned(), begun: line, ended: line });
                continue;
            } else if text.starts_with("<...") {
                let mut call: Call = under_way.remove(thread).expect("a call that goes on has begun");
                call.text += text.split_once("resumed>").expect("strace says so").1;
                Call { ended: line, ..call }
            } else {
                Call { text: text.to_owned(), begun: line, ended: line }
            };
            if !call.text.contains(" = -1 ") {
                calls.push(call);
            }
        }
        calls.sort_by_key(|call| call.begun);
        Self(calls)
    }

    /// Calls of this kind (`sync` is `fsync` or `fdatasync`, `rename` is `renameat2` too, `write` is `pwritev2` too and not
    /// `pwrite64`) that mention a text.
    fn all(&self, kind: &str, text: &str) -> impl DoubleEndedIterator<Item = &Call> {
        self.0.iter().filter(move |call| {
            let (name, rest) = call.text.split_once('(').unwrap_or_default();
            let fits =
                if kind == "write" { ["write", "pwritev2"].contains(&name) } else { name.contains(kind) };
            fits && rest.contains(text)
        })
    }

    fn first(&self, kind: &str, text: &str) -> &Call {
        self.all(kind, text).next().unwrap_or_else(|| panic!("no {kind} of {text}"))
    }

    fn last(&self, kind: &str, text: &str) -> &Call {
        self.all(kind, text).next_back().unwrap_or_else(|| panic!("no {kind} of {text}"))
    }

    /// The first that begins when `before` has ended.
    fn after(&self, before: &Call, kind: &str, text: &str) -> &Call {
        let later = self.all(kind, text).find(|call| call.begun > before.ended);
        later.unwrap_or_else(|| panic!("no {kind} of {text} after {before:?}"))
    }
}
