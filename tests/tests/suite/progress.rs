//! Progress of a run: a bar on a terminal, plain lines elsewhere, nothing when quiet.
//!
//! The terminal is a real one, made by `script`. Must never assert how often something is drawn.

use std::process::Command;

use gleaner_tests::harness::{Bench, Output, Running, TIMEOUT};
use gleaner_tests::simweb::Reply;

use crate::papers;

/// Runs a command on a pseudo-terminal; what it shows is on standard output.
fn on_a_terminal(bench: &Bench, args: &[&str]) -> Output {
    let mut bare = bench.bare();
    bare.arg("--library").arg(bench.library()).arg("--config").arg(bench.path("gleaner.toml")).args(args);
    let words = std::iter::once(bare.get_program()).chain(bare.get_args());
    let line: Vec<String> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line.join(" "), "/dev/null"]);
    for (name, value) in bare.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    script.env("TERM", "xterm").env("COLUMNS", "120");
    script.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped());
    script.stderr(std::process::Stdio::piped());
    Running::of(script).wait(TIMEOUT)
}

#[test]
fn a_terminal_shows_a_bar_with_rate_and_eta_the_active_hosts_and_failures() {
    let bench = papers::bench(6);
    bench.sim().set(&papers::url(6), Reply::html("A page"));
    let list = bench.file("list.txt", &papers::dois(6).join("\n"));
    let shown = on_a_terminal(&bench, &["get", "--input", &list]).expect_code(1).stdout;
    for part in ["/6 works", "/s", "eta", papers::PRESS, "html_instead_of_pdf", "5 done"] {
        assert!(shown.contains(part), "{part:?} is missing in {shown:?}");
    }
    assert!(shown.contains("\u{1b}["), "a bar is drawn in place: {shown:?}");
}

#[test]
fn a_pipe_gets_no_bar_and_quiet_nothing() {
    let bench = papers::bench(2);
    let piped = bench.run(&["get", &papers::doi(1)]).expect_code(0);
    assert!(!piped.stderr.contains('\u{1b}') && !piped.stdout.contains('\u{1b}'), "{piped:?}");
    let quiet = on_a_terminal(&bench, &["-q", "get", &papers::doi(2)]).expect_code(0).stdout;
    assert!(!quiet.contains('\u{1b}') && !quiet.contains("eta"), "{quiet:?}");
    assert!(quiet.contains("1 done"), "{quiet:?}");
}

/// Known mistake 6: a second's sleep a batch of ten, so that ten jobs a second was the most whatever the machine.
#[test]
fn jobs_are_not_spaced_out_by_sleeping() {
    let bench = papers::bench(0);
    let works: String = (0..400).map(|n| format!("{{\"artifact_id\":\"{n}\"}}\n")).collect();
    bench.run(&["queue", "import", &bench.file("works.jsonl", &works)]).expect_code(0);
    let totals = papers::json(&bench, &["queue", "run", "--drain"]);
    assert_eq!(totals["skipped"], 400);
    let seconds = totals["seconds"].as_f64().unwrap();
    assert!(seconds < 40.0, "400 jobs with nothing to do took {seconds} s, which is the pace of the mistake");
}
