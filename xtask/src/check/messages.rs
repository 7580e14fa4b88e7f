//! Every text that people may read was read by one of us: each variant of each error type of the host has an example
//! in its crate's `messages.txt`, and so has every other text of three words or more, there or in the suite's. The
//! examples are what tests saw, so this file must never judge what they say; it only finds those that are missing.

use super::{Violation, source, sources};
use crate::workspace::Workspace;
use anyhow::Result;
use std::fs;
use std::path::Path;

/// What the program said, whole commands.
const SUITE: &str = "tests/tests/suite/messages.txt";

/// Texts that nobody is told: how a file begins, the beginning of the text, and what it is instead.
const NOT_SAID: [(&str, &str, &str); 42] = [
    ("host/content/src/sniff.rs", "", "what pages of others say"),
    ("host/cli/src/commands/plugin.rs", "asks for hosts", "the name of a row"),
    ("host/cli/src/commands/plugin.rs", "a call may use", "the name of a row"),
    ("host/cli/src/commands/resolve/table.rs", "\n* is what", "its own test compares the whole table"),
    ("host/cli/src/commands/resolve/table.rs", "\nNo file", "its own test compares the whole table"),
    ("host/cli/src/commands/keys.rs", "fails; tried again", "tests/tests/suite/politeness.rs reads it"),
    ("host/cli/src/commands/keys.rs", "the day's budget", "tests/tests/suite/politeness.rs reads it"),
    ("host/desk/src/explain.rs", "{key} failed too often", "tests/tests/suite/politeness.rs reads it"),
    ("host/desk/src/explain.rs", "{key} has used up", "tests/tests/suite/politeness.rs reads it"),
    ("host/runtime/src/call.rs", "resolve-many was asked", "host/runtime/tests/batch.rs reads it"),
    (
        "host/runtime/src/track_0_1.rs",
        "the component has no resolve-many",
        "host/runtime/tests/batch.rs reads it",
    ),
    ("host/orchestrator/src/gather.rs", "a call for several works", "tests/tests/suite/batches.rs reads it"),
    ("host/model/src/rank.rs", "", "what licences of others say"),
    ("host/cli/src/commands/project", "build/", "where a tool is told to write"),
    ("host/runtime/src/inspect.rs", ", but a matching implementation", "what wasmtime says"),
    ("host/runtime/src/load.rs", "fit in pooling allocator", "what wasmtime says"),
    ("host/store/src/conformance", "", "what the tests of another backend say"),
    ("host/store/src", "SELECT ", "SQL"),
    ("host/store/src", "PRAGMA ", "SQL"),
    ("host/store/src", "ROLLBACK ", "SQL"),
    ("host/cli/src/environment.rs", "", "docs/reference/environment.md, which its own test compares"),
    ("host/telemetry/src/metrics/catalogue.rs", "", "docs/reference/metrics.md, which its own test compares"),
    ("host/telemetry/src/metrics/mod.rs", "text/plain", "a media type"),
    ("host/telemetry/src/otel/trace.rs", "", "names of attributes"),
    ("host/cli/src/config/annotated.rs", "#:schema", "how a file begins, which tests read whole"),
    ("host/cli/src/config/schema.rs", "gleaner.toml;", "the schema, which its own test compares"),
    ("host/serve/src/page", "", "pages: tests/tests/suite/serve_pages.rs reads them"),
    ("host/serve/src/api/mod.rs", "", "docs/reference/openapi.json has all of it"),
    ("host/serve/src/api/openapi.rs", "", "docs/reference/openapi.json has all of it"),
    ("host/serve/src/guard.rs", "default-src", "what browsers read"),
    ("host/serve/src/guard.rs", "Basic realm", "what browsers read"),
    ("host/cli/src/generations.rs", "the environment variable", "tests/tests/suite/doctor.rs reads it"),
    ("host/cli/src/commands/doctor/mod.rs", "`gleaner serve` would", "tests/tests/suite/doctor.rs reads it"),
    ("host/cli/src/commands/doctor/mod.rs", "the section [serve]", "tests/tests/suite/doctor.rs reads it"),
    ("host/cli/src/commands/doctor/network.rs", "the section", "tests/tests/suite/doctor.rs reads it"),
    ("host/cli/src/commands/doctor/network.rs", "{host} can be", "tests/tests/suite/doctor.rs reads it"),
    ("host/cli/src/commands/doctor/network.rs", "{host} was not", "tests/tests/suite/doctor.rs reads it"),
    ("host/cli/src/commands/doctor/network.rs", "wait, or lower", "tests/tests/suite/doctor.rs reads it"),
    ("host/cli/src/commands/doctor/network.rs", "wait, or look", "tests/tests/suite/doctor.rs reads it"),
    ("host/cli/src/commands/cassette.rs", "", "tests/tests/suite/cassettes.rs reads it"),
    ("host/cli/src/commands/reload.rs", "the token of", "tests/tests/suite/serve_guard.rs reads it"),
    ("host/serve/src/live.rs", "event: change", "what programs read"),
];

