//! What it takes to ask resolvers: whom and how, as it is now, the limits, and the time of day.
//!
//! Knows no job and no library, so that a work can be asked about without either.

use std::sync::Arc;
use std::time::Duration;

use gleaner_limits::{KeyedLimiter, Room, Why};
use gleaner_model::artifact::Artifact;
use gleaner_model::clock::{SharedClock, UnixMillis};
use gleaner_model::key::{Key, ResolverName};
use gleaner_model::next::{LONG, Next, Situation};
use gleaner_model::plan::{Plan, Step};

use crate::blocking::Blocking;
use crate::breaker::Breakers;
use crate::generation::{Generation, Live};

/// A pause whose end only an operator knows lasts longer than any other.
const UNTIL_TOLD: Duration = Duration::from_secs(365 * 24 * 3600);

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
        self.next_holding(None, generation, plan, artifact)
    }

    /// The same for a job that holds a place under that key: what stops the others there, as the end of the day's budget
    /// does, has let this one in.
    pub(crate) fn next_holding(
        &self,
        held: Option<&Key>,
        generation: &Generation,
        plan: &Plan,
        artifact: &Artifact,
    ) -> Next {
        let (suspended, blocking) = (self.breakers.suspended(), self.blocking.hosts());
        let stopped = |step: &Step| {
            let key = self.limiter.canonical(&plan.key(step));
            if held == Some(&key) { None } else { self.stopped(generation, &key) }
        };
        let situation = Situation { suspended: &suspended, blocking: &blocking, stopped: &stopped };
        generation.planner.next_in(plan, artifact, self.clock.now(), &situation)
    }

    /// Until when steps of the key may not start, if that is long: an upstream asked for a pause or failed too often, the
    /// day's budget is spent, or an operator stopped it; of the key or of a host that its resolver asks.
    pub(crate) fn stopped(&self, generation: &Generation, key: &Key) -> Option<UnixMillis> {
        let hosts = match key {
            Key::Resolver(name) => generation.resolvers.get(name).map(|one| Arc::clone(&one.host_keys)),
            Key::Host(_) | Key::Plan => None,
        };
        let until = |limit: &Key| match self.limiter.room(limit) {
            Room::Blocked { why: Why::Paused, .. } => Some(self.clock.now().after(UNTIL_TOLD)),
            Room::Blocked { why: Why::Cooldown | Why::Breaker | Why::Budget, wait: Some(wait) } => {
                (wait > LONG).then(|| self.clock.now().after(wait))
            }
            _ => None,
        };
        std::iter::once(key).chain(hosts.iter().flat_map(|hosts| hosts.iter())).filter_map(until).max()
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
        let stopped = |step: &Step| self.stopped(generation, &plan.key(step));
        let situation = Situation { suspended: &suspended, blocking: &blocking, stopped: &stopped };
        generation.planner.beside(resolver, plan, artifact, self.clock.now(), &situation)
    }
}
