//! What it takes to ask resolvers: the plugins, the plan's rules, the limits and the way out.
//!
//! Knows no job and no library, so that a work can be asked about without either.

use gleaner_egress::Egress;
use gleaner_limits::KeyedLimiter;
use gleaner_model::artifact::Artifact;
use gleaner_model::clock::SharedClock;
use gleaner_model::next::{Next, Planner};
use gleaner_model::plan::Plan;

use crate::breaker::Breakers;
use crate::resolvers::Resolvers;

/// The parts that answer "where can this be had?".
pub struct Sources {
    /// Who can be asked.
    pub resolvers: Resolvers,
    /// In which order.
    pub planner: Planner,
    /// Who is not to be asked for a while.
    pub breakers: Breakers,
    /// How often.
    pub limiter: KeyedLimiter,
    /// Through what.
    pub egress: Egress,
    /// The largest answer of a service, in bytes.
    pub max_body: u64,
    /// The time of day.
    pub clock: SharedClock,
}

impl Sources {
    /// What a job does next; resolvers that are suspended come last.
    pub(crate) fn next(&self, plan: &Plan, artifact: &Artifact) -> Next {
        self.planner.next_without(plan, artifact, self.clock.now(), &self.breakers.suspended())
    }
}