pub(super) fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let suite = fs::read_to_string(workspace.root().join(SUITE)).unwrap_or_default();
    let mut violations = Vec::new();
    for entry in fs::read_dir(workspace.root().join("host"))? {
        let folder = Path::new("host").join(entry?.file_name());
        let own = fs::read_to_string(workspace.root().join(&folder).join("messages.txt")).unwrap_or_default();
        let files = sources::read(workspace.root(), &folder.join("src"), "rs")?;
        violations.extend(without_example(&files, &own, &suite));
    }
    Ok(violations)
}

/// The errors and texts of one crate that have no example.
fn without_example(files: &sources::Files, own: &str, suite: &str) -> Vec<Violation> {
    let examples = own.split("\n\n").chain(suite.split("\n\n")).map(one_line).collect::<Vec<_>>();
    let mut violations = Vec::new();
    for (path, lines) in sources::outside_tests(files) {
        let place = |number| format!("{}:{number}", path.display());
        for (number, label) in errors(&lines) {
            let said = own.split("\n\n").filter(|block| block.lines().next() == Some(label.as_str())).count();
            if said == 0 {
                let advice = format!(
                    "{label} has no example; add one to the crate's test of messages and approve what it says with GLEANER_UPDATE=1"
                );
                violations.push(Violation::new(place(number), "errors-have-examples", advice));
            }
        }
        for (number, text) in texts(&path.display().to_string(), &lines) {
            if !examples.iter().any(|example| fits(&text, example)) {
                let advice = format!(
                    "no example of \"{text}\" in the crate's messages.txt or in {SUITE}; add one to a test and approve it with GLEANER_UPDATE=1"
                );
                violations.push(Violation::new(place(number), "texts-have-examples", advice));
            }
        }
    }
    violations
}

/// Every `Type::Variant`, or `Type` of a struct, that has a text of its own, with its line.
fn errors(lines: &[(usize, &str)]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut owner = "";
    let mut lines = lines.iter().map(|(number, line)| (*number, line.trim()));
    while let Some((number, line)) = lines.next() {
        if let Some(name) = name_after(line, "enum ") {
            owner = name;
        }
        if !line.starts_with("#[error(") || line.starts_with("#[error(transparent)") {
            continue;
        }
        // rustfmt closes an attribute at the end of a line.
        if !line.ends_with(")]") {
            let _ = lines.by_ref().find(|(_, line)| line.ends_with(")]"));
        }
        let item = lines.by_ref().map(|(_, line)| line).find(|line| !line.starts_with(['#', '/']));
        let label = item.and_then(|item| match name_after(item, "struct ") {
            Some(name) => Some(name.to_owned()),
            None => Some(format!("{owner}::{}", identifier(item)?)),
        });
        found.extend(label.map(|label| (number, label)));
    }
    found
}

fn name_after<'a>(line: &'a str, keyword: &str) -> Option<&'a str> {
    let is_item = line.starts_with(keyword) || line.starts_with("pub");
    line.split_once(keyword).filter(|_| is_item).and_then(|(_, rest)| identifier(rest))
}

fn identifier(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    Some(&text[..end]).filter(|name| !name.is_empty())
}

/// Every string that reads like something said: three words or more, and one in what ends a command.
fn texts(path: &str, lines: &[(usize, &str)]) -> Vec<(usize, String)> {
    // Attributes talk to compilers, and what is logged for developers only is theirs.
    let is_for_us = |line: &str| {
        line.trim_start().starts_with("#[") && !line.trim_start().starts_with("#[error(")
            || ["reason = \"", "debug!(", "trace!("].iter().any(|ours| line.contains(ours))
    };
    let said = lines.iter().filter(|(_, line)| !is_for_us(line)).copied().collect::<Vec<_>>();
    let literals = source::string_literals(&said).into_iter().map(|(number, raw)| (number, unescaped(&raw)));
    let exempt = |text: &str| {
        NOT_SAID.iter().any(|(file, beginning, _)| path.starts_with(file) && text.starts_with(beginning))
    };
    // The text may begin in the line after.
    let ends_a_command = |number: usize| {
        let near = lines.iter().filter(|(other, _)| *other == number || *other + 1 == number);
        near.into_iter().any(|(_, line)| {
            ["Failed::usage(", "Failed::configuration("].iter().any(|end| line.contains(end))
        })
    };
    let least = |number| if ends_a_command(number) { 1 } else { 3 };
    literals.filter(|(number, text)| words(text) >= least(*number) && !exempt(text)).collect()
}

