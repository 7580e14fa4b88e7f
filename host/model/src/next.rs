//! What a job does next, computed from its facts. The heart of the plan, and pure.
//!
//! Known candidates are fetched before anybody else is asked, best first; resolvers are asked tier by tier.
//! A step that failed waits behind everything else that can run; only when nothing can run does the job
//! wait. Must never look at anything but its arguments.

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use crate::artifact::Artifact;
use crate::candidate::CandidateKind;
use crate::clock::UnixMillis;
use crate::identifier::{Identifier, Scheme};
use crate::job::JobResult;
use crate::key::{HostKey, ResolverName};
use crate::plan::{Fate, Plan, Proposed, Step};
use crate::rank::Ranking;
use crate::reason::Reason;

/// What a query must have for a resolver to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Takes {
    /// An identifier of that scheme whose value begins so; mostly with nothing.
    Identifier(Scheme, Box<str>),
    /// A landing page that was proposed.
    LandingPage,
    /// A URL that was fetched in vain.
    FailedUrl,
}

impl Takes {
    /// Reads an entry of `info.takes`: `doi`, `doi:10.48550/`, `landing-page`, `failed-url`.
    ///
    /// # Errors
    /// When the text is none of these.
    pub fn parse(text: &str) -> Result<Self, crate::identifier::IdentifierError> {
        match text {
            "landing-page" => Ok(Self::LandingPage),
            "failed-url" => Ok(Self::FailedUrl),
            text => {
                let (scheme, prefix) = text.split_once(':').unwrap_or((text, ""));
                Ok(Self::Identifier(Scheme::from_name(scheme)?, prefix.into()))
            }
        }
    }
}

/// One tier: resolvers that are asked in order, `width` at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// For messages.
    pub name: String,
    /// In order. Names of resolvers that are not loaded are passed over.
    pub resolvers: Vec<ResolverName>,
    /// How many are asked at once, where limits allow it.
    pub width: NonZeroU16,
}

/// When files are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Prefer {
    /// As soon as one is known.
    #[default]
    First,
    /// Once every resolver of the tier has answered, so that the published version wins over one known earlier.
    Published,
}

/// How long a key must be stopped for, at the least, that its jobs look for others who could answer.
pub const LONG: Duration = Duration::from_secs(60);

/// What the moment adds to a job's facts.
#[derive(Clone, Copy)]
pub struct Situation<'a> {
    /// Resolvers that are not to be asked before those times.
    pub suspended: &'a BTreeMap<ResolverName, UnixMillis>,
    /// Hosts that refused to give files to this run.
    pub blocking: &'a BTreeSet<HostKey>,
    /// Until when a step may not start because what it needs is stopped for [`LONG`] or longer. It is taken only where
    /// no other can run, and then waits for its key as it would have.
    pub stopped: &'a dyn Fn(&Step) -> Option<UnixMillis>,
}

/// What a job may cost in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budgets {
    /// Tries of all steps together.
    pub attempts: NonZeroU32,
    /// From the first step recorded; waiting included.
    pub time: Duration,
}

/// The rules by which [`Planner::next`] decides: tiers, budgets, and what each loaded resolver takes.
#[derive(Debug, Clone)]
pub struct Planner {
    tiers: Vec<Tier>,
    budgets: Budgets,
    resolvers: BTreeMap<ResolverName, Vec<Takes>>,
    prefer: Prefer,
    ranking: Ranking,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// This step, now.
    Step(Step),
    /// This step, but not before then; nothing else can run.
    Wait(Step, UnixMillis),
    /// Nothing: the job ends so.
    End(JobResult),
}

