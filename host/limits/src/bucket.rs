//! Token buckets: a rate with a burst, exact to the nanosecond.
//!
//! In any window `w`, at most `burst + rate * w` tokens are had. Must never count in floating point: a
//! rounding error repeated a million times is a second burst.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gleaner_model::units::Rate;
use std::num::NonZeroU32;
use tokio::time::Instant;

/// A token bucket that threads may share.
#[derive(Debug)]
pub struct TokenBucket(Mutex<Bucket>);

impl TokenBucket {
    /// A bucket that holds nothing yet: the first token comes after one interval of the rate. So every
    /// process starts, or a restart would be a second burst.
    pub fn empty(rate: Rate, burst: NonZeroU32) -> Self {
        Self(Mutex::new(Bucket::empty_at(rate, burst, Instant::now())))
    }

    /// A bucket that holds its whole burst.
    pub fn full(rate: Rate, burst: NonZeroU32) -> Self {
        let mut bucket = Bucket::empty_at(rate, burst, Instant::now());
        bucket.refund(burst.get());
        Self(Mutex::new(bucket))
    }

    /// Takes `n` tokens, all or none.
    ///
    /// # Errors
    /// How long until so many will be there; [`Duration::MAX`] when `n` is more than the burst.
    pub fn consume(&self, n: u32) -> Result<(), Duration> {
        self.lock().consume(n, Instant::now())
    }

    /// Gives back tokens that were taken and not used. What exceeds the burst is lost.
    pub fn refund(&self, n: u32) {
        self.lock().refund(n);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Bucket> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The arithmetic, for whoever has exclusive access and knows the time.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    /// Nanoseconds between two tokens, rounded up so that the rate is never exceeded.
    interval: i128,
    burst: u32,
    origin: Instant,
    /// When the level was (or, in debt, will be) zero, in nanoseconds since `origin`. The level at a time is
    /// the number of intervals since then, at most `burst`.
    zero: i128,
}

impl Bucket {
    pub(crate) fn empty_at(rate: Rate, burst: NonZeroU32, at: Instant) -> Self {
        let interval = nanos(rate.per).max(1).div_ceil(u128::from(rate.count.get()));
        Self { interval: signed(interval), burst: burst.get(), origin: at, zero: 0 }
    }

    pub(crate) fn consume(&mut self, n: u32, now: Instant) -> Result<(), Duration> {
        match self.wait(n, now) {
            Duration::ZERO => {
                self.zero = self.zero.max(self.full_since(now)) + i128::from(n) * self.interval;
                Ok(())
            }
            wait => Err(wait),
        }
    }

    pub(crate) fn refund(&mut self, n: u32) {
        self.zero -= i128::from(n) * self.interval;
    }

    /// Whether so many tokens more would not have found room in it.
    pub(crate) fn would_overflow(&self, n: u32, now: Instant) -> bool {
        self.zero - self.full_since(now) < i128::from(n) * self.interval
    }

    /// Whole tokens in the bucket.
    pub(crate) fn level(&self, now: Instant) -> u32 {
        let since = self.at(now) - self.zero.max(self.full_since(now));
        u32::try_from(since.max(0) / self.interval).unwrap_or(self.burst)
    }

    /// How long until there are `n` tokens, if nobody takes any; more than the burst will never be there.
    pub(crate) fn wait(&self, n: u32, now: Instant) -> Duration {
        if n > self.burst { Duration::MAX } else { self.queue_wait(n, now) }
    }

    /// How long until the `n`th token from now on comes, if all before it are taken as they come.
    pub(crate) fn queue_wait(&self, n: u32, now: Instant) -> Duration {
        let zero = self.zero.max(self.full_since(now));
        let missing = zero + i128::from(n) * self.interval - self.at(now);
        Duration::from_nanos(u64::try_from(missing.max(0)).unwrap_or(u64::MAX))
    }

    /// Another rate and burst from now on; what is in the bucket stays, up to the new burst.
    pub(crate) fn change(&mut self, rate: Rate, burst: NonZeroU32, now: Instant) {
        let (level, debt) = (self.level(now), self.zero > self.at(now));
        let next = Self::empty_at(rate, burst, now);
        let held = i128::from(level.min(burst.get())) * next.interval;
        let owed = if debt { self.zero - self.at(now) } else { 0 };
        *self = Self { zero: owed - held, ..next };
    }

