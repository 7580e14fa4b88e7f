//! Where a value comes from, which one wins, and what a wrong one is answered with.
//!
//! Most commands here only read, or are refused; none needs more of the web than one lookup.

use std::fs;

use gleaner_tests::harness::{Bench, Output, Running, TIMEOUT};
use gleaner_tests::simweb::{Reply, World};
use serde_json::Value;

use crate::papers;

/// A bench without the configuration that leads to its web.
fn bench() -> Bench {
    let bench = Bench::new(World::default());
    fs::remove_file(bench.path("gleaner.toml")).unwrap();
    bench
}

/// Runs `gleaner` with these arguments and variables, and nothing else of a configuration.
fn run(bench: &Bench, args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut gleaner = bench.bare();
    gleaner.args(args).envs(variables.iter().copied());
    Running::of(gleaner).wait(TIMEOUT)
}

/// Value and origin of one key.
fn shown(bench: &Bench, key: &str, args: &[&str], variables: &[(&str, &str)]) -> (Value, String) {
    let args = [args, &["--format", "json", "config", "show"]].concat();
    let rows = run(bench, &args, variables).expect_code(0).json();
    let row = rows.as_array().unwrap().iter().find(|row| row["key"] == key);
    let row = row.unwrap_or_else(|| panic!("`config show` lacks {key}: {rows}"));
    (row["value"].clone(), row["origin"].as_str().unwrap().to_owned())
}

/// Whether a value is that text, or that number.
fn is(value: &Value, text: &str) -> bool {
    value == text || text.parse::<u64>().is_ok_and(|number| *value == number)
}

#[track_caller]
fn expect_shown(found: &(Value, String), value: &str, origin: &str) {
    assert!(is(&found.0, value) && found.1 == origin, "{found:?}, not {value} from {origin}");
}

/// The message of a configuration that is refused.
#[track_caller]
fn refused(bench: &Bench, toml: &str, variables: &[(&str, &str)]) -> String {
    bench.file("wrong.toml", toml);
    run(bench, &["--config", "wrong.toml", "config", "show"], variables).expect_code(3).stderr
}

#[track_caller]
fn expect_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is missing in: {message}");
    }
}

#[test]
fn flags_win_over_the_environment_over_the_file_over_the_defaults() {
    let bench = bench();
    let key = "limits.resolvers.unpaywall.concurrency";
    let variable = ("GLEANER_LIMITS__RESOLVERS__UNPAYWALL__CONCURRENCY", "3");
    let file = "[queue]\n\n[limits.resolvers]\nunpaywall = { concurrency = 2 }\n";
    let file = ["--config", &bench.file("my.toml", file)];
    expect_shown(&shown(&bench, key, &[], &[]), "1", "default");
    expect_shown(&shown(&bench, key, &file, &[]), "2", &format!("{}:4", file[1]));
    expect_shown(&shown(&bench, key, &file, &[variable]), "3", variable.0);
    let library = ("GLEANER_LIBRARY__PATH", "y");
    expect_shown(&shown(&bench, "library.path", &[], &[library]), "y", library.0);
    expect_shown(&shown(&bench, "library.path", &["--library", "x"], &[library]), "x", "--library");
}

#[test]
fn each_value_of_a_file_is_shown_with_its_line() {
    let bench = bench();
    let text = "contact = \"a@b.org\"\n[orchestrator]\n# how many\nworkers = 2\ngrace = \"1s\"\n\n[limits.hosts.\"x.example.org\"]\nconcurrency = 2\n";
    bench.file("my.toml", text);
    for (key, value, line) in [
        ("contact", "a@b.org", 1),
        ("orchestrator.workers", "2", 4),
        ("orchestrator.grace", "1s", 5),
        ("limits.hosts.\"x.example.org\".concurrency", "2", 8),
    ] {
        let found = shown(&bench, key, &["--config", "my.toml"], &[]);
        expect_shown(&found, value, &format!("my.toml:{line}"));
    }
    let found = shown(&bench, "orchestrator.max-attempts", &["--config", "my.toml"], &[]);
    expect_shown(&found, "3", "default");
}

