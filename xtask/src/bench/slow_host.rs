//! `queue.slow_host_ratio`: whether downloads from fast hosts are slowed down by a host that hardly answers.

use super::figure::Figures;
use super::gleaner::Stats;
use super::place::Place;
use crate::simweb::Simweb;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Fast hosts, and files on all of them together; their size in bytes.
const HOSTS: &str = "100";
const FILES: u64 = 2000;
const SIZE: &str = "16384";
/// Files on the slow host, as many as on any other, and how long it takes to answer for each.
const SLOW_FILES: &str = "20";
const SLOW_MS: &str = "30000";
/// Between two questions near the end.
const FINE: Duration = Duration::from_millis(10);

/// The speed of downloads from 100 hosts over TLS from loopback while another host has 20 works at the head of the
/// queue and answers after 30 s, over their speed without it. Rates are out of the way; the cap of requests at once
/// at a host is the default. Timed from the start of the process until the last file of a fast host is stored:
/// nothing of the slow host can have come by then.
///
/// Prints `queue.slow_host_ratio`, and the two speeds as `queue.with_slow_host` and `queue.without_slow_host`.
pub(super) fn slow_host(place: &Place) -> Result<()> {
    let web = place.fresh("web")?;
    let files = FILES.to_string();
    let arguments =
        ["--corpus", &files, "--size", SIZE, "--hosts", HOSTS, "--slow", SLOW_FILES, "--slow-ms", SLOW_MS];
    let simweb = Simweb::start_with(&place.simweb, &web, &arguments)?;
    let configuration = configure(&simweb, &web, "default-host = { rate = \"100000/s\", burst = 100000 }\n")?;
    let list = |name: &str| web.join(name).to_string_lossy().into_owned();
    let (fast, slow) = (list("corpus.txt"), list("slow.txt"));
    let mut figures = Figures::default();
    for _ in 0..place.runs {
        let without = speed(place, &configuration, &[&fast])?;
        let with = speed(place, &configuration, &[&slow, &fast])?;
        figures.add("queue.slow_host_ratio", "ratio", with / without);
        figures.add("queue.with_slow_host", "files/s", with);
        figures.add("queue.without_slow_host", "files/s", without);
    }
    simweb.stop()?;
    figures.print()
}

/// The configuration that leads to the simulated web, with these limits.
pub(super) fn configure(simweb: &Simweb, web: &Path, limits: &str) -> Result<PathBuf> {
    let mut text = fs::read_to_string(simweb.configuration()).context("the simulated web left none")?;
    text.push_str("\n[limits]\n");
    text.push_str(limits);
    let path = web.join("limited.toml");
    fs::write(&path, text)?;
    Ok(path)
}

fn speed(place: &Place, configuration: &Path, lists: &[&str]) -> Result<f64> {
    let gleaner = place.empty_library(configuration.to_owned())?;
    for list in lists {
        gleaner.run(&["queue", "enqueue", "--input", list])?;
    }
    let mut run = gleaner.start(&["queue", "run"])?;
    let done = |stats: &Stats| stats.done;
    let seconds = gleaner.time_until(&mut run, done, FILES, FINE)?;
    run.kill()?;
    Ok(FILES as f64 / seconds)
}
