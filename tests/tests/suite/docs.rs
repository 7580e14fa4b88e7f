//! What the documents say that a program can check: commands, options, exit codes, variables, reasons, paths.
//!
//! Must never repeat a document here: each fact is read from it, and held against the program or the code.

use std::fs;
use std::path::{Path, PathBuf};

use gleaner_model::reason::Reason;
use gleaner_testing::rows_below;
use gleaner_tests::harness::Bench;
use gleaner_tests::simweb::World;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The text between backticks; fenced and indented blocks are no part of it.
fn code_spans(text: &str) -> Vec<String> {
    let prose = text.lines().filter(|line| !line.starts_with("    ")).map(|line| format!("{line}\n"));
    let prose: String = prose.collect();
    prose.split('`').skip(1).step_by(2).map(|span| span.replace('\n', " ").replace("\\|", "|")).collect()
}

/// The words of a synopsis that name a command, and its options: `get [ID...] [--max-wait DUR]`.
fn command_and_options(synopsis: &str) -> (Vec<&str>, Vec<String>) {
    let is_name = |word: &&str| {
        !word.starts_with('-') && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    };
    let command = synopsis.split_whitespace().take_while(is_name).collect();
    let parts = synopsis.split([' ', '[', ']', '|']);
    let options = parts.filter(|part| part.starts_with("--")).map(str::to_owned).collect();
    (command, options)
}

#[test]
fn every_command_and_option_of_the_table_is_in_the_help() {
    let bench = Bench::new(World::default());
    let rows = rows_below(&read("AGENTS.md"), "## Commands");
    let mut commands = 0;
    for synopsis in rows.iter().flat_map(|row| code_spans(&row[0])) {
        let (command, options) = command_and_options(&synopsis);
        let args: Vec<_> = command.iter().copied().chain(["--help"]).collect();
        let help = bench.run(&args).expect_code(0).stdout;
        for option in options {
            assert!(help.contains(&option), "AGENTS.md names {option} of {command:?}, its help does not");
        }
        commands += 1;
    }
    assert!(commands >= 18, "the table lists {commands} commands");
}

#[test]
fn the_keys_of_the_table_are_what_the_commands_print() {
    let bench = Bench::new(World::default());
    bench.run(&["queue", "enqueue", "10.5555/x"]).expect_code(0);
    for (command, synopsis) in [
        (&["get", "10.5555/x"][..], "get "),
        (&["resolve", "10.5555/x"], "resolve "),
        (&["queue", "enqueue", "10.5555/x"], "queue enqueue "),
        (&["queue", "stats"], "queue stats"),
        (&["queue", "retry-failed"], "queue retry-failed "),
        (&["queue", "limit", "resolver:unpaywall"], "queue limit "),
        (&["queue", "pause", "resolver:unpaywall"], "queue pause "),
        (&["queue", "cancel", "10.5555/x"], "queue cancel "),
        (&["queue", "purge", "--older-than", "1d"], "queue purge "),
        (&["library", "verify"], "library verify"),
        (&["library", "cache"], "library cache "),
        (&["library", "backup", "copy"], "library backup "),
        (&["library", "refresh"], "library refresh "),
        (&["library", "gc"], "library gc "),
    ] {
        let rows = rows_below(&read("AGENTS.md"), "## Commands");
        let row =
            rows.iter().find(|row| row[0].trim_start_matches('`').starts_with(synopsis)).expect(synopsis);
        let document = bench.run(&[&["--format", "json"], command].concat()).expect_code(0).json();
        let mut told: Vec<_> = row[2].split('"').skip(1).step_by(2).map(str::to_owned).collect();
        let mut printed: Vec<_> = document.as_object().unwrap().keys().cloned().collect();
        told.sort_unstable();
        printed.sort_unstable();
        assert_eq!(told, printed, "{synopsis}");
    }
}

#[test]
fn the_exit_codes_are_those_of_the_code() {
    let agents = read("AGENTS.md").replace('\n', " ");
    let (_, list) = agents.split_once("Exit codes: ").unwrap();
    let (list, _) = list.split_once(". ").unwrap();
    let mut told: Vec<u8> = list.split([' ', ',']).filter_map(|word| word.parse().ok()).collect();
    let code = read("host/cli/src/exit.rs");
    let values =
        code.lines().filter_map(|line| line.trim().strip_suffix(',')?.split_once(" = ")?.1.parse().ok());
    let mut real: Vec<u8> = values.collect();
    told.sort_unstable();
    real.sort_unstable();
    assert_eq!(told, real);
    assert_eq!(real, [0, 1, 2, 3, 4, 130]);
}

