//! The configuration sections that the orchestrator owns: `[orchestrator]`, `[plugins] suspend`, `[tiers]`, and in a module of
//! its own `[resolvers.NAME]`.
//!
//! Only shapes and bounds: a value that passes here can be run with. Defaults stand in
//! `config/default.toml` and nowhere else.

mod resolvers;

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use gleaner_model::key::{HostKey, ResolverName};
use gleaner_model::next::{Budgets, Planner, Prefer, Takes, Tier};
use gleaner_model::rank::{LicenseFilter, Ranking};
use gleaner_model::units::Span;
use serde::Deserialize;

pub use resolvers::{Carrier, GrantedHost, Grants, InjectConfig, ResolverConfig};

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
