//! `plugin record` writes what a plugin asks and gets, and `plugin test` holds the plugin to it: offline, and telling each
//! difference.

use std::fs;

use gleaner_tests::harness::{Bench, TIMEOUT};
use gleaner_tests::simweb::{Reply, World};
use serde_json::{Value, json};

use crate::guard::{fetch, with_guest};
use crate::holdings::text;
use crate::papers::{UNPAYWALL, bench, doi, json};

const CASSETTE: &str = "unpaywall.json";

/// Records two papers that Unpaywall knows and one that it does not.
fn recorded() -> (Bench, String) {
    let bench = bench(2);
    let file = bench.path(CASSETTE).display().to_string();
    let ids = [doi(1), doi(2), doi(9)];
    let args = ["plugin", "record", "unpaywall", &ids[0], &ids[1], &ids[2], "--output", &file];
    let said = json(&bench, &args);
    let answers: Vec<usize> = said["calls"].as_array().unwrap().iter().map(candidates).collect();
    assert_eq!((answers, &said["settings"]), (vec![1, 1, 0], &json!(["contact"])), "{said}");
    assert_eq!(asked(&bench), 3);
    (bench, file)
}

fn candidates(call: &Value) -> usize {
    call["answer"]["candidates"].as_array().map_or(0, Vec::len)
}

fn asked(bench: &Bench) -> usize {
    bench.sim().seen(UNPAYWALL).requests.len()
}

/// Tests the plugin that was recorded.
fn test(bench: &Bench, file: &str, code: i32) -> Value {
    bench.run(&["--format", "json", "plugin", "test", "--cassette", file]).expect_code(code).json()
}

/// Changes a text of the cassette wherever it stands.
fn edit(file: &str, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    fs::write(file, text.replace(from, to)).unwrap();
}

#[test]
fn a_plugin_does_offline_what_it_did_when_it_was_recorded() {
    let (mut bench, file) = recorded();
    let first = fs::read_to_string(&file).unwrap();
    let verdict = test(&bench, &file, 0);
    assert_eq!((&verdict["passed"], &verdict["failed"]), (&json!(3), &json!(0)), "{verdict}");
    // Without what a run needs, and from its file.
    bench.configure("resolvers.unpaywall.grants.hosts = []");
    let component = bench.bundled().join("unpaywall.wasm").display().to_string();
    let output = bench.run(&["plugin", "test", &component, "--cassette", &file]).expect_code(0);
    assert!(output.stdout.contains("3 as recorded, 0 failed"), "{}", output.stdout);
    assert_eq!(asked(&bench), 3, "nothing is asked in a test");
    // Recording it again gives the same but for the time.
    bench.configure("resolvers.unpaywall.grants.hosts = [\"api.unpaywall.org\"]");
    let again = ["plugin", "record", "unpaywall", &doi(1), &doi(2), &doi(9), "--output", &file];
    assert!(bench.run(&again).expect_code(2).stderr.contains("is there already; --force replaces it"));
    let output = bench.run(&[&again[..], &["--force"]].concat()).expect_code(0);
    assert!(output.stdout.contains("it has the settings that were read (contact)"), "{}", output.stdout);
    let second = fs::read_to_string(&file).unwrap();
    let timeless = |text: &str| -> Vec<String> {
        // The last is the value of the header `Date`.
        let times = ["\"recorded_at\"", "\"now_ms\"", "\"date\"", " GMT\""];
        let is_time = |line: &&str| times.iter().any(|time| line.contains(time));
        text.lines().filter(|line| !is_time(line)).map(str::to_owned).collect()
    };
    assert_eq!(timeless(&first), timeless(&second));
}

