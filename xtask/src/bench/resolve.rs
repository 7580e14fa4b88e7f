//! `resolve.*`: what of 2000 works with a known truth is found, whether anything is taken for a file that is none, and how
//! often services are asked. The corpus, the harvest and the verdict are a program of `tests/`, which a suite uses too.

use super::figure::Figures;
use super::place::Place;
use crate::stage::{self, say};
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::process::Command;

/// What the program prints.
#[derive(Debug, Deserialize)]
struct Harvest {
    works: u64,
    findable: u64,
    found: u64,
    missed: Vec<String>,
    wrong: Vec<String>,
    contributions: BTreeMap<String, u64>,
    calls: u64,
    calls_by_host: BTreeMap<String, u64>,
}

/// The figures of one harvest: counts, which do not differ from run to run, so there is one run.
pub(super) fn corpus(place: &Place) -> Result<()> {
    let mut command = Command::new(&place.corpus);
    command.env("GLEANER_TARGET_DIR", &place.target).arg("--gleaner").arg(&place.gleaner);
    let text = stage::capture(&mut command)?;
    let harvest: Harvest =
        serde_json::from_str(&text).with_context(|| format!("the corpus answered {text:?}"))?;
    for work in &harvest.missed {
        say(format_args!("not found: {work}"));
    }
    for work in &harvest.wrong {
        say(format_args!("a wrong file: {work}"));
    }
    harvest.figures().print()
}

impl Harvest {
    fn figures(&self) -> Figures {
        let mut figures = Figures::default();
        figures.add("resolve.yield", "%", 100.0 * self.found as f64 / self.findable as f64);
        figures.add("resolve.wrong_files", "files", self.wrong.len() as f64);
        figures.add("resolve.calls_per_work", "requests", self.calls as f64 / self.works as f64);
        for (resolver, files) in &self.contributions {
            figures.add(&format!("resolve.files_by_{resolver}"), "files", *files as f64);
        }
        for (host, calls) in &self.calls_by_host {
            figures.add(&format!("resolve.calls_of_{host}"), "requests", *calls as f64);
        }
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_become_figures() {
        let text = r#"{"works":200,"findable":160,"found":120,"missed":["a (case)"],"wrong":[],
            "contributions":{"arxiv":20,"crossref":100},"calls":300,"calls_by_host":{"api.crossref.org":300}}"#;
        let harvest: Harvest = serde_json::from_str(text).unwrap();
        let figures = format!("{:?}", harvest.figures());
        for (name, value) in [
            ("resolve.yield", "[75.0]"),
            ("resolve.wrong_files", "[0.0]"),
            ("resolve.calls_per_work", "[1.5]"),
            ("resolve.files_by_crossref", "[100.0]"),
            ("resolve.calls_of_api.crossref.org", "[300.0]"),
        ] {
            let (_, rest) = figures.split_once(&format!("{name:?}")).unwrap();
            assert!(rest.split("runs: ").nth(1).unwrap().starts_with(value), "{name}: {figures}");
        }
    }
}
