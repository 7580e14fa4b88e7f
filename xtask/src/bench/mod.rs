//! `cargo xtask bench`: figures of a release build, as JSON lines on standard output, each a median with the
//! runs behind it. It measures whole programs from outside, and never judges: a timed assertion flakes.
//!
//! What each figure means and how it is got is in docs/design/figures.md. What is compared is measured in turn, run
//! by run, because a machine is not the same for long.

mod backlog;
mod beside;
mod collector;
mod content;
mod disk;
mod downloads;
mod drain;
mod figure;
mod gleaner;
mod import;
mod limits;
mod loading;
mod pages;
mod peers;
mod place;
mod plugins;
mod resolve;
mod resume;
mod serve;
mod skew;
mod slow_host;
mod viewer;
mod watched;

use crate::guests::Guests;
use crate::stage::{self, Stages, say};
use crate::workspace::Workspace;
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use place::Place;
use std::collections::BTreeMap;

/// What is measured together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Group {
    /// The queue and the scheduler.
    Queue,
    /// Calls of a plugin, and loading them.
    Plugins,
    /// Downloads.
    Content,
    /// What is found, and what is asked for it.
    Resolve,
    /// The server and telemetry: pages, and what they cost a run.
    Serve,
}

/// What to measure, and how often.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only this group
    #[arg(value_enum)]
    group: Option<Group>,
    /// Runs of each figure; the median counts
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Jobs of the largest library; the names of figures stay what they are. Less than a million is for trying out
    #[arg(long, default_value_t = 1_000_000, value_parser = jobs)]
    jobs: usize,
    /// Only measurements whose name holds this; may be given several times
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
}

fn jobs(text: &str) -> Result<usize, String> {
    let jobs = text.parse().ok().filter(|jobs| *jobs >= 10_000);
    jobs.ok_or_else(|| "give 10000 or more: some libraries have a hundredth of it".to_owned())
}

/// A measurement prints one figure or more.
type Measurement = (Group, &'static str, fn(&Place) -> Result<()>);

/// In the order in which they run: what they share stands next to each other, and the peers right behind the drain.
const MEASUREMENTS: [Measurement; 27] = [
    (Group::Queue, "queue.import", import::import),
    (Group::Queue, "queue.claim", backlog::claim),
    (Group::Queue, "queue.stats_1m", backlog::stats),
    (Group::Queue, "queue.explain_1m", backlog::explain),
    (Group::Queue, "queue.keys_1m", backlog::keys),
    (Group::Queue, "queue.resume_after_kill", resume::resume_after_kill),
    (Group::Queue, "queue.skew_ratio", skew::skew),
    (Group::Queue, "queue.drain_noop", drain::drain_noop),
    (Group::Queue, "queue.peers", peers::peers),
    (Group::Queue, "queue.drain_noop_after_peers", drain::drain_noop_after_peers),
    (Group::Queue, "queue.slow_host_ratio", slow_host::slow_host),
    (Group::Queue, "queue.limit_violations", limits::limit_violations),
    (Group::Queue, "queue.drain_rss", drain::drain_large),
    (Group::Plugins, "plugin.call", plugins::calls),
    (Group::Plugins, "plugin.rss_growth_1m_calls", plugins::growth),
    (Group::Plugins, "plugin.sandbox_overhead", plugins::sandbox_overhead),
    (Group::Plugins, "plugin.beside_hostile", beside::beside_hostile),
    (Group::Plugins, "plugin.warm_start_20", loading::warm_start),
    (Group::Plugins, "plugin.reload_latency", loading::reload_latency),
    (Group::Content, "content.download_256k", content::downloads),
    (Group::Content, "content.side_by_side", downloads::side_by_side),
    (Group::Content, "content.small_files", downloads::small_files),
    (Group::Content, "content.big_file_rss", downloads::big_file),
    (Group::Resolve, "resolve.corpus", resolve::corpus),
    (Group::Serve, "serve.page_1m", pages::pages),
    (Group::Serve, "serve.overhead", serve::overhead),
    (Group::Serve, "telemetry.overhead", serve::telemetry),
];

/// Builds, measures, prints. A measurement that fails does not keep the others from being made.
pub(crate) fn command(arguments: &Arguments) -> Result<String> {
    let wanted = MEASUREMENTS.iter().filter(|(group, name, _)| {
        arguments.group.is_none_or(|only| only == *group)
            && (arguments.only.is_empty() || arguments.only.iter().any(|only| name.contains(only.as_str())))
    });
    let wanted = wanted.collect::<Vec<_>>();
    if wanted.is_empty() {
        let names = MEASUREMENTS.map(|(_, name, _)| name).join(", ");
        bail!("nothing is called {:?}; the measurements are {names}", arguments.only);
    }
    let mut stages = Stages::default();
    let workspace = Workspace::load()?;
    Guests::build(&workspace, &mut stages)?;
    stages.loud("build the programs for release", || {
        stage::run(workspace.cargo().args(["build", "--release", "--workspace", "--bins", "--locked"]))
    })?;
    let benches = if wanted.iter().any(|(group, ..)| matches!(group, Group::Queue | Group::Plugins)) {
        stages.loud("build the benchmarks", || {
            workspace.build_benches(&["calls", "queue", "drain"], "gleaner-orchestrator/native")
        })?
    } else {
        BTreeMap::new()
    };
    let place = Place::prepare(&workspace, benches, arguments.runs.max(1), arguments.jobs)?;
    if place.jobs < 1_000_000 {
        say(format_args!("the largest library has {} jobs: these figures are for trying out", place.jobs));
    }
    let mut failed = Vec::new();
    for (_, name, measure) in wanted {
        if let Err(failure) = stages.loud(name, || measure(&place)) {
            say(format_args!("{failure:#}"));
            failed.push(*name);
        }
    }
    place.clear()?;
    if !failed.is_empty() {
        bail!("not measured: {}; the causes are above\n{}", failed.join(", "), stages.summary());
    }
    Ok(stages.summary())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_measurement_has_a_name_of_its_own_and_its_group_in_it() {
        let mut names = MEASUREMENTS.map(|(_, name, _)| name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), MEASUREMENTS.len());
        for (group, name, _) in MEASUREMENTS {
            let beginning = match group {
                Group::Queue => "queue.",
                Group::Plugins => "plugin.",
                Group::Content => "content.",
                Group::Resolve => "resolve.",
                Group::Serve => "serve.",
            };
            assert!(name.starts_with(beginning) || name == "telemetry.overhead", "{name}");
        }
    }

    #[test]
    fn a_library_is_not_too_small_to_measure() {
        assert_eq!(jobs("20000"), Ok(20_000));
        assert!(jobs("9999").is_err() && jobs("many").is_err());
    }

    #[test]
    fn a_name_that_nothing_has_is_refused_before_anything_is_built() {
        let only = vec!["queue.nothing".to_owned()];
        let arguments = Arguments { group: None, runs: 1, jobs: 10_000, only };
        assert!(command(&arguments).unwrap_err().to_string().contains("queue.import"));
    }
}
