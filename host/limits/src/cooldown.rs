//! Cooldowns: how long a key pauses because its upstream asked for it.
//!
//! Must never shorten a pause that was asked for, nor charge a host twice for answers that were under way
//! together.

use std::time::Duration;

use tokio::time::Instant;

use crate::limiter::Why;

/// The first pause when the upstream names none; doubles.
const FIRST: Duration = Duration::from_secs(60);
/// The shortest pause: "try again after 0 seconds" still means that this was too much.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest pause, whoever asks for it.
pub(crate) const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// After so long without being asked to pause, the next pause is a first one again.
const FORGIVEN_AFTER: Duration = Duration::from_secs(30 * 60);

/// The pauses of one key.
#[derive(Debug, Default)]
pub(crate) struct Cooldown {
    until: Option<Instant>,
    /// Whether it is ours: its upstream fails, and asked for nothing.
    is_breaker: bool,
    /// Pauses in a row.
    strikes: u32,
    /// Pauses in a row without any other answer between.
    unanswered: u32,
}

impl Cooldown {
    /// The upstream asked to slow down; returns the pause from now on. `Retry-After` wins, else 60 s doubling
    /// with every pause in a row, and up to a tenth more. From the third refusal on with nothing else between,
    /// `Retry-After` is the least: who says "in a second" for ever is not asked every second for ever.
    pub(crate) fn throttled(&mut self, retry_after: Option<Duration>, now: Instant) -> Duration {
        // An answer that arrives during a pause belongs to a request from before it: no new strike.
        if self.left(now).is_none() {
            self.strikes = if self.forgiven(now) { 1 } else { self.strikes.saturating_add(1) };
            self.unanswered = self.unanswered.saturating_add(1);
        }
        let doubled = |times: u32| {
            let doubled = FIRST.saturating_mul(1 << times.min(16));
            doubled.min(LONGEST).mul_f64(1.0 + 0.1 * fastrand::f64())
        };
        let pause = match (retry_after, self.unanswered.checked_sub(3)) {
            (None, _) => doubled(self.strikes.saturating_sub(1)),
            (Some(asked), None) => asked,
            (Some(asked), Some(more)) => asked.max(doubled(more)),
        };
        self.extend(pause.clamp(SHORTEST, LONGEST), Why::Cooldown, now)
    }

    /// The upstream gave another answer than to slow down.
    pub(crate) fn answered(&mut self) {
        self.unanswered = 0;
    }

    /// Pauses at least so long from now on; returns how long.
    pub(crate) fn extend(&mut self, pause: Duration, why: Why, now: Instant) -> Duration {
        if self.until.is_none_or(|until| until < now + pause) {
            self.is_breaker = why == Why::Breaker;
        }
        let until = self.until.map_or(now + pause, |until| until.max(now + pause));
        self.until = Some(until);
        until.duration_since(now)
    }

    /// What is left of the pause.
    pub(crate) fn left(&self, now: Instant) -> Option<Duration> {
        self.until.map(|until| until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// What the pause is for.
    pub(crate) fn why(&self) -> Why {
        if self.is_breaker { Why::Breaker } else { Why::Cooldown }
    }

    /// Nothing is left to remember.
    pub(crate) fn forgiven(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now >= until + FORGIVEN_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn pauses_double_and_are_forgiven() {
        let (mut cooldown, mut now) = (Cooldown::default(), Instant::now());
        for expected in [60, 120, 240, 480] {
            let pause = cooldown.throttled(None, now);
            assert!(pause >= seconds(expected) && pause <= seconds(expected).mul_f64(1.1), "{pause:?}");
            now += pause;
        }
        assert!(!cooldown.forgiven(now + seconds(29 * 60)));
        now += seconds(30 * 60);
        assert!(cooldown.forgiven(now));
        assert!(cooldown.throttled(None, now) <= seconds(66));
    }

    #[test]
    fn a_second_for_ever_becomes_longer_unless_there_are_answers() {
        let (mut cooldown, mut now) = (Cooldown::default(), Instant::now());
        let pauses: Vec<_> = (0..4)
            .map(|_| {
                let pause = cooldown.throttled(Some(seconds(1)), now);
                now += pause;
                pause.as_secs()
            })
            .collect();
        assert_eq!(pauses[..2], [1, 1]);
        assert!((60..=66).contains(&pauses[2]) && (120..=132).contains(&pauses[3]), "{pauses:?}");
        cooldown.answered();
        assert_eq!(cooldown.throttled(Some(seconds(1)), now), seconds(1));
    }

    #[test]
    fn pauses_end_at_a_day() {
        let (mut cooldown, mut now) = (Cooldown::default(), Instant::now());
        for _ in 0..40 {
            now += cooldown.throttled(None, now);
        }
        assert_eq!(cooldown.throttled(None, now), LONGEST);
        assert_eq!(Cooldown::default().throttled(Some(Duration::MAX), now), LONGEST);
    }

    /// Known mistake 14: `Retry-After` was capped at 4 s.
    #[test]
    fn what_the_upstream_asks_for_wins() {
        let now = Instant::now();
        assert_eq!(Cooldown::default().throttled(Some(seconds(3600)), now), seconds(3600));
        assert_eq!(Cooldown::default().throttled(Some(seconds(5)), now), seconds(5));
        assert_eq!(Cooldown::default().throttled(Some(Duration::ZERO), now), SHORTEST);
    }

    #[test]
    fn answers_under_way_together_count_once() {
        let (mut cooldown, now) = (Cooldown::default(), Instant::now());
        for _ in 0..4 {
            assert!(cooldown.throttled(None, now) <= seconds(66));
        }
        assert_eq!(cooldown.throttled(Some(seconds(600)), now), seconds(600));
        assert_eq!(cooldown.throttled(Some(seconds(5)), now), seconds(600), "a pause is never shortened");
    }
}
