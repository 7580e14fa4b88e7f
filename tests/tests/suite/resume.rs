//! Downloads that break off go on where they stopped, in the same process and after a crash, and never mix two versions.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use gleaner_tests::harness::{Bench, Signal, TIMEOUT};
use gleaner_tests::simweb::{Reply, World};

const HOST: &str = "files.example.org";
const URL: &str = "https://files.example.org/work.pdf";
const SIZE: usize = 1 << 20;
const BIG: usize = 24 << 20;
const SOON: &str = "orchestrator.backoff = \"10ms\"";

fn v1() -> Reply {
    Reply::pdf(SIZE).resumable("\"v1\"")
}

fn bench(first: Reply, then: Reply) -> Bench {
    let mut world = World::new();
    world.set(URL, then.after_first(1, first));
    let mut bench = Bench::new(world);
    bench.configure(SOON);
    bench
}

/// What each request asked for: its `Range`.
fn ranges(bench: &Bench) -> Vec<Option<String>> {
    let seen = bench.sim().seen(HOST).requests;
    let range = |headers: &[(String, String)]| {
        headers.iter().find(|(name, _)| name == "range").map(|(_, value)| value.clone())
    };
    seen.iter().map(|seen| range(&seen.headers.clone().into_iter().collect::<Vec<_>>())).collect()
}

/// The one file is whole, and nothing unfinished is left.
fn expect_one_file_of(bench: &Bench, size: usize) {
    let files = bench.run(&["--format", "json", "library", "list"]).expect_code(0).json_lines();
    assert_eq!((files.len(), &files[0]["size"]), (1, &size.into()));
    bench.run(&["library", "verify"]).expect_code(0);
    assert_eq!(parts(bench), Vec::<PathBuf>::new());
}

fn parts(bench: &Bench) -> Vec<PathBuf> {
    let entries = fs::read_dir(bench.library().join("tmp")).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("part-")).collect()
}

/// From where the second request asked on.
fn resumed_at(bench: &Bench) -> usize {
    let ranges = ranges(bench);
    assert_eq!((ranges.len(), &ranges[0]), (2, &None), "{ranges:?}");
    let range = ranges[1].as_deref().expect("the second request asks for the rest");
    range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap()
}

#[test]
fn a_connection_that_breaks_costs_only_the_rest() {
    let bench = bench(v1().cut_after(700_000), v1());
    bench.run(&["get", URL]).expect_code(0);
    let at = resumed_at(&bench);
    assert!((1..=700_000).contains(&at), "{at}");
    expect_one_file_of(&bench, SIZE);
}

#[test]
fn a_body_below_the_lowest_speed_is_cut_and_resumed() {
    let mut bench = bench(v1().dribbled(4096, Duration::from_millis(50)), v1());
    bench.configure("content = { lowest-speed = \"1MiB/s\", speed-window = \"300ms\" }");
    bench.run(&["get", URL]).expect_code(0);
    assert!(resumed_at(&bench) < SIZE);
    expect_one_file_of(&bench, SIZE);
}

#[test]
fn another_version_is_fetched_from_its_beginning() {
    let bench = bench(v1().cut_after(700_000), Reply::pdf(2 * SIZE).resumable("\"v2\""));
    bench.run(&["get", URL]).expect_code(0);
    assert!(resumed_at(&bench) > 0);
    expect_one_file_of(&bench, 2 * SIZE);
}

#[test]
fn what_has_no_strong_validator_is_fetched_again() {
    for weak in [Reply::pdf(SIZE), Reply::pdf(SIZE).header("etag", "W/\"v1\""), v1().chunked()] {
        let bench = bench(weak.clone().cut_after(700_000), weak);
        bench.run(&["get", URL]).expect_code(0);
        assert_eq!(ranges(&bench), [None, None]);
        expect_one_file_of(&bench, SIZE);
    }
}

fn big() -> Reply {
    Reply::pdf(BIG).resumable("\"v1\"")
}

