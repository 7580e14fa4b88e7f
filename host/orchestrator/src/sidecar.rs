//! The sidecar of a plugin: `NAME.toml` beside `NAME.wasm`, in which its author asks for what `describe` cannot.
//!
//! All of it is hostile until checked, and none of it is a right: hosts and limits are requests, settings are defaults
//! that give way to the operator's. Must never quote the file: it may be a link to one that is nobody's business.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use gleaner_runtime::{SandboxPart, tidy};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::config::GrantedHost;
use crate::small_file;

const MOST_BYTES: u64 = 64 << 10;
const MOST_HOSTS: usize = 64;
const MOST_SETTINGS: usize = 32;
const MOST_VALUE: usize = 4 << 10;

/// What a plugin asks for beside its own description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sidecar {
    /// The file.
    pub path: PathBuf,
    /// Of the file, lower-case hex.
    pub sha256: String,
    /// Hosts, patterns and ports included.
    pub hosts: Vec<GrantedHost>,
    /// Settings, where the operator gives none.
    pub settings: BTreeMap<String, String>,
    /// Limits of a call that it would like.
    pub sandbox: SandboxPart,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    hosts: Vec<GrantedHost>,
    #[serde(default)]
    settings: BTreeMap<String, String>,
    #[serde(default)]
    sandbox: SandboxPart,
}

impl Sidecar {
    /// Where the sidecar of a component is looked for.
    pub fn path_of(component: &Path) -> PathBuf {
        component.with_extension("toml")
    }

    /// Reads the sidecar of a component; none where there is no such file. The error says what is wrong, with the line.
    pub fn read(component: &Path) -> Result<Option<Self>, String> {
        let path = Self::path_of(component);
        match small_file::read(&path, MOST_BYTES) {
            Ok((text, _)) => Self::parse(path, &text).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("cannot be read: {error}")),
        }
    }

    pub(crate) fn parse(path: PathBuf, text: &str) -> Result<Self, String> {
        let raw: Raw = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = text.get(..start).unwrap_or_default().matches('\n').count() + 1;
            format!("line {line}: {}", tidy(error.message(), 200))
        })?;
        at_most("hosts", raw.hosts.len(), MOST_HOSTS)?;
        at_most("settings", raw.settings.len(), MOST_SETTINGS)?;
        for (name, value) in &raw.settings {
            check_setting(name, value)?;
        }
        let sha256 = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { path, sha256, hosts: raw.hosts, settings: raw.settings, sandbox: raw.sandbox })
    }
}

fn at_most(what: &str, count: usize, most: usize) -> Result<(), String> {
    if count > most { Err(format!("{count} {what}; at most {most} may be named")) } else { Ok(()) }
}

fn check_setting(name: &str, value: &str) -> Result<(), String> {
    let shown = tidy(name, 80);
    let fits = (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b));
    if !fits {
        return Err(format!("setting {shown:?} is not a name of lower-case letters, digits and '-'"));
    }
    // Who asks, and at whose address, is the operator's to say.
    if matches!(name, "contact" | "base-url") {
        return Err(format!("the setting {shown:?} is the operator's alone; leave it out"));
    }
    if value.len() > MOST_VALUE {
        return Err(format!("the setting {shown:?} has more than {MOST_VALUE} bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Sidecar, String> {
        Sidecar::parse("x.toml".into(), text)
    }

    #[test]
    fn what_is_asked_for_is_normalised_and_what_is_wrong_is_named_with_its_line() {
        let sidecar = parse(
            "# asks\nhosts = [\"API.Example.org:8443\", \"*.Example.org\"]\n[settings]\nrows = \"20\"\n[sandbox]\nmemory = \"128MiB\"\n",
        )
        .unwrap();
        assert_eq!(
            sidecar.hosts.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["api.example.org:8443", "*.example.org"]
        );
        assert_eq!(sidecar.settings["rows"], "20");
        let many = format!("hosts = {:?}", vec!["a.example"; 65]);
        let long = format!("settings.x = \"{}\"", "y".repeat(5000));
        for (text, part) in [
            ("hosts = []\ngrants = { hosts = [\"*\"] }\n", "line 2: unknown field `grants`"),
            ("\n\nhosts = [\"https://a.example/\"]", "line 3: \"https://a.example/\" is not a host"),
            ("hosts = 1", "line 1: "),
            ("inject = []", "unknown field `inject`"),
            ("sandbox = { memory = 5 }", "line 1: "),
            ("settings.contact = \"me@example.org\"", "\"contact\" is the operator's alone"),
            ("settings.base-url = \"https://evil.example\"", "the operator's alone"),
            ("settings.\"A\" = \"x\"", "\"A\" is not a name"),
            ("settings.x = 1", "line 1: "),
            ("hosts = [", "line 1: "),
            (&many, "65 hosts; at most 64"),
            (&long, "more than 4096 bytes"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(part), "{part}: {problem}");
        }
        // What it is a link to is not shown, nor may it move the cursor.
        let secret = parse("password = \"hunter2\"\n").unwrap_err();
        assert!(!secret.contains("hunter2"), "{secret}");
        assert!(!parse("\"\\u001b[2J\" = 1").unwrap_err().contains('\x1b'));
    }

    #[test]
    fn a_mutated_sidecar_is_refused_or_within_its_bounds() {
        let seed = "hosts = [\"api.example.org:8443\", \"*.example.org\", \"*\"]\nsettings = { rows = \"20\" }\n\
                    sandbox = { memory = \"128MiB\", cpu = \"5s\", requests = 99, reuse = 10 }\n";
        gleaner_testing::each_mutation(&[seed], |text| match parse(text) {
            Ok(sidecar) => {
                assert!(sidecar.hosts.len() <= MOST_HOSTS && sidecar.settings.len() <= MOST_SETTINGS);
                assert!(!sidecar.settings.contains_key("contact"));
            }
            Err(problem) => assert!(!problem.contains(char::is_control), "{problem:?}"),
        });
    }
}
