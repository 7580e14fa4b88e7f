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

/// Resolvers that are called like an ordinary word. Of these only what can be nothing but a name counts: a string of its
/// own, a key (`resolver:core`), a label of a host (`api.core.ac.uk`).
const WORDS: [&str; 2] = ["core", "direct"];

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
            let is_word = |word: &str| WORDS.contains(&word) && !is_used_as_name(&literal, word);
            let words = literal.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let mut named = words.filter(|word| services.contains(word));
            if let Some(service) = named.find(|word| !is_identifier(word) && !is_word(word)) {
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

/// Whether a string that has this word can mean nothing but the resolver.
fn is_used_as_name(literal: &str, word: &str) -> bool {
    let is_label = |part: &str| part.contains('.') && part.split('.').any(|label| label == word);
    let is_key = |part: &str| part.strip_prefix("resolver:") == Some(word);
    let parts = || literal.split(|c: char| !c.is_ascii_alphanumeric() && !"._-:".contains(c));
    literal == word || parts().any(|part| is_label(part.trim_matches(['.', ':'])) || is_key(part))
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

    #[test]
    fn a_resolver_called_like_a_word_is_found_where_it_is_used_as_a_name() {
        let found = |text: &str| {
            let lines = format!("let a = \"{text}\";\n");
            let files = sources::Files::from([("host/limits/src/lib.rs".into(), lines)]);
            !named(&files, &["core", "semantic_scholar"]).is_empty()
        };
        for name in ["core", "https://api.core.ac.uk/v3", "resolver:core waits", "ask semantic_scholar"] {
            assert!(found(name), "{name}");
        }
        for text in ["a core module.", "core dumps: none", "the core. Of it", "scholar", "more.corer"] {
            assert!(!found(text), "{text}");
        }
    }
}
