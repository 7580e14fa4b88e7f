//! What the server tells while things change: events, health, and how it ends.
//!
//! Must never wait by the clock: a line that has to come is waited for.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use gleaner_tests::harness::{Bench, Signal, TIMEOUT};
use gleaner_tests::simweb::World;
use serde_json::{Value, json};

use crate::papers;
use crate::queue_commands::wait_until;
use crate::serve::Served;

/// One who watches, as soon as the server knows of them.
fn watch(served: &Served) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(&served.address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    write!(stream, "GET /api/v1/events HTTP/1.1\r\nhost: {}\r\n\r\n", served.address).unwrap();
    let mut viewer = BufReader::new(stream);
    line_with(&mut viewer, "watching");
    viewer
}

/// The next line that has this in it; panics when the stream ends before.
fn line_with(viewer: &mut BufReader<TcpStream>, part: &str) -> String {
    loop {
        let mut line = String::new();
        assert!(viewer.read_line(&mut line).expect("a line in time") > 0, "the stream ended before {part:?}");
        if line.contains(part) {
            return line;
        }
    }
}

#[test]
fn the_stream_tells_of_changes_and_ends_with_the_server() {
    let bench = papers::bench(2);
    let served = Served::start(&bench);
    let mut viewer = watch(&served);
    served.post("/jobs", &json!({ "works": ["10.5555/paper.1"] })).expect(200);
    let stats = loop {
        let line = line_with(&mut viewer, "data: ");
        let change: Value = serde_json::from_str(line.trim().strip_prefix("data: ").unwrap()).unwrap();
        if change["stats"]["done"] == 1 {
            break change["stats"].clone();
        }
    };
    assert_eq!(stats, served.api("/stats"));
    // Another process's change is told as well.
    bench.run(&["queue", "enqueue", "10.5555/other", "--not-before", "1h"]).expect_code(0);
    line_with(&mut viewer, "\"queued\":1");
    served.run.signal(Signal::TERM);
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut viewer, &mut rest).unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "the stream was cut: {rest:?}");
    served.run.wait(TIMEOUT).expect_code(0);
}

#[test]
fn a_hundred_idle_viewers_do_not_stop_a_run() {
    let bench = papers::bench(30);
    let served = Served::start(&bench);
    let mut viewers: Vec<_> = (0..100).map(|_| watch(&served)).collect();
    papers::enqueue(&bench, 30);
    wait_until("all are done", || papers::count(&bench, "done") == 30);
    line_with(&mut viewers[99], "event: change");
    served.stop();
}

#[test]
fn who_does_not_send_a_body_keeps_nobody_waiting() {
    let bench = papers::bench(1);
    let served = Served::start(&bench);
    // More of them than answers are made at once.
    let stalled: Vec<_> = (0..40)
        .map(|_| {
            let mut stream = TcpStream::connect(&served.address).unwrap();
            let head = "content-type: application/json\r\ncontent-length: 100\r\n\r\n{";
            write!(stream, "POST /api/v1/jobs HTTP/1.1\r\nhost: {}\r\n{head}", served.address).unwrap();
            stream
        })
        .collect();
    assert_eq!(served.api("/stats")["queued"], 0);
    served.page("/");
    drop(stalled);
    served.stop();
}

#[test]
fn health_is_told_with_reasons() {
    let (bench, barrier) = papers::held(1);
    let served = Served::start(&bench);
    assert_eq!(served.get("/healthz").expect(200).body, "alive\n");
    assert_eq!(served.get("/readyz").expect(200).json(), json!({ "ready": true, "reasons": [] }));
    assert!(served.get("/metrics").expect(200).body.contains("gleaner_queue_depth{state=\"queued\"} 0\n"));
    served.stop();
    // Without a resolver nothing can be found.
    let mut none = Bench::new(World::default());
    none.configure("[tiers]\nlist = []");
    for name in bench_resolvers(&bench) {
        none.configure(&format!("[resolvers.{name}]\nenabled = false"));
    }
    let served = Served::start(&none);
    let ready = served.get("/readyz").expect(503).json();
    assert_eq!(ready["reasons"], json!(["no resolver is loaded; see `gleaner plugin list`"]));
    served.stop();
    drop(barrier);
}

fn bench_resolvers(bench: &Bench) -> Vec<String> {
    let listed = papers::json_lines(bench, &["plugin", "list"]);
    listed.iter().map(|plugin| plugin["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_run_that_stops_lets_its_steps_finish_and_takes_no_new_connection() {
    let (mut bench, barrier) = papers::held(1);
    bench.configure("orchestrator.grace = \"10m\"");
    papers::enqueue(&bench, 1);
    let served = Served::start(&bench);
    bench.wait_for_requests(papers::PRESS, 1);
    served.run.signal(Signal::TERM);
    wait_until("nobody listens", || TcpStream::connect(&served.address).is_err());
    barrier.open();
    served.run.wait(TIMEOUT).expect_code(0);
    assert_eq!(papers::count(&bench, "done"), 1);
}

#[test]
fn what_is_loaded_anew_is_told() {
    let mut bench = papers::bench(1);
    let served = Served::start(&bench);
    assert_eq!(served.api("/plugins")["reloads"], json!([]));
    bench.configure("orchestrator.workers = 3\n[limits.hosts.\"slow.example.org\"]\nconcurrency = 1");
    wait_until("the configuration was read", || served.api("/plugins")["generation"] == 2);
    wait_until("it is told", || {
        let says = served.api("/plugins")["reloads"][0]["says"].to_string();
        says.contains("what changed in limits holds from now on")
    });
    let settings = served.api("/settings");
    let is_there = |one: &Value| one["key"] == "limits.hosts.\"slow.example.org\".concurrency";
    assert!(settings.as_array().unwrap().iter().any(is_there), "{settings}");
    let workers = |one: &&Value| one["key"] == "orchestrator.workers";
    let workers = settings.as_array().unwrap().iter().find(workers).unwrap();
    assert_eq!((&workers["next"], &workers["origin"]), (&"3".into(), &"default".into()), "{workers}");
    assert!(served.page("/settings").contains("From the next start on: "));
    served.stop();
}
