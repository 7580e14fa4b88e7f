//! What a library holds after a run, by the program's own words and by a look into its directory.
//!
//! Must never open the database: what the program says of it counts, and a second reader could hide a fault.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::harness::Bench;

/// A library at one moment.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// By the work's id.
    pub(super) jobs: BTreeMap<String, Job>,
    /// The manifest, in the order of writing.
    pub(super) records: Vec<Value>,
    /// Hashes that rows name.
    pub(super) files: BTreeSet<String>,
}

/// How a job stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) state: String,
    /// Why it ended; empty before that.
    pub(super) reason: String,
    pub(super) attempts: u64,
    pub(super) records: usize,
    /// The file it holds: its hash and its readable name.
    pub(super) file: Option<(String, String)>,
}

impl Look {
    /// Asks the program; none while there is no library yet, which only the first kills can bring about.
    pub(super) fn at(bench: &Bench, last: &Self) -> Option<Self> {
        let jobs = bench.run(&["--format", "json", "queue", "list"]);
        if jobs.code == Some(4) && last.jobs.is_empty() {
            return None;
        }
        let lines = |args: &[&str]| bench.run(args).expect_code(0).json_lines();
        let records = lines(&["library", "export"]);
        let files = lines(&["--format", "json", "library", "list"]);
        let mut look = Self { records, ..Self::default() };
        for row in jobs.expect_code(0).json_lines() {
            let job = Job {
                state: text(&row["state"]),
                reason: text(&row["reason"]),
                attempts: row["attempts"].as_u64().expect("a job has a number of attempts"),
                records: 0,
                file: None,
            };
            let twice = look.jobs.insert(text(&row["artifact_id"]), job);
            assert!(twice.is_none(), "two jobs for one work: {row}");
        }
        for record in &look.records {
            let job = look.jobs.get_mut(&text(&record["artifact_id"]));
            job.unwrap_or_else(|| panic!("a record without a job: {record}")).records += 1;
        }
        for row in files {
            let (sha256, name) = (text(&row["sha256"]), text(&row["name"]));
            look.files.insert(sha256.clone());
            let job = look.jobs.get_mut(&text(&row["artifact_id"]));
            job.unwrap_or_else(|| panic!("a file without a job: {row}")).file = Some((sha256, name));
        }
        Some(look)
    }

    /// Nobody gave a job its attempts back: only a record does.
    pub(super) fn expect_charged_since(&self, last: &Self) {
        for (id, before) in &last.jobs {
            let now = self.jobs.get(id).unwrap_or_else(|| panic!("{id} is lost: it was {before:?}"));
            let is_charged = now.records > before.records || now.attempts >= before.attempts;
            assert!(is_charged, "{id} got attempts back: {before:?}, then {now:?}");
            let leased = now.state != "in_progress" || now.attempts > 0;
            assert!(leased, "{id} is leased and not charged: {now:?}");
            let had_ended = !["queued", "in_progress"].contains(&&*before.state);
            assert!(!had_ended || now == before, "{id} had ended: {before:?}, then {now:?}");
        }
    }

    /// What the manifest says of a work.
    pub(super) fn records_of(&self, id: &str) -> Vec<&Value> {
        self.records.iter().filter(|record| record["artifact_id"] == id).collect()
    }

    pub(super) fn most_attempts(&self) -> u64 {
        self.jobs.values().map(|job| job.attempts).max().unwrap_or(0)
    }

    pub(super) fn states(&self) -> BTreeMap<String, usize> {
        let mut states = BTreeMap::new();
        self.jobs.values().for_each(|job| *states.entry(job.state.clone()).or_default() += 1);
        states
    }

    /// Blobs that no row names. Each has to be whole: only then may it have its name.
    pub(super) fn orphans(&self, library: &Path) -> BTreeSet<String> {
        let mut orphans = BTreeSet::new();
        for shard in names(&library.join("blobs")) {
            let dir = library.join("blobs").join(&shard);
            for rest in names(&dir) {
                let name = format!("{shard}{rest}");
                if !self.files.contains(&name) {
                    let bytes = fs::read(dir.join(rest)).expect("a blob can be read");
                    assert_eq!(name, hex(&Sha256::digest(bytes)), "a blob is not what its name says");
                    orphans.insert(name);
                }
            }
        }
        orphans
    }
}

/// The names in a directory; none if there is no such directory.
pub(super) fn names(dir: &Path) -> BTreeSet<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| {
        entry.expect("a directory can be read").file_name().to_string_lossy().into_owned()
    };
    fs::read_dir(dir).into_iter().flatten().map(name).collect()
}

/// A string of a JSON document; empty for `null`.
pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
