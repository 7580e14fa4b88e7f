//! What it takes to ask resolvers: whom and how, as it is now, the limits, and the time of day.
//!
//! Knows no job and no library, so that a work can be asked about without either.

use std::sync::Arc;

use gleaner_limits::KeyedLimiter;
use gleaner_model::artifact::Artifact;
use gleaner_model::clock::SharedClock;
use gleaner_model::key::ResolverName;
use gleaner_model::next::{Next, Situation};
use gleaner_model::plan::Plan;

use crate::blocking::Blocking;
use crate::breaker::Breakers;
use crate::generation::{Generation, Live};

/// The parts that answer "where can this be had?".
pub struct Sources {
    /// Who can be asked, in which order, and through what; may be replaced at any time.
    pub live: Arc<Live>,
    /// Who is not to be asked for a while.
    pub breakers: Breakers,
    /// Whose files are tried last.
    pub blocking: Blocking,
    /// How often.
    pub limiter: KeyedLimiter,
    /// The time of day.
    pub clock: SharedClock,
}

impl Sources {
    /// The generation in service.
    pub(crate) fn now(&self) -> Arc<Generation> {
        self.live.now()
    }

    /// What a job does next by that generation; resolvers that are suspended come last.
    pub(crate) fn next(&self, generation: &Generation, plan: &Plan, artifact: &Artifact) -> Next {
        let (suspended, blocking) = (self.breakers.suspended(), self.blocking.hosts());
        let situation = Situation { suspended: &suspended, blocking: &blocking };
        generation.planner.next_in(plan, artifact, self.clock.now(), &situation)
    }

    /// Whom to ask at once with a resolver.
    pub(crate) fn beside(
        &self,
        generation: &Generation,
        resolver: &ResolverName,
        plan: &Plan,
        artifact: &Artifact,
    ) -> Vec<ResolverName> {
        if !generation.planner.is_wide() {
            return Vec::new();
        }
        let (suspended, blocking) = (self.breakers.suspended(), self.blocking.hosts());
        let situation = Situation { suspended: &suspended, blocking: &blocking };
        generation.planner.beside(resolver, plan, artifact, self.clock.now(), &situation)
    }
}
