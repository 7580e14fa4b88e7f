//! The `[egress]` section.
//!
//! Must never hold a policy of one plugin or download: that is the scope's part.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use gleaner_model::units::{ByteSize, Span};
use serde::Deserialize;

use crate::cache::CacheConfig;
use crate::hosts::{self, HostNames, HostPatterns, NameServers};
use crate::proxy::ProxyUrl;

/// The `[egress]` section. Defaults are those of `config/default.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct EgressConfig {
    /// One request, from the moment it is asked for to the last byte, waits and redirects included.
    /// Downloads have the deadline of their scope instead.
    pub timeout: Span,
    /// One connection, with its TLS handshake.
    pub connect_timeout: Span,
    /// Between two chunks of a body.
    pub idle_timeout: Span,
    /// A request waits at most so long for a limit.
    pub max_wait: Span,
    /// Redirects one after the other.
    pub max_redirects: u32,
    /// What an API's answer may have, decompressed. For callers to put into [`crate::Request::max_bytes`].
    pub max_body: ByteSize,
    /// Whether landing pages are asked for only as robots.txt allows.
    pub robots: bool,
    /// Hosts whose robots.txt is not read.
    pub robots_exceptions: Vec<String>,
    /// How many times its packed size a body may have once more than a mebibyte has come.
    pub max_ratio: u32,
    /// Connections to one host that are kept for the next request.
    pub idle_connections: usize,
    /// How long each of them is kept.
    pub idle_connection_timeout: Span,
    /// Who is asked for the addresses of names; empty: whom the system asks.
    pub name_servers: NameServers,
    /// The proxy that requests go through; none: they go straight to their hosts.
    pub proxy: Option<ProxyUrl>,
    /// Hosts that are reached without the proxy, as `files.example.org` or `*.example.org`.
    pub no_proxy: HostPatterns,
    /// Hosts whose certificates are not checked, for downloads and landing pages only.
    pub insecure_hosts: HostNames,
    /// Real names that are reached at another address.
    pub connect_to: ConnectTo,
    /// PEM files with certificate authorities beyond those of the system.
    pub extra_ca_certs: Vec<PathBuf>,
    /// Answers that are kept.
    pub cache: CacheConfig,
}

impl EgressConfig {
    /// Who gives a host up earlier has learnt nothing of it. A part of `timeout`, since a plugin's call has that at most,
    /// waiting for limits included.
    pub(crate) fn patience(&self) -> Duration {
        self.timeout.0 / 2
    }
}

impl Default for EgressConfig {
    fn default() -> Self {
        let seconds = |n| Span(Duration::from_secs(n));
        Self {
            timeout: seconds(60),
            connect_timeout: seconds(10),
            idle_timeout: seconds(30),
            max_wait: seconds(5),
            max_redirects: 10,
            max_body: ByteSize(16 << 20),
            robots: true,
            robots_exceptions: Vec::new(),
            max_ratio: 100,
            idle_connections: 16,
            // Servers close idle connections after a minute or so; a request must not meet that moment.
            idle_connection_timeout: seconds(30),
            name_servers: NameServers::default(),
            proxy: None,
            no_proxy: HostPatterns::default(),
            insecure_hosts: HostNames::default(),
            connect_to: ConnectTo::default(),
            extra_ca_certs: Vec::new(),
            cache: CacheConfig::default(),
        }
    }
}

/// Sends real host names to other addresses, with TLS for the real name: `"api.crossref.org:443" =
/// "127.0.0.1:8443"`. A name may be a pattern: `"*.example.org:443"` (every host below), `"*:443"` (every
/// name). An exact name wins over patterns, a longer pattern over a shorter one.
///
/// Only names are mapped, never addresses in URLs; only mapped names may reach private addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "BTreeMap<String, String>")]
#[schemars(into = "BTreeMap<String, String>")]
pub struct ConnectTo(BTreeMap<(String, u16), SocketAddr>);

