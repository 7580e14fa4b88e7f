//! Rules on manifests: versions and features stand in the root only, each with its reason, and every crate
//! has the workspace's lints.

use super::Violation;
use crate::workspace::{Workspace, relative};
use anyhow::{Context, Result};
use std::fs;
use toml::{Table, Value};

pub(super) fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let root = fs::read_to_string(workspace.root().join("Cargo.toml"))?;
    let mut violations = reasons("Cargo.toml", &root);
    for package in workspace.metadata.workspace_packages() {
        let place = relative(workspace, &package.manifest_path).as_str();
        let text = fs::read_to_string(&package.manifest_path)?;
        let manifest = text.parse::<Table>().with_context(|| format!("cannot read {place}"))?;
        violations.extend(inherited(place, &manifest));
        violations.extend(lints(place, &manifest));
    }
    Ok(violations)
}

/// One reason behind each entry of `[workspace.dependencies]`; entries by path are our own.
fn reasons(place: &str, manifest: &str) -> Vec<Violation> {
    let section =
        manifest.lines().zip(1..).skip_while(|(line, _)| *line != "[workspace.dependencies]").skip(1);
    let mut violations = Vec::new();
    let mut entry: Option<(String, usize)> = None;
    for (line, number) in section.take_while(|(line, _)| !line.starts_with('[')) {
        let (code, reason) = line.split_once('#').map_or((line, ""), |(code, reason)| (code, reason.trim()));
        let (text, start) = entry.take().unwrap_or((String::new(), number));
        let text = text + code;
        if text.trim().is_empty() {
            continue;
        }
        if text.matches(['[', '{']).count() > text.matches([']', '}']).count() {
            entry = Some((text, start)); // goes on in the next line
        } else if reason.is_empty() && !text.contains("path =") {
            let name = text.split('=').next().unwrap_or_default().trim();
            violations.push(Violation::new(
                format_args!("{place}:{start}"),
                "reason-per-dependency",
                format_args!("say behind {name} what it is for: `# ...`"),
            ));
        }
    }
    violations
}

/// A crate's dependency says `workspace = true` and no more.
fn inherited(place: &str, manifest: &Table) -> Vec<Violation> {
    let by_target = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let tables = by_target.filter_map(Value::as_table).chain([manifest]).flat_map(|table| {
        ["dependencies", "dev-dependencies", "build-dependencies"]
            .map(|kind| table.get(kind).and_then(Value::as_table))
    });
    let is_inherited = |value: &Value| {
        value.as_table().is_some_and(|entry| {
            entry.get("workspace") == Some(&Value::Boolean(true))
                && entry.keys().all(|key| matches!(key.as_str(), "workspace" | "optional"))
        })
    };
    let own = tables.flatten().flatten().filter(|(_, value)| !is_inherited(value));
    own.map(|(name, _)| {
        let advice =
            format!("write `{name}.workspace = true`; version and features stand in the root manifest");
        Violation::new(place, "dependencies-inherited", advice)
    })
    .collect()
}

/// Without this line a crate escapes every lint, those on printing included.
fn lints(place: &str, manifest: &Table) -> Option<Violation> {
    let inherited =
        manifest.get("lints").and_then(|lints| lints.get("workspace")) == Some(&Value::Boolean(true));
    (!inherited).then(|| Violation::new(place, "lints-inherited", "add [lints] with workspace = true"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_without_a_reason_is_found() {
        let manifest = "[workspace.dependencies]\n# --- ours\na = { path = \"a\" }\nb = \"1\" # why\nc = \"1\"\n\
                        d = { version = \"1\", features = [\n  \"x\",\n] } # why\ne = { features = [\n\"x\" ] }\n[other]\nf = \"1\"\n";
        let places = reasons("Cargo.toml", manifest).into_iter().map(|found| found.place).collect::<Vec<_>>();
        assert_eq!(places, ["Cargo.toml:5", "Cargo.toml:9"]);
    }

    #[test]
    fn a_version_or_a_feature_of_its_own_is_found() {
        let manifest = "[dependencies]\na.workspace = true\nb = \"1\"\nc = { workspace = true, features = [\"x\"] }\n\
                        [dev-dependencies]\nd = { path = \"d\" }\n[target.'cfg(unix)'.dependencies]\ne = \"1\"\n";
        let found = inherited("m", &manifest.parse().unwrap());
        let mut names =
            found.iter().filter_map(|one| one.advice.split(['`', '.']).nth(1)).collect::<Vec<_>>();
        names.sort_unstable();
        assert_eq!(names, ["b", "c", "d", "e"]);
    }

    #[test]
    fn a_crate_without_the_lints_is_found() {
        assert!(lints("m", &"[package]\nname = \"a\"".parse().unwrap()).is_some());
        assert!(lints("m", &"[lints]\nworkspace = true".parse().unwrap()).is_none());
    }
}
