//! Back-off: how long a job waits before a failed step is tried again.
//!
//! Must never give a delay beyond its cap, or the same delay to everyone: jobs that failed together must
//! not come back together.

use std::time::Duration;

/// Exponential with full jitter: uniform in `0..=min(cap, base * 2^(failures - 1))`, but never under a
/// tenth of that, so that a retry is never immediate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
}

impl Backoff {
    /// The longest delay, whatever the base.
    pub const CAP: Duration = Duration::from_secs(24 * 3600);

    /// Doubling from `base`, up to [`Self::CAP`].
    pub fn from_base(base: Duration) -> Self {
        Self { base: base.min(Self::CAP), cap: Self::CAP }
    }

    /// The delay after the given number of failures in a row. `retry_after`, what the upstream asked for,
    /// wins over the computed delay, up to the cap.
    pub fn delay(
        &self,
        failures: u32,
        retry_after: Option<Duration>,
        random: &mut fastrand::Rng,
    ) -> Duration {
        if let Some(asked) = retry_after {
            return asked.min(self.cap);
        }
        let doublings = failures.saturating_sub(1).min(32);
        let ceiling =
            self.base.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(self.cap);
        ceiling.mul_f64(0.1 + 0.9 * random.f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_and_stay_under_the_cap() {
        let backoff = Backoff::from_base(Duration::from_secs(60));
        let mut random = fastrand::Rng::with_seed(7);
        for failures in 1..70 {
            let ceiling = 60_u64.saturating_mul(1 << (failures - 1).min(30)).min(86_400);
            let delay = backoff.delay(failures, None, &mut random);
            assert!(delay <= Duration::from_secs(ceiling), "{failures}: {delay:?}");
            assert!(delay >= Duration::from_secs(ceiling) / 10, "{failures}: {delay:?}");
        }
    }

    #[test]
    fn delays_differ() {
        let backoff = Backoff::from_base(Duration::from_secs(60));
        let mut random = fastrand::Rng::with_seed(7);
        let delays: std::collections::HashSet<_> =
            (0..100).map(|_| backoff.delay(3, None, &mut random)).collect();
        assert!(delays.len() > 90);
    }

    #[test]
    fn retry_after_wins_up_to_the_cap() {
        let backoff = Backoff::from_base(Duration::from_secs(60));
        let mut random = fastrand::Rng::new();
        let day = Duration::from_secs(86_400);
        assert_eq!(backoff.delay(1, Some(Duration::from_secs(7)), &mut random), Duration::from_secs(7));
        assert_eq!(backoff.delay(1, Some(day * 30), &mut random), day);
    }
}
