//! Asking resolvers about one work without a job: for `gleaner resolve`.
//!
//! Downloads nothing and writes nothing; limits hold all the same.

use std::time::Duration;

use gleaner_model::artifact::Artifact;
use gleaner_model::candidate::Candidate;
use gleaner_model::key::{Key, ResolverName};
use gleaner_model::plan::{Fate, Plan, Step};
use gleaner_model::reason::Failure;

use crate::generation::Generation;
use crate::sources::Sources;

/// What one resolver said.
#[derive(Debug)]
pub struct Answer {
    /// Who.
    pub resolver: ResolverName,
    /// Candidates it proposed, or why there is no answer.
    pub outcome: Result<usize, Failure>,
    /// How long it took.
    pub took: Duration,
}

/// What all of them said.
#[derive(Debug)]
pub struct AskReport {
    /// In the order of asking.
    pub answers: Vec<Answer>,
    /// Without duplicates, best first.
    pub candidates: Vec<Candidate>,
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
            Ok(resolution) => Ok(plan.take_in(resolution, &artifact.identifiers)),
            Err(failure) => {
                fate = Fate::Closed { reason: failure.reason, detail: failure.detail.clone() };
                Err(failure)
            }
        };
        plan.note(&step, fate, sources.clock.now());
        answers.push(Answer { resolver, outcome, took: started.elapsed() });
    }
    let mut candidates: Vec<_> = plan.candidates.into_iter().map(|proposed| proposed.candidate).collect();
    candidates.sort_by(Candidate::compare);
    AskReport { answers, candidates }
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
    sources.call(generation, installed, "resolve", artifact, plan, 1, None).await.outcome
}
