//! `plugin check` finds what stands against a plugin before it goes to work, and `plugin inspect` shows all of it.
//!
//! Each broken plugin is made here, from a resolver in text or from a built guest; what the check says is what an operator
//! has to act on, so it is compared word for word.

use std::fs;
use std::path::PathBuf;

use gleaner_tests::harness::Bench;
use gleaner_tests::simweb::World;
use serde_json::{Value, json};

use crate::holdings::text;
use crate::papers::json;

/// A resolver of a few instructions, named `text`; where its marker stands, `resolve` needs some.
const TEXT: &str = include_str!("../../../host/runtime/tests/wasi/resolver.wat");

fn bench() -> Bench {
    Bench::new(World::new())
}

/// Writes a component in text as a file.
fn component(bench: &Bench, name: &str, wat: &str) -> String {
    let bytes = wat::parse_str(wat).unwrap_or_else(|error| panic!("{name}: {error}"));
    file(bench, name, &bytes)
}

fn file(bench: &Bench, name: &str, bytes: &[u8]) -> String {
    let path = bench.path(name);
    fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

fn guest(bench: &Bench, name: &str) -> PathBuf {
    bench.guests().join(format!("{name}.wasm"))
}

/// What the check says, which must end with that code.
fn check(bench: &Bench, target: &str, code: i32) -> Value {
    let answer = bench.run(&["--format", "json", "plugin", "check", target]).expect_code(code).json();
    assert_eq!(answer["ready"], code == 0, "{answer}");
    answer
}

/// Every check that is not passed: which, its state, what it says.
fn found(answer: &Value) -> Vec<(&str, &str, &str)> {
    let checks = answer["checks"].as_array().unwrap();
    let row = |check| (text(check, "check"), text(check, "state"), text(check, "detail"));
    checks.iter().map(row).filter(|(_, state, _)| *state != "ok").collect()
}

#[test]
fn a_plugin_that_could_go_to_work_passes_every_check() {
    let bench = bench();
    for target in ["unpaywall", "arxiv", &bench.bundled().join("landing_page.wasm").display().to_string()] {
        let answer = check(&bench, target, 0);
        let names: Vec<&str> =
            answer["checks"].as_array().unwrap().iter().map(|c| text(c, "check")).collect();
        let all = "file component compile world interface describe name grants memory settings";
        assert_eq!(names.join(" "), all, "{answer}");
        assert_eq!(found(&answer), [], "{answer}");
    }
    let said = bench.run(&["plugin", "check", "unpaywall"]).expect_code(0).stdout;
    assert!(said.ends_with("\nready to work\n"), "{said}");
}

#[test]
fn files_that_are_no_plugins_are_told_apart() {
    let bench = bench();
    let hostile = fs::read(guest(&bench, "hostile")).unwrap();
    let text = TEXT.replace(";; RESOLVE", "i32.const 0").replace(";; DESCRIBE", "i32.const 1024");
    let newer = text.replace("resolver/resolver@0.1.0", "resolver/resolver@0.3.0");
    let older = text.replace("resolver/resolver@0.1.0", "resolver/resolver@0.0.9");
    // A function of a later patch, which this host does not have.
    let patched = text.replace("resolver/resolver@0.1.0", "resolver/resolver@0.1.7").replace(
        "(component\n",
        "(component (import \"gleaner:resolver/clock@0.1.7\" (instance (export \"later\" (func))))\n",
    );
    let same = text.replace(
        "(component\n",
        "(component (import \"gleaner:resolver/clock@0.1.0\" (instance (export \"later\" (func))))\n",
    );
    let stranger = text.replace("(component\n", "(component (import \"corp:db/query@1.0.0\" (instance))\n");
    let tables = text.replace(
        "(core module $Memory\n",
        &format!("(core module $Memory {}\n", "(table 1 funcref) ".repeat(70)),
    );
    let hungry = text.replace("(memory (export \"memory\") 1)", "(memory (export \"memory\") 2000)");
    let trapping = text.replace(
        "(func (export \"describe\") (result i32)\n      i32.const 1024",
        "(func $who (export \"describe\") (result i32)\n      unreachable",
    );
    let unnamed = text.replace("(data (i32.const 0x440) \"text\")", "(data (i32.const 0x440) \"Te t\")");
    for (target, failed, part) in [
        (file(&bench, "script.wasm", b"#!/bin/sh\n"), "component", "is not WebAssembly"),
        (file(&bench, "core.wasm", b"\0asm\x01\0\0\0"), "component", "a core module, not a component"),
        (file(&bench, "short.wasm", &hostile[..9000]), "component", "cut short"),
        (file(&bench, "page.wasm", b"<!doctype html>"), "component", "a web page"),
        (
            file(&bench, "world.wasm", b"\0asm\x0d\0\x01\0"),
            "world",
            "does not export gleaner:resolver/resolver",
        ),
        (bench.path("").display().to_string(), "file", "is not a regular file"),
        (
            component(&bench, "newer.wasm", &newer),
            "interface",
            "built for gleaner:resolver 0.3.0, this host speaks 0.1.0; update gleaner",
        ),
        (
            component(&bench, "older.wasm", &older),
            "interface",
            "built for gleaner:resolver 0.0.9, this host speaks 0.1.0; get a newer plugin, or rebuild it",
        ),
        (
            component(&bench, "patched.wasm", &patched),
            "interface",
            "built for gleaner:resolver 0.1.7, this host speaks 0.1.0; update gleaner",
        ),
        (
            component(&bench, "same.wasm", &same),
            "interface",
            "does not fit the interface gleaner:resolver@0.1.0: component imports instance `gleaner:resolver/clock@0.1.0`: \
             instance export `later` has the wrong type: function implementation is missing; rebuild it",
        ),
        (component(&bench, "stranger.wasm", &stranger), "interface", "does not provide: corp:db/query@1.0.0"),
        (
            component(&bench, "tables.wasm", &tables),
            "compile",
            "does not fit into a call: defined tables count of 70",
        ),
        (component(&bench, "hungry.wasm", &hungry), "describe", "wanted 125MiB, may have 64MiB"),
        (
            component(&bench, "trapping.wasm", &trapping),
            "describe",
            "unreachable` instruction executed in who",
        ),
        (component(&bench, "unnamed.wasm", &unnamed), "describe", "describes itself wrongly"),
    ] {
        let answer = check(&bench, &target, 3);
        let found = found(&answer);
        assert_eq!((found.len(), found[0].0, found[0].1), (1, failed, "problem"), "{target}: {answer}");
        assert!(found[0].2.contains(part), "{target}: {part:?} is missing in {:?}", found[0].2);
        assert!(!found[0].2.contains("linker"), "{}", found[0].2);
        let said = bench.run(&["plugin", "check", &target]).expect_code(3).stdout;
        assert!(said.contains(part) && said.ends_with("\nnot ready: 1 problem\n"), "{said}");
        // What is no plugin here is none elsewhere.
        if target.ends_with(".wasm") {
            bench.run(&["plugin", "inspect", &target]).expect_code(3);
        }
    }
}

#[test]
fn what_is_not_granted_is_said_with_the_command_that_grants_it() {
    let mut bench = bench();
    let (guests, ways) = (bench.guests(), guest(&bench, "ways").display().to_string());
    bench.plugins(guests);
    let answer = check(&bench, &ways, 3);
    let [(grants, problem, said)] = &found(&answer)[..] else { panic!("{answer}") };
    assert_eq!((*grants, *problem), ("grants", "problem"));
    let command: Vec<&str> = said.split('`').nth(1).unwrap().split(' ').collect();
    assert_eq!(command, ["gleaner", "plugin", "grant", "ways"]);
    bench.run(&[&command[1..], &["--yes"]].concat()).expect_code(0);
    assert_eq!(found(&check(&bench, &ways, 0)), []);

    let golden = guest(&bench, "golden").display().to_string();
    bench.configure("[resolvers.golden]\ngrants = { hosts = [\"api.example.org\"] }");
    let answer = check(&bench, &golden, 0);
    let [(_, warning, said)] = &found(&answer)[..] else { panic!("{answer}") };
    assert_eq!(*warning, "warning");
    assert!(said.contains("may reach api.example.org, and asks for files.example.org;"), "{said}");
    bench.configure("[resolvers.golden]\ngrants = { hosts = [\"*.example.org\"] }");
    assert_eq!(found(&check(&bench, &golden, 0)), []);
}

#[test]
fn what_the_operator_set_is_held_against_the_plugin() {
    let mut bench = bench();
    let golden = guest(&bench, "golden").display().to_string();
    let problem = |bench: &Bench, part: &str| {
        let answer = check(bench, &golden, 3);
        let found = found(&answer);
        assert!(found.iter().any(|(_, _, said)| said.contains(part)), "{part}: {found:?}");
    };
    bench.configure("[resolvers.golden]\ngrants = { hosts = [\"*\"] }");
    assert_eq!(found(&check(&bench, &golden, 0)), []);
    bench.configure("resolvers.golden.sandbox = { memory = \"1MiB\" }");
    problem(&bench, "resolvers.golden.sandbox.memory allows 1MiB; raise it");
    bench.configure("resolvers.golden.sandbox = { memory = \"2MiB\" }");
    bench.configure(
        "resolvers.golden.inject = [{ host = \"api.example.org\", header = \"x-key\", secret = \"golden\" }]",
    );
    problem(&bench, "GLEANER_SECRET_GOLDEN");
    bench.configure("resolvers.golden.inject = []\nresolvers.golden.sha256 = \"00\"");
    problem(&bench, "resolvers.golden.sha256 asks for 00");
    bench.configure("resolvers.golden.enabled = false");
    let answer = check(&bench, &golden, 0);
    let off = "resolvers.golden.enabled is false, so it is not used";
    assert_eq!(found(&answer), [("configuration", "warning", off)]);
    // Without a contact.
    let config = fs::read_to_string(bench.path("gleaner.toml")).unwrap();
    bench.file(
        "gleaner.toml",
        &config.lines().filter(|line| !line.starts_with("contact")).collect::<Vec<_>>().join("\n"),
    );
    let answer = check(&bench, "unpaywall", 3);
    let wanted = "resolver unpaywall needs the setting \"contact\"; give it at the top of the configuration";
    assert_eq!(found(&answer), [("settings", "problem", wanted)]);
}

#[test]
fn a_name_that_is_taken_and_a_name_of_nobody_are_told() {
    let mut bench = bench();
    let dir = bench.path("mine");
    fs::create_dir(&dir).unwrap();
    let (first, second) = (dir.join("a.wasm"), bench.path("b.wasm"));
    fs::copy(guest(&bench, "noop"), &first).unwrap();
    fs::copy(guest(&bench, "noop"), &second).unwrap();
    bench.plugins(&dir);
    let said = format!("{} has the name \"noop\" too, and is the one in use", first.display());
    let answer = check(&bench, second.to_str().unwrap(), 0);
    assert_eq!(found(&answer), [("name", "warning", said.as_str())]);
    assert_eq!(found(&check(&bench, "noop", 0)), []);
    bench.run(&["plugin", "check", "nobody"]).expect_code(2);
    // A broken file is known by its name.
    fs::write(dir.join("torn.wasm"), b"\0asm\x0d\0\x01\0\x01").unwrap();
    assert_eq!(found(&check(&bench, "torn", 3))[0].0, "component");
}

#[test]
fn inspect_shows_what_a_plugin_asks_for_needs_and_gets() {
    let mut bench = bench();
    let golden = guest(&bench, "golden").display().to_string();
    bench.configure(
        "[resolvers.golden]\ngrants = { hosts = [\"api.example.org\"] }\nsandbox = { requests = 5, memory = \"8MiB\" }",
    );
    let shown = json(&bench, &["plugin", "inspect", &golden]);
    assert_eq!(shown["hosts"], json!(["files.example.org", "api.example.org"]));
    assert_eq!(shown["granted_hosts"], json!(["api.example.org"]));
    assert_eq!(shown["not_granted"], json!(["files.example.org"]));
    assert_eq!(
        (&shown["wit"], &shown["size"]),
        (&json!("gleaner:resolver@0.1.0"), &json!(fs::metadata(&golden).unwrap().len()))
    );
    assert_eq!((&shown["sandbox"]["requests"], &shown["sandbox"]["memory"]), (&json!(5), &json!("8MiB")));
    assert!(shown["needs"]["memory_bytes"].as_u64() >= Some(64 << 10), "{shown}");
    assert_eq!((shown["compile_ms"].is_u64(), text(&shown, "sha256").len()), (true, 64));
    assert_eq!(shown["problems"], json!([]));
    let said = bench.run(&["plugin", "inspect", &golden]).expect_code(0).stdout;
    for part in [
        "\nname            golden 0.1.0-golden.1\n",
        "\nasks for hosts  files.example.org\n                api.example.org\n",
        "\nmay reach       api.example.org\n",
        "\nneeds           1 memory, the largest with ",
        "8MiB of memory, 2s of processor time, 1m in all\n                5 requests,",
        "\nsettings        contact (set): who asks\n                base-url: where to\n",
    ] {
        assert!(said.contains(part), "{part:?} is missing in\n{said}");
    }
    // What is not used says why instead.
    bench.configure("resolvers.golden.sha256 = \"00\"");
    let shown = json(&bench, &["plugin", "inspect", &golden]);
    assert!(shown["granted_hosts"].is_null() && text(&shown["problems"], "").is_empty(), "{shown}");
    assert!(shown["problems"][0].as_str().unwrap().contains("asks for 00"), "{shown}");
}