fn sources(dir: &Path, text: &mut String) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_variable_that_is_told_is_read() {
    let (mut layers, mut code) = (String::new(), String::new());
    sources(&root().join("host/cli/src/config"), &mut layers);
    assert!(layers.contains("\"GLEANER_\""));
    ["host/cli/src", "xtask/src", "plugins", "tests/src", "tests/tests"]
        .iter()
        .for_each(|dir| sources(&root().join(dir), &mut code));
    let mut told = 0;
    for document in ["README.md", "AGENTS.md", "CONTRIBUTING.md"] {
        let text = read(document);
        let words = text.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
        for name in words.filter(|word| word.starts_with("GLEANER_")) {
            told += 1;
            // What comes behind this is the user's.
            let name = if name.starts_with("GLEANER_SECRET_") { "GLEANER_SECRET_" } else { name };
            let is_setting = name.contains("__") || name == "GLEANER_CONTACT";
            assert!(is_setting || code.contains(name), "{document} tells of {name}, and nothing reads it");
        }
    }
    assert!(told >= 6, "only {told} variables are told");
}

#[test]
fn every_reason_is_in_the_reference() {
    let reference = read("docs/reference/reasons.md");
    for reason in Reason::ALL {
        assert!(reference.contains(&format!("| `{reason}` |")), "{reason} is missing");
    }
    let agents = read("AGENTS.md");
    let first = |heading| -> Vec<String> {
        rows_below(&agents, heading).iter().flat_map(|row| code_spans(&row[0])).collect()
    };
    for symptom in first("### What is seen") {
        let is_other = ["queued", "skipped", "get", "queue explain", "/readyz"].contains(&symptom.as_str());
        assert!(is_other || symptom.parse::<Reason>().is_ok(), "{symptom} is no reason");
    }
    let mut explained = first("### What a work or an attempt ended with");
    let mut failures: Vec<String> = Reason::ALL
        .iter()
        .filter(|reason| ![Reason::Ok, Reason::NotModified, Reason::AlreadyStored].contains(reason))
        .map(ToString::to_string)
        .collect();
    explained.sort();
    failures.sort();
    assert_eq!(explained, failures, "each has a row that says what to do");
}

#[test]
fn every_path_and_link_leads_somewhere() {
    let mut checked = 0;
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "AGENTS.md",
        "CONTRIBUTING.md",
        "wit/README.md",
        "docs/write-a-resolver.md",
        "examples/README.md",
    ] {
        let text = read(document);
        let folder = root().join(document).parent().unwrap().to_owned();
        let is_path = |span: &String| {
            let known =
                [".rs", ".toml", ".md", ".wit", ".txt"].iter().any(|extension| span.ends_with(extension));
            let is_one_file = !span.contains([' ', '*', '<', '{']) && !span.contains("NAME");
            span.contains('/') && known && is_one_file
        };
        for path in code_spans(&text).iter().filter(|span| is_path(span)) {
            let exists = root().join(path).exists() || folder.join(path).exists();
            assert!(exists, "{document} names {path}, which is not there");
            checked += 1;
        }
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://") && !link.starts_with('#')) {
            let file = link.split('#').next().unwrap();
            assert!(folder.join(file).exists(), "{document} links to {link}, which is not there");
            checked += 1;
        }
    }
    assert!(checked >= 20, "only {checked} paths and links");
}

#[test]
fn every_file_named_in_the_walk_through_one_job_is_the_whole_story() {
    let architecture = read("ARCHITECTURE.md");
    let (_, walk) = architecture.split_once("## One job").unwrap();
    let (walk, _) = walk.split_once("\n## ").unwrap_or((walk, ""));
    for part in [
        "host/cli",
        "host/model",
        "host/store",
        "host/orchestrator",
        "host/runtime",
        "host/egress",
        "host/content",
        "host/telemetry",
    ] {
        assert!(walk.contains(part), "the walk passes {part} by");
    }
    for name in code_spans(walk).iter().filter_map(|span| span.split_once("::")) {
        let mut code = String::new();
        sources(&root().join("host"), &mut code);
        assert!(code.contains(&format!("fn {}", name.1)), "nothing is called {}::{}", name.0, name.1);
    }
}

#[test]
fn the_readme_is_short() {
    assert!(read("README.md").lines().count() < 200);
}

#[test]
fn every_known_mistake_names_tests_that_exist() {
    let mut code = String::new();
    sources(&root().join("host"), &mut code);
    sources(&root().join("tests"), &mut code);
    let rows = rows_below(&read("docs/design/known-mistakes.md"), "# Known mistakes");
    assert_eq!(rows.len(), 17);
    for row in rows {
        let tests = code_spans(&row[2]);
        assert!(!tests.is_empty(), "{row:?}");
        for test in tests {
            assert!(code.contains(&format!("fn {test}(")), "no test is named {test}: {row:?}");
        }
    }
}
