//! What a job does next, computed from its facts. The heart of the plan, and pure.
//!
//! Known candidates are fetched before anybody else is asked, best first; resolvers are asked tier by tier.
//! A step that failed waits behind everything else that can run; only when nothing can run does the job
//! wait. Must never look at anything but its arguments.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::artifact::Artifact;
use crate::candidate::CandidateKind;
use crate::clock::UnixMillis;
use crate::identifier::{Identifier, Scheme};
use crate::job::JobResult;
use crate::key::ResolverName;
use crate::plan::{Fate, Plan, Step};
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

/// One tier: resolvers that are asked in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// For messages.
    pub name: String,
    /// In order. Names of resolvers that are not loaded are passed over.
    pub resolvers: Vec<ResolverName>,
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
        tiers.push(Tier { name: "others".into(), resolvers: unnamed });
        Self { tiers, budgets, resolvers }
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
        if let Some(end) = accepted(plan) {
            return Next::End(end);
        }
        if let Some(end) = self.over_budget(plan, now) {
            return Next::End(end);
        }
        let mut earliest: Option<(UnixMillis, Step)> = None;
        for step in self.open_steps(plan, artifact) {
            let retry_at = match plan.fate(&step) {
                Fate::Open { retry_at, .. } => *retry_at,
                _ => None,
            };
            match retry_at.max(suspension(&step, suspended)).filter(|at| *at > now) {
                None => return Next::Step(step),
                Some(at) if earliest.as_ref().is_none_or(|(first, _)| at < *first) => {
                    earliest = Some((at, step))
                }
                Some(_) => {}
            }
        }
        match earliest {
            Some((at, step)) => Next::Wait(step, at),
            None => Next::End(self.without_a_file(plan, artifact)),
        }
    }

    /// Every resolver that can be asked and was not, in order.
    pub fn calls(&self, plan: &Plan, artifact: &Artifact) -> Vec<ResolverName> {
        let call = |step| match step {
            Step::Resolve(name) => Some(name),
            Step::Fetch(_) => None,
        };
        self.open_steps(plan, artifact).into_iter().filter_map(call).collect()
    }

    /// Every step that is open, in order; those that failed and wait are among them.
    pub fn open_steps(&self, plan: &Plan, artifact: &Artifact) -> Vec<Step> {
        let mut fetches: Vec<usize> = (0..plan.candidates.len())
            .filter(|&i| plan.candidates[i].candidate.kind == CandidateKind::File)
            .collect();
        fetches.sort_by(|&a, &b| plan.candidates[a].candidate.compare(&plan.candidates[b].candidate));
        let fetches = fetches.into_iter().map(Step::Fetch);
        let calls = self.tiers.iter().flat_map(|tier| self.in_order(tier, plan, artifact)).map(Step::Resolve);
        fetches.chain(calls).filter(|step| matches!(plan.fate(step), Fate::Open { .. })).collect()
    }

    /// The tier's resolvers that can be asked. One for whose first-named kind of identifier there is one at
    /// hand goes first, unless that is a DOI, which every service takes.
    fn in_order(&self, tier: &Tier, plan: &Plan, artifact: &Artifact) -> Vec<ResolverName> {
        let mut able: Vec<(bool, &ResolverName)> = Vec::new();
        for name in &tier.resolvers {
            let Some(takes) = self.resolvers.get(name) else { continue };
            let hinted_elsewhere =
                artifact.resolver_hint.as_deref().is_some_and(|hint| hint != name.as_str());
            if hinted_elsewhere || !takes.iter().any(|takes| has(takes, plan, artifact)) {
                continue;
            }
            let at_home = takes.first().is_some_and(|first| {
                !matches!(first, Takes::Identifier(Scheme::Doi, _)) && has(first, plan, artifact)
            });
            able.push((!at_home, name));
        }
        able.sort_by_key(|(elsewhere, _)| *elsewhere);
        able.into_iter().map(|(_, name)| name.clone()).collect()
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
        let detail = match (plan.asked.len(), plan.landing_pages().count()) {
            (0, _) => "no resolver takes these identifiers".to_owned(),
            (asked, 0) => format!("{asked} resolvers asked"),
            (asked, pages) => format!("{asked} resolvers asked, {pages} landing pages but no file"),
        };
        JobResult::Skipped { reason: Reason::NoCandidate, detail }
    }
}

fn suspension(step: &Step, suspended: &BTreeMap<ResolverName, UnixMillis>) -> Option<UnixMillis> {
    match step {
        Step::Resolve(name) => suspended.get(name).copied(),
        Step::Fetch(_) => None,
    }
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
