//! Lists of hosts in the `[egress]` section: names, patterns of names, addresses of name servers.
//!
//! Must never take an address for a name, or a name for an address.

use std::net::{IpAddr, SocketAddr};

use gleaner_model::key::HostKey;
use serde::Deserialize;

/// A host name as it stands in a key; none for addresses, ports and what is no name.
pub(crate) fn name(text: &str) -> Option<HostKey> {
    if text.contains(['/', '\\', '@', ':', '?', '#', '*', '%']) {
        return None;
    }
    let url = url::Url::parse(&format!("https://{text}/")).ok()?;
    if matches!(url.host(), Some(url::Host::Domain(_))) { HostKey::of(&url) } else { None }
}

/// Names of hosts, each for itself alone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "Vec<String>")]
#[schemars(into = "Vec<String>")]
pub struct HostNames(Vec<HostKey>);

impl HostNames {
    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(HostKey::as_str)
    }

    /// Whether this is one of them, whatever its port.
    pub(crate) fn has(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        self.iter().any(|of| of == name)
    }
}

impl TryFrom<Vec<String>> for HostNames {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, String> {
        let one = |text: String| {
            name(&text).ok_or_else(|| {
                format!("{text:?} is no host name; write each host in full, like \"old.example.org\"")
            })
        };
        texts.into_iter().map(one).collect::<Result<_, _>>().map(Self)
    }
}

/// Names of hosts, and patterns for every host below one: `*.example.org`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "Vec<String>")]
#[schemars(into = "Vec<String>")]
pub struct HostPatterns {
    names: HostNames,
    below: Vec<String>,
}

impl HostPatterns {
    /// Whether a name is one of them or below one of them.
    pub(crate) fn cover(&self, name: &str) -> bool {
        let plain = name.trim_end_matches('.').to_ascii_lowercase();
        self.names.has(name) || self.below.iter().any(|ending| plain.ends_with(ending.as_str()))
    }
}

impl TryFrom<Vec<String>> for HostPatterns {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, String> {
        let mut patterns = Self::default();
        for text in texts {
            let stem = text.strip_prefix("*.");
            let host = name(stem.unwrap_or(&text)).ok_or_else(|| {
                format!("{text:?} is no host name; write it like \"files.example.org\" or \"*.example.org\"")
            })?;
            match stem {
                Some(_) => patterns.below.push(format!(".{host}")),
                None => patterns.names.0.push(host),
            }
        }
        Ok(patterns)
    }
}

/// Addresses of name servers, at port 53 unless they name another.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "Vec<String>")]
#[schemars(into = "Vec<String>")]
pub struct NameServers(Vec<SocketAddr>);

impl NameServers {
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.0
    }
}

impl TryFrom<Vec<String>> for NameServers {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, String> {
        let one = |text: String| {
            let address = text.parse::<IpAddr>().map(|address| SocketAddr::from((address, 53)));
            address.or_else(|_| text.parse()).map_err(|_| {
                format!("{text:?} is no address; write it like \"9.9.9.9\" or \"127.0.0.1:5353\"")
            })
        };
        texts.into_iter().map(one).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> Result<HostPatterns, String> {
        texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>().try_into()
    }

    #[test]
    fn names_and_patterns_cover_what_they_say() {
        let list = patterns(&["Files.example.org", "*.example.net"]).unwrap();
        for (name, covered) in [
            ("files.example.org", true),
            ("FILES.example.org.", true),
            ("x.files.example.org", false),
            ("a.b.example.net", true),
            ("example.net", false),
            ("badexample.net", false),
        ] {
            assert_eq!(list.cover(name), covered, "{name}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in ["*", "*.", "", "10.0.0.1", "[::1]", "a.org:443", "https://a.org", "a*.org", "u@a.org"] {
            assert!(patterns(&[text]).is_err(), "{text}");
            assert!(HostNames::try_from(vec![text.to_owned()]).is_err(), "{text}");
        }
        assert!(HostNames::try_from(vec!["*.example.org".to_owned()]).is_err(), "one host at a time");
    }

    #[test]
    fn name_servers_are_addresses() {
        let servers = ["9.9.9.9", "127.0.0.1:5353", "2620:fe::fe", "[::1]:53"].map(str::to_owned);
        let servers = NameServers::try_from(servers.to_vec()).unwrap();
        let texts: Vec<_> = servers.addresses().iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["9.9.9.9:53", "127.0.0.1:5353", "[2620:fe::fe]:53", "[::1]:53"]);
        assert!(NameServers::try_from(vec!["dns.example.org".to_owned()]).is_err());
    }
}
