//! What a key used of its budget for the day. Days are UTC's.
//!
//! Must never say that less was used than was: what is written down runs ahead, so that a crash costs a little of the
//! budget and never adds to it.

use std::num::NonZeroU32;
use std::time::Duration;

use gleaner_model::clock::UnixMillis;
use tokio::time::Instant;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// The day of a time, counted from 1970-01-01.
pub fn day_of(at: UnixMillis) -> i64 {
    at.0.div_euclid(DAY_MS)
}

/// The midnight at which a day ends.
pub fn end_of_day(day: i64) -> UnixMillis {
    UnixMillis((day + 1).saturating_mul(DAY_MS))
}

/// The count of one key.
#[derive(Debug, Default)]
pub(crate) struct Daily {
    day: i64,
    used: u32,
    /// What is, or is about to be, written down.
    written: u32,
    ends: Option<Instant>,
}

impl Daily {
    /// Begins a new day when there is one.
    pub(crate) fn look(&mut self, wall: UnixMillis, now: Instant) {
        let day = day_of(wall);
        if self.day != day {
            *self = Self { day, ..Self::default() };
        }
        self.ends = Some(now + wall.until(end_of_day(day)));
    }

    /// How long until there is more, if there is nothing left.
    pub(crate) fn spent(&self, budget: NonZeroU32, now: Instant) -> Option<Duration> {
        let left = self.ends?.saturating_duration_since(now);
        (self.used >= budget.get()).then_some(left.max(Duration::from_millis(1)))
    }

    /// How many are left.
    pub(crate) fn left(&self, budget: NonZeroU32) -> u32 {
        budget.get().saturating_sub(self.used)
    }

    /// Counts one. Whether there is something new to write down.
    pub(crate) fn count(&mut self, budget: NonZeroU32) -> bool {
        self.used = self.used.saturating_add(1);
        let is_ahead = self.used <= self.written;
        if !is_ahead {
            self.written = self.used.saturating_add(budget.get() / 1000);
        }
        !is_ahead
    }

    /// One was not used after all.
    pub(crate) fn give_back(&mut self) {
        self.used = self.used.saturating_sub(1);
    }

    /// Takes in what was written down by an earlier run or another process.
    pub(crate) fn take_in(&mut self, day: i64, used: u32) {
        if day == self.day && used > self.written {
            (self.used, self.written) = (self.used.max(used), used);
        }
    }

    /// The day, and what to write down for it.
    pub(crate) fn to_write(&self) -> (i64, u32) {
        (self.day, self.written)
    }

    /// Nothing is left to remember.
    pub(crate) fn is_empty(&self) -> bool {
        self.used == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_at_midnight() {
        let (noon, now, two) = (UnixMillis(DAY_MS / 2), Instant::now(), NonZeroU32::new(2).unwrap());
        let mut daily = Daily::default();
        daily.look(noon, now);
        assert!(daily.count(two) && daily.count(two));
        let half_a_day = Duration::from_secs(12 * 3600);
        assert_eq!(daily.spent(two, now), Some(half_a_day));
        daily.give_back();
        assert_eq!((daily.spent(two, now), daily.left(two)), (None, 1));
        daily.take_in(0, 5);
        daily.take_in(1, 1);
        assert_eq!(daily.to_write(), (0, 5));
        daily.look(UnixMillis(DAY_MS), now + half_a_day);
        assert_eq!((daily.spent(two, now + half_a_day), daily.to_write()), (None, (1, 0)));
    }

    #[test]
    fn what_is_written_runs_ahead() {
        let (budget, mut daily) = (NonZeroU32::new(10_000).unwrap(), Daily::default());
        let writes = (0..100).filter(|_| daily.count(budget)).count();
        assert_eq!(writes, 10, "one in eleven");
        assert!(daily.to_write().1 >= 100);
    }
}