impl Planner {
    /// Resolvers that no tier names are asked last, by name, in a tier of their own: a plugin that was
    /// dropped into the directory works without being configured.
    pub fn new(
        mut tiers: Vec<Tier>,
        budgets: Budgets,
        resolvers: BTreeMap<ResolverName, Vec<Takes>>,
    ) -> Self {
        let unnamed: Vec<_> = resolvers
            .keys()
            .filter(|name| !tiers.iter().any(|tier| tier.resolvers.contains(name)))
            .cloned()
            .collect();
        tiers.push(Tier { name: "others".into(), resolvers: unnamed, width: NonZeroU16::MIN });
        Self { tiers, budgets, resolvers, prefer: Prefer::First, ranking: Ranking::default() }
    }

    /// The same with another order of fetching.
    #[must_use]
    pub fn choosing(self, prefer: Prefer, ranking: Ranking) -> Self {
        Self { prefer, ranking, ..self }
    }

    /// The rules by which candidates are ranked.
    pub fn ranking(&self) -> &Ranking {
        &self.ranking
    }

    /// The next step of a job with these facts.
    pub fn next(&self, plan: &Plan, artifact: &Artifact, now: UnixMillis) -> Next {
        self.next_without(plan, artifact, now, &BTreeMap::new())
    }

    /// The same while these resolvers are suspended until those times: their steps wait as those do that failed.
    pub fn next_without(
        &self,
        plan: &Plan,
        artifact: &Artifact,
        now: UnixMillis,
        suspended: &BTreeMap<ResolverName, UnixMillis>,
    ) -> Next {
        let situation = Situation { suspended, blocking: &BTreeSet::new(), stopped: &|_| None };
        self.next_in(plan, artifact, now, &situation)
    }

    /// The same as things stand.
    pub fn next_in(
        &self,
        plan: &Plan,
        artifact: &Artifact,
        now: UnixMillis,
        situation: &Situation<'_>,
    ) -> Next {
        if let Some(end) = accepted(plan) {
            return Next::End(end);
        }
        if let Some(end) = self.over_budget(plan, now) {
            return Next::End(end);
        }
        let mut earliest: Option<(UnixMillis, Next)> = None;
        for step in self.steps(plan, artifact, situation.blocking) {
            let (at, next) = match not_before(plan, &step, situation).filter(|at| *at > now) {
                Some(at) => (at, Next::Wait(step, at)),
                None => match (situation.stopped)(&step) {
                    Some(until) => (until, Next::Step(step)),
                    None => return Next::Step(step),
                },
            };
            if earliest.as_ref().is_none_or(|(first, _)| at < *first) {
                earliest = Some((at, next));
            }
        }
        earliest.map_or_else(|| Next::End(self.without_a_file(plan, artifact)), |(_, next)| next)
    }

    /// How many resolvers of this one's tier are asked at once; 1 for one that is not known.
    pub fn width_of(&self, resolver: &ResolverName) -> u16 {
        self.tier_of(resolver).map_or(1, |tier| tier.width.get())
    }

    /// The tier that asks a resolver.
    pub fn tier_of(&self, resolver: &ResolverName) -> Option<&Tier> {
        self.tiers.iter().find(|tier| tier.resolvers.contains(resolver))
    }

    /// Whether any tier asks several resolvers at once.
    pub fn is_wide(&self) -> bool {
        self.tiers.iter().any(|tier| tier.width.get() > 1)
    }

    /// Whom else to ask at once with `resolver`: the next ones of its tier that may be asked now, up to the tier's
    /// width. Never more than the budget of tries has room for.
    pub fn beside(
        &self,
        resolver: &ResolverName,
        plan: &Plan,
        artifact: &Artifact,
        now: UnixMillis,
        situation: &Situation<'_>,
    ) -> Vec<ResolverName> {
        let Some(tier) = self.tier_of(resolver) else { return Vec::new() };
        let left = self.budgets.attempts.get().saturating_sub(plan.tries).saturating_sub(1);
        let most = usize::from(tier.width.get() - 1).min(usize::try_from(left).unwrap_or(usize::MAX));
        if most == 0 {
            return Vec::new();
        }
        let may_be_asked = |name: &&ResolverName| {
            let step = Step::Resolve((*name).clone());
            let is_open = matches!(plan.fate(&step), Fate::Open { .. });
            *name != resolver
                && is_open
                && not_before(plan, &step, situation).is_none_or(|at| at <= now)
                && (situation.stopped)(&step).is_none()
        };
        self.in_order(tier, plan, artifact).filter(may_be_asked).take(most).cloned().collect()
    }

