//! What must never be told: a secret goes to the host that it is for, and stands in no file, log or message.

use std::fs;

use gleaner_tests::harness::{Bench, Output, TIMEOUT};
use gleaner_tests::simweb::{Reply, World};

use crate::guard::{call, fetch, with_guest};
use crate::holdings::{manifest, text, walk};

const SECRET: &str = "sesame-4711-open";

/// Runs `get` with the secret in the environment, telling all it can.
fn get_with_secret(bench: &Bench, ids: &[&str]) -> Output {
    let env = format!("GLEANER_SECRET_EXAMPLE_KEY={SECRET}");
    let args = [&["-vv", "--format", "json", "get"], ids].concat();
    bench.spawn_under(&["env", &env, "GLEANER_LOG=trace"], &args).wait(TIMEOUT)
}

fn expect_no_trace_of_the_secret(bench: &Bench, run: &Output) {
    let mut files = Vec::new();
    walk(&bench.library(), &mut files);
    assert!(files.iter().any(|path| path.ends_with("library.db")));
    for path in files {
        let bytes = fs::read(&path).unwrap();
        let found = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
        assert!(!found, "the secret is in {}", path.display());
    }
    assert!(run.stderr.len() > 1000, "it should have told more:\n{}", run.stderr);
    for (line, text) in run.stderr.lines().chain(run.stdout.lines()).enumerate() {
        assert!(!text.contains(SECRET), "the secret is in line {line}: {text}");
    }
    assert!(manifest(bench).iter().all(|record| !record.to_string().contains(SECRET)));
}

#[test]
fn a_secret_goes_to_its_host_and_nowhere_else() {
    const HOST: &str = "files.example.org";
    const OTHER: &str = "other.example.org";
    let mut world = World::new();
    world.set("https://files.example.org/x", Reply::bytes("text/plain", "open"));
    world.set("http://files.example.org/plain", Reply::bytes("text/plain", "open"));
    world.set("https://files.example.org/away", Reply::redirect(302, "https://other.example.org/landed"));
    let echo = format!("https://other.example.org/echo?key={SECRET}");
    world.set("https://files.example.org/echo", Reply::redirect(302, &echo));
    world.set_host(OTHER, Reply::bytes("text/plain", "not yours"));
    let bench = with_guest(
        world,
        "[resolvers.hostile]
        grants = { hosts = [\"files.example.org\", \"other.example.org\"] }
        inject = [
            { host = \"files.example.org\", header = \"X-Api-Key\", secret = \"example-key\" },
            { host = \"files.example.org\", query = \"key\", secret = \"example-key\" },
        ]",
    );
    let urls = [
        "https://files.example.org/x",
        "http://files.example.org/plain",
        "https://files.example.org/away",
        "https://files.example.org/echo",
    ];
    let dois = urls.map(fetch);
    let run = get_with_secret(&bench, &dois.each_ref().map(String::as_str)).expect_code(0);

    let mut with_secret = 0;
    for seen in bench.sim().seen(HOST).requests {
        let (header, query) = (seen.header("x-api-key"), seen.target.contains(&format!("key={SECRET}")));
        assert_eq!((header == Some(SECRET), query, seen.scheme), (true, true, "https"), "{seen:?}");
        with_secret += usize::from(query);
    }
    assert_eq!(with_secret, 4, "plain http is asked for over https");
    let others = bench.sim().seen(OTHER).requests;
    assert_eq!(others.len(), 2);
    assert!(others.iter().all(|seen| !format!("{seen:?}").contains(SECRET)), "{others:?}");
    for doi in &dois {
        assert_eq!(text(&call(&bench, doi), "reason"), "ok", "{doi}");
    }
    expect_no_trace_of_the_secret(&bench, &run);
}

/// Failures are told in more words than successes.
#[test]
fn a_secret_does_not_show_when_its_host_fails() {
    let mut world = World::new();
    world.set("https://files.example.org/500", Reply::error(500));
    world.set("https://files.example.org/cut", Reply::bytes("text/plain", "x".repeat(9000)).cut_after(10));
    world.set("https://files.example.org/circle", Reply::redirect(302, "/circle"));
    world.set("https://files.example.org/away", Reply::redirect(302, "https://other.example.org/x"));
    let bench = with_guest(
        world,
        "[resolvers.hostile]
        grants = { hosts = [\"files.example.org\"] }
        inject = [
            { host = \"files.example.org\", header = \"Authorization\", secret = \"example-key\" },
            { host = \"files.example.org\", query = \"key\", secret = \"example-key\" },
        ]",
    );
    let dois =
        ["500", "cut", "circle", "away"].map(|page| fetch(&format!("https://files.example.org/{page}")));
    let run = get_with_secret(&bench, &dois.each_ref().map(String::as_str)).expect_code(1);
    let seen = bench.sim().seen("files.example.org").requests;
    assert!(
        seen.len() >= 4 && seen.iter().all(|seen| seen.header("authorization") == Some(SECRET)),
        "{seen:?}"
    );
    expect_no_trace_of_the_secret(&bench, &run);
}

#[test]
fn a_plugin_whose_secret_is_missing_is_not_used_and_says_so() {
    let mut world = World::new();
    world.set("https://files.example.org/ok.pdf", Reply::pdf(9000));
    let bench = with_guest(
        world,
        "[resolvers.hostile]
        grants = { hosts = [\"files.example.org\"] }
        inject = [{ host = \"files.example.org\", header = \"X-Api-Key\", secret = \"example-key\" }]",
    );
    let run = bench.run(&["--format", "json", "get", "10.5555/ok"]).expect_code(0);
    assert!(run.stderr.contains("GLEANER_SECRET_EXAMPLE_KEY"), "{}", run.stderr);
    assert_eq!(run.json()["skipped"], 1);
}
