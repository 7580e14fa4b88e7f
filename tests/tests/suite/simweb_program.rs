//! The program that the demo starts: says when it is ready, leaves a configuration, reports when its input closes.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::client::Client;

#[tokio::test]
async fn the_program_serves_until_its_input_closes_and_then_reports() {
    let dir = tempfile::tempdir().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_simweb"))
        .arg("--dir")
        .arg(dir.path().join("new"))
        .args(["--delay-ms", "5"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");

    let config: toml::Table =
        std::fs::read_to_string(dir.path().join("new/gleaner.toml")).unwrap().parse().unwrap();
    assert_eq!(config["contact"].as_str(), Some("reader@example.org"));
    let egress = config["egress"].as_table().unwrap();
    let target = |key: &str| egress["connect-to"][key].as_str().unwrap().parse().unwrap();
    let ca = std::fs::read_to_string(egress["extra-ca-certs"][0].as_str().unwrap()).unwrap();
    let client = Client::new(target("*:443"), target("*:80"), &ca, true);
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
