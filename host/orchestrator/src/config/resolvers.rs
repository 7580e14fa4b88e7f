//! `[resolvers.NAME]`: what the operator sets for one resolver, what it may reach, and which secrets go with it.
//!
//! Must never hold a secret, only its name.

use std::collections::BTreeMap;
use std::fmt;

use gleaner_model::key::HostKey;
use gleaner_runtime::SandboxPart;
use serde::Deserialize;

/// `[resolvers.NAME]`: what the operator sets for one resolver and allows it.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct ResolverConfig {
    /// Whether it is loaded; it is unless this says no.
    pub enabled: Option<bool>,
    /// Another address of the service. Its host is granted.
    #[schemars(with = "Option<String>")]
    pub base_url: Option<url::Url>,
    /// What the resolver reads through `config.get`. Never secrets: those go into `inject`.
    pub settings: BTreeMap<String, String>,
    /// Limits of one call, where they differ from those for all.
    pub sandbox: Option<SandboxPart>,
    /// What it may do. Bundled resolvers may reach the hosts they ask for; others only these.
    pub grants: Option<Grants>,
    /// Secrets that the host adds to its requests.
    pub inject: Vec<InjectConfig>,
    /// The component must have this SHA-256, in lower-case hex.
    pub sha256: Option<String>,
    /// The sidecar must be there and have this SHA-256. Beside a pinned component no other sidecar counts.
    pub sidecar_sha256: Option<String>,
}

/// What the operator allows a resolver.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Grants {
    /// Hosts that it may send requests to.
    pub hosts: Vec<GrantedHost>,
}

/// A host as a grant names it: `api.example.org`, `api.example.org:8443`, `*.example.org`, or `*` for any. As in
/// URLs after normalising, so that it compares with them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String")]
#[schemars(into = "String")]
pub struct GrantedHost(pub(super) String);

impl TryFrom<String> for GrantedHost {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let stem = text.strip_prefix("*.").unwrap_or(&text);
        let url = url::Url::parse(&format!("https://{stem}/")).ok();
        // A percent sign would spell a star that is not seen.
        let host =
            url.as_ref().and_then(HostKey::of).filter(|_| !stem.contains(['/', '@', '*', '?', '#', '%']));
        match host {
            _ if text == "*" => Ok(Self(text)),
            Some(host) if stem.len() < text.len() => Ok(Self(format!("*.{host}"))),
            Some(host) => Ok(Self(host.to_string())),
            None => {
                Err(format!("{text:?} is not a host; write api.example.org, *.example.org, or * for any"))
            }
        }
    }
}

impl fmt::Display for GrantedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A secret that the host adds to requests for one host, and that no guest sees.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "RawInject")]
#[schemars(into = "RawInject")]
pub struct InjectConfig {
    /// The host; never a pattern.
    pub host: GrantedHost,
    /// What carries the secret.
    pub carrier: Carrier,
    /// Name of the secret: environment variable `GLEANER_SECRET_<NAME>`, hyphens as underscores; else `[secrets]`.
    pub secret: String,
}

/// What carries an injected secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carrier {
    /// A header of that name.
    Header(String),
    /// A query parameter of that name.
    Query(String),
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawInject {
    /// The host whose requests carry it; never a pattern.
    host: GrantedHost,
    /// The header that carries it.
    header: Option<String>,
    /// The query parameter that carries it, in place of a header.
    query: Option<String>,
    /// The secret's name, in `[secrets]` or as GLEANER_SECRET_NAME.
    secret: String,
}

impl TryFrom<RawInject> for InjectConfig {
    type Error = String;

    fn try_from(raw: RawInject) -> Result<Self, String> {
        if raw.host.0.contains('*') {
            return Err(format!("inject.host must be one host, not the pattern {}", raw.host));
        }
        let carrier = match (raw.header, raw.query) {
            (Some(name), None) => {
                http::HeaderName::try_from(&name).map_err(|_| format!("{name:?} is not a header's name"))?;
                Carrier::Header(name)
            }
            (None, Some(name)) => Carrier::Query(name),
            _ => return Err("inject needs exactly one of header and query".into()),
        };
        Ok(Self { host: raw.host, carrier, secret: raw.secret })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_normalised_or_refused() {
        for (text, host) in [
            ("API.Example.org", "api.example.org"),
            ("api.example.org:443", "api.example.org"),
            ("api.example.org:8443", "api.example.org:8443"),
            ("*.Example.org", "*.example.org"),
            ("*", "*"),
        ] {
            assert_eq!(GrantedHost::try_from(text.to_owned()).unwrap().to_string(), host);
        }
        for text in
            ["https://api.example.org/", "", "a b", "*.*.org", "%2A.example.org", "user@host.org", "x/y"]
        {
            assert!(GrantedHost::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