#[test]
fn what_differs_is_told_and_taken_over_when_it_is_meant() {
    let (bench, file) = recorded();
    // Its source says something else for the first work: so does the plugin.
    edit(&file, "press.example.org/1.pdf\\\"", "press.example.org/one.pdf\\\"");
    let verdict = test(&bench, &file, 1);
    let differences = &verdict["calls"][0]["differences"];
    assert_eq!(differences[0]["at"], "candidates[0].url", "{verdict}");
    assert_eq!((&verdict["passed"], &verdict["failed"]), (&json!(2), &json!(1)));
    let output = bench.run(&["plugin", "test", "--cassette", &file]).expect_code(1);
    let told = "candidates[0].url: it was \"https://press.example.org/1.pdf\", and is \"https://press.example.org/one.pdf\"";
    assert!(
        output.stdout.contains(told) && output.stdout.contains("taken over by --update"),
        "{}",
        output.stdout
    );
    let output = bench.run(&["plugin", "test", "--cassette", &file, "--update"]).expect_code(0);
    assert!(output.stdout.contains("2 as recorded, 1 taken over, 0 failed"), "{}", output.stdout);
    test(&bench, &file, 0);
    // It asks what was not recorded, and that no --update helps.
    edit(&file, "\"url\": \"https://api.unpaywall.org/v2", "\"url\": \"https://api.unpaywall.org/v1");
    for args in
        [&["plugin", "test", "--cassette", &file][..], &["plugin", "test", "--cassette", &file, "--update"]]
    {
        let output = bench.run(args).expect_code(1);
        assert!(
            output.stdout.contains("that is not on the cassette: GET https://api.unpaywall.org/v2/10.5555"),
            "{}",
            output.stdout
        );
        assert!(
            output.stdout.contains("does not ask any more: GET https://api.unpaywall.org/v1/10.5555"),
            "{}",
            output.stdout
        );
    }
    assert_eq!(asked(&bench), 3);
}

#[test]
fn what_is_no_cassette_or_of_another_plugin_is_refused() {
    let (bench, file) = recorded();
    let says = |args: &[&str], part: &str| {
        let stderr = bench.run(&[&["plugin", "test"], args].concat()).expect_code(2).stderr;
        assert!(stderr.contains(part), "{args:?}: {stderr}");
    };
    says(&["arxiv", "--cassette", &file], "is of unpaywall, and arxiv is arxiv");
    for place in [".", "nowhere/x.json"] {
        let args = ["plugin", "record", "unpaywall", &doi(1), "--force", "--output", place];
        let stderr = bench.run(&args).expect_code(2).stderr;
        assert!(stderr.contains(&format!("{place} is no place for a file")), "{stderr}");
    }
    assert_eq!(asked(&bench), 3, "nobody is asked for what cannot be kept");
    says(&["nobody", "--cassette", &file], "neither a file nor the name of a loaded resolver");
    says(&["--cassette", "nowhere.json"], "cannot read the cassette nowhere.json");
    says(&["--cassette", &bench.file("empty.json", "")], "is no cassette: EOF");
    says(&["--cassette", &bench.file("other.json", "{\"gleaner_cassette\":9}")], "has the format 9");
    edit(&file, "\"calls\": [", "\"calls\": [], \"more\": [");
    says(&["--cassette", &file], "is no cassette: unknown field `more`");
}

#[test]
fn a_secret_that_comes_back_is_in_no_cassette_and_with_no_guest() {
    const SECRET: &str = "sesame-4711-open";
    let mut world = World::new();
    let echo = Reply::bytes("text/plain", format!("you sent {SECRET}, or %73esame")).header("x-echo", SECRET);
    world.set("https://files.example.org/echo", echo);
    let bench = with_guest(
        world,
        "[resolvers.hostile]
        grants = { hosts = [\"files.example.org\"] }
        inject = [{ host = \"files.example.org\", header = \"X-Api-Key\", secret = \"example-key\" }]",
    );
    let (file, doi) =
        (bench.path("echo.json").display().to_string(), fetch("https://files.example.org/echo"));
    let env = format!("GLEANER_SECRET_EXAMPLE_KEY={SECRET}");
    let args = ["plugin", "record", "hostile", &doi, "--output", &file];
    bench.spawn_under(&["env", &env], &args).wait(TIMEOUT).expect_code(0);
    let seen = bench.sim().seen("files.example.org").requests;
    assert_eq!(seen[0].header("x-api-key"), Some(SECRET));
    let cassette = fs::read_to_string(&file).unwrap();
    let stars = "*".repeat(SECRET.len());
    assert!(cassette.contains(&format!("you sent {stars}, or")) && !cassette.contains(SECRET), "{cassette}");
    let exchange = &serde_json::from_str::<Value>(&cassette).unwrap()["calls"][0]["exchanges"][0];
    assert!(exchange["answer"]["response"]["headers"].to_string().contains(&stars), "{exchange}");
    assert_eq!(text(exchange, "method"), "GET");
    // The test needs no secret.
    let component = bench.guests().join("hostile.wasm").display().to_string();
    bench.run(&["plugin", "test", &component, "--cassette", &file]).expect_code(0);
}
