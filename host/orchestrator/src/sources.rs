//! What it takes to ask resolvers: whom and how, as it is now, the limits, and the time of day.
//!
//! Knows no job and no library, so that a work can be asked about without either.

use std::sync::Arc;

use gleaner_limits::KeyedLimiter;
use gleaner_model::artifact::Artifact;
use gleaner_model::clock::SharedClock;
use gleaner_model::next::Next;
use gleaner_model::plan::Plan;

use crate::breaker::Breakers;
use crate::generation::{Generation, Live};

/// The parts that answer "where can this be had?".
pub struct Sources {
    /// Who can be asked, in which order, and through what; may be replaced at any time.
    pub live: Arc<Live>,
    /// Who is not to be asked for a while.
    pub breakers: Breakers,
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
        generation.planner.next_without(plan, artifact, self.clock.now(), &self.breakers.suspended())
    }
}