/// A process that is killed within a download of 24 MiB, and the part that it leaves.
#[expect(clippy::disallowed_methods, reason = "a file that another process writes sends no events")]
fn killed() -> (Bench, PathBuf) {
    let bench = bench(big().dribbled(64 << 10, Duration::from_millis(20)), big());
    let run = bench.spawn(&["get", URL]);
    let begun = Instant::now();
    let part = loop {
        assert!(begun.elapsed() < TIMEOUT, "no part is noted: {:?}", parts(&bench));
        let note = parts(&bench).into_iter().find(|path| path.extension().is_some());
        match note {
            Some(note) => break note.with_extension(""),
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    run.signal(Signal::KILL);
    assert_eq!(run.wait(TIMEOUT).code, None);
    (bench, part)
}

#[test]
fn a_download_whose_process_is_killed_goes_on_in_the_next() {
    let (bench, _) = killed();
    bench.run(&["get", URL]).expect_code(0);
    assert!(resumed_at(&bench) >= 4 << 20);
    expect_one_file_of(&bench, BIG);
}

#[test]
fn a_beginning_that_is_not_what_was_noted_is_thrown_away() {
    let (bench, part) = killed();
    // As after a power cut: the length is right, the bytes are not there.
    let mut bytes = fs::read(&part).unwrap();
    bytes[1000..3000].fill(0);
    fs::write(&part, bytes).unwrap();
    bench.run(&["get", URL]).expect_code(0);
    assert_eq!(ranges(&bench), [None, None]);
    expect_one_file_of(&bench, BIG);
}

/// The process was killed between the last byte and the file's name: the server has no rest to send, and says so (416).
#[test]
fn a_part_that_lacks_nothing_becomes_the_file_without_a_byte_more() {
    let other = bench(big(), big());
    other.run(&["get", URL]).expect_code(0);
    let file = &other.run(&["--format", "json", "library", "list"]).expect_code(0).json_lines()[0];
    let (bench, part) = killed();
    fs::copy(other.library().join(file["name"].as_str().unwrap()), &part).unwrap();
    let noted = part.with_extension("json");
    let mut note: serde_json::Value = serde_json::from_slice(&fs::read(&noted).unwrap()).unwrap();
    (note["length"], note["sha256"]) = (BIG.into(), file["sha256"].clone());
    fs::write(&noted, note.to_string()).unwrap();
    bench.run(&["get", URL]).expect_code(0);
    assert_eq!(resumed_at(&bench), BIG);
    expect_one_file_of(&bench, BIG);
    let records = bench.run(&["--format", "jsonl", "library", "manifest"]).expect_code(0).json_lines();
    let record = records.last().unwrap();
    assert_eq!((&record["status"], &record["bytes"]), (&416.into(), &BIG.into()), "{record}");
}

#[test]
fn a_file_that_is_shorter_now_than_its_part_is_fetched_anew() {
    let (bench, _) = killed();
    bench.sim().set(URL, v1());
    bench.run(&["get", URL]).expect_code(0);
    let ranges = ranges(&bench);
    assert!(ranges[1].is_some() && ranges[2..] == [None], "{ranges:?}");
    expect_one_file_of(&bench, SIZE);
}

#[test]
fn downloads_pause_below_the_floor_of_free_space_free_of_charge() {
    let mut world = World::new();
    world.set(URL, Reply::pdf(4096));
    let bench = Bench::new(world);
    let floor = ["env", "GLEANER_CONTENT__FREE_SPACE=1000000000GiB"];
    let run = bench.spawn_under(&floor, &["get", URL]);
    run.wait_until_it_says("downloads pause");
    run.signal(Signal::INT);
    run.wait(TIMEOUT).expect_code(130);
    assert_eq!(ranges(&bench), Vec::<Option<String>>::new());
    let jobs = bench.run(&["--format", "json", "queue", "list"]).expect_code(0).json_lines();
    assert_eq!((&jobs[0]["state"], &jobs[0]["attempts"]), (&"queued".into(), &0.into()), "{jobs:?}");
}

/// A work that ends without its file leaves nothing behind: what it had of it is of no use to anybody.
#[test]
fn what_a_work_had_begun_goes_with_its_end() {
    let mut bench = bench(v1().cut_after(700_000), v1().cut_after(300_000));
    bench.configure("orchestrator.max-attempts = 2");
    bench.run(&["get", URL]).expect_code(1);
    assert!(resumed_at(&bench) > 0, "there was a part");
    assert_eq!(parts(&bench), Vec::<PathBuf>::new());
}

/// What a killed process left is kept for a week and within `content.unfinished`, and then any command removes it.
#[test]
fn parts_that_nobody_comes_back_to_are_removed() {
    let week = Duration::from_secs(7 * 24 * 3600);
    for (setting, age, stays) in [
        ("content.unfinished = \"4GiB\"", week - Duration::from_secs(3600), true),
        ("content.unfinished = \"4GiB\"", week + Duration::from_secs(3600), false),
        ("content.unfinished = \"1MiB\"", Duration::ZERO, false),
    ] {
        let (mut bench, part) = killed();
        bench.configure(setting);
        let file = fs::File::options().write(true).open(&part).unwrap();
        file.set_modified(file.metadata().unwrap().modified().unwrap() - age).unwrap();
        bench.sim().set("https://other.example.org/x.pdf", Reply::pdf(4096));
        bench.run(&["get", "https://other.example.org/x.pdf"]).expect_code(0);
        assert_eq!(part.exists(), stays, "{setting} {age:?}");
    }
}

/// A process stands still amid a download, another one takes the work over while the part is in the first one's hands, and
/// the first goes on: neither harms the other's file.
#[test]
fn two_processes_on_one_part_get_one_whole_file() {
    let mut bench = bench(v1().cut_after(700_000), v1().dribbled(64 << 10, Duration::from_millis(100)));
    bench.configure("orchestrator = { lease-ttl = \"30s\", heartbeat = \"5s\" }");
    let first = bench.spawn(&["get", URL]);
    bench.wait_for_requests(HOST, 2);
    first.signal(Signal::STOP);
    let second = bench.spawn(&["get", URL]);
    bench.wait_for_requests(HOST, 3);
    first.signal(Signal::CONT);
    for run in [first, second] {
        run.wait(TIMEOUT).expect_code(0);
    }
    let ranges = ranges(&bench);
    assert!(ranges[1].is_some() && ranges[2].is_none(), "the part was the first one's: {ranges:?}");
    expect_one_file_of(&bench, SIZE);
}
