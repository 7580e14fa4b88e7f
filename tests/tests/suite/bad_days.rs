//! Bad days: a full disk, a read-only one, a busy or damaged database. Each gives a clear error or is survived,
//! and nothing that was there is lost.
//!
//! Two of these mount a small file system. That takes root, as CI has it; without, they say that they were skipped.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use gleaner_tests::harness::{Bench, Output, Running, TIMEOUT};
use gleaner_tests::simweb::Reply;

use crate::papers::{self, dois};

/// A file system of its own; unmounted at the end.
struct Mount(PathBuf);

impl Mount {
    fn new(dir: PathBuf, options: &[&str]) -> Self {
        fs::create_dir_all(&dir).unwrap();
        mount(options, &dir);
        Self(dir)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a process that is still ending must not leave it behind.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mount(options: &[&str], dir: &Path) {
    let status = Command::new("mount").args(options).arg(dir).status().unwrap();
    assert!(status.success(), "mount {options:?} {dir:?}");
}

/// Whether file systems can be mounted.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn may_mount() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: mounting a file system takes root");
    }
    root
}

/// A command on another library.
fn on(bench: &Bench, library: &Path, args: &[&str]) -> Output {
    let mut gleaner = bench.bare();
    gleaner.arg("--library").arg(library).arg("--config").arg(bench.path("gleaner.toml")).args(args);
    Running::of(gleaner).wait(TIMEOUT)
}

#[test]
fn a_full_disk_stops_the_run_and_nothing_is_lost() {
    if !may_mount() {
        return;
    }
    let mut bench = papers::bench(12);
    // Else downloads would pause long before the disk is full.
    bench.configure("content.free-space = \"0\"");
    for number in 1..=12 {
        bench.sim().set(&papers::url(number), Reply::pdf(400_000));
    }
    let disk = Mount::new(bench.path("disk"), &["-t", "tmpfs", "-o", "size=3m", "tmpfs"]);
    let library = disk.0.join("library");
    let list = bench.file("list.txt", &dois(12).join("\n"));
    let full = on(&bench, &library, &["get", "--input", &list]).expect_code(4);
    assert!(full.stderr.contains("room"), "{}", full.stderr);
    assert!(full.stderr.contains(&library.display().to_string()), "{}", full.stderr);

    mount(&["-o", "remount,size=64m"], &disk.0);
    let totals = on(&bench, &library, &["--format", "json", "get", "--input", &list]).expect_code(0).json();
    assert_eq!((&totals["done"], &totals["error"]), (&12.into(), &0.into()), "{totals}");
    on(&bench, &library, &["library", "verify"]).expect_code(0);
    let accepted = bench.sim().report().hosts[papers::PRESS].requests;
    assert!(
        accepted < 24,
        "files that were stored before the disk was full are not fetched again: {accepted}"
    );
}

/// The disk is full within a file: what came of it is kept, downloads pause, and go on when there is room.
#[test]
fn a_disk_that_fills_up_amid_a_download_pauses_it_and_it_goes_on_where_it_was() {
    const SIZE: usize = 12 << 20;
    if !may_mount() {
        return;
    }
    let mut bench = papers::bench(1);
    bench.configure("content.free-space = \"1MiB\"");
    bench.sim().set(&papers::url(1), Reply::pdf(SIZE).resumable("\"v1\""));
    let disk = Mount::new(bench.path("disk"), &["-t", "tmpfs", "-o", "size=10m", "tmpfs"]);
    let library = disk.0.join("library");
    let mut gleaner = bench.bare();
    gleaner.arg("--library").arg(&library).arg("--config").arg(bench.path("gleaner.toml"));
    gleaner.arg("--plugins").arg(bench.bundled()).args([
        "--format",
        "json",
        "get",
        &papers::doi(1),
        "--max-wait",
        "2m",
    ]);
    let run = Running::of(gleaner);
    run.wait_until_it_says("downloads pause");
    let begun = bench.sim().seen(papers::PRESS).requests.len();
    assert_eq!(begun, 1, "it did not pause before it began");
    mount(&["-o", "remount,size=64m"], &disk.0);
    let totals = run.wait(TIMEOUT).expect_code(0).json();
    assert_eq!((&totals["done"], &totals["error"]), (&1.into(), &0.into()), "{totals}");
    let requests = bench.sim().seen(papers::PRESS).requests;
    let from = requests.last().unwrap().header("range").expect("the rest is asked for").to_owned();
    let from: usize = from.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap();
    assert!(from >= 4 << 20 && requests.len() == 2, "{from} {requests:?}");
    on(&bench, &library, &["library", "verify"]).expect_code(0);
    let shown =
        on(&bench, &library, &["--format", "json", "queue", "show", &papers::doi(1)]).expect_code(0).json();
    let tries = shown["attempts_made"].as_array().unwrap();
    assert!(tries.iter().all(|record| record["reason"] == "ok"), "the pause is charged to nobody: {shown}");
}

