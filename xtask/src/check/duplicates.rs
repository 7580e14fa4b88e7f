//! The host must not carry one package in two versions, unless xtask/duplicates.toml names it with a reason.
//! It counts what the host links on Linux, not what tests, guests or other platforms bring along.

use super::Violation;
use crate::workspace::{Workspace, metadata};
use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, PackageId};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// The same wherever the check runs.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

const LIST: &str = "xtask/duplicates.toml";

type Versions = BTreeMap<String, BTreeSet<String>>;

pub(super) fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let text =
        fs::read_to_string(workspace.root().join(LIST)).with_context(|| format!("cannot read {LIST}"))?;
    let allowed =
        toml::from_str(&text).with_context(|| format!("{LIST} is not a list of name = \"reason\""))?;
    Ok(judge(&linked(&metadata(&["--filter-platform", PLATFORM])?)?, &allowed))
}

/// Every package that the host's programs link, with its versions.
fn linked(metadata: &Metadata) -> Result<Versions> {
    let resolve = metadata.resolve.as_ref().context("cargo metadata resolved no dependencies")?;
    let nodes = resolve.nodes.iter().map(|node| (&node.id, node)).collect::<BTreeMap<_, _>>();
    let host = metadata.workspace_root.join("host");
    let is_host = |id: &PackageId| metadata[id].manifest_path.starts_with(&host);
    let mut waiting = metadata.workspace_members.iter().filter(|id| is_host(id)).collect::<Vec<_>>();
    let mut seen = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        // A macro's dependencies run in the compiler; the host links none of them.
        let is_macro = metadata[id].targets.iter().any(|target| target.is_proc_macro());
        if !is_macro && seen.insert(id) {
            let normal = nodes[id].deps.iter().filter(|dependency| {
                dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal)
            });
            waiting.extend(normal.map(|dependency| &dependency.pkg));
        }
    }
    let mut versions = Versions::new();
    for package in seen.into_iter().map(|id| &metadata[id]) {
        versions.entry(package.name.to_string()).or_default().insert(package.version.to_string());
    }
    Ok(versions)
}

fn judge(linked: &Versions, allowed: &BTreeMap<String, String>) -> Vec<Violation> {
    const RULE: &str = "no-duplicates";
    let is_double = |name: &str| linked.get(name).is_some_and(|versions| versions.len() > 1);
    let new = linked.iter().filter(|(name, _)| is_double(name) && !allowed.contains_key(*name)).map(|(name, versions)| {
        let versions = versions.iter().map(String::as_str).collect::<Vec<_>>().join(" and ");
        let advice = format!("linked in {versions}; `cargo tree -i {name}` shows why. Unite them, or add it to {LIST} with a reason");
        Violation::new(name, RULE, advice)
    });
    let stale = allowed
        .keys()
        .filter(|name| !is_double(name))
        .map(|name| Violation::new(LIST, RULE, format!("{name} is no longer linked twice; remove its line")));
    new.chain(stale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_and_stale_entries_are_found() {
        let versions =
            |list: &[&str]| list.iter().map(|version| (*version).to_owned()).collect::<BTreeSet<_>>();
        let linked = Versions::from([
            ("new".to_owned(), versions(&["1.0.0", "2.0.0"])),
            ("known".to_owned(), versions(&["1.0.0", "2.0.0"])),
            ("single".to_owned(), versions(&["1.0.0"])),
        ]);
        let allowed = ["known", "single"].map(|name| (name.to_owned(), "why".to_owned())).into();
        let found = judge(&linked, &allowed);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].place, "new");
        assert!(found[1].advice.starts_with("single is no longer"));
    }
}
