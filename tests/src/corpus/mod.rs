//! Works with a known truth: which have a file, where it is, and what stands in the way of it.
//!
//! The same count and the same resolvers give the same works. Every hundred of them have the same shares (`cases`), so
//! that a sample is like the whole. Must never tell a run anything but a list of names: what is true is for the judge.

mod cases;
mod judge;
mod making;
mod trap;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gleaner_model::artifact::Artifact;
use gleaner_model::identifier::Identifier;
use serde::Serialize;

use crate::harness::Bench;
use crate::simweb::{Behaviour, World};
use cases::{Case, ELSEWHERE, SHARED, set_mistakes};
use making::{Making, SLOW_HOST};

pub use judge::{Verdict, judge};
pub use trap::Trap;

const KIB: usize = 1024;

/// How long the slow host takes to answer.
const DELAY: Duration = Duration::from_millis(300);

/// No pause before a failed step is tried again.
const CONFIG: &str = "[orchestrator]\nbackoff = \"20ms\"\n";

/// The same, and limits that nobody has to wait for, of every host and resolver that the defaults know: what is found
/// does not depend on them, nor how often a service is asked.
pub fn quick() -> String {
    let defaults: toml::Table =
        include_str!("../../../config/default.toml").parse().expect("the defaults are TOML");
    let quick = "concurrency = 8, rate = \"10000/s\", burst = 1000";
    let limits = |of: &str| defaults["limits"][of].as_table().into_iter().flat_map(toml::Table::keys);
    let mut text = format!("{CONFIG}[limits]\ndefault-host = {{ {quick} }}\n[limits.hosts]\n");
    for host in limits("hosts") {
        text += &format!("{host:?} = {{ {quick} }}\n");
    }
    text += "[limits.resolvers]\n";
    for resolver in limits("resolvers") {
        text += &format!("{resolver} = {{ concurrency = 8 }}\n");
    }
    text
}

/// A work and the truth about it.
#[derive(Debug, Clone)]
pub struct Known {
    /// How the list names it.
    pub name: String,
    /// How a library names it.
    pub artifact_id: String,
    /// What is the matter with it.
    pub case: &'static str,
    /// The SHA-256 of each of its copies that everybody may read; none if there is no such copy.
    pub right: BTreeSet<String>,
    /// What stands in the way.
    pub traps: Vec<Trap>,
}

/// The world and its works, in the order of the list.
#[derive(Debug)]
pub struct Corpus {
    /// What the simulated web serves.
    pub world: World,
    /// The truth.
    pub works: Vec<Known>,
}

impl Corpus {
    /// So many works. Those whose only copy is known to a resolver that is not among these are of another kind.
    pub fn of(count: usize, resolvers: &BTreeSet<String>) -> Self {
        let elsewhere: Vec<&Case> = ELSEWHERE.iter().filter(|case| resolvers.contains(case.needs)).collect();
        let mut world = World::new();
        world.set_host(SLOW_HOST, Behaviour::of_host().delayed(DELAY));
        let (mut works, mut turn) = (Vec::with_capacity(count), 0);
        for number in 0..count {
            let case = shared(number).unwrap_or_else(|| {
                turn += 1;
                elsewhere[turn % elsewhere.len()]
            });
            let mut work = Making::begin(&mut world, number);
            (case.make)(&mut work);
            let (name, right, traps) = work.end();
            let identifier = Identifier::parse(&name).unwrap_or_else(|error| panic!("{name}: {error}"));
            let artifact_id = Artifact::of(identifier).id.to_string();
            works.push(Known { name, artifact_id, case: case.name, right, traps });
        }
        set_mistakes(&mut world);
        Self { world, works }
    }

    /// The list that is harvested, one name a line.
    pub fn list(works: &[Known]) -> String {
        works.iter().map(|work| format!("{}\n", work.name)).collect()
    }
}

/// The case of a work that is not elsewhere. Neighbours differ, and any hundred in a row have every share.
fn shared(number: usize) -> Option<&'static Case> {
    let mut place = number * 37 % 100;
    SHARED.iter().find(|case| {
        let is_it = place < case.share;
        place = place.saturating_sub(case.share);
        is_it
    })
}

/// What a harvest of a corpus has brought, and what it has cost.
#[derive(Debug, Clone, Serialize)]
pub struct Harvest {
    /// What it has found, held against the truth.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Requests that services answered: no pages, no files, no robots.txt.
    pub calls: usize,
    /// The same by host.
    pub calls_by_host: BTreeMap<String, usize>,
}

/// Harvests so many works with the real binary, and judges what it has brought.
pub fn harvest(
    count: usize,
    start: impl FnOnce(World) -> Bench,
    bundled: &BTreeSet<String>,
    patience: Duration,
) -> Harvest {
    let Corpus { world, works } = Corpus::of(count, bundled);
    let mut bench = start(world);
    bench.configure(&quick());
    let list = bench.file("corpus", &Corpus::list(&works));
    let output = bench.spawn(&["--format", "json", "get", "--input", &list]).wait(patience);
    let totals = output.json();
    assert_eq!(totals["queued"], 0, "works are left: {totals}");
    let lines =
        |args: &[&str]| bench.run(&[&["--format", "json"], args].concat()).expect_code(0).json_lines();
    let verdict = judge(&works, &lines(&["library", "list"]), &lines(&["library", "export"]));
    let report = bench.sim().report();
    let called = report.hosts.iter().filter(|(_, host)| host.calls > 0);
    let calls_by_host = called.map(|(name, host)| (name.clone(), host.calls)).collect();
    Harvest { verdict, calls: report.calls, calls_by_host }
}