    /// Every resolver that can be asked and was not, in order.
    pub fn calls(&self, plan: &Plan, artifact: &Artifact) -> Vec<ResolverName> {
        let call = |step| match step {
            Step::Resolve(name) => Some(name),
            Step::Fetch(_) => None,
        };
        self.steps(plan, artifact, &BTreeSet::new()).filter_map(call).collect()
    }

    /// Every step that is open, in order; those that failed and wait are among them.
    pub fn open_steps(&self, plan: &Plan, artifact: &Artifact) -> Vec<Step> {
        self.steps(plan, artifact, &BTreeSet::new()).collect()
    }

    /// The same, found as they are asked for: most of the time the first is enough.
    fn steps<'a>(
        &'a self,
        plan: &'a Plan,
        artifact: &'a Artifact,
        blocking: &BTreeSet<HostKey>,
    ) -> impl Iterator<Item = Step> + 'a {
        let is_open = |step: &Step| matches!(plan.fate(step), Fate::Open { .. });
        let fetches = self.fetches(plan, blocking).into_iter().map(Step::Fetch);
        // Those of a tier that has begun come first where its answers are waited for.
        let waits_for = |tier: &Tier| {
            self.prefer == Prefer::Published
                && plan.asked.iter().any(|asked| tier.resolvers.contains(&asked.resolver))
        };
        let calls = move |begun: bool| {
            let tiers = self.tiers.iter().filter(move |tier| waits_for(tier) == begun);
            tiers.flat_map(move |tier| self.in_order(tier, plan, artifact)).cloned().map(Step::Resolve)
        };
        calls(true).chain(fetches).chain(calls(false)).filter(is_open)
    }

    /// The files that may be fetched and were not, best first.
    fn fetches(&self, plan: &Plan, blocking: &BTreeSet<HostKey>) -> Vec<usize> {
        let candidate = |index: usize| &plan.candidates[index].candidate;
        let mut fetches: Vec<usize> = (0..plan.candidates.len())
            .filter(|&i| matches!(plan.candidates[i].fate, Fate::Open { .. }))
            .filter(|&i| candidate(i).kind == CandidateKind::File && self.ranking.admits(candidate(i)))
            .collect();
        fetches.sort_by(|&a, &b| self.ranking.compare(blocking, candidate(a), candidate(b)));
        fetches
    }

    /// The tier's resolvers that can be asked. One for whose first-named kind of identifier there is one at
    /// hand goes first, unless that is a DOI, which every service takes.
    fn in_order<'a>(
        &'a self,
        tier: &'a Tier,
        plan: &'a Plan,
        artifact: &'a Artifact,
    ) -> impl Iterator<Item = &'a ResolverName> + 'a {
        let takes = move |name: &ResolverName| {
            let hinted_elsewhere =
                artifact.resolver_hint.as_deref().is_some_and(|hint| hint != name.as_str());
            let takes = self.resolvers.get(name).filter(|_| !hinted_elsewhere)?;
            takes.iter().any(|takes| has(takes, plan, artifact)).then_some(takes)
        };
        let is_at_home = move |takes: &Vec<Takes>| {
            takes.first().is_some_and(|first| {
                !matches!(first, Takes::Identifier(Scheme::Doi, _)) && has(first, plan, artifact)
            })
        };
        let those = move |at_home: bool| {
            tier.resolvers.iter().filter(move |name| takes(name).is_some_and(|t| is_at_home(t) == at_home))
        };
        those(true).chain(those(false))
    }

    fn over_budget(&self, plan: &Plan, now: UnixMillis) -> Option<JobResult> {
        let attempts = self.budgets.attempts.get();
        let over_time = plan.started.is_some_and(|started| started.until(now) > self.budgets.time);
        let detail = if plan.tries >= attempts {
            format!("attempts: {attempts} used")
        } else if over_time {
            format!("time: over {}", crate::units::Span(self.budgets.time))
        } else {
            return None;
        };
        Some(JobResult::Error { reason: Reason::BudgetExhausted, detail })
    }

    /// How a job ends whose every step is closed. The last failure gives the reason, a file's before a
    /// resolver's: that a copy is known and cannot be had says more than that a service was down.
    fn without_a_file(&self, plan: &Plan, artifact: &Artifact) -> JobResult {
        let closed = |fate: &Fate| match fate {
            Fate::Closed { reason, detail } => Some((*reason, detail.clone())),
            _ => None,
        };
        let fetch = plan.candidates.iter().rev().find_map(|p| closed(&p.fate));
        let call = plan.asked.iter().rev().find_map(|a| closed(&a.fate).map(|found| (&a.resolver, found)));
        if let Some((reason, detail)) = fetch {
            return JobResult::Error { reason, detail };
        }
        if let Some((resolver, (reason, detail))) = call {
            return JobResult::Error { reason, detail: format!("{resolver}: {detail}") };
        }
        if let Some(hint) = &artifact.resolver_hint
            && plan.asked.is_empty()
            && !self.resolvers.keys().any(|name| name.as_str() == hint)
        {
            let detail = format!("no resolver {hint:?} is loaded; see `gleaner plugin list`");
            return JobResult::Error { reason: Reason::PluginUnavailable, detail };
        }
        let dropped =
            |p: &&Proposed| p.candidate.kind == CandidateKind::File && !self.ranking.admits(&p.candidate);
        if let Some(first) = plan.candidates.iter().find(dropped) {
            let license = crate::identifier::abridged(first.candidate.license.as_deref().unwrap_or_default());
            let detail = match plan.candidates.iter().filter(dropped).count() {
                1 => format!("1 copy known, under {license}"),
                count => format!("{count} copies known, the first under {license}"),
            };
            return JobResult::Skipped { reason: Reason::NotOpen, detail };
        }
        let detail = match (plan.asked.len(), plan.landing_pages().count()) {
            (0, _) => "no resolver takes these identifiers".to_owned(),
            (asked, 0) => format!("{asked} resolvers asked"),
            (asked, pages) => format!("{asked} resolvers asked, {pages} landing pages but no file"),
        };
        JobResult::Skipped { reason: Reason::NoCandidate, detail }
    }
}

