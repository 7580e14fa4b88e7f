//! A wide tier: several resolvers asked at once for one job, under its one lease.
//!
//! One task holds the lease and everything that runs for it, so that losing the lease, or the task's end, ends all of
//! it. Each answer is recorded when it comes, under the token, before anything is built on it. Must never hold one
//! answer up for another's permit: who may not be asked now is asked later, if it is still needed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use gleaner_limits::Why;
use gleaner_model::artifact::Artifact;
use gleaner_model::clock::UnixMillis;
use gleaner_model::key::{Key, ResolverName};
use gleaner_model::next::Next;
use gleaner_model::plan::{Plan, Step};
use gleaner_store::{AfterRecord, Fenced, Lease};
use gleaner_telemetry::Event;
use tokio::time::Instant;

use crate::facts::{Done, Facts};
use crate::generation::Generation;
use crate::pieces::{Pieces, RunError, lock};
use crate::reserve::{Refusal, Reservation};
use crate::worker::settle;

/// How often it is looked whether one more may be asked. Only where a tier is wide, and somebody is left to ask.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The key of a step and those of the hosts that its plugin asks are claimed one after the other; so many, and once more.
const MOST_CLAIMS: usize = 8;

/// What runs under the lease.
struct Together<'a> {
    pieces: &'a Pieces,
    lease: Lease,
    artifact: &'a Artifact,
    /// What the lease is listed under.
    key: Key,
    deadline: Instant,
    running: FuturesUnordered<BoxFuture<'a, (Step, Done)>>,
    /// Who is being asked.
    asking: Vec<ResolverName>,
    is_fetching: bool,
}

