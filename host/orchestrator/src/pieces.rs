//! Everything that a run is made of, in one place that its tasks share.
//!
//! Holds no logic: who does what stands in the modules that use it.

use std::collections::HashSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gleaner_content::Content;
use gleaner_model::backoff::Backoff;
use gleaner_model::clock::UnixMillis;
use gleaner_model::job::JobId;
use gleaner_model::key::Key;
use gleaner_model::manifest::RunIdentity;
use gleaner_model::plan::{Plan, Step};
use gleaner_store::{Library, StoreError, WorkQueue};
use gleaner_telemetry::{Event, Observer};
use tokio::sync::Semaphore;

use crate::config::OrchestratorConfig;
use crate::line::Lines;
use crate::pace::Paces;
use crate::reserve::Seats;
use crate::running::Running;
use crate::schedule::Schedule;
use crate::sharing::Sharing;
use crate::sources::Sources;

/// The parts of a run.
pub struct Pieces {
    pub(crate) queue: Arc<dyn WorkQueue>,
    pub(crate) library: Library,
    pub(crate) sources: Sources,
    pub(crate) content: Content,
    pub(crate) config: OrchestratorConfig,
    pub(crate) backoff: Backoff,
    pub(crate) identity: RunIdentity,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) running: Running,
    /// Plugin calls that may still start.
    pub(crate) workers: Arc<Semaphore>,
    /// Downloads that may still start.
    pub(crate) fetches: Arc<Semaphore>,
    /// Who holds how many of them.
    pub(crate) seats: Arc<Seats>,
    /// Jobs that wait for permits of their hosts.
    pub(crate) lines: Lines,
    /// Which keys may run. Never locked while another lock is asked for.
    pub(crate) schedule: Mutex<Schedule>,
    /// When the next job falls due, as far as is known.
    pub(crate) next_due: Mutex<Option<UnixMillis>>,
    /// When it was last said that the disk has too little space.
    pub(crate) no_space_said: Mutex<Option<tokio::time::Instant>>,
    /// How long calls take.
    pub(crate) paces: Paces,
    /// Which keys are this process's to use.
    pub(crate) sharing: Arc<Sharing>,
    /// Jobs whose end somebody waits for.
    pub(crate) awaited: Mutex<HashSet<JobId>>,
    /// Set once the run ends: no further step begins, not even under a lease in hand.
    pub(crate) winding_down: AtomicBool,
}

/// What the mutex holds, also after a panic elsewhere: none of these can be half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pieces {
    /// Puts a run together.
    pub fn new(
        sources: Sources,
        library: Library,
        content: Content,
        config: OrchestratorConfig,
        identity: RunIdentity,
        observer: Arc<dyn Observer>,
    ) -> Arc<Self> {
        let sharing = Sharing::new(library.clone(), Arc::clone(&sources.clock));
        let seats = Arc::new(Seats::new(sources.limiter.changes()));
        Arc::new(Self {
            sources,
            sharing,
            queue: Arc::new(library.clone()),
            library,
            content,
            backoff: Backoff::from_base(config.backoff.0),
            workers: Arc::new(Semaphore::new(config.workers.get().into())),
            fetches: Arc::new(Semaphore::new(config.max_fetches.get().into())),
            seats,
            config,
            identity,
            observer,
            running: Running::default(),
            lines: Lines::default(),
            schedule: Mutex::default(),
            next_due: Mutex::default(),
            no_space_said: Mutex::default(),
            paces: Paces::default(),
            awaited: Mutex::default(),
            winding_down: AtomicBool::new(false),
        })
    }

    /// Logs the event and tells who listens. Only after the commit that made it true.
    pub(crate) fn tell(&self, event: &Event) {
        if let Event::Job(ended) = event {
            lock(&self.awaited).remove(&ended.job);
        }
        event.trace();
        gleaner_telemetry::metrics().on(event);
        self.observer.on(event);
    }

    /// How many jobs this process works on now.
    pub fn inflight(&self) -> u64 {
        self.running.count()
    }

    /// What a step is limited by. Hosts that share a limit have one key, so that their jobs wait in one line.
    pub(crate) fn key_of(&self, plan: &Plan, step: &Step) -> Key {
        self.sources.limiter.canonical(&plan.key(step))
    }
}

/// Why a run broke off.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The library could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The library's disk refused a file.
    #[error("{detail}; make it writable or make room and run again, nothing is lost")]
    Files {
        /// What was tried, with which file, and what the system said.
        detail: String,
    },
    /// The task that keeps leases alive died: a bug, and no lease can be trusted any more.
    #[error("the heartbeat task panicked; the run stops, and its leases are free at the next start")]
    Heartbeat,
}
