//! What it takes to ask resolvers: whom and how, as it is now, the limits, and the time of day.
//!
//! Knows no job and no library, so that a work can be asked about without either.

use std::sync::Arc;

use gleaner_limits::KeyedLimiter;
use gleaner_model::clock::SharedClock;

use crate::generation::{Generation, Live};

/// The parts that answer "where can this be had?".
pub struct Sources {
    /// Who can be asked, in which order, and through what; may be replaced at any time.
    pub live: Arc<Live>,
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
}
