//! Holds what a library has against the truth, by hash.
//!
//! Must never take a file for right because it looks so: only its bytes count.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::Known;

/// What came of the works.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Works in all.
    pub works: usize,
    /// Works that have a copy somewhere.
    pub findable: usize,
    /// Those of them whose copy the library has.
    pub found: usize,
    /// Works without their file though they have one: name and case.
    pub missed: Vec<String>,
    /// Files that are not the work's, or no copy that everybody may read: name and case.
    pub wrong: Vec<String>,
    /// How many right files each resolver has led to.
    pub contributions: BTreeMap<String, usize>,
}

/// Judges by `library list` and `library export`.
pub fn judge(works: &[Known], files: &[Value], manifest: &[Value]) -> Verdict {
    let mut held: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for file in files {
        held.entry(text(file, "artifact_id")).or_default().insert(text(file, "sha256"));
    }
    let mut verdict = Verdict { works: works.len(), ..Verdict::default() };
    for work in works {
        let held = held.remove(&*work.artifact_id).unwrap_or_default();
        let (right, wrong): (Vec<&str>, Vec<&str>) =
            held.iter().partition(|hash| work.right.contains(**hash));
        let told = || format!("{} ({})", work.name, work.case);
        verdict.findable += usize::from(!work.right.is_empty());
        if !wrong.is_empty() {
            verdict.wrong.push(told());
        }
        if right.is_empty() {
            verdict.missed.extend((!work.right.is_empty()).then(told));
            continue;
        }
        verdict.found += 1;
    }
    // What the list does not name is nobody's file.
    verdict.wrong.extend(held.into_keys().map(str::to_owned));
    let right: BTreeMap<&str, &Known> = works.iter().map(|work| (&*work.artifact_id, work)).collect();
    for record in manifest.iter().filter(|record| record["outcome"] == "accepted") {
        let is_right = right
            .get(text(record, "artifact_id"))
            .is_some_and(|work| work.right.contains(text(record, "sha256")));
        if is_right {
            *verdict.contributions.entry(text(record, "resolver").to_owned()).or_default() += 1;
        }
    }
    verdict
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn known(name: &str, right: &[&str]) -> Known {
        Known {
            name: name.to_owned(),
            artifact_id: format!("doi:{name}"),
            case: "a case",
            right: right.iter().map(|hash| (*hash).to_owned()).collect(),
            traps: Vec::new(),
        }
    }

    #[test]
    fn files_are_right_wrong_or_missed_by_their_hash() {
        let works =
            [known("right", &["a", "b"]), known("wrong", &["c"]), known("closed", &[]), known("none", &[])];
        let file = |name: &str, hash: &str| json!({ "artifact_id": format!("doi:{name}"), "sha256": hash });
        let files = [file("right", "b"), file("wrong", "a"), file("closed", "c"), file("stranger", "a")];
        let kept = |name: &str, hash: &str, outcome: &str| json!({ "artifact_id": format!("doi:{name}"), "sha256": hash, "outcome": outcome, "resolver": "someone" });
        let manifest =
            [kept("right", "b", "accepted"), kept("wrong", "a", "accepted"), kept("right", "b", "rejected")];
        let told = |names: &[&str]| names.iter().map(|name| format!("{name} (a case)")).collect::<Vec<_>>();
        let verdict = judge(&works, &files, &manifest);
        assert_eq!((verdict.works, verdict.findable, verdict.found), (4, 2, 1));
        assert_eq!(verdict.missed, told(&["wrong"]));
        assert_eq!(verdict.wrong, [told(&["wrong", "closed"]), vec!["doi:stranger".to_owned()]].concat());
        assert_eq!(verdict.contributions, BTreeMap::from([("someone".to_owned(), 1)]));
    }
}
