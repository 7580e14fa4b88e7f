//! How fast a body comes: what is too slow, and when that is said.
//!
//! Must never hold the time that this machine's disk takes against a server: only waiting for bytes counts.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use gleaner_model::reason::{Failure, Reason};
use gleaner_model::units::ByteSize;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::download::ByteSource;

/// Bytes in a second, written as a size in a second: `1KiB/s`. `0/s` is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Speed(pub u64);

impl TryFrom<String> for Speed {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let size = text.trim().strip_suffix("/s").and_then(|size| size.trim_end().parse::<ByteSize>().ok());
        size.map(|size| Self(size.0))
            .ok_or_else(|| format!("{text:?} is not a speed: write it like 512/s, 1KiB/s or 2MiB/s"))
    }
}

impl From<Speed> for String {
    fn from(speed: Speed) -> Self {
        speed.to_string()
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", ByteSize(self.0))
    }
}

/// Watches a body.
#[derive(Debug)]
pub(crate) struct Meter {
    lowest: Speed,
    window: Duration,
    waited: Duration,
    bytes: u64,
}

impl Meter {
    /// A body must come at `lowest` or faster in each `window` of waiting.
    pub(crate) fn new(lowest: Speed, window: Duration) -> Self {
        Self { lowest, window, waited: Duration::ZERO, bytes: 0 }
    }

    /// The next bytes of the source.
    ///
    /// # Errors
    /// `timeout` when too little came in a window; what the source says.
    pub(crate) async fn chunk(&mut self, source: &mut impl ByteSource) -> Result<Option<Bytes>, Failure> {
        let mut next = std::pin::pin!(source.chunk());
        loop {
            let began = Instant::now();
            let outcome = tokio::time::timeout(self.window - self.waited, next.as_mut()).await;
            self.waited += began.elapsed();
            if let Ok(Ok(Some(chunk))) = &outcome {
                self.bytes += chunk.len() as u64;
            }
            if self.waited >= self.window {
                let wanted = u128::from(self.lowest.0) * self.window.as_millis() / 1000;
                if u128::from(self.bytes) < wanted && !matches!(outcome, Ok(Ok(None))) {
                    return Err(self.too_slow());
                }
                (self.waited, self.bytes) = (Duration::ZERO, 0);
            }
            if let Ok(outcome) = outcome {
                return outcome;
            }
        }
    }

    fn too_slow(&self) -> Failure {
        let (bytes, seconds, lowest) = (self.bytes, self.window.as_secs_f64(), self.lowest);
        let detail = format!("{bytes} bytes in {seconds} s, content.lowest-speed is {lowest}");
        Failure::transient(Reason::Timeout, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many bytes every second, without end.
    struct Drip(usize);

    impl ByteSource for Drip {
        async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(Some(Bytes::from(vec![0; self.0])))
        }
    }

    #[test]
    fn a_speed_is_written_as_a_size_in_a_second() {
        for (text, bytes) in [("1KiB/s", 1024), ("0/s", 0), ("512 /s", 512)] {
            assert_eq!(Speed::try_from(text.to_owned()), Ok(Speed(bytes)));
        }
        assert_eq!(Speed(2048).to_string(), "2KiB/s");
        for text in ["1KiB", "5", "/s", "1KiB/m", "-1/s"] {
            assert!(Speed::try_from(text.to_owned()).unwrap_err().contains("1KiB/s"), "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_too_slowly_for_a_window_is_cut_and_what_is_fast_enough_is_not() {
        let window = Duration::from_secs(10);
        for (drip, lasts) in [(1023, false), (1024, true), (5000, true)] {
            let mut meter = Meter::new(Speed(1024), window);
            let mut source = Drip(drip);
            let mut outcome = Ok(None);
            for _ in 0..45 {
                outcome = meter.chunk(&mut source).await;
                if outcome.is_err() {
                    break;
                }
            }
            assert_eq!(outcome.is_ok(), lasts, "{drip}: {outcome:?}");
            if let Err(failure) = outcome {
                assert_eq!(failure.reason, Reason::Timeout);
                assert!(failure.detail.contains("content.lowest-speed is 1KiB/s"), "{}", failure.detail);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_without_a_lowest_speed_may_take_its_time() {
        let mut meter = Meter::new(Speed(0), Duration::from_millis(300));
        assert!(meter.chunk(&mut Drip(1)).await.is_ok());
    }
}
