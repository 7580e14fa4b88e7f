//! Who may import whom: the table of ARCHITECTURE.md as data. Tests and build scripts are held to it as well.

use super::Violation;
use crate::workspace::{Workspace, relative};
use anyhow::Result;
use cargo_metadata::DependencyKind;

/// For each crate of ours, the crates of ours that it may import. `*` stands for all.
const IMPORTS: [(&str, &[&str]); 20] = [
    ("gleaner-model", &[]),
    ("gleaner-store", &["gleaner-model"]),
    ("gleaner-limits", &["gleaner-model"]),
    ("gleaner-telemetry", &["gleaner-model"]),
    ("gleaner-watch", &["gleaner-model"]),
    ("gleaner-egress", &["gleaner-model", "gleaner-limits"]),
    ("gleaner-content", &["gleaner-model", "gleaner-egress"]),
    ("gleaner-runtime", &["gleaner-model"]),
    ("gleaner-cassette", &["gleaner-model", "gleaner-runtime"]),
    (
        "gleaner-orchestrator",
        &[
            "gleaner-model",
            "gleaner-store",
            "gleaner-limits",
            "gleaner-telemetry",
            "gleaner-watch",
            "gleaner-egress",
            "gleaner-content",
            "gleaner-runtime",
        ],
    ),
    (
        "gleaner-desk",
        &["gleaner-model", "gleaner-store", "gleaner-limits", "gleaner-runtime", "gleaner-orchestrator"],
    ),
    (
        "gleaner-serve",
        &["gleaner-model", "gleaner-store", "gleaner-telemetry", "gleaner-orchestrator", "gleaner-desk"],
    ),
    ("gleaner-cli", &["*"]),
    ("gleaner-tests", &["*"]),
    (TESTING, &[]),
    ("gleaner-sdk", &[]),
    ("gleaner-plugin-*", &["gleaner-sdk"]),
    ("gleaner-guest-*", &["gleaner-sdk"]),
    ("gleaner-example-*", &["gleaner-sdk"]),
    // Builds in seconds, on a machine that has built nothing yet.
    ("xtask", &[]),
];

/// Every crate's tests may import it, and nothing that is shipped.
const TESTING: &str = "gleaner-testing";

/// Packages that only some crates may know; a `*` at the end of a name stands for any ending.
const OWNERS: [(&str, &[&str]); 11] = [
    ("rusqlite", &["gleaner-store"]),
    ("reqwest", &["gleaner-egress"]),
    ("wasmtime*", &["gleaner-runtime"]),
    ("notify*", &["gleaner-watch"]),
    ("axum*", &["gleaner-serve"]),
    ("maud", &["gleaner-serve"]),
    ("tracing-subscriber", &["gleaner-telemetry"]),
    ("opentelemetry*", &["gleaner-telemetry", "gleaner-tests"]),
    ("anyhow", &["gleaner-cli", "xtask", "gleaner-tests"]),
    ("miette", &["gleaner-cli", "xtask", "gleaner-tests"]),
    ("clap*", &["gleaner-cli", "xtask", "gleaner-tests"]),
];

pub(super) fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let members = workspace.metadata.workspace_packages();
    let ours = members.iter().map(|package| package.name.as_str()).collect::<Vec<_>>();
    let violations = members.iter().flat_map(|package| {
        let manifest = relative(workspace, &package.manifest_path);
        let imports = package
            .dependencies
            .iter()
            .filter(|import| import.name != TESTING || import.kind != DependencyKind::Development);
        let imports = imports.map(|import| import.name.as_str()).collect::<Vec<_>>();
        let mut violations = imports_of_ours(manifest.as_str(), &package.name, &imports, &ours);
        violations.extend(imports_of_owned(manifest.as_str(), &package.name, &imports));
        violations
    });
    Ok(violations.collect())
}

fn imports_of_ours(manifest: &str, package: &str, imports: &[&str], ours: &[&str]) -> Vec<Violation> {
    const RULE: &str = "who-imports-whom";
    let Some((_, allowed)) = IMPORTS.iter().find(|(pattern, _)| matches(pattern, package)) else {
        let advice =
            format!("{package} is in no row; add it to the table in ARCHITECTURE.md and to IMPORTS in xtask");
        return vec![Violation::new(manifest, RULE, advice)];
    };
    let forbidden = imports
        .iter()
        .filter(|import| ours.contains(import) && !allowed.iter().any(|pattern| matches(pattern, import)));
    forbidden
        .map(|import| {
            Violation::new(
                manifest,
                RULE,
                format!("{package} must not import {import}; move the code, or pass a trait in"),
            )
        })
        .collect()
}

fn imports_of_owned(manifest: &str, package: &str, imports: &[&str]) -> Vec<Violation> {
    let forbidden = imports.iter().filter_map(|import| {
        let (_, owners) = OWNERS.iter().find(|(pattern, _)| matches(pattern, import))?;
        (!owners.contains(&package)).then_some((import, owners))
    });
    forbidden
        .map(|(import, owners)| {
            let advice = format!(
                "only {} may use {import}; ask that crate for what {package} needs",
                owners.join(", ")
            );
            Violation::new(manifest, "who-owns-what", advice)
        })
        .collect()
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: [&str; 4] = ["gleaner-model", "gleaner-store", "gleaner-egress", "gleaner-sdk"];

    #[test]
    fn an_import_outside_the_table_is_found() {
        let found = imports_of_ours(
            "host/store/Cargo.toml",
            "gleaner-store",
            &["gleaner-model", "gleaner-egress", "serde"],
            &OURS,
        );
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().starts_with(
            "host/store/Cargo.toml: who-imports-whom: gleaner-store must not import gleaner-egress"
        ));
        assert_eq!(imports_of_ours("m", "gleaner-plugin-new", &["gleaner-model"], &OURS).len(), 1);
        assert_eq!(imports_of_ours("m", "gleaner-plugin-new", &["gleaner-sdk"], &OURS), []);
        assert_eq!(imports_of_ours("m", "gleaner-cli", &OURS, &OURS), []);
    }

    #[test]
    fn a_crate_in_no_row_is_found() {
        assert_eq!(imports_of_ours("m", "gleaner-extra", &[], &OURS).len(), 1);
    }

    #[test]
    fn a_package_outside_its_owner_is_found() {
        assert_eq!(imports_of_owned("m", "gleaner-store", &["rusqlite", "serde"]), []);
        assert_eq!(imports_of_owned("m", "gleaner-model", &["rusqlite"]).len(), 1);
        assert_eq!(imports_of_owned("m", "gleaner-egress", &["wasmtime-wasi", "anyhow"]).len(), 2);
    }
}