fn words(text: &str) -> usize {
    let own = fragments(text).join(" ");
    own.split_whitespace().filter(|word| word.chars().filter(|c| c.is_alphabetic()).count() >= 2).count()
}

/// What the compiler makes of a literal, as far as texts need it. A line that ends in `\` goes on in the next.
fn unescaped(raw: &str) -> String {
    let (mut text, mut rest) = (String::new(), raw);
    while let Some((before, escape)) = rest.split_once('\\') {
        text.push_str(before);
        rest = match escape.chars().next() {
            Some(' ') => escape.trim_start(),
            Some('n') => {
                text.push('\n');
                &escape[1..]
            }
            Some(other) => {
                text.push(other);
                &escape[other.len_utf8()..]
            }
            None => "",
        };
    }
    text + rest
}

/// The parts of a format string between its `{}`.
fn fragments(text: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let doubled = chars.peek() == Some(&c);
        match (c, found.last_mut()) {
            ('{' | '}', Some(last)) if doubled => {
                last.push(c);
                chars.next();
            }
            ('{', _) => {
                chars.by_ref().find(|c| *c == '}');
                found.push(String::new());
            }
            (_, Some(last)) => last.push(c),
            (_, None) => {}
        }
    }
    found
}

/// Whether the example may have been made of that format string: its parts stand there in order.
fn fits(text: &str, example: &str) -> bool {
    let mut rest = example;
    fragments(text).iter().map(|fragment| one_line(fragment)).all(|fragment| {
        let found = rest.split_once(fragment.as_str());
        rest = found.map_or(rest, |(_, after)| after);
        found.is_some()
    })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CRATE: &str = r#"//! Errors.
/// Why.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// One.
    #[error("the disk of {} is full; make room", path.display())]
    Full { path: PathBuf },
    /// Two.
    #[error(
        "{0} is damaged, \
         restore it"
    )]
    #[allow(x)]
    Damaged(String),
    #[error(transparent)]
    Other(#[from] Other),
}
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no key")]
pub struct KeyError(String);
fn f() -> Result<(), String> {
    tracing::debug!("nobody reads this text");
    Err(format!("nothing to add to {x}: give {{}} identifiers"))
}
fn g() -> Failed {
    Failed::usage(
        "zebra",
    )
}
#[cfg(test)]
mod tests {
    fn f() { "this is not said either" }
}
"#;

    fn missing(own: &str, suite: &str) -> Vec<String> {
        let files = sources::Files::from([("host/store/src/error.rs".into(), CRATE.to_owned())]);
        without_example(&files, own, suite).into_iter().map(|found| found.place).collect()
    }

    #[test]
    fn errors_and_texts_without_an_example_are_found() {
        let place = |number: usize| format!("host/store/src/error.rs:{number}");
        let own = "StoreError::Full\n  the disk of /x is full; make room\n\nStoreError::Damaged\n  x is damaged, restore it\n\nKeyError\n  \"x\" is no key\n";
        let suite = "$ gleaner x\nnothing to add to y: give {}\nidentifiers\n[exit 2]\n\n$ gleaner y\nzebra\n[exit 2]\n";
        assert_eq!(missing(own, suite), [""; 0]);
        assert_eq!(missing(&own.replace("KeyError", "Key"), suite), [place(19)]);
        assert_eq!(missing(&own.replace("StoreError::Full", "Full"), suite), [place(6)]);
        assert_eq!(missing(&own.replace("damaged, restore", "damaged. Restore"), suite), [place(10)]);
        assert_eq!(missing(own, ""), [place(23), place(27)]);
        assert_eq!(missing("", suite).len(), 6);
    }

    #[test]
    fn a_text_is_found_through_its_values() {
        for (text, example, is_found) in [
            ("cannot read {path}: {source}", "gleaner: cannot read a.txt: no such file", true),
            ("cannot read {path}: {source}", "gleaner: cannot write a.txt: no such file", false),
            ("{a} is in {{b}}", "x is in {b}", true),
            ("one two, three", "three one two,", false),
        ] {
            assert_eq!(fits(text, example), is_found, "{text}");
        }
    }
}
