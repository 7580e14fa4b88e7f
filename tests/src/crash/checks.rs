//! What has to hold when all is done, however often the binary was killed.
//!
//! Must never be told what the killed library holds but by a look at it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::corpus::SLOW;
use super::library::{Job, Look, names, text};
use super::{CONFIG, harvest};
use crate::harness::Bench;
use crate::simweb::World;

/// How each work ends when nobody disturbs the harvest.
pub(super) struct Truth(BTreeMap<String, End>);

/// State, the reason unless it is done (a blob may be known already), and the hash of its file.
type End = (String, String, Option<String>);

impl Truth {
    /// Harvests the list once, in a library and a web of its own.
    pub(super) fn of(world: World, list: &str) -> Self {
        let mut bench = Bench::new(world);
        bench.configure(CONFIG);
        harvest(&bench, list);
        let look = Look::at(&bench, &Look::default()).expect("the harvest made a library");
        for state in ["done", "skipped", "error"] {
            let count = look.jobs.values().filter(|job| job.state == state).count();
            assert!(count >= 4, "the world has only {count} works that end as {state}");
        }
        Self(ends(&look))
    }

    /// Every work has ended, once, and in the same way.
    pub(super) fn expect(&self, look: &Look) {
        let found = ends(look);
        for (id, end) in &self.0 {
            assert_eq!(found.get(id), Some(end), "{id} ended so after {:#?}", look.records_of(id));
        }
        assert_eq!(found.len(), self.0.len(), "there are works that the list does not name");
    }
}

fn ends(look: &Look) -> BTreeMap<String, End> {
    let end = |(id, job): (&String, &Job)| {
        let reason = if job.state == "done" { String::new() } else { job.reason.clone() };
        let sha256 = job.file.as_ref().map(|(sha256, _)| sha256.clone());
        (id.clone(), (job.state.clone(), reason, sha256))
    };
    look.jobs.iter().map(end).collect()
}

/// The database is sound, every row has its file with the right bytes, every readable name its row; nothing half-done is
/// left.
pub(super) fn expect_whole(bench: &Bench, look: &Look) {
    let verified = bench.run(&["--format", "json", "library", "verify"]).expect_code(0).json();
    let held = look.jobs.values().filter(|job| job.file.is_some()).count();
    assert_eq!((verified["checked"].as_u64(), &verified["bad"]), (Some(held as u64), &serde_json::json!([])));
    let stats = bench.run(&["--format", "json", "queue", "stats"]).expect_code(0).json();
    let unfinished = (stats["queued"].as_u64(), stats["in_progress"].as_u64());
    assert_eq!((unfinished, stats["total"].as_u64()), ((Some(0), Some(0)), Some(look.jobs.len() as u64)));
    let rows = look.jobs.values().filter_map(|job| job.file.as_ref());
    let named: BTreeSet<String> =
        rows.map(|(_, name)| name.strip_prefix("files/").unwrap_or(name).to_owned()).collect();
    assert_eq!(names(&bench.library().join("files")), named, "readable names and rows differ");
    assert_eq!(names(&bench.library().join("tmp")), [".lock".to_owned()].into(), "unfinished files are left");
}

/// No try of a step is in the manifest twice, and a file was accepted once for each work that has one.
pub(super) fn expect_told_once(look: &Look) {
    let mut tries = BTreeSet::new();
    let mut accepted = BTreeMap::<String, usize>::new();
    for record in &look.records {
        let step = ["artifact_id", "resolver", "candidate_url"].map(|field| text(&record[field]));
        if record["outcome"] == "accepted" {
            *accepted.entry(step[0].clone()).or_default() += 1;
        }
        assert!(tries.insert((step, record["attempt"].as_u64())), "told twice: {record}");
    }
    for (id, job) in &look.jobs {
        let count = accepted.get(id).copied().unwrap_or(0);
        assert_eq!(count, usize::from(job.file.is_some()), "{id} has {count} accepted files in the manifest");
    }
}

/// No host saw more than `CONFIG` allows, all runs taken as one.
pub(super) fn expect_limits_kept(bench: &Bench) {
    for host in bench.sim().report().hosts.keys() {
        expect_kept(bench, &[host], 4, None);
    }
    // Its resolver makes one call at a time.
    expect_kept(bench, &["api.unpaywall.org"], 1, None);
    expect_kept(bench, &["api.crossref.org"], 3, None);
    expect_kept(bench, &["doi.org", "dx.doi.org"], 2, None);
    expect_kept(bench, &["arxiv.org", "export.arxiv.org"], 1, Some(1 + 40));
    expect_kept(bench, &[SLOW], 4, Some(10 + 20));
}

/// At most so many requests at once, and so many within any second.
fn expect_kept(bench: &Bench, hosts: &[&str], at_once: usize, in_a_second: Option<usize>) {
    let seen = bench.sim().seen_together(hosts);
    assert!(!seen.requests.is_empty(), "nobody asked {hosts:?}");
    assert!(seen.most_in_flight <= at_once, "{hosts:?} saw {} requests at once", seen.most_in_flight);
    let found = seen.most_within(Duration::from_secs(1));
    let is_kept = in_a_second.is_none_or(|most| found <= most);
    assert!(is_kept, "{hosts:?} saw {found} requests within a second, not {in_a_second:?}");
}
