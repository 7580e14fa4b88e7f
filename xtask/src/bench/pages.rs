//! `serve.page_1m`: every page and every view of the API with the largest library, half of whose jobs have ended.

use super::figure::{Figures, median};
use super::gleaner::Stats;
use super::place::Place;
use super::viewer::{self, Connection};
use crate::stage::say;
use anyhow::{Context, Result};
use std::time::{Duration, Instant};

/// Requests of a path in a run, of which the median counts.
const CALLS: usize = 5;
/// Between two questions while half of the jobs end.
const COARSE: Duration = Duration::from_millis(50);

/// Every page and view: the first of a list, one in its middle and its end, and those of filters that find everything,
/// little or nothing. `{half}` and `{last}` are jobs, of those that have ended and of those that have not.
const PATHS: [&str; 42] = [
    "/",
    "/jobs",
    "/jobs?after={half}",
    "/jobs?after={last}",
    "/jobs?state=queued",
    "/jobs?state=queued&after={last}",
    "/jobs?state=skipped",
    "/jobs?state=skipped&after={half}",
    "/jobs?state=error",
    "/jobs?reason=no_candidate",
    "/jobs?reason=timeout",
    "/jobs?resolver=noop",
    "/jobs?resolver=noop&after={half}",
    "/jobs?resolver=nobody",
    "/jobs?host=nobody.example.org",
    "/jobs?text=number+{last}",
    "/jobs?text=nothing+is+called+so",
    "/jobs?text=nothing+is+called+so&after={half}",
    "/jobs?text=nothing&state=skipped&reason=no_candidate",
    "/jobs?text=nothing&resolver=noop&host=nobody.example.org",
    "/jobs?text=10.1000/bench.{last}",
    "/jobs/1",
    "/jobs/{last}",
    "/keys",
    "/keys?text=noop",
    "/plugins",
    "/settings",
    "/api/v1/stats",
    "/api/v1/overview",
    "/api/v1/jobs?limit=1000",
    "/api/v1/jobs?limit=1000&after={half}",
    "/api/v1/jobs/{last}",
    "/api/v1/jobs/{last}/explain",
    "/api/v1/keys",
    "/api/v1/plugins",
    "/api/v1/manifest?limit=1000",
    "/api/v1/manifest?limit=1000&after={half}",
    "/api/v1/manifest?run=nobody",
    "/api/v1/manifest?since=0s",
    "/api/v1/settings",
    "/metrics",
    "/readyz",
];

/// Milliseconds from the request to the whole answer, of the slowest path; which one that is it says. The key of all
/// jobs is paused, so that nothing else goes on; `serve.page_overview_1m` and `serve.page_jobs_1m` are `/` and `/jobs`.
pub(super) fn pages(place: &Place) -> Result<()> {
    let filled = place.large();
    let gleaner = place.copy_of(filled)?;
    let mut draining = gleaner.start(&["queue", "run", "--drain"])?;
    gleaner.time_until(&mut draining, Stats::ended, filled.free as u64 / 2, COARSE)?;
    draining.end()?;
    gleaner.run(&["queue", "pause", "resolver:noop"])?;
    let address = viewer::free_address()?;
    let served = gleaner.start(&["serve", "--listen", &address.to_string()])?;
    let mut connection = Connection::open(address)?;
    let paths = PATHS.map(|path| {
        let path = path.replace("{half}", &(filled.free / 2).to_string());
        path.replace("{last}", &(filled.free - 100).to_string())
    });
    let mut figures = Figures::default();
    for _ in 0..place.runs {
        let mut slowest = (0.0, "");
        for path in &paths {
            let ms = (0..CALLS).map(|_| took_ms(&mut connection, path)).collect::<Result<Vec<_>>>()?;
            let ms = median(&ms);
            match path.as_str() {
                "/" => figures.add("serve.page_overview_1m", "ms", ms),
                "/jobs" => figures.add("serve.page_jobs_1m", "ms", ms),
                _ => {}
            }
            if ms > slowest.0 {
                slowest = (ms, path);
            }
        }
        say(format_args!("the slowest is {}: {:.1} ms", slowest.1, slowest.0));
        figures.add("serve.page_1m", "ms", slowest.0);
    }
    served.end()?;
    figures.print()
}

fn took_ms(connection: &mut Connection, path: &str) -> Result<f64> {
    let began = Instant::now();
    connection.get(path).with_context(|| format!("asked for {path}"))?;
    Ok(began.elapsed().as_secs_f64() * 1e3)
}
