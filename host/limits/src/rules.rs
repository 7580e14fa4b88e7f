//! The `[limits]` section: what each key may do, and which hosts share one limit.
//!
//! Must never read a limit that limits nothing: zero, a negative number and a bare number as a rate are
//! refused when the configuration is read.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use gleaner_model::key::{HostKey, Key, ResolverName};
use gleaner_model::setting::KeyLimit;
use gleaner_model::units::{Rate, Span};
use serde::{Deserialize, Deserializer};

use crate::circuit::BreakerRule;

/// What one key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// How many at once.
    pub concurrency: NonZeroU32,
    /// How often; none: as often as `concurrency` allows.
    pub rate: Option<Rate>,
    /// How many tokens of the rate may pile up.
    pub burst: NonZeroU32,
    /// How many from midnight to midnight, UTC: requests of a host, calls of a resolver; none: as many as come.
    pub per_day: Option<NonZeroU32>,
}

/// The `[limits]` section.
///
/// A limit that is given in part takes the rest from the default of its kind, with one exception: a rate that
/// is given without a burst has a burst of 1, so that "1/3s" means what it says. Hosts are exact names
/// (`arxiv.org`, `example.com:8080`) or patterns (`*.elsevier.com`, every host below that name, on any port);
/// an exact name wins over patterns, a longer pattern over a shorter one. `shared` names hosts (exact or
/// patterns) that use the limit of an exact host together with it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "Section")]
#[schemars(into = "Section")]
pub struct LimitRules {
    default_host: Limit,
    default_resolver: Limit,
    resolvers: BTreeMap<ResolverName, Limit>,
    hosts: BTreeMap<Pattern, Limit>,
    shared: BTreeMap<Pattern, HostKey>,
    breaker: BreakerRule,
}

impl LimitRules {
    /// The limit of a key. [`Key::Plan`] has none.
    pub fn limit(&self, key: &Key) -> Option<Limit> {
        match self.canonical(key) {
            Key::Plan => None,
            Key::Resolver(name) => Some(self.resolvers.get(&name).copied().unwrap_or(self.default_resolver)),
            Key::Host(host) => Some(best(&self.hosts, &host).copied().unwrap_or(self.default_host)),
        }
    }

    /// When the breaker of a key opens.
    pub fn breaker(&self) -> BreakerRule {
        self.breaker
    }

    /// The key whose limit counts: hosts of a shared group have the key of the group, all others their own.
    pub fn canonical(&self, key: &Key) -> Key {
        match key {
            Key::Host(host) => Key::Host(best(&self.shared, host).unwrap_or(host).clone()),
            other => other.clone(),
        }
    }
}

impl Default for LimitRules {
    /// The defaults of `config/default.toml`, without its named hosts and resolvers.
    fn default() -> Self {
        Self {
            default_host: DEFAULT_HOST,
            default_resolver: DEFAULT_RESOLVER,
            resolvers: BTreeMap::new(),
            hosts: BTreeMap::new(),
            shared: BTreeMap::new(),
            breaker: BREAKER,
        }
    }
}

const fn count(n: u32) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(n - 1)
}

const DEFAULT_HOST: Limit = Limit {
    concurrency: count(4),
    rate: Some(Rate { count: count(5), per: std::time::Duration::from_secs(1) }),
    burst: count(5),
    per_day: None,
};
const BREAKER: BreakerRule = BreakerRule { after: count(5), pause: std::time::Duration::from_secs(60) };
const DEFAULT_RESOLVER: Limit = Limit { concurrency: count(8), rate: None, burst: count(1), per_day: None };

/// A host, or every host below a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Pattern {
    Exact(HostKey),
    /// Starts with the dot.
    Below(Box<str>),
}

impl Pattern {
    /// None when the text is neither.
    fn read(text: &str) -> Option<Self> {
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        let url = url::Url::parse(&format!("https://{name}/")).ok()?;
        let host = HostKey::of(&url)?;
        if name.contains(['/', '@', '?', '#', '*']) || below && url.port().is_some() {
            return None;
        }
        Some(if below { Self::Below(format!(".{host}").into()) } else { Self::Exact(host) })
    }
}

/// The value of the exact name, else of the longest pattern that fits.
fn best<'a, V>(rules: &'a BTreeMap<Pattern, V>, host: &HostKey) -> Option<&'a V> {
    if let Some(exact) = rules.get(&Pattern::Exact(host.clone())) {
        return Some(exact);
    }
    let text = host.as_str();
    let name = match text.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => text,
    };
    rules
        .iter()
        .filter_map(|(pattern, value)| match pattern {
            Pattern::Below(end) if name.ends_with(&**end) => Some((end.len(), value)),
            _ => None,
        })
        .max_by_key(|(length, _)| *length)
        .map(|(_, value)| value)
}

