//! A run as a service: what systemd is told, over a real socket, and what the log says of which run.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use gleaner_tests::harness::{Bench, Running, Signal, TIMEOUT};
use gleaner_tests::simweb::World;
use serde_json::Value;

use crate::papers::{bench, enqueue};

/// A socket of systemd's kind, and the variable that names it.
fn socket(bench: &Bench, patience: Duration) -> (UnixDatagram, String) {
    let path = bench.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(patience)).unwrap();
    (socket, format!("NOTIFY_SOCKET={}", path.display()))
}

fn next(socket: &UnixDatagram) -> String {
    let mut message = [0; 64];
    let length = socket.recv(&mut message).expect("a message in time");
    String::from_utf8(message[..length].to_vec()).unwrap()
}

#[test]
fn systemd_is_told_when_a_run_is_ready_alive_and_stopping() {
    let bench = Bench::new(World::new());
    let (socket, variable) = socket(&bench, TIMEOUT);
    let run = bench.spawn_under(&["env", &variable, "WATCHDOG_USEC=100000"], &["queue", "run"]);
    assert_eq!(next(&socket), "READY=1");
    assert_eq!((next(&socket), next(&socket)), ("WATCHDOG=1".into(), "WATCHDOG=1".into()));
    run.signal(Signal::TERM);
    let rest = std::iter::repeat_with(|| next(&socket)).take_while(|message| message != "STOPPING=1");
    assert!(rest.into_iter().all(|message| message == "WATCHDOG=1"));
    run.wait(TIMEOUT).expect_code(0);
}

#[test]
fn a_run_has_its_memory_in_small_pages() {
    let bench = Bench::new(World::new());
    let (socket, variable) = socket(&bench, TIMEOUT);
    let run = bench.spawn_under(&["env", &variable], &["queue", "run"]);
    assert_eq!(next(&socket), "READY=1");
    let status = std::fs::read_to_string(format!("/proc/{}/status", run.pid())).unwrap();
    assert!(status.lines().any(|line| line == "THP_enabled:\t0"), "{status}");
    run.signal(Signal::TERM);
    run.wait(TIMEOUT).expect_code(0);
}

#[test]
fn a_manager_that_is_gone_or_wants_no_watchdog_stops_nothing() {
    let bench = bench(1);
    enqueue(&bench, 1);
    let gone = format!("NOTIFY_SOCKET={}", bench.path("nobody").display());
    bench.spawn_under(&["env", &gone], &["queue", "run", "--drain"]).wait(TIMEOUT).expect_code(0);
    let (socket, variable) = socket(&bench, Duration::from_millis(100));
    // Another process' watchdog.
    let tool = ["env", &variable, "WATCHDOG_USEC=1000", "WATCHDOG_PID=1"];
    bench.spawn_under(&tool, &["queue", "run", "--drain"]).wait(TIMEOUT).expect_code(0);
    assert_eq!((next(&socket), next(&socket)), ("READY=1".into(), "STOPPING=1".into()));
    assert!(socket.recv(&mut [0; 64]).is_err(), "nothing else");
}

#[test]
fn every_json_line_of_a_run_says_which_run() {
    let bench = bench(2);
    enqueue(&bench, 2);
    let tool = ["env", "GLEANER_LOG_FORMAT=json", "GLEANER_LOG=gleaner=debug"];
    let output = bench.spawn_under(&tool, &["-q", "queue", "run", "--drain"]).wait(TIMEOUT).expect_code(0);
    let lines: Vec<Value> =
        output.stderr.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let records = bench.run(&["--format", "json", "library", "manifest"]).expect_code(0).json_lines();
    let run = &records[0]["run_id"];
    let ended: Vec<_> = lines.iter().filter(|line| line["message"] == "job ended").collect();
    assert!(ended.len() == 2 && run.is_string(), "{}", output.stderr);
    let first = lines.iter().position(|line| &line["run_id"] == run).unwrap();
    assert!(lines[first..].iter().all(|line| &line["run_id"] == run), "{}", output.stderr);
}

/// What the unit and the container start is a command that there is, with a configuration that is valid.
#[test]
fn what_the_examples_of_deployment_start_is_there() {
    let bench = Bench::new(World::new());
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/deploy");
    let read = |file: &str| std::fs::read_to_string(dir.join(file)).unwrap();
    let unit = read("gleaner.service");
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/gleaner ")).unwrap();
    let container = read("Containerfile");
    let part = |name: &str| -> Vec<String> {
        let list = container.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        serde_json::from_str(list).unwrap()
    };
    let contained: Vec<String> = [part("ENTRYPOINT "), part("CMD ")].concat();
    assert_eq!(contained[1..].join(" "), start, "both start the same");
    let mut args: Vec<&str> = start.split(' ').collect();
    let config = dir.join("gleaner.toml").display().to_string();
    let at = args.iter().position(|arg| *arg == "/etc/gleaner/gleaner.toml").unwrap();
    args[at] = &config;
    args.push("--help");
    assert!(bench.run(&args[2..]).expect_code(0).stdout.contains("queue run"));
    let mut shown = bench.bare();
    shown.args(["--config", &config, "config", "show"]);
    Running::of(shown).wait(TIMEOUT).expect_code(0);
}
