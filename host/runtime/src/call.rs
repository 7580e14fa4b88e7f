//! One call of a plugin, from an instance to what it said and spent.
//!
//! One call is one fresh instance, unless the operator lets a plugin reuse it. Must never use a store again after a
//! call that did not end with an answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gleaner_model::key::ResolverName;
use gleaner_model::plan::Resolution;
use gleaner_model::reason::Failure;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::answer::{Answer, Refusal};
use crate::aside::{Doubts, Lane};
use crate::engine::Shared;
use crate::failure;
use crate::guest::{Guest, prepare};
use crate::host::GuestHost;
use crate::plugin::CallReport;
use crate::reuse::{Idle, Kept};
use crate::sandbox::Sandbox;
use crate::track_0_1::{Question, Track};

/// What calls of a plugin share, wherever they run.
pub(crate) struct Callee {
    track: Track,
    shared: Arc<Shared>,
    /// Instances of earlier calls; none unless the sandbox says `reuse`.
    idle: Idle,
    /// While there are any, calls begin aside, so that they disturb nobody if they fail too.
    doubts: Doubts,
}

/// One answer shows little of a plugin that fails for some works and not for others.
const DOUBTS: u32 = 8;

/// What one call is about.
pub(crate) struct Call {
    /// As the guest's log lines name it.
    pub(crate) job: String,
    pub(crate) question: Question,
    /// Its wall time.
    pub(crate) wall: Duration,
}

/// What a guest said of each work that it was asked about, or why it said nothing.
type Said = Result<Vec<Result<Answer, Refusal>>, Failure>;

impl Callee {
    pub(crate) fn new(track: Track, shared: Arc<Shared>) -> Self {
        Self { track, shared, idle: Idle::default(), doubts: Doubts::default() }
    }

    /// Makes the call: what came of it, and a report that lacks an outcome. Waits for a free instance when all are in use.
    pub(crate) async fn call(
        self: &Arc<Self>,
        plugin: &ResolverName,
        call: Call,
        host: Arc<dyn GuestHost>,
        sandbox: Sandbox,
    ) -> (Said, CallReport) {
        let lane = Lane::new(Arc::clone(&self.doubts));
        // Never closed, so never an error.
        let permit = Arc::clone(&self.shared.calls).acquire_owned().await.ok();
        let (this, plugin) = (Arc::clone(self), plugin.clone());
        let call = this.answer(plugin, call, host, sandbox, permit, Arc::clone(&lane));
        let (said, spent) = lane.drive(Box::pin(call)).await;
        let doubts = |doubts: u32| Some(if said.is_err() { DOUBTS } else { doubts.saturating_sub(1) });
        let _ = self.doubts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, doubts);
        (said, spent)
    }

    async fn answer(
        self: Arc<Self>,
        plugin: ResolverName,
        Call { job, question, wall }: Call,
        host: Arc<dyn GuestHost>,
        sandbox: Sandbox,
        // Held until the store is gone, which is declared later and so dropped before.
        _permit: Option<OwnedSemaphorePermit>,
        lane: Arc<Lane>,
    ) -> (Said, CallReport) {
        let who = (plugin.as_str(), job.as_str());
        let (mut store, live, kept) = match self.idle.take(&sandbox) {
            Some(Kept { mut store, live, use_of }) => {
                store.data_mut().begin(who, host, sandbox, wall, lane);
                prepare(&mut store);
                (store, Some(live), Some(use_of))
            }
            None => (Guest::new(who, host, sandbox, wall, lane).into_store(&self.shared), None, None),
        };
        // In its place, because a future that is moved is held twice.
        let result = timeout(wall, async {
            let live = match live {
                Some(live) => live,
                None => self.track.instantiate(&mut store).await?,
            };
            let said = live.ask(&mut store, &question).await?;
            let (given, wanted) = (said.len(), question.works());
            // In the words of a failure that breaks the interface.
            wasmtime::ensure!(
                given == wanted,
                "resolve-many was asked about {wanted} works and gave {given} answers"
            );
            // An answer that was given for want of them is none: fewer works may have enough.
            wasmtime::ensure!(
                wanted == 1 || !store.data().outbound.is_spent(),
                "resolve-many was asked about {wanted} works and wanted more requests or bytes than a call has"
            );
            Ok((said, live))
        })
        .await;
        let (said, answered) = match judged(result, store.data()) {
            Ok((said, live)) => {
                let answered = said.iter().all(Result::is_ok).then_some(live);
                (Ok(said), answered)
            }
            Err(failure) => (Err(failure), None),
        };
        let guest = store.data_mut();
        guest.log_refusals();
        // What it began to send and did not wait for ends with the call, so its instance ends too.
        let answered = answered.filter(|_| guest.outbound.is_idle());
        let spent = CallReport {
            outcome: Ok(Resolution::default()),
            extra: Vec::new(),
            cpu: guest.cpu,
            wall: guest.began.elapsed(),
            peak_memory: guest.memory.peak as u64,
            requests: guest.outbound.sent(),
            waited: guest.outbound.waited(),
            rate_limited: guest.outbound.rate_limited(),
            log: guest.log.finish(),
        };
        if let Some(live) = answered {
            self.idle.keep(&self.shared, &sandbox, kept, (store, live));
        }
        (said, spent)
    }
}

/// What came of a call, told with the accounts of the guest that made it.
pub(crate) fn judged<T>(result: Result<wasmtime::Result<T>, Elapsed>, guest: &Guest) -> Result<T, Failure> {
    match result {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(failure::of_error(&error, guest)),
        Err(_) => Err(failure::out_of_wall(guest)),
    }
}
