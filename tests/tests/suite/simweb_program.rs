//! The program that the demo starts: says when it is ready, leaves a configuration, reports when its input closes.

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::client::Client;

#[tokio::test]
async fn the_program_serves_until_its_input_closes_and_then_reports() {
    let dir = tempfile::tempdir().unwrap();
    let (mut program, mut lines, client) = start(&dir.path().join("new"), &["--delay-ms", "5"]);
    let answer = client.get("https://api.unpaywall.org/v2/10.1145/3065386?email=reader@example.org").await;
    assert_eq!(answer.status, 200);
    assert_eq!(client.get("http://proceedings.mlr.press/v37/ioffe15.pdf").await.status, 200);

    drop(program.stdin.take());
    let report: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(report["requests"], 2);
    assert_eq!(report["hosts"]["proceedings.mlr.press"]["requests"], 1);
    assert!(lines.next().is_none());
    assert!(program.wait().unwrap().success());
}

#[tokio::test]
async fn files_are_spread_over_hosts_and_broken_promises_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let promises = ["--promise", "files0.example.org=1,0.001,1", "--promise", "files1.example.org=1,0.001,2"];
    let corpus = ["--corpus", "4", "--size", "4096", "--hosts", "2", "--slow", "1", "--slow-ms", "0"];
    let (mut program, mut lines, client) = start(dir.path(), &[&corpus[..], &promises].concat());
    let listed = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    let urls = [listed("corpus.txt"), listed("slow.txt")].join("\n");
    assert!(
        urls.starts_with("https://files0.example.org/0.pdf\nhttps://files1.example.org/1.pdf\n"),
        "{urls}"
    );
    for url in urls.lines() {
        assert_eq!(client.get(url).await.status, 200, "{url}");
    }
    drop(program.stdin.take());
    let report: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(report["hosts"]["slow.example.org"]["requests"], 1);
    // Two requests came to each host: the burst of the second allows that.
    assert_eq!(report["violations"], 1);
    assert!(program.wait().unwrap().success());
}

/// The program, once it is ready, what it prints from then on, and a client that its configuration leads to it.
fn start(dir: &Path, arguments: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>, Client) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simweb"));
    command.arg("--dir").arg(dir).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut program = command.spawn().unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let config: toml::Table = std::fs::read_to_string(dir.join("gleaner.toml")).unwrap().parse().unwrap();
    assert_eq!(config["contact"].as_str(), Some("reader@example.org"));
    let egress = config["egress"].as_table().unwrap();
    let target = |key: &str| egress["connect-to"][key].as_str().unwrap().parse().unwrap();
    let ca = std::fs::read_to_string(egress["extra-ca-certs"][0].as_str().unwrap()).unwrap();
    let client = Client::new(target("*:443"), target("*:80"), &ca, true);
    (program, lines, client)
}
