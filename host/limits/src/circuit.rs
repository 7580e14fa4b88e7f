//! Whether a key's upstream fails so often in a row that it is left alone, and then tried by one request.
//!
//! The pause itself is the key's cooldown: there is one mechanism for "not before". This is about what an upstream
//! does; plugins that fail by their own doing are suspended by the orchestrator. Must never count an answer that says
//! that something is not there.

use std::num::NonZeroU32;
use std::time::Duration;

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerRule {
    /// Failures in a row.
    pub after: NonZeroU32,
    /// From then until one request is let through.
    pub pause: Duration,
}

/// The breaker of one key.
#[derive(Debug, Default)]
pub(crate) struct Circuit {
    failures: u32,
    is_broken: bool,
}

impl Circuit {
    /// Counts a failure; returns the pause if the breaker opens. `is_paused`: the request is from before the pause.
    pub(crate) fn failed(&mut self, rule: BreakerRule, is_paused: bool) -> Option<Duration> {
        if is_paused {
            return None;
        }
        self.failures = self.failures.saturating_add(1);
        self.is_broken |= self.failures >= rule.after.get();
        self.is_broken.then_some(rule.pause)
    }

    /// The upstream works.
    pub(crate) fn worked(&mut self) {
        *self = Self::default();
    }

    /// Takes in that it was opened before a restart, or by another process.
    pub(crate) fn was_broken(&mut self) {
        self.is_broken = true;
    }

    /// Open, or, once the pause is over, half open: one request at a time.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Nothing is left to remember.
    pub(crate) fn is_whole(&self) -> bool {
        !self.is_broken && self.failures == 0
    }
}
