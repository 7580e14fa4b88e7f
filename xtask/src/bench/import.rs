//! `queue.import`: bulk import of JSON lines by the finished program, against SQLite that inserts the same rows.

use super::figure::Figures;
use super::place::{Place, number};
use anyhow::Result;

/// Jobs a second of `gleaner queue import`, the whole process: parsed, normalised, looked up, durable, the log merged.
/// In turn with it, the rows that it left are inserted by SQLite alone into a library with the same schema.
///
/// Prints `queue.import`, `queue.raw_insert`, `queue.import_vs_raw` (the ratio of the two in each run), and
/// `queue.import_rss`, the most memory that the importing process had.
pub(super) fn import(place: &Place) -> Result<()> {
    let filled = place.large();
    let list = place.works(filled)?.to_string_lossy().into_owned();
    let mut figures = Figures::default();
    for run in 1..=place.runs {
        let gleaner = place.empty_library(place.noop()?)?;
        let seen = gleaner.watch(&["queue", "import", &list])?;
        let rate = place.jobs as f64 / seen.seconds;
        let raw = place.fresh("raw")?;
        let answer =
            place.store(&["raw-insert", &gleaner.library.to_string_lossy(), &raw.to_string_lossy()])?;
        let raw_rate = number(&answer, "jobs_per_s")?;
        figures.add("queue.import", "jobs/s", rate);
        figures.add("queue.raw_insert", "jobs/s", raw_rate);
        figures.add("queue.import_vs_raw", "ratio", rate / raw_rate);
        figures.add("queue.import_rss", "MB", seen.peak_mb);
        if run == place.runs {
            place.keep(&gleaner, filled)?;
        }
        place.fresh("raw")?;
    }
    figures.print()
}
