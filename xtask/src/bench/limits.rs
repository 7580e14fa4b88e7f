//! `queue.limit_violations`: whether hosts see more than they were promised, also when a run is killed and when two
//! processes work at once.

use super::figure::Figures;
use super::gleaner::Stats;
use super::place::Place;
use super::slow_host::configure;
use crate::simweb::Simweb;
use anyhow::{Context, Result};
use std::fmt::Write;
use std::time::Duration;

/// Hosts, and files on all of them together.
const HOSTS: usize = 10;
const FILES: u64 = 400;
/// An answer takes so long that half of the hosts are bound by their cap, and the others by their rate.
const DELAY_MS: &str = "80";
/// Requests a second and at once that every host allows.
const PER_SECOND: u32 = 20;
const BURST: u32 = 3;
/// Between two questions.
const FINE: Duration = Duration::from_millis(20);

/// How often a host saw more than its limit allows, in each run: requests in flight, and requests in any window `w`
/// of time, which `burst + rate * w` bounds; a request may be 50 ms late on its way. The simulated web counts, see
/// `HostLimit` in tests/src/simweb/limit.rs.
///
/// Ten hosts with 40 files each. A second process works beside the first, where a library allows that. When a quarter
/// is done, the first is killed with SIGKILL and started again.
pub(super) fn limit_violations(place: &Place) -> Result<()> {
    let mut figures = Figures::default();
    for _ in 0..place.runs {
        figures.add("queue.limit_violations", "requests", one_run(place)? as f64);
    }
    figures.print()
}

fn one_run(place: &Place) -> Result<u64> {
    let web = place.fresh("web")?;
    let (files, hosts) = (FILES.to_string(), HOSTS.to_string());
    let mut arguments = ["--corpus", &files, "--size", "4096", "--hosts", &hosts, "--delay-ms", DELAY_MS]
        .map(str::to_owned)
        .to_vec();
    let mut limits = "[limits.hosts]\n".to_owned();
    for n in 0..HOSTS {
        let (host, concurrency) = (format!("files{n}.example.org"), if n % 2 == 0 { 1 } else { 4 });
        arguments.extend(["--promise".to_owned(), format!("{host}={concurrency},{PER_SECOND},{BURST}")]);
        writeln!(
            limits,
            "\"{host}\" = {{ concurrency = {concurrency}, rate = \"{PER_SECOND}/s\", burst = {BURST} }}"
        )?;
    }
    let arguments = arguments.iter().map(String::as_str).collect::<Vec<_>>();
    let simweb = Simweb::start_with(&place.simweb, &web, &arguments)?;
    let gleaner = place.empty_library(configure(&simweb, &web, &limits)?)?;
    gleaner.run(&["queue", "enqueue", "--input", &web.join("corpus.txt").to_string_lossy()])?;
    let done = |stats: &Stats| stats.done;
    let mut first = gleaner.start(&["queue", "run"])?;
    let second = gleaner.start(&["queue", "run"])?;
    gleaner.time_until(&mut first, done, FILES / 4, FINE)?;
    first.kill()?;
    let mut again = gleaner.start(&["queue", "run"])?;
    gleaner.time_until(&mut again, done, FILES, FINE)?;
    again.kill()?;
    second.kill()?;
    simweb.stop()?.violations.context("the simulated web did not count violations")
}
