//! `queue.resume_after_kill`: a drain is killed, started again, and timed until work goes on.

use super::figure::Figures;
use super::gleaner::Stats;
use super::place::Place;
use anyhow::Result;
use std::time::Duration;

/// Between two questions while the first jobs are waited for.
const FINE: Duration = Duration::from_millis(2);
const COARSE: Duration = Duration::from_millis(50);

/// Seconds from the start of the new process until it has ended its first job. The process before it was killed with
/// SIGKILL when a hundredth of the largest library was drained, so it leaves leases and a long log behind.
///
/// Jobs that have ended are counted between the two, when nobody works; the first that comes on top is the new
/// process'. Late by the time of one `gleaner queue stats`.
pub(super) fn resume_after_kill(place: &Place) -> Result<()> {
    let filled = place.large();
    let mut figures = Figures::default();
    for _ in 0..place.runs {
        let gleaner = place.copy_of(filled)?;
        let mut killed = gleaner.start(&["queue", "run", "--drain"])?;
        gleaner.time_until(&mut killed, Stats::ended, filled.free as u64 / 100, COARSE)?;
        killed.kill()?;
        let ended = gleaner.stats()?.ended();
        let mut resumed = gleaner.start(&["queue", "run", "--drain"])?;
        let seconds = gleaner.time_until(&mut resumed, Stats::ended, ended + 1, FINE)?;
        resumed.kill()?;
        figures.add("queue.resume_after_kill", "s", seconds);
    }
    figures.print()
}