impl Pieces {
    /// Reserves a step if it may start now and no other job waits for its key. No job is queued under the keys of a wide
    /// tier, so those that nobody owns are claimed here.
    async fn reserve_unwaited(&self, plan: &Plan, step: &Step) -> Result<Option<Reservation>, RunError> {
        let key = self.key_of(plan, step);
        for _ in 0..MOST_CLAIMS {
            if lock(&self.schedule).has(&key) {
                return Ok(None);
            }
            let unowned = match self.reserve(&key) {
                Ok(reservation) => return Ok(Some(reservation)),
                Err(Refusal::Limit(limit, Why::NotOwned, _)) => limit,
                Err(_) => return Ok(None),
            };
            if !self.sharing.claim_all(&self.sources.limiter, vec![unowned], true).await?.is_empty() {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Asks several resolvers at once. What the first answers make worth fetching is fetched while the others are
    /// still being asked; the first file that is accepted ends them. Returns the plan and the next step's reservation
    /// when the job goes on under the same lease.
    pub(crate) async fn ask_together(
        &self,
        generation: Arc<Generation>,
        lease: Lease,
        artifact: &Artifact,
        mut plan: Plan,
        (first, place): (ResolverName, Reservation),
    ) -> Result<Option<(Plan, Reservation)>, RunError> {
        let mut all = Together {
            pieces: self,
            lease,
            artifact,
            key: place.key.clone(),
            deadline: Instant::now(),
            running: FuturesUnordered::new(),
            asking: Vec::new(),
            is_fetching: false,
        };
        all.start(&generation, &plan, Step::Resolve(first.clone()), place);
        drop(generation);
        let mut blocked: Option<(Key, Option<UnixMillis>)> = None;
        let mut recorded = false;
        loop {
            let wants_more = blocked.is_none() && all.ask_more(&first, &plan).await?;
            let ended = tokio::select! {
                ended = all.running.next() => ended,
                () = tokio::time::sleep(LOOK_AGAIN), if wants_more => continue,
            };
            let Some((step, done)) = ended else { break };
            self.save_cooldowns().await?;
            self.save_suspensions().await?;
            match &step {
                Step::Fetch(_) => all.is_fetching = false,
                Step::Resolve(name) => all.asking.retain(|asked| asked != name),
            }
            match done {
                Done::Facts(mut facts) => {
                    self.note(&mut facts, &mut plan, artifact);
                    let ends =
                        matches!(self.sources.next(&self.sources.now(), &plan, artifact), Next::End(_));
                    if ends || (all.running.is_empty() && blocked.is_none()) {
                        // Whoever is still being asked is not heard any more.
                        drop(all);
                        return settle(self, lease, artifact, plan, *facts).await;
                    }
                    if !all.record(*facts, &plan).await? {
                        return Ok(None);
                    }
                    recorded = true;
                    all.fetch_beside(&plan).await?;
                }
                Done::NoDisk { detail } => {
                    self.put_back(lease, all.key, None).await?;
                    return Err(RunError::Files { detail });
                }
                Done::Suspended | Done::Again => blocked = Some((self.key_of(&plan, &step), None)),
                Done::Blocked { retry_after } => {
                    let until = self.sources.clock.now().after(retry_after);
                    blocked = Some((self.key_of(&plan, &step), Some(until)));
                }
            }
        }
        // Only what could not run is left of it, or the plan has more since.
        let (key, until) = match self.sources.next(&self.sources.now(), &plan, artifact) {
            Next::Step(step)
                if recorded && blocked.as_ref().is_none_or(|(key, _)| *key != self.key_of(&plan, &step)) =>
            {
                (self.key_of(&plan, &step), None)
            }
            _ => blocked.unwrap_or((all.key, None)),
        };
        self.put_back(lease, key, until).await?;
        Ok(None)
    }
}

impl<'a> Together<'a> {
    fn start(&mut self, generation: &Arc<Generation>, plan: &Plan, step: Step, place: Reservation) {
        let ends = Instant::now() + self.pieces.deadline_of(generation, &step);
        self.deadline = self.deadline.max(ends);
        self.pieces.running.begin(self.lease, self.key.clone(), self.deadline);
        let (pieces, lease, artifact) = (self.pieces, self.lease, self.artifact);
        let (generation, plan) = (Arc::clone(generation), plan.clone());
        match &step {
            Step::Fetch(_) => self.is_fetching = true,
            Step::Resolve(name) => self.asking.push(name.clone()),
        }
        self.running.push(Box::pin(async move {
            let done = pieces.carry_out(generation, lease, artifact, &plan, &step, place).await;
            (step, done)
        }));
    }

    /// Asks further resolvers of the tier of `first`, those that may be asked now; whether there is one left that may
    /// not. Nobody is asked while there is a file to try.
    async fn ask_more(&mut self, first: &ResolverName, plan: &Plan) -> Result<bool, RunError> {
        let generation = self.pieces.sources.now();
        let next = self.pieces.sources.next(&generation, plan, self.artifact);
        if self.is_fetching || !matches!(next, Next::Step(Step::Resolve(_))) {
            return Ok(false);
        }
        let beside = self.pieces.sources.beside(&generation, first, plan, self.artifact);
        let width = beside.len() + 1;
        let mut is_left = false;
        for name in beside {
            if self.asking.len() >= width {
                return Ok(false);
            }
            if self.asking.contains(&name) {
                continue;
            }
            let step = Step::Resolve(name);
            match self.pieces.reserve_unwaited(plan, &step).await? {
                Some(place) => self.start(&generation, plan, step, place),
                None => is_left = true,
            }
        }
        Ok(is_left)
    }

    /// Fetches what the plan says is next, if that is a file and may start now. One at a time.
    async fn fetch_beside(&mut self, plan: &Plan) -> Result<(), RunError> {
        if self.is_fetching {
            return Ok(());
        }
        let generation = self.pieces.sources.now();
        if let Next::Step(step @ Step::Fetch(_)) = self.pieces.sources.next(&generation, plan, self.artifact)
            && let Some(place) = self.pieces.reserve_unwaited(plan, &step).await?
        {
            self.start(&generation, plan, step, place);
        }
        Ok(())
    }

    /// Writes one answer down and keeps the lease for the rest; whether it was still held.
    async fn record(&mut self, facts: Facts, plan: &Plan) -> Result<bool, RunError> {
        let until = self.pieces.sources.clock.now().after(self.pieces.config.lease_ttl.0);
        let after = AfterRecord::Keep { key: self.key.clone(), until };
        let records = vec![facts.record];
        match self.pieces.queue.record(self.lease, plan.clone(), records, after).await? {
            Fenced::Held(()) => {
                self.pieces.tell(&Event::Step(facts.event));
                Ok(true)
            }
            Fenced::Lost => {
                tracing::warn!(job = %self.lease.job, "the lease was lost; its work is discarded");
                Ok(false)
            }
        }
    }
}
