//! What a server with one who watches, and a collector, cost a run that drains at full speed.
//!
//! Two drains are compared by their processor time, pair by pair, each pair in the other order than the one before, so
//! that a machine that gets slower or faster counts for neither. Must never take what a run ends with for what it costs.

use super::collector::Collector;
use super::figure::Figures;
use super::gleaner::{Gleaner, Stats};
use super::place::{Filled, Place};
use super::viewer;
use anyhow::{Result, anyhow};
use std::time::Duration;

/// Between two questions at the end of a drain.
const FINE: Duration = Duration::from_millis(20);

/// `serve.overhead`: processor time of a drain of no-op jobs by `gleaner serve` while somebody has the overview open and
/// hears its events, over that of `gleaner queue run`, less 1, in per cent; each from the start of the process to its end
/// after SIGTERM.
///
/// `serve.drain_cpu_us` and `serve.drain_cpu_alone_us` are the two per job, `serve.pages` what the viewer was given.
pub(super) fn overhead(place: &Place) -> Result<()> {
    let filled = place.medium();
    let mut figures = Figures::default();
    for run in 0..place.runs {
        let alone = || Ok((drained(&place.copy_of(filled)?, filled, &["queue", "run"])?, 0));
        let watched = || {
            let (gleaner, address) = (place.copy_of(filled)?, viewer::free_address()?);
            let viewer = viewer::watch(address);
            let cpu = drained(&gleaner, filled, &["serve", "--listen", &address.to_string()])?;
            Ok((cpu, viewer.join().map_err(|_| anyhow!("the viewer panicked"))??))
        };
        let ((alone, _), (watched, pages)) = in_turn(run, alone, watched)?;
        figures.add("serve.overhead", "%", (watched / alone - 1.0) * 100.0);
        figures.add("serve.drain_cpu_us", "us/job", watched);
        figures.add("serve.drain_cpu_alone_us", "us/job", alone);
        figures.add("serve.pages", "pages", pages as f64);
    }
    figures.print()
}

/// Processor time per job until all have ended and the process with them.
fn drained(gleaner: &Gleaner, filled: Filled, command: &[&str]) -> Result<f64> {
    let mut running = gleaner.start(command)?;
    gleaner.time_until(&mut running, Stats::ended, filled.free as u64, FINE)?;
    Ok(running.end()?.cpu_seconds * 1e6 / filled.free as f64)
}

/// `telemetry.overhead`: the same of `gleaner queue run --drain` that sends traces and metrics to a collector on loopback,
/// with the defaults, over one that sends nothing.
///
/// `telemetry.drain_cpu_us` and `telemetry.drain_cpu_off_us` are the two; `telemetry.exports` and `telemetry.exported_kb`
/// are what the collector got.
pub(super) fn telemetry(place: &Place) -> Result<()> {
    let filled = place.medium();
    let jobs = filled.free as f64;
    let mut figures = Figures::default();
    for run in 0..place.runs {
        let drain = ["queue", "run", "--drain"];
        let off = || Ok(place.copy_of(filled)?.watch(&drain)?.cpu_seconds * 1e6 / jobs);
        let on = || {
            let (gleaner, collector) = (place.copy_of(filled)?, Collector::start()?);
            let seen = gleaner.watch_with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url(), &drain)?;
            Ok((seen.cpu_seconds * 1e6 / jobs, collector.got()))
        };
        let (off, (on, (exports, bytes))) = in_turn(run, off, on)?;
        figures.add("telemetry.overhead", "%", (on / off - 1.0) * 100.0);
        figures.add("telemetry.drain_cpu_us", "us/job", on);
        figures.add("telemetry.drain_cpu_off_us", "us/job", off);
        figures.add("telemetry.exports", "requests", exports as f64);
        figures.add("telemetry.exported_kb", "kB", bytes as f64 / 1e3);
    }
    figures.print()
}

/// Both, in an order that changes from run to run.
fn in_turn<A, B>(
    run: usize,
    one: impl FnOnce() -> Result<A>,
    other: impl FnOnce() -> Result<B>,
) -> Result<(A, B)> {
    if run.is_multiple_of(2) {
        let first = one()?;
        return Ok((first, other()?));
    }
    let second = other()?;
    Ok((one()?, second))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn pairs_are_measured_in_both_orders() {
        let order = RefCell::new(String::new());
        for run in 0..3 {
            let note = |name| {
                order.borrow_mut().push(name);
                Ok(name)
            };
            assert_eq!(in_turn(run, || note('a'), || note('b')).unwrap(), ('a', 'b'));
        }
        assert_eq!(order.into_inner(), "abbaab");
        assert!(in_turn(0, || Ok(()), || Err::<(), _>(anyhow!("no"))).is_err());
    }
}