    /// An older zero than this would mean more than `burst` tokens.
    fn full_since(&self, now: Instant) -> i128 {
        self.at(now) - i128::from(self.burst) * self.interval
    }

    fn at(&self, now: Instant) -> i128 {
        signed(nanos(now.saturating_duration_since(self.origin)))
            - signed(nanos(self.origin.saturating_duration_since(now)))
    }
}

fn nanos(duration: Duration) -> u128 {
    duration.as_nanos()
}

fn signed(nanos: u128) -> i128 {
    i128::try_from(nanos).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    fn count(n: u32) -> NonZeroU32 {
        NonZeroU32::new(n).unwrap()
    }

    /// Known mistake 14: "1 per 3 seconds" was taken for 1 per second.
    #[tokio::test(start_paused = true)]
    async fn one_per_three_seconds() {
        let bucket = TokenBucket::empty(rate("1/3s"), count(1));
        assert_eq!(bucket.consume(1), Err(Duration::from_secs(3)));
        tokio::time::advance(Duration::from_millis(2999)).await;
        assert_eq!(bucket.consume(1), Err(Duration::from_millis(1)));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(bucket.consume(1), Ok(()));
        assert_eq!(bucket.consume(1), Err(Duration::from_secs(3)));
    }

    #[tokio::test(start_paused = true)]
    async fn refunds_return_up_to_the_burst() {
        let bucket = TokenBucket::full(rate("1/s"), count(2));
        assert_eq!(bucket.consume(2), Ok(()));
        bucket.refund(1);
        assert_eq!(bucket.consume(1), Ok(()));
        bucket.refund(50);
        assert_eq!(bucket.consume(2), Ok(()));
        assert_eq!(bucket.consume(1), Err(Duration::from_secs(1)));
        assert_eq!(bucket.consume(3), Err(Duration::MAX));
    }

    #[test]
    fn threads_share_what_there_is() {
        let bucket = TokenBucket::full(rate("1/30d"), count(100));
        let had: u32 = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| (0..50).filter(|_| bucket.consume(1).is_ok()).count() as u32))
                .collect();
            takers.into_iter().map(|taker| taker.join().unwrap()).sum()
        });
        assert_eq!(had, 100);
    }

    #[test]
    fn a_changed_rate_keeps_the_tokens() {
        let start = Instant::now();
        let mut bucket = Bucket::empty_at(rate("1/s"), count(5), start);
        let now = start + Duration::from_secs(4);
        bucket.change(rate("1/10s"), count(3), now);
        assert_eq!(bucket.level(now), 3);
        assert_eq!(bucket.consume(3, now), Ok(()));
        assert_eq!(bucket.consume(1, now), Err(Duration::from_secs(10)));
    }

    proptest! {
        /// In any window w: consumed - refunded <= burst + rate * w.
        #[test]
        fn no_window_sees_more_than_its_share(
            per_ms in 1_u64..5000, n in 1_u32..50, burst in 1_u32..20, full in any::<bool>(),
            steps in prop::collection::vec((0_u64..3000, 1_u32..6, any::<bool>()), 1..80),
        ) {
            let given = Rate { count: count(n), per: Duration::from_millis(per_ms) };
            let mut now = Instant::now();
            let mut bucket = Bucket::empty_at(given, count(burst), now);
            if full { bucket.refund(burst) }
            let mut had: Vec<(Instant, u32)> = Vec::new();
            for (pause, wanted, refund) in steps {
                now += Duration::from_millis(pause);
                let level = bucket.level(now);
                match bucket.consume(wanted, now) {
                    Ok(()) if refund => {
                        bucket.refund(wanted);
                        prop_assert_eq!(bucket.level(now), level);
                    }
                    Ok(()) => had.push((now, wanted)),
                    Err(wait) => {
                        prop_assert!(level < wanted && wait > Duration::ZERO);
                        if wanted <= burst {
                            prop_assert_eq!(bucket.clone().consume(wanted, now + wait), Ok(()));
                        }
                    }
                }
            }
            for (first, (start, _)) in had.iter().enumerate() {
                let mut sum = 0_u128;
                for (at, taken) in &had[first..] {
                    sum += u128::from(*taken);
                    let window = nanos(at.duration_since(*start));
                    prop_assert!(sum * nanos(given.per) <= u128::from(burst) * nanos(given.per) + u128::from(n) * window);
                }
            }
        }
    }
}
