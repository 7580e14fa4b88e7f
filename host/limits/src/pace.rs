//! How much of its limit a key uses: less after its upstream shows strain, more again with every answer.
//!
//! Additive increase, multiplicative decrease (as RFC 5681, section 3.1, for TCP). Must never give more than the
//! limit, nor so little that the key never recovers.

use std::num::NonZeroU32;
use std::time::Duration;

use gleaner_model::units::Rate;
use tokio::time::Instant;

use crate::rules::Limit;

/// The whole limit, in parts.
const WHOLE: u32 = 64;
/// The least: a sixteenth of the rate, and one at a time.
const LEAST: u32 = 4;
/// What is added after so many answers.
const STEP: u32 = 4;
const ANSWERS: u32 = 4;
/// Signs of strain that come together are one.
const TOGETHER: Duration = Duration::from_secs(2);
/// Nothing is left of it after so long without strain and use.
const FORGIVEN_AFTER: Duration = Duration::from_secs(30 * 60);

/// The share of one key.
#[derive(Debug)]
pub(crate) struct Pace {
    parts: u32,
    answers: u32,
    strained: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { parts: WHOLE, answers: 0, strained: None }
    }
}

impl Pace {
    /// The upstream shows strain: half as much from now on.
    pub(crate) fn strained(&mut self, now: Instant) {
        let is_new = self.strained.is_none_or(|at| now.saturating_duration_since(at) >= TOGETHER);
        if is_new {
            self.parts = (self.parts / 2).max(LEAST);
            self.strained = Some(now);
        }
        self.answers = 0;
    }

    /// The upstream answered well.
    pub(crate) fn answered(&mut self) {
        self.answers += 1;
        if self.answers >= ANSWERS {
            (self.answers, self.parts) = (0, (self.parts + STEP).min(WHOLE));
        }
    }

    /// What is left of a limit. The burst is the limit's: it was saved up at the lower rate.
    pub(crate) fn of(&self, limit: Limit) -> Limit {
        if self.parts == WHOLE {
            return limit;
        }
        let concurrency = NonZeroU32::new(limit.concurrency.get().saturating_mul(self.parts) / WHOLE);
        let slower = |rate: Rate| Rate { per: rate.per.saturating_mul(WHOLE) / self.parts, ..rate };
        let (concurrency, rate) = (concurrency.unwrap_or(NonZeroU32::MIN), limit.rate.map(slower));
        Limit { concurrency, rate, ..limit }
    }

    /// In per cent.
    pub(crate) fn percent(&self) -> u8 {
        u8::try_from(self.parts * 100 / WHOLE).unwrap_or(100)
    }

    /// A new one would behave the same, or the strain is long past.
    pub(crate) fn is_forgiven(&self, now: Instant) -> bool {
        let is_past = |at| now.saturating_duration_since(at) >= FORGIVEN_AFTER;
        self.parts == WHOLE || self.strained.is_none_or(is_past)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limit(concurrency: u32, count: u32, per_ms: u64) -> Limit {
        let some = |n| NonZeroU32::new(n).unwrap();
        let rate = Some(Rate { count: some(count), per: Duration::from_millis(per_ms) });
        Limit { concurrency: some(concurrency), rate, burst: some(count), per_day: None }
    }

    #[test]
    fn strain_halves_and_answers_add() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        pace.strained(now);
        pace.strained(now);
        assert_eq!(pace.percent(), 50, "what comes together counts once");
        assert_eq!(
            pace.of(limit(4, 5, 1000)),
            Limit { burst: NonZeroU32::new(5).unwrap(), ..limit(2, 5, 2000) }
        );
        for _ in 0..ANSWERS {
            pace.answered();
        }
        assert_eq!(pace.percent(), 56);
        for _ in 0..20 {
            now += TOGETHER;
            pace.strained(now);
        }
        assert_eq!(pace.percent(), 6, "a sixteenth is the floor");
        assert!(!pace.is_forgiven(now) && pace.is_forgiven(now + FORGIVEN_AFTER));
    }

    proptest! {
        #[test]
        fn never_above_the_cap_never_below_the_floor_and_always_back(
            concurrency in 1_u32..300, count in 1_u32..300, per_ms in 1_u64..100_000,
            signs in prop::collection::vec((any::<bool>(), 0_u64..5000), 0..200),
        ) {
            let cap = limit(concurrency, count, per_ms);
            let (mut pace, mut now) = (Pace::default(), Instant::now());
            for (is_strain, pause) in signs {
                now += Duration::from_millis(pause);
                let before = pace.percent();
                if is_strain { pace.strained(now) } else { pace.answered() }
                let is_right = if is_strain { pace.percent() <= before } else { pace.percent() >= before };
                prop_assert!(is_right);
                let (is, per) = (pace.of(cap), cap.rate.unwrap().per);
                prop_assert!(is.concurrency <= cap.concurrency && is.burst <= cap.burst);
                let slow = is.rate.unwrap();
                prop_assert!(slow.count == cap.rate.unwrap().count && slow.per >= per && slow.per <= per * 16);
            }
            for _ in 0..WHOLE / STEP * ANSWERS {
                pace.answered();
            }
            prop_assert_eq!(pace.of(cap), cap);
        }
    }
}
