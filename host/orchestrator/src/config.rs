//! The configuration sections that the orchestrator owns: `[orchestrator]`, `[tiers]`, `[resolvers.NAME]`.
//!
//! Only shapes and bounds: a value that passes here can be run with. Defaults stand in
//! `config/default.toml` and nowhere else.

use std::collections::BTreeMap;
use std::fmt;
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use gleaner_model::key::{HostKey, ResolverName};
use gleaner_model::next::{Budgets, Planner, Prefer, Takes, Tier};
use gleaner_model::rank::{LicenseFilter, Ranking};
use gleaner_model::units::Span;
use gleaner_runtime::SandboxPart;
use serde::Deserialize;

/// `[orchestrator]`: how a run works.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, try_from = "RawOrchestrator")]
#[schemars(into = "RawOrchestrator")]
pub struct OrchestratorConfig {
    /// Plugin calls at once, 1 to 256.
    pub workers: NonZeroU16,
    /// Downloads at once, 1 to 4096.
    pub max_fetches: NonZeroU16,
    /// How long a lease lasts without a heartbeat; at least 30 s and more than `heartbeat`.
    pub lease_ttl: Span,
    /// How often leases of running steps are extended; at least 5 s.
    pub heartbeat: Span,
    /// Failed tries that close a step; also how often a job may kill its worker.
    pub max_attempts: NonZeroU32,
    /// First back-off; doubles with each failure.
    pub backoff: Span,
    /// How long jobs of a resolver that is asked about several works at once wait for more of them.
    pub gather: Span,
    /// How long running steps may go on after a signal to stop.
    pub grace: Span,
    /// How long one download may take in all.
    pub fetch_deadline: Span,
    /// A work that ended as `skipped` longer ago than this is planned anew when it is enqueued again.
    pub recheck_after: Span,
    /// Works that ended without a file longer ago than this are forgotten; none: never.
    pub retention: Option<Span>,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawOrchestrator {
    workers: u16,
    max_fetches: u16,
    lease_ttl: Span,
    heartbeat: Span,
    max_attempts: NonZeroU32,
    backoff: Span,
    gather: Span,
    grace: Span,
    fetch_deadline: Span,
    recheck_after: Span,
    retention: Option<Span>,
}

impl TryFrom<RawOrchestrator> for OrchestratorConfig {
    type Error = String;

    fn try_from(raw: RawOrchestrator) -> Result<Self, String> {
        let within = |name: &str, value: u16, most: u16| {
            NonZeroU16::new(value)
                .filter(|value| value.get() <= most)
                .ok_or_else(|| format!("orchestrator.{name} must be 1 to {most}, not {value}"))
        };
        if raw.heartbeat.0 < Duration::from_secs(5) {
            return Err(format!("orchestrator.heartbeat must be at least 5s, not {}", raw.heartbeat));
        }
        if raw.lease_ttl.0 < Duration::from_secs(30) || raw.lease_ttl <= raw.heartbeat {
            return Err(format!(
                "orchestrator.lease-ttl must be at least 30s and more than heartbeat ({}), not {}",
                raw.heartbeat, raw.lease_ttl
            ));
        }
        Ok(Self {
            workers: within("workers", raw.workers, 256)?,
            max_fetches: within("max-fetches", raw.max_fetches, 4096)?,
            lease_ttl: raw.lease_ttl,
            heartbeat: raw.heartbeat,
            max_attempts: raw.max_attempts,
            backoff: raw.backoff,
            gather: raw.gather,
            grace: raw.grace,
            fetch_deadline: raw.fetch_deadline,
            recheck_after: raw.recheck_after,
            retention: raw.retention,
        })
    }
}

/// `[plugins] suspend`: when a plugin that fails by its own doing is not called for a while.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, try_from = "RawSuspend")]
#[schemars(into = "RawSuspend")]
pub struct SuspendConfig {
    /// Failures in a row.
    pub after: NonZeroU32,
    /// The first pause, not 0; doubles each time up to a day.
    pub pause: Span,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawSuspend {
    after: NonZeroU32,
    pause: Span,
}

impl TryFrom<RawSuspend> for SuspendConfig {
    type Error = String;

    fn try_from(RawSuspend { after, pause }: RawSuspend) -> Result<Self, String> {
        if pause.0.is_zero() {
            return Err(
                "plugins.suspend.pause must be more than 0; a plugin is never suspended with a large \
                        plugins.suspend.after"
                    .into(),
            );
        }
        Ok(Self { after, pause })
    }
}

/// `[tiers]`: who is asked in which order, and what a job may cost.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TiersConfig {
    /// In order.
    pub list: Vec<TierConfig>,
    /// When files are fetched: `first` or `published`.
    pub prefer: Prefer,
    /// Which licences files may have: `open` or `any`.
    pub license: LicenseFilter,
    /// Hosts that are known not to give files to programs: those of others are tried first.
    pub blocking_hosts: Vec<FileHost>,
    /// Per job.
    pub budgets: BudgetsConfig,
}

/// A host that files are fetched from: `www.example.org`, never a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "GrantedHost")]
#[schemars(into = "GrantedHost")]
pub struct FileHost(HostKey);

impl TryFrom<GrantedHost> for FileHost {
    type Error = String;

    fn try_from(host: GrantedHost) -> Result<Self, String> {
        if host.0.contains('*') {
            return Err(format!("blocking-hosts takes hosts, not the pattern {host}"));
        }
        Ok(Self(HostKey::from_normalised(&host.0)))
    }
}

/// One tier.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TierConfig {
    /// For messages.
    pub name: String,
    /// In order; resolvers that are not installed are passed over.
    pub resolvers: Vec<ResolverName>,
    /// How many of them are asked at once where limits allow it, 1 to 16; 1 if nothing is said.
    #[serde(default = "one")]
    pub width: Width,
}

fn one() -> Width {
    Width(NonZeroU16::MIN)
}

/// The width of a tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "u32")]
#[schemars(into = "u32")]
pub struct Width(NonZeroU16);

impl Width {
    /// More services than this would be asked only for what another knows already.
    pub const MOST: u16 = 16;
}

impl TryFrom<u32> for Width {
    type Error = String;

    fn try_from(width: u32) -> Result<Self, String> {
        let fits =
            u16::try_from(width).ok().and_then(NonZeroU16::new).filter(|width| width.get() <= Self::MOST);
        fits.map(Self).ok_or_else(|| format!("tiers.list.width must be 1 to {}, not {width}", Self::MOST))
    }
}

/// `budgets = { attempts, time }` per job.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BudgetsConfig {
    /// Tries of all steps together.
    pub attempts: NonZeroU32,
    /// From the first step recorded, waiting included.
    pub time: Span,
}

impl TiersConfig {
    /// What the planner takes.
    pub fn lower(&self) -> (Vec<Tier>, Budgets) {
        let tier = |tier: &TierConfig| Tier {
            name: tier.name.clone(),
            resolvers: tier.resolvers.clone(),
            width: tier.width.0,
        };
        let budgets = Budgets { attempts: self.budgets.attempts, time: self.budgets.time.0 };
        (self.list.iter().map(tier).collect(), budgets)
    }

    /// The planner's rules with these resolvers.
    pub fn planner(&self, resolvers: BTreeMap<ResolverName, Vec<Takes>>) -> Planner {
        let (tiers, budgets) = self.lower();
        let blocking = self.blocking_hosts.iter().map(|host| host.0.clone()).collect();
        Planner::new(tiers, budgets, resolvers)
            .choosing(self.prefer, Ranking { license: self.license, blocking })
    }
}

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
pub struct GrantedHost(String);

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