#[test]
fn the_file_beside_the_library_is_found_and_then_the_users() {
    let bench = bench();
    fs::create_dir_all(bench.path("place")).unwrap();
    fs::create_dir_all(bench.path("config/gleaner")).unwrap();
    bench.file("config/gleaner/gleaner.toml", "contact = \"user@example.org\"\n");
    let contact = || shown(&bench, "contact", &["--library", "place/library"], &[]);
    assert!(contact().1.ends_with("config/gleaner/gleaner.toml:1"), "{:?}", contact());
    bench.file("place/gleaner.toml", "\ncontact = \"beside@example.org\"\n");
    let (value, origin) = contact();
    assert!(
        is(&value, "beside@example.org") && origin.ends_with("place/gleaner.toml:2"),
        "{value} from {origin}"
    );
    let output = run(&bench, &["--library", "place/library", "--format", "json", "config", "check"], &[]);
    assert!(output.json()["file"].as_str().unwrap().ends_with("place/gleaner.toml"));
}

#[test]
fn paths_in_a_file_are_meant_from_the_file() {
    let bench = bench();
    fs::create_dir_all(bench.path("sub")).unwrap();
    let text = "[library]\npath = \"lib\"\n[plugins]\ndirs = [\"own\", \"/abs\"]\n[egress]\nextra-ca-certs = [\"../ca.pem\"]\n";
    let file = bench.file("sub/my.toml", text);
    let sub = bench.path("sub");
    let config = ["--config", file.as_str()];
    let (library, _) = shown(&bench, "library.path", &config, &[]);
    assert!(is(&library, sub.join("lib").to_str().unwrap()), "{library}");
    let (dirs, _) = shown(&bench, "plugins.dirs", &config, &[]);
    assert_eq!(dirs, serde_json::json!([sub.join("own"), "/abs"]));
    // The bench's certificate lies there, so that it can be read.
    let check = run(&bench, &["--config", &file, "--format", "json", "config", "check"], &[]);
    assert!(!check.stderr.contains("extra-ca-certs"), "{}", check.stderr);
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_the_nearest_known_one() {
    let bench = bench();
    for (toml, parts) in [
        ("\ncontcat = \"a@b.org\"\n", &["contcat (wrong.toml:2)", "did you mean \"contact\""][..]),
        ("[orchestrator]\nwokers = 3\n", &["orchestrator.wokers (wrong.toml:2)", "\"workers\""]),
        ("[libary]\npath = \"x\"\n", &["libary (wrong.toml:1)", "\"library\""]),
        (
            "[resolvers.unpaywall]\nenable = true\n",
            &["resolvers.unpaywall.enable (wrong.toml:2)", "\"enabled\""],
        ),
        ("[limits.hosts]\n\"a.org\" = { rtae = \"1/s\" }\n", &["a.org", "rtae (wrong.toml:2)", "\"rate\""]),
    ] {
        expect_says(&refused(&bench, toml, &[]), parts);
    }
    for (variable, nearest) in [
        ("GLEANER_ORCHESTRATOR__WOKERS", "\"workers\""),
        ("GLEANER_LIBARY__PATH", "\"library\""),
        ("GLEANER_EGRESS__TIME_OUT", "\"timeout\""),
    ] {
        expect_says(&refused(&bench, "", &[(variable, "3")]), &[variable, nearest]);
    }
}

#[test]
fn a_wrong_value_is_refused_with_its_place_and_how_to_write_it() {
    let bench = bench();
    for (toml, parts) in [
        ("[orchestrator]\ngrace = \"5 parsecs\"\n", &["orchestrator.grace (wrong.toml:2)", "30s"][..]),
        ("[orchestrator]\ngrace = 5\n", &["orchestrator.grace (wrong.toml:2)", "30s"]),
        ("[content]\nmax-size = \"5 stone\"\n", &["content.max-size (wrong.toml:2)", "64MiB"]),
        ("[limits.hosts]\n\"a.org\" = { rate = \"5\" }\n", &["a.org", "rate (wrong.toml:2)", "1/3s"]),
        ("[orchestrator]\ngrace = \"1s\"\nworkers = 0\n", &["workers", "wrong.toml:3", "1 to 256"]),
        ("[orchestrator]\n\nheartbeat = \"1s\"\n", &["heartbeat", "wrong.toml:3", "5s"]),
        ("[limits]\ndefault-host = { concurrency = 0 }\n", &["limits", "default-host", "wrong.toml:2"]),
        ("contact = \"nobody\"\n", &["contact (wrong.toml:1)", "you@example.org"]),
        ("[library]\nname-template = \"{titel}\"\n", &["name-template (wrong.toml:2)", "titel", "{title}"]),
        ("[egress]\nconnect-to = { \"x\" = \"y\" }\n", &["egress.connect-to", "wrong.toml:2"]),
        ("[queue]\ndurability = \"some\"\n", &["queue.durability (wrong.toml:2)", "full", "normal"]),
    ] {
        expect_says(&refused(&bench, toml, &[]), parts);
    }
    for (variable, value, how) in [
        ("GLEANER_ORCHESTRATOR__WORKERS", "many", "whole number"),
        ("GLEANER_ORCHESTRATOR__GRACE", "12", "30s"),
        ("GLEANER_CONTACT", "me", "you@example.org"),
        ("GLEANER_LOG_FORMAT", "xml", "console"),
        ("GLEANER_LOG", "gleaner=loud=very", "gleaner=debug"),
    ] {
        expect_says(&refused(&bench, "", &[(variable, value)]), &[variable, how]);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_once_with_one_cause() {
    let bench = bench();
    let output = run(&bench, &["--config", "nowhere.toml", "config", "show"], &[]).expect_code(3);
    expect_says(&output.stderr, &["nowhere.toml", "No such file"]);
    assert_eq!(output.stderr.matches("No such file").count(), 1, "{}", output.stderr);
    bench.file("my.toml", "contact = \"a@b.org\"\n[egress]\nextra-ca-certs = [\"nowhere.pem\"]\n");
    for command in [&["config", "check"][..], &["resolve", "10.5555/x"], &["get", "10.5555/x"]] {
        let output = run(&bench, &[&["--config", "my.toml"], command].concat(), &[]).expect_code(3);
        expect_says(&output.stderr, &["egress.extra-ca-certs", "nowhere.pem", "No such file"]);
        assert_eq!(output.stderr.matches("No such file").count(), 1, "{}", output.stderr);
    }
    bench.file("text.pem", "no certificate");
    bench.file("my.toml", "contact = \"a@b.org\"\n[egress]\nextra-ca-certs = [\"text.pem\"]\n");
    let output = run(&bench, &["--config", "my.toml", "resolve", "10.5555/x"], &[]).expect_code(3);
    expect_says(&output.stderr, &["egress.extra-ca-certs", "text.pem"]);
}

/// What `plugin list` says under that configuration: names in use, and problems of those that are not.
fn plugins(bench: &Bench, toml: &str, code: i32, variables: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    bench.file("my.toml", toml);
    let args = ["--config", "my.toml", "--format", "json", "plugin", "list"];
    let rows = run(bench, &args, variables).expect_code(code).json_lines();
    let texts = |key: &str| rows.iter().filter_map(|row| row[key].as_str().map(str::to_owned)).collect();
    (texts("name"), texts("problem"))
}

fn has(names: &[String], name: &str) -> bool {
    names.iter().any(|known| known == name)
}

#[test]
fn a_disabled_resolver_is_not_there() {
    let bench = bench();
    let (names, problems) = plugins(&bench, "[resolvers.unpaywall]\nenabled = false\n", 0, &[]);
    assert!(!has(&names, "unpaywall") && has(&names, "arxiv") && problems.is_empty(), "{names:?}");
    let variables = [("GLEANER_RESOLVERS__UNPAYWALL__ENABLED", "false")];
    assert!(!has(&plugins(&bench, "", 0, &variables).0, "unpaywall"));
}

#[test]
fn a_component_with_another_hash_than_its_pin_is_not_used() {
    let bench = bench();
    let pin = "0".repeat(64);
    let toml = format!("contact = \"a@b.org\"\n[resolvers.unpaywall]\nsha256 = \"{pin}\"\n");
    let (names, problems) = plugins(&bench, &toml, 3, &[]);
    assert!(!has(&names, "unpaywall") && problems.len() == 1, "{names:?}, {problems:?}");
    expect_says(&problems[0], &["SHA-256", &pin, "resolvers.unpaywall.sha256", "change the pin"]);
    let check = run(&bench, &["--config", "my.toml", "--format", "json", "config", "check"], &[]);
    let problems = &check.expect_code(3).json()["problems"];
    assert_eq!(problems.as_array().unwrap().len(), 1, "one cause, one problem: {problems}");
}

#[test]
fn a_pin_that_fits_is_used() {
    let bench = bench();
    let inspected = run(&bench, &["--format", "json", "plugin", "inspect", "unpaywall"], &[]).json();
    let toml = format!("[resolvers.unpaywall]\nsha256 = {}\n", inspected["sha256"]);
    assert!(has(&plugins(&bench, &toml, 0, &[]).0, "unpaywall"));
}

const INJECT: &str = "contact = \"a@b.org\"\n[resolvers.unpaywall]\ninject = [{ host = \"api.unpaywall.org\", header = \"X-Key\", secret = \"my-key\" }]\n";

#[test]
fn a_missing_secret_is_asked_for_by_the_name_of_its_variable() {
    let bench = bench();
    let (names, problems) = plugins(&bench, INJECT, 3, &[]);
    assert!(!has(&names, "unpaywall") && problems.len() == 1, "{names:?}, {problems:?}");
    expect_says(&problems[0], &["\"my-key\"", "GLEANER_SECRET_MY_KEY"]);
    let (names, problems) = plugins(&bench, INJECT, 0, &[("GLEANER_SECRET_MY_KEY", "x")]);
    assert!(has(&names, "unpaywall") && problems.is_empty(), "{problems:?}");
}

#[test]
fn a_secret_is_never_shown() {
    let bench = bench();
    bench.file("my.toml", INJECT);
    for command in
        ["config show", "config check", "plugin list", "plugin inspect unpaywall", "-vvv config check"]
    {
        for format in ["table", "json"] {
            let mut args = vec!["--config", "my.toml", "--format", format];
            args.extend(command.split(' '));
            let output = run(&bench, &args, &[("GLEANER_SECRET_MY_KEY", "hush-hush")]).expect_code(0);
            assert!(
                !output.stdout.contains("hush") && !output.stderr.contains("hush"),
                "{command}: {output:?}"
            );
        }
    }
}

/// The host sends it, as a query parameter here, and nothing that is written or said names it: not even an error about
/// that very request.
#[test]
fn a_secret_in_use_reaches_its_host_and_no_message_log_or_manifest() {
    let mut bench = papers::bench(1);
    let inject = r#"inject = [{ host = "api.unpaywall.org", query = "key", secret = "my-key" }]"#;
    bench.configure(&format!("[resolvers.unpaywall]\n{inject}\n[orchestrator]\nmax-attempts = 1"));
    bench.sim().set("https://api.unpaywall.org/v2/10.5555/paper.1", Reply::error(500));
    let (library, config) = (bench.library(), bench.path("gleaner.toml"));
    let common = ["-vvv", "--library", library.to_str().unwrap(), "--config", config.to_str().unwrap()];
    let variables = [("GLEANER_SECRET_MY_KEY", "hush-hush"), ("GLEANER_LOG", "trace")];
    for command in [
        &["resolve", "10.5555/paper.1"][..],
        &["get", "10.5555/paper.1"],
        &["queue", "show", "10.5555/paper.1"],
        &["queue", "list"],
        &["library", "export"],
    ] {
        let args = [&common, command].concat();
        let output = run(&bench, &args, &variables);
        assert!(
            !output.stdout.contains("hush") && !output.stderr.contains("hush"),
            "{command:?}: {output:?}"
        );
    }
    let asked = bench.sim().seen(papers::UNPAYWALL).requests;
    assert!(asked.len() >= 2 && asked.iter().all(|seen| seen.target.contains("key=hush-hush")), "{asked:?}");
}

#[test]
fn a_misspelt_variable_is_warned_of() {
    let output = run(&bench(), &["config", "show"], &[("GLEANER_CONTCAT", "a@b.org")]).expect_code(0);
    expect_says(&output.stderr, &["GLEANER_CONTCAT", "GLEANER_CONTACT"]);
    let output = run(&bench(), &["config", "show"], &[("GLEANER_SECRET_A__B", "hush-hush")]).expect_code(0);
    assert_eq!(output.stderr, "", "the name of a secret is the user's");
}

#[test]
fn values_in_json_have_their_types() {
    let bench = bench();
    assert_eq!(shown(&bench, "orchestrator.workers", &["--library", "x"], &[]).0, 8);
    assert_eq!(shown(&bench, "library.path", &["--library", "x"], &[]).0, "x");
    assert_eq!(shown(&bench, "plugins.dirs", &["--library", "x"], &[]).0, serde_json::json!(["plugins"]));
}

#[test]
fn check_names_what_is_configured_and_not_there() {
    let bench = bench();
    bench.file("my.toml", "[resolvers.unpaywal]\nenabled = true\n");
    let output = run(&bench, &["--config", "my.toml", "config", "check"], &[]).expect_code(3);
    expect_says(
        &output.stdout,
        &["resolvers.unpaywal is configured", "contact is not set", "you@example.org"],
    );
}
