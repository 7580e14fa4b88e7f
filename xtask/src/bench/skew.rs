//! `queue.skew_ratio`: whether jobs that may run are slowed down by many that may not.

use super::figure::Figures;
use super::gleaner::Stats;
use super::place::{Filled, Place};
use anyhow::Result;
use std::time::Duration;

/// Between two questions near the end.
const FINE: Duration = Duration::from_millis(10);

/// The speed of 5 in 100 jobs while the other 95 wait for a host whose limit lets nothing through, over their speed
/// alone. All of them are no-op jobs, so that the network has no part in it; what blocks is a real host's limit,
/// which a resolver needs to start. Timed from the start of the process until the last of the 5 has ended.
///
/// Prints `queue.skew_ratio`, and the two speeds as `queue.skewed` and `queue.skew_alone`.
pub(super) fn skew(place: &Place) -> Result<()> {
    let mut figures = Figures::default();
    for _ in 0..place.runs {
        let alone = speed(place, place.alone())?;
        let skewed = speed(place, place.skewed())?;
        figures.add("queue.skew_ratio", "ratio", skewed / alone);
        figures.add("queue.skewed", "jobs/s", skewed);
        figures.add("queue.skew_alone", "jobs/s", alone);
    }
    figures.print()
}

fn speed(place: &Place, filled: Filled) -> Result<f64> {
    let gleaner = place.copy_of(filled)?;
    // Not a drain: one may end before it has been asked for the last time.
    let mut run = gleaner.start(&["queue", "run"])?;
    let seconds = gleaner.time_until(&mut run, Stats::ended, filled.free as u64, FINE)?;
    run.kill()?;
    Ok(filled.free as f64 / seconds)
}
