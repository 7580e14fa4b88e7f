//! Rules on source files: each opens with what it is for, stays short, reads no environment, and no SQL lies
//! unused.

use super::{Violation, source};
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The longest file that still reads well.
const MOST_LINES: usize = 500;

/// A source file: its path from the root, and its text.
pub(super) type Files = BTreeMap<PathBuf, String>;

pub(super) fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let mut rust = Files::new();
    for folder in ["host", "plugins", "tests", "xtask", "examples"] {
        rust.extend(read(workspace.root(), Path::new(folder), "rs")?);
    }
    let sql = read(workspace.root(), Path::new("host/store"), "sql")?;
    let mut violations =
        rust.iter().filter_map(|(path, text)| opens_with_purpose(path, text)).collect::<Vec<_>>();
    violations.extend(rust.iter().filter_map(|(path, text)| is_short(path, text)));
    violations.extend(reads_environment(&rust));
    violations.extend(unused_sql(sql.keys(), &rust));
    Ok(violations)
}

/// Every file below a folder that ends so; nothing where the folder does not exist.
pub(super) fn read(root: &Path, folder: &Path, extension: &str) -> Result<Files> {
    let mut files = Files::new();
    let Ok(entries) = fs::read_dir(root.join(folder)) else { return Ok(files) };
    for entry in entries {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            // A crate that was built on its own has a target directory of its own.
            if entry.file_name() != "target" {
                files.extend(read(root, &path, extension)?);
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            let text = fs::read_to_string(entry.path())
                .with_context(|| format!("cannot read {}", path.display()))?;
            files.insert(path, text);
        }
    }
    Ok(files)
}

/// What is left of the files without test code: test modules, whether inline or in files of their own.
pub(super) fn outside_tests(files: &Files) -> BTreeMap<&Path, Vec<(usize, &str)>> {
    let tests = files.iter().flat_map(|(path, text)| {
        source::test_modules(text).into_iter().map(|module| folder_of_modules(path).join(module))
    });
    let tests = tests.collect::<Vec<_>>();
    let is_test = |path: &Path| {
        let integration = path.components().any(|part| part.as_os_str() == "tests");
        integration || tests.iter().any(|test| path.with_extension("") == *test || path.starts_with(test))
    };
    let kept = files.iter().filter(|(path, _)| !is_test(path));
    kept.map(|(path, text)| (path.as_path(), source::lines_outside_tests(text))).collect()
}

/// Where the modules that a file declares lie.
fn folder_of_modules(file: &Path) -> PathBuf {
    match file.file_stem().and_then(|stem| stem.to_str()) {
        Some("lib" | "main" | "mod") => file.with_file_name(""),
        _ => file.with_extension(""),
    }
}

fn opens_with_purpose(path: &Path, text: &str) -> Option<Violation> {
    let advice = "begin with `//!`: what the file is for, and what it must never do";
    (!text.starts_with("//! ")).then(|| Violation::new(path.display(), "file-says-its-purpose", advice))
}

fn is_short(path: &Path, text: &str) -> Option<Violation> {
    let lines = text.lines().count();
    let advice = format!("{lines} lines, and {MOST_LINES} are the most; split it by what its parts are for");
    (lines > MOST_LINES).then(|| Violation::new(path.display(), "file-is-short", advice))
}

/// Only the command line reads the environment; a library behaves the same wherever it runs.
fn reads_environment(files: &Files) -> Vec<Violation> {
    let libraries = outside_tests(files)
        .into_iter()
        .filter(|(path, _)| path.starts_with("host") && !path.starts_with("host/cli"))
        // Benchmarks are programs of their own.
        .filter(|(path, _)| !path.components().any(|part| part.as_os_str() == "benches"));
    let reads = libraries.flat_map(|(path, lines)| {
        let found = lines
            .into_iter()
            .filter(|(_, line)| line.contains("std::env") && !line.trim_start().starts_with("//"));
        found.map(move |(number, _)| format!("{}:{number}", path.display()))
    });
    let advice = "only host/cli reads the environment; take the value as a parameter";
    reads.map(|place| Violation::new(place, "no-environment", advice)).collect()
}

/// A statement that no string of the store's code names, with or without `.sql`, is dead: nothing prepares it.
fn unused_sql<'a>(statements: impl Iterator<Item = &'a PathBuf>, rust: &Files) -> Vec<Violation> {
    let code = rust.iter().filter(|(path, _)| path.starts_with("host/store/src"));
    let literals = code.flat_map(|(_, text)| source::string_literals(&source::lines_outside_tests(text)));
    let named = literals.filter_map(|(_, literal)| Some(Path::new(&literal).file_stem()?.to_owned()));
    let named = named.collect::<BTreeSet<_>>();
    let unused = statements.filter(|path| path.file_stem().is_some_and(|name| !named.contains(name)));
    let advice = "no file of host/store/src names it; use it or remove it";
    unused.map(|path| Violation::new(path.display(), "no-unused-sql", advice)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files<P: AsRef<Path>>(list: &[(P, &str)]) -> Files {
        list.iter().map(|(path, text)| (path.as_ref().to_owned(), (*text).to_owned())).collect()
    }

    fn places(violations: Vec<Violation>) -> Vec<String> {
        violations.into_iter().map(|violation| violation.place).collect()
    }

    #[test]
    fn a_file_without_a_purpose_or_too_long_is_found() {
        let path = Path::new("host/a.rs");
        assert!(opens_with_purpose(path, "use std::fs;\n").is_some());
        assert!(opens_with_purpose(path, "//! Reads.\n").is_none());
        assert!(is_short(path, &"x\n".repeat(MOST_LINES)).is_none());
        assert!(is_short(path, &"x\n".repeat(MOST_LINES + 1)).is_some());
    }

    #[test]
    fn reading_the_environment_is_found_outside_tests_and_cli() {
        let read = "let a = std::env::var(\"A\");\n";
        let in_tests = format!("#[cfg(test)]\nmod tests {{\n    {read}}}\n");
        let found = reads_environment(&files(&[
            (
                "host/egress/src/lib.rs",
                &format!("// std::env is not for us\n{read}#[cfg(test)]\nmod probe;\n"),
            ),
            ("host/egress/src/probe.rs", read),
            ("host/store/src/lib.rs", &in_tests),
            ("host/store/tests/suite.rs", read),
            ("host/cli/src/main.rs", read),
        ]));
        assert_eq!(places(found), ["host/egress/src/lib.rs:2"]);
    }

    #[test]
    fn an_unused_statement_is_found() {
        let rust = files(&[
            (
                "host/store/src/lib.rs",
                "include_str!(\"sql/lease.sql\"); statements! { A = \"ack\" } // \"lost\"",
            ),
            ("host/cli/src/a.rs", "\"lost.sql\""),
        ]);
        let sql = files(&["lease", "ack", "lost"].map(|name| (format!("host/store/sql/{name}.sql"), "")));
        assert_eq!(places(unused_sql(sql.keys(), &rust)), ["host/store/sql/lost.sql"]);
    }
}
