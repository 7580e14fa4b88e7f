//! What a long backlog costs those who look at it: the claim of the next jobs, and the commands that show a queue.

use super::figure::{Figures, median};
use super::gleaner::seconds_of;
use super::place::{Filled, Place, number};
use anyhow::Result;

/// Claims of a run: the 99th percentile is the tenth-longest of them.
const CLAIMS: usize = 1000;
/// Calls of a command in a run, of which the median counts: they are so short that one says little.
const CALLS: usize = 5;

/// How long the store's `lease` of 64 jobs of one key takes, until it is durable, while each lease's jobs are acked
/// behind it and new ones keep the backlog as long as it was.
///
/// Prints `queue.claim_p99_1m`, `queue.claim_p99_10k` and their ratio in each run, `queue.claim_p99_growth`; the
/// medians besides, as `queue.claim_p50_1m` and `queue.claim_p50_10k`.
pub(super) fn claim(place: &Place) -> Result<()> {
    let mut figures = Figures::default();
    for _ in 0..place.runs {
        let (small_p50, small_p99) = claim_with(place, place.small())?;
        let (large_p50, large_p99) = claim_with(place, place.large())?;
        figures.add("queue.claim_p99_1m", "ms", large_p99);
        figures.add("queue.claim_p99_10k", "ms", small_p99);
        figures.add("queue.claim_p99_growth", "ratio", large_p99 / small_p99);
        figures.add("queue.claim_p50_1m", "ms", large_p50);
        figures.add("queue.claim_p50_10k", "ms", small_p50);
    }
    figures.print()
}

fn claim_with(place: &Place, filled: Filled) -> Result<(f64, f64)> {
    let gleaner = place.copy_of(filled)?;
    let answer = place.store(&["claim", &gleaner.library.to_string_lossy(), &CLAIMS.to_string()])?;
    Ok((number(&answer, "p50_ms")?, number(&answer, "p99_ms")?))
}

/// `queue.stats_1m`: milliseconds of `gleaner queue stats` on the largest library, as a whole process. And
/// `queue.process_start`, the same of `gleaner --version`, which opens nothing: where a command takes hardly longer,
/// starting is what takes the time.
pub(super) fn stats(place: &Place) -> Result<()> {
    let mut figures = Figures::default();
    for _ in 0..place.runs {
        figures.add("queue.process_start", "ms", median_ms(|| seconds_of(&place.gleaner, &["--version"]))?);
    }
    figures.print()?;
    show(place, "queue.stats_1m", &["stats"])
}

/// `queue.explain_1m`: the same of `gleaner queue explain ID`.
pub(super) fn explain(place: &Place) -> Result<()> {
    show(place, "queue.explain_1m", &["explain", "10.1000/bench.7"])
}

/// `queue.keys_1m`: the same of `gleaner queue keys`.
pub(super) fn keys(place: &Place) -> Result<()> {
    show(place, "queue.keys_1m", &["keys"])
}

fn show(place: &Place, name: &str, command: &[&str]) -> Result<()> {
    let gleaner = place.filled(place.large())?;
    let command = [&["--format", "json", "queue"], command].concat();
    // The first one may read from the disk what the others find in memory.
    gleaner.run(&command)?;
    let mut figures = Figures::default();
    for _ in 0..place.runs {
        figures.add(name, "ms", median_ms(|| gleaner.run(&command))?);
    }
    figures.print()
}

fn median_ms(mut once: impl FnMut() -> Result<f64>) -> Result<f64> {
    let seconds = (0..CALLS).map(|_| once()).collect::<Result<Vec<_>>>()?;
    Ok(median(&seconds) * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_the_calls_counts_and_any_failure_does() {
        let mut seconds = [0.5, 0.001, 0.002, 0.003, 0.004].into_iter();
        assert_eq!(median_ms(|| Ok(seconds.next().unwrap())).unwrap(), 3.0);
        assert!(median_ms(|| anyhow::bail!("no such command")).is_err());
    }
}
