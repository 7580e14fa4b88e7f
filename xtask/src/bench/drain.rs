//! Drains: no-op jobs, each through a real sandboxed plugin call, `durability = "full"`, against SQLite that only
//! leases and acks. Where the processor time of a job goes, and how much memory a long drain takes.

use super::figure::Figures;
use super::place::{Place, number};
use super::plugins;
use anyhow::Result;

/// What the names of the store's threads begin with.
const STORE_THREADS: &str = "library-";

/// Jobs a second of `gleaner queue run --drain`, the whole process. In turn with it, SQLite leases and acks as many
/// jobs, and the no-op guest is called without a queue.
///
/// Prints
/// - `queue.raw_lease_ack`: one table, batch 64, FULL; the same as `sqlite-raw-FULL` of the peers;
/// - `queue.raw_lease_ack_tables`: a table per state, acks and claims of a turn in one transaction, batch 64, FULL;
/// - `queue.drain_noop`, and `queue.drain_noop_vs_raw` and `queue.drain_noop_vs_raw_tables`, the ratios in each run;
/// - `queue.drain_cpu_us`: user and system time of the process over its whole life, per job;
/// - `queue.drain_cpu_guest_us`: that of one call in a process that does nothing else (`plugin.call_cpu`);
/// - `queue.drain_cpu_sqlite_us`: that of the store's threads, as last seen in `/proc/PID/task`;
/// - `queue.drain_cpu_rest_us`: what is left. Reads of the library run on threads of the pool, and are part of it.
pub(super) fn drain_noop(place: &Place) -> Result<()> {
    let filled = place.medium();
    let jobs = filled.free as f64;
    let mut figures = Figures::default();
    for _ in 0..place.runs {
        let raw = raw_lease_ack(place, "raw-lease-ack", filled.free)?;
        let tables = raw_lease_ack(place, "raw-lease-ack-tables", filled.free)?;
        let guest = plugins::processor_us_of_a_call(place)?;
        let seen = place.copy_of(filled)?.watch(&["queue", "run", "--drain"])?;
        let rate = jobs / seen.seconds;
        let total = seen.cpu_seconds * 1e6 / jobs;
        let sqlite = seen.cpu_seconds_of(STORE_THREADS) * 1e6 / jobs;
        figures.add("queue.raw_lease_ack", "jobs/s", raw);
        figures.add("queue.raw_lease_ack_tables", "jobs/s", tables);
        figures.add("queue.drain_noop", "jobs/s", rate);
        figures.add("queue.drain_noop_vs_raw", "ratio", rate / raw);
        figures.add("queue.drain_noop_vs_raw_tables", "ratio", rate / tables);
        figures.add("queue.drain_cpu_us", "us/job", total);
        figures.add("queue.drain_cpu_guest_us", "us/job", guest);
        figures.add("queue.drain_cpu_sqlite_us", "us/job", sqlite);
        figures.add("queue.drain_cpu_rest_us", "us/job", total - guest - sqlite);
    }
    figures.print()
}

fn raw_lease_ack(place: &Place, form: &str, jobs: usize) -> Result<f64> {
    let raw = place.fresh("raw")?;
    let answer = place.store(&[form, &raw.to_string_lossy(), &jobs.to_string()])?;
    number(&answer, "jobs_per_s")
}

/// `queue.drain_noop_after_peers`: the drain once more, so that the peers stand between two measurements of it.
pub(super) fn drain_noop_after_peers(place: &Place) -> Result<()> {
    let filled = place.medium();
    let mut figures = Figures::default();
    for _ in 0..place.runs {
        let took = place.copy_of(filled)?.run(&["queue", "run", "--drain"])?;
        figures.add("queue.drain_noop_after_peers", "jobs/s", filled.free as f64 / took);
    }
    figures.print()
}

/// `queue.drain_rss`: the most memory that a drain of the largest library has. `queue.drain_noop_1m` is its speed.
pub(super) fn drain_large(place: &Place) -> Result<()> {
    let filled = place.large();
    let mut figures = Figures::default();
    for _ in 0..place.runs {
        let seen = place.copy_of(filled)?.watch(&["queue", "run", "--drain"])?;
        figures.add("queue.drain_rss", "MB", seen.peak_mb);
        figures.add("queue.drain_noop_1m", "jobs/s", filled.free as f64 / seen.seconds);
    }
    figures.print()
}
