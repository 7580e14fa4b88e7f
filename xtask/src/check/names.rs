//! The host knows no service: the names of resolvers stand in plugins and in configuration, never in strings
//! of the host's libraries. The model may name identifier schemes, some of which are called like a service.

use super::{Violation, source, sources};
use crate::workspace::Workspace;
use anyhow::Result;
use std::fs;
use std::path::Path;

/// The crates that must work for any service.
const NEUTRAL: [&str; 7] = ["model", "store", "limits", "egress", "content", "runtime", "orchestrator"];

/// Identifier schemes. The model parses and prints them; elsewhere they may stand before a value (`arxiv:1706.03762`).
const SCHEMES: [&str; 10] =
    ["doi", "pmid", "pmcid", "pmc", "arxiv", "openalex", "hal", "zenodo", "osf", "isbn"];

pub(super) fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let mut services = Vec::new();
    for entry in fs::read_dir(workspace.root().join("plugins"))? {
        // A DOI is a name like any other, of works as of fields, and the plugin is called after it.
        services.extend(entry?.file_name().into_string().ok().filter(|name| name != "sdk" && name != "doi"));
    }
    let mut violations = Vec::new();
    for name in NEUTRAL {
        let files = sources::read(workspace.root(), &Path::new("host").join(name), "rs")?;
        let exempt: &[&str] = if name == "model" { &SCHEMES } else { &[] };
        let forbidden = services.iter().map(String::as_str).filter(|service| !exempt.contains(service));
        violations.extend(named(&files, &forbidden.collect::<Vec<_>>()));
    }
    Ok(violations)
}

/// The strings outside tests that have one of these names as a word.
fn named(files: &sources::Files, services: &[&str]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, lines) in sources::outside_tests(files) {
        for (number, literal) in source::string_literals(&lines) {
            let literal = literal.to_ascii_lowercase();
            let is_identifier = |word: &str| SCHEMES.contains(&word) && literal.contains(&format!("{word}:"));
            let mut words = literal.split(|c: char| !c.is_ascii_alphanumeric());
            if let Some(service) = words.find(|word| services.contains(word) && !is_identifier(word)) {
                let place = format!("{}:{number}", path.display());
                let advice = format!(
                    "\"{literal}\" names {service}; the host knows no service: take it from configuration or from the plugin"
                );
                violations.push(Violation::new(place, "no-service-names", advice));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_found_as_a_word_of_a_string_only() {
        let text = "//! Not unpaywall.\nlet a = \"api.unpaywall.org\"; // unpaywall\nlet b = \"directory\";\nlet direct = 1;\nlet c = (\"arXiv:1\", \"arxiv.org:80\");\n\
                    #[cfg(test)]\nmod tests {\n    \"unpaywall\"\n}\n";
        let files = sources::Files::from([("host/limits/src/lib.rs".into(), text.to_owned())]);
        let found = named(&files, &["unpaywall", "direct", "arxiv"]);
        let places = found.iter().map(|violation| violation.place.as_str()).collect::<Vec<_>>();
        assert_eq!(places, ["host/limits/src/lib.rs:2", "host/limits/src/lib.rs:5"]);
    }
}