impl ConnectTo {
    /// Where a name and port are sent instead; none: where DNS says.
    pub fn target(&self, name: &str, port: u16) -> Option<SocketAddr> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let parents = name.match_indices('.').map(|(dot, _)| format!("*{}", &name[dot..]));
        let mut patterns = std::iter::once(name.clone()).chain(parents).chain(["*".to_owned()]);
        patterns.find_map(|pattern| self.0.get(&(pattern, port))).copied()
    }
}

impl TryFrom<BTreeMap<String, String>> for ConnectTo {
    type Error = String;

    fn try_from(section: BTreeMap<String, String>) -> Result<Self, String> {
        section.into_iter().map(|(from, to)| entry(&from, &to)).collect::<Result<_, _>>().map(Self)
    }
}

fn entry(from: &str, to: &str) -> Result<((String, u16), SocketAddr), String> {
    let (pattern, port) = from
        .rsplit_once(':')
        .and_then(|(pattern, port)| Some((pattern, port.parse::<u16>().ok().filter(|port| *port > 0)?)))
        .ok_or_else(|| format!("connect-to.{from:?} has no port; write it like \"api.example.org:443\""))?;
    let stem = pattern.strip_prefix("*.").unwrap_or(pattern);
    let name = if pattern == "*" {
        pattern.to_owned()
    } else {
        let host = hosts::name(stem).ok_or_else(|| {
            format!(
                "connect-to.{from:?} is no host name; addresses are never mapped, write a name or a pattern"
            )
        })?;
        format!("{}{host}", if stem == pattern { "" } else { "*." })
    };
    let target = to.parse().map_err(|_| {
        format!("connect-to.{from:?} = {to:?}: not an address; write it like \"127.0.0.1:8443\"")
    })?;
    Ok(((name, port), target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mapping_wins() {
        let config: EgressConfig = toml::from_str(
            r#"connect-to = { "API.crossref.org:443" = "127.0.0.1:1", "*:443" = "127.0.0.1:2",
                              "*.example.org:443" = "127.0.0.1:3", "*.a.example.org:443" = "127.0.0.1:4" }"#,
        )
        .unwrap();
        for (name, port, target) in [
            ("api.crossref.org", 443, Some(1)),
            ("Api.Crossref.org.", 443, Some(1)),
            ("doi.org", 443, Some(2)),
            ("example.org", 443, Some(2)),
            ("www.example.org", 443, Some(3)),
            ("x.a.example.org", 443, Some(4)),
            ("badexample.org", 443, Some(2)),
            ("doi.org", 80, None),
        ] {
            assert_eq!(config.connect_to.target(name, port).map(|to| to.port()), target, "{name}:{port}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for (text, says) in [
            (r#"connect-to = { "doi.org" = "127.0.0.1:1" }"#, "has no port"),
            (r#"connect-to = { "doi.org:0" = "127.0.0.1:1" }"#, "has no port"),
            (r#"connect-to = { "10.0.0.1:443" = "127.0.0.1:1" }"#, "never mapped"),
            (r#"connect-to = { "[::1]:443" = "127.0.0.1:1" }"#, "never mapped"),
            (r#"connect-to = { "a*b.org:443" = "127.0.0.1:1" }"#, "no host name"),
            (r#"connect-to = { "%2A.org:443" = "127.0.0.1:1" }"#, "no host name"),
            (r#"connect-to = { "doi.org:443" = "localhost:1" }"#, "not an address"),
            (r#"timeout = 5"#, "invalid type"),
            (r#"time-out = "5s""#, "unknown field"),
        ] {
            let error = toml::from_str::<EgressConfig>(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn the_built_in_defaults_are_those_of_the_configuration() {
        #[derive(Deserialize)]
        struct File {
            egress: EgressConfig,
        }
        let file: File = toml::from_str(include_str!("../../../config/default.toml")).unwrap();
        assert_eq!(file.egress, EgressConfig::default());
    }
}
