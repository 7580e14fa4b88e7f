//! What every answer is made from.
//!
//! Must never hold what the library holds; what is kept is counted and of a moment.

use std::path::PathBuf;
use std::sync::Arc;

use gleaner_desk::{Look, Rules, Setting};
use gleaner_model::clock::{SharedClock, UnixMillis};
use gleaner_orchestrator::{Live, Stop};
use gleaner_store::Library;
use tokio::sync::{Semaphore, watch};

use crate::config::Token;
use crate::guard::Access;
use crate::ledger::Ledger;
use crate::live::Pulse;
use crate::overview::Counted;

/// Answers made at a time; others wait for their turn, so that a run has readers of its own.
const AT_A_TIME: usize = 8;

/// What holds of the configuration.
#[derive(Debug, Clone)]
pub struct InForce {
    /// For views.
    pub rules: Rules,
    /// Every value with its origin, as it is shown.
    pub settings: Vec<Setting>,
    /// The file it was read from.
    pub file: Option<PathBuf>,
    /// Its hash.
    pub hash: String,
}

/// What the server is put together from.
pub struct Parts {
    /// Where it listens, and who may ask.
    pub config: crate::ServeConfig,
    /// What everybody has to show, as it changes.
    pub token: watch::Receiver<Token>,
    /// The library.
    pub library: Library,
    /// The time.
    pub clock: SharedClock,
    /// Plugins and plan.
    pub live: Arc<Live>,
    /// The configuration, as it changes.
    pub in_force: watch::Receiver<Arc<InForce>>,
    /// What the run tells.
    pub ledger: Arc<Ledger>,
}

/// The server's state; clones share it.
pub(crate) type Site = Arc<Inner>;

pub(crate) struct Inner {
    pub(crate) access: Access,
    pub(crate) library: Library,
    pub(crate) clock: SharedClock,
    pub(crate) live: Arc<Live>,
    pub(crate) in_force: watch::Receiver<Arc<InForce>>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) counted: Counted,
    pub(crate) pulse: Pulse,
    pub(crate) stop: watch::Receiver<Stop>,
    pub(crate) started: UnixMillis,
    pub(crate) turns: Semaphore,
}

impl Inner {
    pub(crate) fn new(parts: Parts, access: Access, stop: watch::Receiver<Stop>) -> Site {
        let Parts { library, clock, live, in_force, ledger, .. } = parts;
        let (counted, pulse) = (Counted::default(), Pulse::default());
        let (started, turns) = (clock.now(), Semaphore::new(AT_A_TIME));
        Arc::new(Self {
            access,
            library,
            clock,
            live,
            in_force,
            ledger,
            counted,
            pulse,
            stop,
            started,
            turns,
        })
    }

    /// What the configuration says now.
    pub(crate) fn in_force(&self) -> Arc<InForce> {
        Arc::clone(&self.in_force.borrow())
    }

    /// One look, by these rules.
    pub(crate) fn look<'a>(&'a self, rules: &'a Rules) -> Look<'a> {
        Look { library: &self.library, rules, now: self.clock.now() }
    }
}
