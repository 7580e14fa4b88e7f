//! What people are told when something is wrong, whole: `messages.txt` is what the program says in each case.
//!
//! `GLEANER_UPDATE=1` writes the file anew; read the difference as a user would.

use std::fs;
use std::path::Path;

use gleaner_tests::harness::{Bench, Running, TIMEOUT};
use gleaner_tests::simweb::Reply;

use crate::papers;

/// A bench with one file, one failure, and files that are wrong in every way.
fn bench() -> Bench {
    let bench = papers::bench(2);
    bench.sim().set(&papers::url(2), Reply::html("A page"));
    bench.run(&["get", &papers::doi(1), &papers::doi(2)]).expect_code(1);
    bench.file("list.txt", "10.5555/paper.1\n\nnonsense\n9659853\n10.5555/two words\nhttps://nodot/x\n");
    bench.file("works.jsonl", "{\"doi\":\"10.5555/paper.1\"}\n[]\n{\n{\"title\":\"No name\"}\n{\"doi\":7}\n");
    bench.file("key.toml", "[orchestrator]\nwokers = 3\n");
    bench.file("unit.toml", "[egress]\ntimeout = 30\n");
    bench.file("range.toml", "[orchestrator]\nheartbeat = \"1s\"\n");
    bench.file("rate.toml", "[limits.hosts]\n\"slow.example.org\" = { rate = \"1 per 3 seconds\" }\n");
    bench.file("negative.toml", "[limits]\ndefault-host = { concurrency = -1 }\n");
    bench.file("grant.toml", "[resolvers.unpaywall]\ngrants = { hosts = [\"https://api.example.org/\"] }\n");
    bench.file("broken.toml", "[egress\n");
    bench.file("plain.toml", "");
    bench.file("text.wasm", "not a component");
    bench.file("afile", "");
    bench
}

const CASES: &[&str] = &[
    "get",
    "get nonsense 9659853 doi:10.5555/",
    "get --input missing.txt",
    "get --input list.txt",
    "queue import works.jsonl",
    "queue import missing.jsonl",
    "queue enqueue",
    "queue show nobody",
    "queue run --workers 0",
    "queue run --workers 500",
    "queue run --max-per-resolver unpaywall",
    "queue run --max-wait 30",
    "queue list --state lost",
    "queue retry-failed --reason bad",
    "queue retry-failed --state done",
    "queue retry-failed --host a/b",
    "resolve 12",
    "resolve 10.5555/paper.1 --resolver nix",
    "plugin inspect nix",
    "plugin inspect text.wasm",
    "library export --output nowhere/manifest.jsonl",
    "--library nowhere queue stats",
    "--library afile queue stats",
    "--library afile queue enqueue 10.5555/x",
    "--plugins nowhere plugin list",
    "--config nowhere.toml config check",
    "--config key.toml config check",
    "--config unit.toml config check",
    "--config range.toml config check",
    "--config rate.toml config check",
    "--config negative.toml config check",
    "--config grant.toml config check",
    "--config broken.toml config check",
    "--config plain.toml get 10.5555/x",
    "frobnicate",
];

fn transcript(bench: &Bench) -> String {
    let folder = bench.path("");
    let mut text = String::new();
    for case in CASES {
        let mut gleaner = bench.bare();
        gleaner.current_dir(&folder);
        if !case.contains("--library") {
            gleaner.args(["--library", "library"]);
        }
        if !case.contains("--config") {
            gleaner.args(["--config", "gleaner.toml"]);
        }
        gleaner.args(case.split(' '));
        let output = Running::of(gleaner).wait(TIMEOUT);
        let code = output.code.map_or("none".to_owned(), |code| code.to_string());
        let said = output.stderr.replace(&folder.display().to_string(), "DIR");
        let said: Vec<&str> = said.lines().map(str::trim_end).collect();
        text.push_str(&format!("$ gleaner {case}\n{}\n[exit {code}]\n\n", said.join("\n").trim_end()));
    }
    text
}

#[test]
fn messages_are_as_they_were_read_and_approved() {
    let now = transcript(&bench());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/messages.txt");
    if std::env::var_os("GLEANER_UPDATE").is_some() {
        fs::write(&path, &now).unwrap();
    }
    let approved = fs::read_to_string(&path).unwrap_or_default();
    for (now, approved) in now.split("\n\n$ ").zip(approved.split("\n\n$ ")) {
        assert_eq!(now, approved, "read it as a user; GLEANER_UPDATE=1 approves it");
    }
    assert_eq!(now.len(), approved.len(), "a case was added or removed; GLEANER_UPDATE=1 approves it");
}