#[test]
fn a_read_only_library_says_so() {
    if !may_mount() {
        return;
    }
    let bench = papers::bench(2);
    bench.run(&["get", &papers::doi(1)]).expect_code(0);
    let disk = Mount::new(bench.path("ro"), &["--bind", &bench.library().display().to_string()]);
    mount(&["-o", "remount,bind,ro"], &disk.0);
    let refused = on(&bench, &disk.0, &["queue", "enqueue", &papers::doi(2)]).expect_code(4);
    assert!(
        refused.stderr.contains("permissions") || refused.stderr.contains("read-only"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("library.db"), "{}", refused.stderr);
    drop(disk);
    let totals = papers::json(&bench, &["get", &papers::doi(1), &papers::doi(2)]);
    assert_eq!(totals["done"], 2);
}

#[test]
fn a_damaged_database_is_named_and_the_files_stay() {
    let bench = papers::bench(40);
    let list = bench.file("list.txt", &dois(40).join("\n"));
    bench.run(&["get", "--input", &list]).expect_code(0);
    let database = bench.library().join("library.db");
    let mut bytes = fs::read(&database).unwrap();
    // All pages but the first, which says what file it is.
    bytes[4096..].fill(0x5a);
    fs::write(&database, bytes).unwrap();
    for args in [&["queue", "list"][..], &["library", "list"], &["get", "10.5555/paper.1"]] {
        let output = bench.run(args).expect_code(4);
        assert!(output.stderr.contains("library.db"), "{args:?}: {}", output.stderr);
        assert!(output.stderr.contains("damaged"), "{args:?}: {}", output.stderr);
        assert!(output.stderr.contains("restore"), "{args:?}: {}", output.stderr);
    }
    assert_eq!(fs::read_dir(bench.library().join("files")).unwrap().count(), 40);
}

/// Another program that writes to the database until told to stop.
struct Writer(Child);

impl Writer {
    fn on(database: &Path) -> Self {
        let script = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
                      c.execute('BEGIN IMMEDIATE')\nprint('locked', flush=True)\nsys.stdin.readline()\nc.execute('ROLLBACK')\n";
        let mut python = Command::new("python3");
        python.arg("-c").arg(script).arg(database).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = python.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "locked\n");
        Self(child)
    }

    fn stop(mut self) {
        self.0.stdin.take().unwrap().write_all(b"\n").unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_busy_database_is_waited_for_and_then_named() {
    let mut bench = papers::bench(2);
    bench.run(&["get", &papers::doi(1)]).expect_code(0);
    let writer = Writer::on(&bench.library().join("library.db"));
    bench.configure("[queue]\nbusy-timeout = \"500ms\"\n");
    let refused = bench.run(&["queue", "enqueue", &papers::doi(2)]).expect_code(4);
    assert!(refused.stderr.contains("another process"), "{}", refused.stderr);
    assert!(refused.stderr.contains("busy-timeout"), "{}", refused.stderr);
    assert_eq!(papers::json(&bench, &["queue", "stats"])["total"], 1, "reading works meanwhile");

    bench.configure("[queue]\nbusy-timeout = \"60s\"\n");
    let waiting = bench.spawn(&["--format", "json", "get", &papers::doi(2)]);
    writer.stop();
    assert_eq!(waiting.wait(TIMEOUT).expect_code(0).json()["done"], 1);
}