/// Before when a step that is open is not to be tried: it failed, or its resolver is suspended.
fn not_before(plan: &Plan, step: &Step, situation: &Situation<'_>) -> Option<UnixMillis> {
    let retry_at = match plan.fate(step) {
        Fate::Open { retry_at, .. } => *retry_at,
        _ => None,
    };
    let suspended = match step {
        Step::Resolve(name) => situation.suspended.get(name).copied(),
        Step::Fetch(_) => None,
    };
    retry_at.max(suspended)
}

fn accepted(plan: &Plan) -> Option<JobResult> {
    plan.candidates.iter().find_map(|proposed| match &proposed.fate {
        Fate::Accepted { sha256, known } => Some(JobResult::Done {
            reason: if *known { Reason::AlreadyStored } else { Reason::Ok },
            sha256: sha256.clone(),
        }),
        _ => None,
    })
}

fn has(takes: &Takes, plan: &Plan, artifact: &Artifact) -> bool {
    match takes {
        Takes::Identifier(scheme, prefix) => {
            let fits = |id: &Identifier| id.scheme() == scheme && id.value().starts_with(&**prefix);
            artifact.identifiers.iter().chain(&plan.discovered).any(fits)
        }
        Takes::LandingPage => plan.landing_pages().next().is_some(),
        Takes::FailedUrl => plan.failed_urls().next().is_some(),
    }
}

#[cfg(test)]
mod tests;
