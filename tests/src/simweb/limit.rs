//! Whether what a host saw kept a limit: requests in flight, and requests in every window of time.
//!
//! Must never know who asked or why: it judges what arrived.

use std::str::FromStr;
use std::time::Duration;

use super::record::HostReport;

/// How late a request may be on its way. Those behind it seem to come faster then, which is nobody's fault.
const LATE: Duration = Duration::from_millis(50);

/// A limit that a host was promised: at most so many requests in flight, and in any window `w` at most
/// `burst + per_second * w` of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HostLimit {
    /// Requests in flight.
    pub concurrency: usize,
    /// Requests a second.
    pub per_second: f64,
    /// Requests that may come at once.
    pub burst: f64,
}

impl FromStr for HostLimit {
    type Err = String;

    /// `CONCURRENCY,PER_SECOND,BURST`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not CONCURRENCY,PER_SECOND,BURST, like 2,20,3");
        let [concurrency, per_second, burst] = text.split(',').collect::<Vec<_>>()[..] else {
            return Err(wrong());
        };
        let number = |text: &str| text.parse::<f64>().map_err(|_| wrong());
        Ok(Self {
            concurrency: concurrency.parse().map_err(|_| wrong())?,
            per_second: number(per_second)?,
            burst: number(burst)?,
        })
    }
}

impl HostLimit {
    /// How often the limit was broken: every request that ended a window with too many, and every one in flight
    /// beyond the cap when most were.
    pub fn violations(&self, seen: &HostReport) -> usize {
        let allowed = self.burst + self.per_second * LATE.as_secs_f64();
        // The fullest window that ends with a request grows by that request, and drains at the rate between two.
        let (mut level, mut before, mut too_fast) = (0.0_f64, None, 0);
        for request in &seen.requests {
            let pause = before.map_or(Duration::ZERO, |before| request.at - before);
            level = (level - self.per_second * pause.as_secs_f64()).max(0.0) + 1.0;
            before = Some(request.at);
            too_fast += usize::from(level > allowed);
        }
        too_fast + seen.most_in_flight.saturating_sub(self.concurrency)
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Seen;
    use super::*;

    const LIMIT: HostLimit = HostLimit { concurrency: 2, per_second: 10.0, burst: 3.0 };

    fn seen(arrivals_ms: impl IntoIterator<Item = u64>, most_in_flight: usize) -> HostReport {
        let request = |ms| Seen {
            at: Duration::from_millis(ms),
            method: "GET".into(),
            scheme: "https",
            version: "HTTP/1.1".into(),
            target: "/".into(),
            user_agent: None,
            headers: vec![],
        };
        let requests = arrivals_ms.into_iter().map(request).collect();
        HostReport { requests, most_in_flight, min_interval: None, calls: 0 }
    }

    #[test]
    fn a_burst_and_then_the_rate_is_kept() {
        assert_eq!(LIMIT.violations(&seen([], 0)), 0);
        assert_eq!(LIMIT.violations(&seen([0, 0, 0, 100, 200, 300, 400], 2)), 0);
        // What was saved up may come at once, after any pause.
        assert_eq!(LIMIT.violations(&seen([0, 5000, 5001, 5002, 5102], 1)), 0);
    }

    #[test]
    fn one_that_was_late_is_no_violation() {
        assert_eq!(LIMIT.violations(&seen([40, 40, 40, 100, 200, 300], 1)), 0);
    }

    #[test]
    fn more_than_the_rate_or_the_cap_is_counted() {
        assert_eq!(LIMIT.violations(&seen([0, 0, 0, 0], 1)), 1);
        // Twice the rate: the fourth request is one too many for its window, and so is each one after it.
        assert!(LIMIT.violations(&seen((0..20).map(|n| n * 50), 1)) > 10);
        // A second burst, as after a restart that forgot the first.
        assert_eq!(LIMIT.violations(&seen([0, 0, 0, 100, 100, 100], 1)), 2);
        assert_eq!(LIMIT.violations(&seen([0], 5)), 3);
    }

    #[test]
    fn it_is_read_as_it_is_written() {
        assert_eq!("2,10,3".parse(), Ok(LIMIT));
        for wrong in ["", "2,10", "2,10,3,4", "a,10,3", "2,,3"] {
            assert!(wrong.parse::<HostLimit>().is_err(), "{wrong}");
        }
    }
}
