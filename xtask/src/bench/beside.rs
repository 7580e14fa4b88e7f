//! `plugin.beside_hostile_ratio`: whether plugins that misbehave slow others down. Must never judge.

use super::figure::Figures;
use super::gleaner::Gleaner;
use super::place::Place;
use anyhow::Result;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Between two questions near the end.
const FINE: Duration = Duration::from_millis(10);
/// What the hostile guest does, in turn; more works of it than it can spoil meanwhile.
const MISDEEDS: [&str; 5] = ["loop", "alloc", "trap", "log-flood", "recurse"];
const HOSTILE_WORKS: usize = 600;

/// The speed of no-op jobs while as many works wait for a guest that does nothing but wrong, over their speed alone: in
/// turn, from the start of the process until the last no-op job has ended.
///
/// Prints `plugin.beside_hostile_ratio`, with the defaults, so that the guest is suspended after a while;
/// `plugin.beside_unsuspended_ratio`, where it never is; and the speed alone.
pub(super) fn beside_hostile(place: &Place) -> Result<()> {
    let (defaults, never) = (place.beside("")?, place.beside("[plugins.suspend]\nafter = 4294967295\n")?);
    let mut figures = Figures::default();
    for _ in 0..place.runs {
        let alone = speed(place, &defaults, false)?;
        let beside = speed(place, &defaults, true)?;
        let unsuspended = speed(place, &never, true)?;
        figures.add("plugin.beside_hostile_ratio", "ratio", beside / alone);
        figures.add("plugin.beside_unsuspended_ratio", "ratio", unsuspended / alone);
        figures.add("plugin.without_hostile", "jobs/s", alone);
    }
    figures.print()
}

fn speed(place: &Place, configuration: &Path, with_hostile: bool) -> Result<f64> {
    let filled = place.medium();
    let gleaner = Gleaner { configuration: configuration.to_owned(), ..place.copy_of(filled)? };
    if with_hostile {
        let list = place.fresh("hostile")?.join("list");
        let mut text = String::new();
        for n in 0..HOSTILE_WORKS {
            writeln!(text, "10.5555/{}:{n}", MISDEEDS[n % MISDEEDS.len()])?;
        }
        fs::write(&list, text)?;
        // Nobody else may be asked about them.
        let list = list.to_string_lossy().into_owned();
        let enqueue = ["queue", "enqueue", "--resolver", "hostile", "--input", &list];
        gleaner.run(&enqueue)?;
    }
    // Not a drain: works of a suspended plugin would keep it.
    let mut run = gleaner.start(&["queue", "run"])?;
    // The no-op guest has no copy of anything, and nothing of the hostile one ends so.
    let seconds = gleaner.time_until(&mut run, |stats| stats.skipped, filled.free as u64, FINE)?;
    run.kill()?;
    Ok(filled.free as f64 / seconds)
}
