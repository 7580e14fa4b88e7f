//! Configuration files as people write them: the one that `config init` begins, the schema that editors read, and that
//! every file of the tree fits it while a misspelt key does not.

use std::fs;
use std::path::{Path, PathBuf};

use gleaner_tests::harness::{Bench, Running, TIMEOUT};
use gleaner_tests::simweb::World;
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What the program prints as its schema, ready to validate with.
fn validator(bench: &Bench) -> jsonschema::Validator {
    let schema: Value = bench.run(&["config", "schema"]).expect_code(0).json();
    assert!(schema["properties"]["egress"]["properties"]["timeout"]["description"].is_string());
    jsonschema::draft202012::new(&schema).expect("a JSON Schema")
}

fn as_json(toml: &str) -> Value {
    serde_json::to_value(toml.parse::<toml::Table>().expect("TOML")).unwrap()
}

/// Files named `*.toml` below a folder that begin with the line that names the schema.
fn configurations(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            configurations(&path, found);
        } else if path.extension().is_some_and(|end| end == "toml")
            && fs::read_to_string(&path).unwrap().starts_with("#:schema ")
        {
            found.push(path);
        }
    }
}

#[test]
fn the_printed_schema_is_the_one_in_the_tree() {
    let bench = Bench::new(World::default());
    let printed = bench.run(&["config", "schema"]).expect_code(0).stdout;
    assert_eq!(printed, fs::read_to_string(root().join("config/gleaner.schema.json")).unwrap());
}

#[test]
fn every_configuration_of_the_tree_fits_the_schema() {
    let bench = Bench::new(World::default());
    let validator = validator(&bench);
    let mut files = Vec::new();
    for folder in ["config", "examples"] {
        configurations(&root().join(folder), &mut files);
    }
    assert!(files.iter().any(|file| file.ends_with("config/default.toml")), "{files:?}");
    for file in files {
        let value = as_json(&fs::read_to_string(&file).unwrap());
        let problems: Vec<_> =
            validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(problems.is_empty(), "{}: {problems:#?}", file.display());
    }
    // The bench's own configuration was written by a program.
    let own = as_json(&fs::read_to_string(bench.path("gleaner.toml")).unwrap());
    assert!(validator.is_valid(&own), "{own}");
}

#[test]
fn what_the_program_refuses_for_its_shape_does_not_fit_the_schema() {
    let bench = Bench::new(World::default());
    let validator = validator(&bench);
    for wrong in [
        "contcat = \"you@example.org\"",
        "[orchestrator]\nwokers = 3",
        "[egress]\ntimeout = 30",
        "[egress]\ntimeout = \"soon\"",
        "[egress.cache]\nsizes = \"1MiB\"",
        "[limits.hosts]\n\"a.org\" = { rate = \"5\" }",
        "[limits.hosts]\n\"a.org\" = { concurency = 5 }",
        "[resolvers.unpaywall]\nenable = true",
        "[resolvers.x]\ninject = [{ host = \"a.org\", header = \"h\" }]",
        "[tiers]\nlist = [{ name = \"a\", resolver = [] }]",
        "[tiers]\nprefer = \"last\"",
        "[secrets.key]\nfiles = \"x\"",
        "[queue]\ndurability = \"none\"",
    ] {
        assert!(!validator.is_valid(&as_json(wrong)), "the schema lets this pass: {wrong}");
        bench.file("wrong.toml", wrong);
        let mut gleaner = bench.bare();
        gleaner.args(["--config", "wrong.toml", "config", "show"]);
        Running::of(gleaner).wait(TIMEOUT).expect_code(3);
    }
}

#[test]
fn a_file_is_begun_once_and_says_what_is_left_to_do() {
    let bench = Bench::new(World::default());
    fs::remove_file(bench.path("gleaner.toml")).unwrap();
    let run = |args: &[&str]| {
        let mut gleaner = bench.bare();
        gleaner.args(args);
        Running::of(gleaner).wait(TIMEOUT)
    };
    let said = run(&["config", "init"]).expect_code(0).stdout;
    assert!(said.contains("gleaner.toml is written") && said.contains("contact"), "{said}");
    let text = fs::read_to_string(bench.path("gleaner.toml")).unwrap();
    assert!(text.starts_with("#:schema gleaner.schema.json\n"), "{text:.80}");
    assert!(validator_of(&bench).is_valid(&as_json(&text)));
    // What is left to do is demanded, with the line to write it on.
    let line = text.lines().position(|line| line.starts_with("contact")).unwrap() + 1;
    let error = run(&["config", "check"]).expect_code(3).stderr;
    assert!(error.contains(&format!("gleaner.toml:{line}")) && error.contains("e-mail"), "{error}");

    let error = run(&["config", "init", "--contact", "you@example.org"]).expect_code(2).stderr;
    assert!(error.contains("is there already") && error.contains("--force"), "{error}");
    assert_eq!(fs::read_to_string(bench.path("gleaner.toml")).unwrap(), text);
    let error = run(&["config", "init", "--force", "--contact", "nobody"]).expect_code(2).stderr;
    assert!(error.contains("--contact \"nobody\" is not an e-mail address"), "{error}");
    run(&["config", "init", "--force", "--contact", "you@example.org"]).expect_code(0);
    run(&["config", "check"]).expect_code(0);
    let rows = run(&["--format", "json", "config", "show"]).expect_code(0).json();
    let not_default: Vec<_> = rows
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["origin"] != "default")
        .map(|row| &row["key"])
        .collect();
    assert_eq!(not_default, ["contact"], "a new file sets nothing but the contact");
}

#[test]
fn a_file_elsewhere_gets_its_folder_and_its_schema() {
    let bench = Bench::new(World::default());
    let output =
        bench.run(&["--format", "json", "config", "init", "new/place/my.toml"]).expect_code(0).json();
    assert_eq!(output["file"], "new/place/my.toml");
    assert!(
        bench.path("new/place/my.toml").is_file() && bench.path("new/place/gleaner.schema.json").is_file()
    );
    // A schema that is somebody's own is in the way too, and then nothing is written.
    fs::create_dir(bench.path("other")).unwrap();
    bench.file("other/gleaner.schema.json", "{}");
    bench.run(&["config", "init", "other/my.toml"]).expect_code(2);
    assert!(!bench.path("other/my.toml").exists());
}

fn validator_of(bench: &Bench) -> jsonschema::Validator {
    let text = fs::read_to_string(bench.path("gleaner.schema.json")).unwrap();
    jsonschema::draft202012::new(&serde_json::from_str(&text).unwrap()).unwrap()
}
