//! What a plugin says of itself, checked.
//!
//! Must never widen a right: hosts and settings are requests, which the operator grants or not.

use std::num::NonZeroU32;

use gleaner_model::key::ResolverName;
use gleaner_model::next::Takes;
use url::Host;

use crate::answer::Description;
use crate::text::tidy;

const MOST_TAKES: usize = 32;
const MOST_HOSTS: usize = 64;
const MOST_SETTINGS: usize = 32;
/// Most works of one call: what they say and what is said of them has to fit into one call's memory.
const MOST_WORKS: u32 = 1000;

/// The checked parts of a [`Description`].
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) name: ResolverName,
    pub(crate) version: String,
    pub(crate) summary: String,
    pub(crate) takes: Vec<Takes>,
    pub(crate) hosts: Vec<String>,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) most: Option<NonZeroU32>,
}

impl Description {
    /// Checks everything; the error says what is wrong.
    pub(crate) fn check(&self) -> Result<Said, String> {
        let name = ResolverName::new(&self.name).map_err(|why| why.to_string())?;
        if !is_version(&self.version) {
            return Err(format!("version {:?} is not like 1.2.3", tidy(&self.version, 40)));
        }
        if self.takes.is_empty() {
            return Err("it takes nothing, so it would never be asked; name an identifier scheme".into());
        }
        at_most("takes", self.takes.len(), MOST_TAKES)?;
        at_most("hosts", self.hosts.len(), MOST_HOSTS)?;
        at_most("settings", self.settings.len(), MOST_SETTINGS)?;
        let most = self.most.map(|most| {
            NonZeroU32::new(most.min(MOST_WORKS))
                .ok_or("one call of resolve-many takes 0 works; say at least 1")
        });
        let takes = self
            .takes
            .iter()
            .map(|text| Takes::parse(text).map_err(|why| format!("takes {:?}: {why}", tidy(text, 80))));
        Ok(Said {
            name,
            version: self.version.clone(),
            summary: tidy(&self.summary, 200),
            takes: takes.collect::<Result<_, _>>()?,
            hosts: self.hosts.iter().map(|host| exact_host(host)).collect::<Result<_, _>>()?,
            settings: self.settings.iter().map(setting).collect::<Result<_, _>>()?,
            most: most.transpose()?,
        })
    }
}

fn at_most(what: &str, count: usize, most: usize) -> Result<(), String> {
    if count > most { Err(format!("{count} {what}; at most {most} may be named")) } else { Ok(()) }
}

/// Semantic versioning: three numbers, and what may follow them.
fn is_version(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let numbers = core.split('.').filter(|number| number.parse::<u64>().is_ok()).count();
    let legal = text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-+".contains(&b));
    text.len() <= 40 && legal && numbers == 3 && core.split('.').count() == 3
}

/// A name as limits know it: lower case, IDNA as ASCII; no pattern, no port.
fn exact_host(text: &str) -> Result<String, String> {
    match Host::parse(text) {
        Ok(Host::Domain(host)) if !host.contains('*') => Ok(host.trim_end_matches('.').to_owned()),
        _ => Err(format!("host {:?} is not an exact host name such as api.example.org", tidy(text, 80))),
    }
}

fn setting((key, meaning): &(String, String)) -> Result<(String, String), String> {
    let bare = key.strip_suffix('!').unwrap_or(key);
    let fits = (1..=64).contains(&bare.len())
        && bare.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b));
    if !fits {
        return Err(format!(
            "setting {:?} is not a name of lower-case letters, digits and '-'",
            tidy(key, 80)
        ));
    }
    Ok((key.clone(), tidy(meaning, 200)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description() -> Description {
        Description {
            name: "unpaywall".into(),
            version: "1.2.3-rc.1".into(),
            summary: "Open copies\nby DOI".into(),
            takes: vec!["doi".into(), "doi:10.48550/".into(), "landing-page".into()],
            hosts: vec!["API.Example.org".into()],
            settings: vec![("contact!".into(), "who asks".into())],
            most: Some(5000),
        }
    }

    #[test]
    fn a_good_description_is_normalised() {
        let said = description().check().unwrap();
        assert_eq!(said.hosts, ["api.example.org"]);
        assert_eq!(said.summary, "Open copies by DOI");
        assert_eq!(said.takes.len(), 3);
        assert_eq!(said.most.map(NonZeroU32::get), Some(1000));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (wrong, part) in [
            (Description { name: "Un paywall".into(), ..description() }, "Un paywall"),
            (Description { version: "1.2".into(), ..description() }, "1.2"),
            (Description { takes: Vec::new(), ..description() }, "takes nothing"),
            (Description { takes: vec!["d!oi".into()], ..description() }, "d!oi"),
            (Description { hosts: vec!["*.example.org".into()], ..description() }, "*.example.org"),
            (Description { hosts: vec!["127.0.0.1".into()], ..description() }, "127.0.0.1"),
            (Description { hosts: vec!["a.example".into(); 65], ..description() }, "65 hosts"),
            (Description { most: Some(0), ..description() }, "takes 0 works"),
            (Description { settings: vec![("A B".into(), String::new())], ..description() }, "A B"),
        ] {
            let message = wrong.check().unwrap_err();
            assert!(message.contains(part), "{part}: {message}");
        }
    }
}
