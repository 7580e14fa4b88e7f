//! Asking resolvers about one work without a job: for `gleaner resolve` and `gleaner plugin record`.
//!
//! Downloads nothing and writes nothing; limits hold all the same.

use std::sync::Arc;
use std::time::Duration;

use gleaner_model::artifact::Artifact;
use gleaner_model::candidate::{Candidate, CandidateKind};
use gleaner_model::identifier::Identifier;
use gleaner_model::key::{Key, ResolverName};
use gleaner_model::plan::{Fate, Plan, Step};
use gleaner_model::reason::Failure;
use gleaner_runtime::{CallReport, GuestHost, Query};

use crate::generation::Generation;
use crate::resolve::query;
use crate::sources::Sources;

/// What one resolver said.
#[derive(Debug)]
pub struct Answer {
    /// Who.
    pub resolver: ResolverName,
    /// What it said that nobody had said before, or why there is no answer.
    pub outcome: Result<News, Failure>,
    /// How long it took.
    pub took: Duration,
}

/// What is new of one resolver's answer.
#[derive(Debug, Default)]
pub struct News {
    /// Files proposed.
    pub files: usize,
    /// Landing pages proposed.
    pub pages: usize,
    /// Further names of the work.
    pub discovered: Vec<Identifier>,
}

/// A candidate as a run would look at it.
#[derive(Debug)]
pub struct Ranked {
    /// What was proposed.
    pub candidate: Candidate,
    /// Whether the licence filter lets it be fetched.
    pub is_admitted: bool,
}

/// What all of them said.
#[derive(Debug)]
pub struct AskReport {
    /// In the order of asking.
    pub answers: Vec<Answer>,
    /// Without duplicates, best first; those that would not be fetched are last.
    pub candidates: Vec<Ranked>,
    /// Names of the work that were not given.
    pub discovered: Vec<Identifier>,
}

impl AskReport {
    /// What a run would fetch first.
    pub fn first(&self) -> Option<&Candidate> {
        let is_file = |one: &&Ranked| one.is_admitted && one.candidate.kind == CandidateKind::File;
        self.candidates.iter().find(is_file).map(|one| &one.candidate)
    }
}

/// Asks every resolver that takes the work's identifiers, tier by tier; with `only`, none but those. What one
/// discovers makes further ones applicable.
pub async fn ask(sources: &Sources, artifact: &Artifact, only: &[ResolverName]) -> AskReport {
    let generation = sources.now();
    let mut plan = Plan::default();
    let mut answers = Vec::new();
    let wanted = |name: &ResolverName| only.is_empty() || only.contains(name);
    while let Some(resolver) = generation.planner.calls(&plan, artifact).into_iter().find(wanted) {
        let step = Step::Resolve(resolver.clone());
        let started = tokio::time::Instant::now();
        let mut fate = Fate::Answered;
        let outcome = match ask_one(sources, &generation, artifact, &plan, &resolver).await {
            Ok(resolution) => {
                let (candidates, discovered) = (plan.candidates.len(), plan.discovered.len());
                plan.take_in(resolution, &artifact.identifiers);
                let new = &plan.candidates[candidates..];
                let files = new.iter().filter(|one| one.candidate.kind == CandidateKind::File).count();
                let discovered = plan.discovered[discovered..].to_vec();
                Ok(News { files, pages: new.len() - files, discovered })
            }
            Err(failure) => {
                fate = Fate::Closed { reason: failure.reason, detail: failure.detail.clone() };
                Err(failure)
            }
        };
        plan.note(&step, fate, sources.clock.now());
        answers.push(Answer { resolver, outcome, took: started.elapsed() });
    }
    let ranking = generation.planner.ranking();
    let ranked = |candidate: Candidate| Ranked { is_admitted: ranking.admits(&candidate), candidate };
    let mut candidates: Vec<_> = plan.candidates.into_iter().map(|one| ranked(one.candidate)).collect();
    let learnt = sources.blocking.hosts();
    candidates.sort_by(|one, other| {
        let dropped = (!one.is_admitted).cmp(&!other.is_admitted);
        dropped.then_with(|| ranking.compare(&learnt, &one.candidate, &other.candidate))
    });
    AskReport { answers, candidates, discovered: plan.discovered }
}

/// Asks one resolver, whatever it takes, with `wrap` around what it gets from outside. `landing_pages` are those that others
/// would have found. Returns what it was asked and what came of it; none when no such resolver is in use.
pub async fn ask_through(
    sources: &Sources,
    artifact: &Artifact,
    landing_pages: Vec<String>,
    resolver: &ResolverName,
    wrap: impl FnOnce(Arc<dyn GuestHost>) -> Arc<dyn GuestHost>,
) -> Option<(Query, CallReport)> {
    let generation = sources.now();
    let installed = generation.resolvers.get(resolver)?;
    sources.limiter.acquire(&Key::Resolver(resolver.clone())).await.spend();
    let query = query("record", artifact, &Plan::default(), 1, installed.sandbox.wall.0);
    let query = Query { landing_pages, ..query };
    let report = sources.call_through(&generation, installed, &query, None, wrap).await;
    Some((query, report))
}

async fn ask_one(
    sources: &Sources,
    generation: &Generation,
    artifact: &Artifact,
    plan: &Plan,
    resolver: &ResolverName,
) -> Result<gleaner_model::plan::Resolution, Failure> {
    let Some(installed) = generation.resolvers.get(resolver) else {
        return Ok(gleaner_model::plan::Resolution::default());
    };
    let permit = sources.limiter.acquire(&Key::Resolver(resolver.clone())).await;
    permit.spend();
    let query = query("resolve", artifact, plan, 1, installed.sandbox.wall.0);
    sources.call(generation, installed, &query, None).await.outcome
}
