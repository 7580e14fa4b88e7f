//! `cargo xtask check`: the rules that reviewers should not have to hold. Each rule is one function that turns
//! facts into violations; this file runs them all, and changes nothing.

mod duplicates;
mod imports;
mod licenses;
mod manifests;
mod messages;
mod names;
mod source;
mod sources;

use crate::stage::{Stages, say};
use crate::workspace::Workspace;
use anyhow::{Result, bail};
use std::fmt;

/// One place where a rule is broken.
#[derive(Debug, PartialEq)]
pub(crate) struct Violation {
    /// A file from the root, with a line where there is one; or a package.
    place: String,
    rule: &'static str,
    /// What to do.
    advice: String,
}

impl Violation {
    fn new(place: impl fmt::Display, rule: &'static str, advice: impl fmt::Display) -> Self {
        Self { place: place.to_string(), rule, advice: advice.to_string() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.rule, self.advice)
    }
}

/// A named group of rules.
type Group = (&'static str, fn(&Workspace) -> Result<Vec<Violation>>);

const GROUPS: [Group; 7] = [
    ("who imports whom", imports::check),
    ("manifests", manifests::check),
    ("licenses", licenses::check),
    ("duplicate packages", duplicates::check),
    ("sources", sources::check),
    ("service names", names::check),
    ("messages", messages::check),
];

/// Runs every group, prints each violation, and fails if there was one.
pub(crate) fn command() -> Result<String> {
    let mut stages = Stages::default();
    let workspace = Workspace::load()?;
    let mut broken = 0;
    for (name, rules) in GROUPS {
        let violations = stages.quiet(name, || rules(&workspace))?;
        violations.iter().for_each(say);
        broken += violations.len();
    }
    if broken > 0 {
        bail!("{broken} violations, listed above");
    }
    Ok(stages.summary())
}
