//! The configuration sections that the orchestrator owns: `[orchestrator]`, `[tiers]`, `[resolvers.NAME]`.
//!
//! Only shapes and bounds: a value that passes here can be run with. Defaults stand in
//! `config/default.toml` and nowhere else.

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use gleaner_model::key::ResolverName;
use gleaner_model::next::{Budgets, Tier};
use gleaner_model::units::Span;
use gleaner_runtime::Sandbox;
use serde::Deserialize;

/// `[orchestrator]`: how a run works.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, try_from = "RawOrchestrator")]
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
    /// How long running steps may go on after a signal to stop.
    pub grace: Span,
    /// How long one download may take in all.
    pub fetch_deadline: Span,
    /// A work that ended as `skipped` longer ago than this is planned anew when it is enqueued again.
    pub recheck_after: Span,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawOrchestrator {
    workers: u16,
    max_fetches: u16,
    lease_ttl: Span,
    heartbeat: Span,
    max_attempts: NonZeroU32,
    backoff: Span,
    grace: Span,
    fetch_deadline: Span,
    recheck_after: Span,
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
            grace: raw.grace,
            fetch_deadline: raw.fetch_deadline,
            recheck_after: raw.recheck_after,
        })
    }
}

/// `[tiers]`: who is asked in which order, and what a job may cost.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TiersConfig {
    /// In order.
    pub list: Vec<TierConfig>,
    /// Per job.
    pub budgets: BudgetsConfig,
}

/// One tier.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TierConfig {
    /// For messages.
    pub name: String,
    /// In order; resolvers that are not installed are passed over.
    pub resolvers: Vec<ResolverName>,
    /// How many of them are asked at once. Only 1 is built yet.
    #[serde(default = "one")]
    pub width: Width,
}

fn one() -> Width {
    Width
}

/// The width of a tier: 1, until wider tiers are built.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "u32")]
pub struct Width;

impl TryFrom<u32> for Width {
    type Error = String;

    fn try_from(width: u32) -> Result<Self, String> {
        match width {
            1 => Ok(Self),
            other => Err(format!(
                "tiers.list.width must be 1, not {other}: this version asks one resolver at a time"
            )),
        }
    }
}

/// `budgets = { attempts, time }` per job.
#[derive(Debug, Clone, Deserialize)]
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
        let tier = |tier: &TierConfig| Tier { name: tier.name.clone(), resolvers: tier.resolvers.clone() };
        let budgets = Budgets { attempts: self.budgets.attempts, time: self.budgets.time.0 };
        (self.list.iter().map(tier).collect(), budgets)
    }
}

/// `[resolvers.NAME]`: what the operator sets for one resolver and allows it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct ResolverConfig {
    /// Whether it is loaded; it is unless this says no.
    pub enabled: Option<bool>,
    /// Another address of the service. Its host is granted.
    pub base_url: Option<url::Url>,
    /// What the resolver reads through `config.get`. Never secrets: those go into `inject`.
    pub settings: BTreeMap<String, String>,
    /// Limits of one call.
    pub sandbox: Option<Sandbox>,
    /// What it may do. Bundled resolvers may reach the hosts they ask for; others only these.
    pub grants: Option<Grants>,
    /// Secrets that the host adds to its requests.
    pub inject: Vec<InjectConfig>,
    /// The component must have this SHA-256, in lower-case hex.
    pub sha256: Option<String>,
}

/// What the operator allows a resolver.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Grants {
    /// Exact names of hosts that it may send requests to.
    pub hosts: Vec<String>,
}

/// A secret that the host adds to requests for one host, and that no guest sees.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct InjectConfig {
    /// Exact name of the host.
    pub host: String,
    /// Name of the header to set...
    #[serde(default)]
    pub header: Option<String>,
    /// ...or of the query parameter to add.
    #[serde(default)]
    pub query: Option<String>,
    /// Name of the secret: environment variable `GLEANER_SECRET_<NAME>`, hyphens as underscores.
    pub secret: String,
}