/// `[limits]`: what resolvers and hosts may do.
#[derive(Deserialize, Default, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Section {
    default_host: Given,
    default_resolver: Given,
    /// Limits of resolvers, by name.
    resolvers: BTreeMap<ResolverName, Given>,
    /// Limits of hosts, by name or by a pattern like `*.example.org`.
    hosts: BTreeMap<String, GivenHost>,
    breaker: GivenBreaker,
}

#[derive(Deserialize, Default, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct GivenBreaker {
    /// Failures in a row.
    #[serde(deserialize_with = "at_least_one")]
    after: Option<NonZeroU32>,
    /// From then until one request is let through.
    pause: Option<Span>,
}

#[derive(Deserialize, Default, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Given {
    /// How many at once.
    #[serde(deserialize_with = "at_least_one")]
    concurrency: Option<NonZeroU32>,
    /// How often.
    rate: Option<Rate>,
    /// How many of the rate may pile up; 1 beside a rate that is given here.
    #[serde(deserialize_with = "at_least_one")]
    burst: Option<NonZeroU32>,
    /// How many from midnight to midnight, UTC.
    #[serde(deserialize_with = "at_least_one")]
    per_day: Option<NonZeroU32>,
}

#[derive(Deserialize, Default, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct GivenHost {
    /// Hosts, or patterns of them, that use this limit together with it.
    shared: Vec<String>,
    /// How many at once.
    #[serde(deserialize_with = "at_least_one")]
    concurrency: Option<NonZeroU32>,
    /// How often.
    rate: Option<Rate>,
    /// How many of the rate may pile up; 1 beside a rate that is given here.
    #[serde(deserialize_with = "at_least_one")]
    burst: Option<NonZeroU32>,
    /// How many from midnight to midnight, UTC.
    #[serde(deserialize_with = "at_least_one")]
    per_day: Option<NonZeroU32>,
}

impl Given {
    fn over(&self, default: Limit) -> Limit {
        let Self { concurrency, rate, burst, per_day } = *self;
        Limit { per_day, ..default.with(&KeyLimit { concurrency, rate, burst }) }
    }
}

fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<NonZeroU32>, D::Error> {
    let given = i64::deserialize(deserializer)?;
    u32::try_from(given).ok().and_then(NonZeroU32::new).map(Some).ok_or_else(|| {
        serde::de::Error::custom(format!("{given} is not a limit: it must be a whole number from 1 on"))
    })
}

/// Why a `[limits]` section makes no sense.
#[derive(Debug, thiserror::Error)]
enum RuleError {
    #[error(
        "limits.hosts.{0:?}: not a host; write a name like example.org, example.org:8080 or *.example.org"
    )]
    Host(String),
    #[error("limits.hosts.{0:?}: hosts can share only the limit of one exact host, not of a pattern")]
    SharedPattern(String),
    #[error("limits.hosts.{group:?}.shared: {member:?} already shares the limit of {other}")]
    TwoGroups { group: String, member: String, other: HostKey },
}

impl TryFrom<Section> for LimitRules {
    type Error = RuleError;

    fn try_from(section: Section) -> Result<Self, RuleError> {
        let default_host = section.default_host.over(DEFAULT_HOST);
        let default_resolver = section.default_resolver.over(DEFAULT_RESOLVER);
        let resolvers =
            section.resolvers.into_iter().map(|(name, given)| (name, given.over(default_resolver))).collect();
        let (mut hosts, mut shared) = (BTreeMap::new(), BTreeMap::new());
        for (text, GivenHost { shared: members, concurrency, rate, burst, per_day }) in section.hosts {
            let pattern = Pattern::read(&text).ok_or_else(|| RuleError::Host(text.clone()))?;
            for member in members {
                let Pattern::Exact(group) = &pattern else { return Err(RuleError::SharedPattern(text)) };
                let read = Pattern::read(&member).ok_or_else(|| RuleError::Host(member.clone()))?;
                if let Some(other) = shared.insert(read, group.clone()).filter(|other| other != group) {
                    return Err(RuleError::TwoGroups { group: text, member, other });
                }
            }
            hosts.insert(pattern, Given { concurrency, rate, burst, per_day }.over(default_host));
        }
        // A group's own host belongs to it even where a pattern of another group would fit.
        let groups: Vec<HostKey> = shared.values().cloned().collect();
        for group in groups {
            let own = shared.insert(Pattern::Exact(group.clone()), group.clone());
            if let Some(other) = own.filter(|other| *other != group) {
                let member = group.to_string();
                return Err(RuleError::TwoGroups { group: member.clone(), member, other });
            }
        }
        let GivenBreaker { after, pause } = section.breaker;
        let breaker = BreakerRule {
            after: after.unwrap_or(BREAKER.after),
            pause: pause.map_or(BREAKER.pause, |pause| pause.0),
        };
        Ok(Self { default_host, default_resolver, resolvers, hosts, shared, breaker })
    }
}

