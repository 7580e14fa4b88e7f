//! How many tasks end, and so whether to look at each end when it comes.
//!
//! The end of a task that leaves no room changes nothing, and to be woken for each costs as much as a small job. Must never
//! keep an end from being looked at for longer than [`COLLECT`].

use std::time::Duration;

use tokio::time::Instant;

/// While more tasks than these end in such a time, they are collected once in it, or when anything else changes.
const FEW: u32 = 8;
pub(crate) const COLLECT: Duration = Duration::from_millis(10);

/// The ends of the current span of time.
pub(crate) struct Ends {
    since: Instant,
    count: u32,
    are_few: bool,
}

impl Ends {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self { since: Instant::now(), count: 0, are_few: true }
    }

    /// One more.
    pub(crate) fn note(&mut self) {
        self.count += 1;
    }

    /// Whether they are few, as far as is known.
    pub(crate) fn are_few(&mut self) -> bool {
        if self.since.elapsed() >= COLLECT {
            *self = Self { since: Instant::now(), count: 0, are_few: self.count <= FEW };
        }
        self.are_few
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_are_collected_and_few_are_not() {
        let mut ends = Ends::new();
        (0..100).for_each(|_| ends.note());
        assert!(ends.are_few(), "not yet known");
        tokio::time::advance(COLLECT).await;
        assert!(!ends.are_few());
        (0..FEW).for_each(|_| ends.note());
        tokio::time::advance(COLLECT / 2).await;
        assert!(!ends.are_few(), "as in the span before");
        tokio::time::advance(COLLECT).await;
        assert!(ends.are_few());
    }
}
