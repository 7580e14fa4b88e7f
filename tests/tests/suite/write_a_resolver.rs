//! `docs/write-a-resolver.md`, command by command: a resolver from nothing in each language, until it answers.
//!
//! Needs the tools that `cargo xtask examples` leaves, like the suite `examples`. Must never repeat a command here: all
//! are read from the document, and only installers are replaced, by the tools that are there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gleaner_tests::harness::Bench;
use gleaner_tests::simweb::{Reply, World};
use serde_json::json;

const DOCUMENT: &str = "docs/write-a-resolver.md";
const PAGE: &str = "https://press.example.org/article/7";

/// What stands in for the programs that install: tools are linked, or already on the search path.
const INSTALLERS: &str = r#"
set -eu
rustup() { echo "rustup $*"; }
apt-get() { echo "apt-get $*"; }
npm() { ln -s "$TOOLS/node_modules" node_modules; }
python3() { mkdir -p .venv/bin && printf '#!/bin/sh\n' > .venv/bin/pip && chmod +x .venv/bin/pip; }
"#;

fn target() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    std::env::var_os("GLEANER_TARGET_DIR")
        .map_or_else(|| test.ancestors().nth(3).unwrap().to_owned(), PathBuf::from)
}

fn document() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(DOCUMENT)).unwrap()
}

/// The commands of a section: its lines that are indented by four.
fn commands(section: &str) -> String {
    let text = document();
    let heading = format!("## {section}\n");
    let (_, section) = text.split_once(&heading).unwrap_or_else(|| panic!("{DOCUMENT} has no {heading:?}"));
    let section = section.split("\n## ").next().unwrap();
    section.lines().filter_map(|line| line.strip_prefix("    ")).map(|line| format!("{line}\n")).collect()
}

/// The grant that the document gives.
fn grant() -> String {
    let text = document();
    let lines = text.lines().filter_map(|line| line.strip_prefix("        "));
    lines.map(|line| format!("{line}\n")).collect()
}

/// Runs a section; the last command has to name the page that the source tells of.
#[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
fn follow(language: &str) {
    let tools = target().join("examples/tools");
    if !tools.join("bin/rustc").is_file() || !tools.join("node_modules").exists() {
        let missing = format!("{} is not whole; `cargo xtask examples` makes it", tools.display());
        assert!(std::env::var_os("GLEANER_EXAMPLES").is_none(), "{missing}");
        return eprintln!("skipped: {missing}");
    }
    let mut world = World::new();
    let answer = json!({ "responseCode": 1, "values": [
        { "index": 1, "type": "URL", "data": { "format": "string", "value": PAGE } },
    ] });
    world.set("https://doi.org/api/handles/10.1371/journal.pone.0163812?type=URL", Reply::json(&answer));
    let mut bench = Bench::new(world);
    bench.configure(&grant());
    let commands = commands(&format!("In {language}")) + &commands("Hold it to what it did");
    assert!(commands.lines().count() >= 7, "{DOCUMENT} has few commands for {language}:\n{commands}");
    let bench_dir = bench.path(".");
    let home = std::env::home_dir().unwrap();
    let of_home = |name: &str, folder: &str| std::env::var_os(name).map_or(home.join(folder), PathBuf::from);
    let mut path = vec![tools.join("bin"), target().join("debug")];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let output = Command::new("bash")
        .arg("-c")
        .arg(format!("{INSTALLERS}{commands}"))
        .current_dir(&bench_dir)
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("TOOLS", &tools)
        .env("CARGO_HOME", of_home("CARGO_HOME", ".cargo"))
        .env("RUSTUP_HOME", of_home("RUSTUP_HOME", ".rustup"))
        // The crates of the template are those of the workspace: they are here.
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_TARGET_DIR", target().join("examples/cargo"))
        .env("HOME", &bench_dir)
        .env("XDG_CACHE_HOME", target().join("test-cache"))
        .env_remove("RUSTC")
        .env_remove("RUSTFLAGS")
        .env_remove("GLEANER_CONTACT")
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{language}: {}\n{stdout}\n{stderr}", output.status);
    assert!(stdout.contains("gleaner:resolver@0.1.0"), "{language} was not inspected:\n{stdout}");
    assert!(stdout.contains(PAGE), "{language} found nothing:\n{stdout}\n{stderr}");
    assert!(stdout.contains("1 as recorded, 0 failed"), "{language} did otherwise:\n{stdout}\n{stderr}");
}

#[test]
fn the_steps_in_rust_lead_to_a_resolver_that_answers() {
    follow("Rust");
}

#[test]
fn the_steps_in_typescript_lead_to_a_resolver_that_answers() {
    follow("TypeScript");
}

#[test]
fn the_steps_in_python_lead_to_a_resolver_that_answers() {
    follow("Python");
}

#[test]
fn the_steps_in_c_lead_to_a_resolver_that_answers() {
    follow("C");
}