#[cfg(test)]
mod outside;

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Result<LimitRules, toml::de::Error> {
        toml::from_str(text)
    }

    fn host(url: &str) -> Key {
        Key::Host(crate::host_key(url).unwrap())
    }

    fn text_of(limit: Option<Limit>) -> String {
        limit.map_or_else(String::new, |limit| {
            let rate = limit.rate.map_or_else(|| "any".to_owned(), |rate| rate.to_string());
            format!("{} {rate} {}", limit.concurrency, limit.burst)
        })
    }

    #[test]
    fn the_nearest_rule_wins_and_inherits() {
        let rules = rules(
            r#"
            default-host = { concurrency = 6 }
            resolvers.unpaywall = { concurrency = 1 }
            [hosts]
            "ArXiv.org" = { shared = ["export.arxiv.org"], concurrency = 1, rate = "1/3s" }
            "*.elsevier.com" = { concurrency = 2 }
            "*.api.elsevier.com" = { rate = "10/s", burst = 3 }
            "www.elsevier.com:8080" = { burst = 9 }
            "#,
        )
        .unwrap();
        for (url, limit) in [
            ("https://example.org/", "6 5/s 5"),
            ("https://arxiv.org/", "1 1/3s 1"),
            ("https://export.arxiv.org/", "1 1/3s 1"),
            ("https://elsevier.com/", "6 5/s 5"),
            ("https://www.elsevier.com/", "2 5/s 5"),
            ("https://www.elsevier.com:8443/", "2 5/s 5"),
            ("https://www.elsevier.com:8080/", "6 5/s 9"),
            ("https://a.api.elsevier.com/", "6 10/s 3"),
        ] {
            assert_eq!(text_of(rules.limit(&host(url))), limit, "{url}");
        }
        let resolver = |name| Key::Resolver(ResolverName::new(name).unwrap());
        assert_eq!(text_of(rules.limit(&resolver("unpaywall"))), "1 any 1");
        assert_eq!(text_of(rules.limit(&resolver("arxiv"))), "8 any 1");
        assert_eq!(rules.limit(&Key::Plan), None);
        assert_eq!(rules.canonical(&host("https://export.arxiv.org/api")), host("https://arxiv.org"));
        assert_eq!(rules.canonical(&host("https://www.elsevier.com")), host("https://www.elsevier.com"));
    }

    /// Known mistakes 5 and 16: a cap of the wrong type limited nothing, negative limits were accepted.
    #[test]
    fn limits_that_limit_nothing_are_refused() {
        for (text, says) in [
            ("default-host = { concurrency = 0 }", "0 is not a limit"),
            ("default-host = { concurrency = -1 }", "-1 is not a limit"),
            ("resolvers.arxiv = { burst = 0 }", "0 is not a limit"),
            ("default-host = { concurrency = \"1\" }", "invalid type: string"),
            ("default-host = { concurrency = 1.5 }", "invalid type: floating point"),
            ("default-host = { rate = 5 }", "invalid type: integer"),
            ("default-host = { rate = \"1 per 3 seconds\" }", "is not a rate"),
            ("default-host = { concurency = 1 }", "unknown field"),
            ("hosts.\"https://arxiv.org/\" = { concurrency = 1 }", "not a host"),
            ("hosts.\"a*.arxiv.org\" = { concurrency = 1 }", "not a host"),
            ("hosts.\"*.x.org\" = { shared = [\"y.org\"] }", "not of a pattern"),
            (
                "hosts.\"a.org\" = { shared = [\"c.org\"] }\nhosts.\"b.org\" = { shared = [\"c.org\"] }",
                "already shares",
            ),
            (
                "hosts.\"a.org\" = { shared = [\"b.org\"] }\nhosts.\"b.org\" = { shared = [\"c.org\"] }",
                "already shares",
            ),
        ] {
            let error = rules(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn the_built_in_defaults_are_those_of_the_configuration() {
        #[derive(Deserialize)]
        struct File {
            limits: LimitRules,
        }
        let file: File = toml::from_str(include_str!("../../../config/default.toml")).unwrap();
        assert_eq!(file.limits.default_host, DEFAULT_HOST);
        assert_eq!(file.limits.default_resolver, DEFAULT_RESOLVER);
        assert_eq!(file.limits.breaker, BREAKER);
        assert_eq!(text_of(file.limits.limit(&host("https://export.arxiv.org"))), "1 1/3s 1");
    }
}
