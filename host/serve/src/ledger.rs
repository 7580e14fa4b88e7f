//! What the run beside the server told since it began: calls of plugins, the last failures, what was loaded anew.
//!
//! Must never grow with the number of jobs or hosts.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gleaner_model::clock::SharedClock;
use gleaner_model::job::{JobId, JobState};
use gleaner_model::reason::Reason;
use gleaner_telemetry::{Event, Observer, StepEnded, StepKind};
use schemars::JsonSchema;
use serde::Serialize;

/// Failures and reloads that are remembered.
const REMEMBERED: usize = 20;
/// Plugins whose calls are counted; more cannot be installed by hand.
const MOST_PLUGINS: usize = 1000;

/// Calls of a plugin since the server began.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub(crate) struct Calls {
    /// How many ended.
    pub(crate) calls: u64,
    /// How many of them failed, whoever's fault it was.
    pub(crate) failures: u64,
    /// All of them together, in milliseconds, with the requests they sent.
    pub(crate) total_ms: u64,
    /// The longest, in milliseconds.
    pub(crate) longest_ms: u64,
    /// Why the last one failed that did.
    pub(crate) last_failure: Option<String>,
}

impl Calls {
    /// How long one took on average, in milliseconds.
    pub(crate) fn mean_ms(&self) -> Option<u64> {
        self.total_ms.checked_div(self.calls)
    }
}

/// A job that ended by failure.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct LastFailure {
    /// Which.
    pub(crate) job: JobId,
    /// Its work.
    pub(crate) artifact_id: String,
    /// Why.
    #[schemars(with = "String")]
    pub(crate) reason: Reason,
    /// What more there is to say.
    pub(crate) detail: String,
    /// RFC 3339.
    pub(crate) at: String,
}

/// Something that was loaded anew, or was not.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Reloaded {
    /// RFC 3339.
    pub(crate) at: String,
    /// What.
    pub(crate) says: String,
}

/// The ledger.
pub struct Ledger {
    clock: SharedClock,
    /// Events so far: who has seen that many has nothing new to see.
    events: AtomicU64,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    calls: BTreeMap<String, Calls>,
    failures: VecDeque<LastFailure>,
    reloads: VecDeque<Reloaded>,
}

impl Ledger {
    /// An empty one.
    pub fn new(clock: SharedClock) -> Arc<Self> {
        Arc::new(Self { clock, events: AtomicU64::new(0), kept: Mutex::default() })
    }

    /// Notes what was loaded anew, or why it was not.
    pub fn reloaded(&self, says: String) {
        let at = self.clock.now().to_string();
        push(&mut self.kept().reloads, Reloaded { at, says });
        self.events.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    pub(crate) fn calls(&self, plugin: &str) -> Calls {
        self.kept().calls.get(plugin).cloned().unwrap_or_default()
    }

    /// The last first.
    pub(crate) fn failures(&self) -> Vec<LastFailure> {
        self.kept().failures.iter().rev().cloned().collect()
    }

    /// The last first.
    pub(crate) fn reloads(&self) -> Vec<Reloaded> {
        self.kept().reloads.iter().rev().cloned().collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn push<T>(list: &mut VecDeque<T>, one: T) {
    if list.len() == REMEMBERED {
        list.pop_front();
    }
    list.push_back(one);
}

impl Kept {
    fn step(&mut self, step: &StepEnded) {
        if step.kind != StepKind::Resolve
            || (self.calls.len() >= MOST_PLUGINS && !self.calls.contains_key(&step.resolver))
        {
            return;
        }
        let calls = self.calls.entry(step.resolver.clone()).or_default();
        let took = u64::try_from(step.took.as_millis()).unwrap_or(u64::MAX);
        calls.calls += 1;
        calls.total_ms = calls.total_ms.saturating_add(took);
        calls.longest_ms = calls.longest_ms.max(took);
        if step.reason != Reason::Ok {
            calls.failures += 1;
            calls.last_failure = Some(format!("{} {}", step.reason, step.detail).trim().to_owned());
        }
    }
}

impl Observer for Ledger {
    fn on(&self, event: &Event) {
        self.events.fetch_add(1, Ordering::Relaxed);
        match event {
            Event::Step(step) => self.kept().step(step),
            Event::Job(job) if job.state == JobState::Error => {
                let failure = LastFailure {
                    job: job.job,
                    artifact_id: job.artifact.clone(),
                    reason: job.reason,
                    detail: job.detail.clone(),
                    at: self.clock.now().to_string(),
                };
                push(&mut self.kept().failures, failure);
            }
            _ => {}
        }
    }
}
