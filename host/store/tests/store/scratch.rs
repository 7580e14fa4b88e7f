//! What the suites share: a library in a scratch directory, under a clock that stands.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gleaner_model::artifact::Artifact;
use gleaner_model::clock::{FakeClock, UnixMillis};
use gleaner_model::identifier::Identifier;
use gleaner_model::job::{JobResult, Priority};
use gleaner_model::key::Key;
use gleaner_model::reason::Reason;
use gleaner_model::units::Span;
use gleaner_store::{Durability, Library, NewJob, StoreOptions, StoredFile};
use tempfile::TempDir;

pub(crate) const TTL: Duration = Duration::from_secs(600);
/// 2026-03-01T12:00:00Z.
pub(crate) const NOON: UnixMillis = UnixMillis(1_772_366_400_000);

pub(crate) struct Scratch {
    pub(crate) dir: TempDir,
    pub(crate) clock: Arc<FakeClock>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), clock: FakeClock::at(NOON) }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn open(&self) -> Library {
        Library::open(self.path(), &options(), self.clock.clone()).unwrap()
    }
}

pub(crate) fn options() -> StoreOptions {
    StoreOptions { durability: Durability::Normal, busy_timeout: Span(Duration::from_secs(10)) }
}

pub(crate) fn job(name: &str) -> NewJob {
    NewJob {
        artifact: Artifact::of(Identifier::parse(name).unwrap()),
        key: Key::Plan,
        priority: Priority::default(),
        not_before: None,
    }
}

/// The file whose hash is that digit 64 times, and the result that names it.
pub(crate) fn done(digit: char) -> (JobResult, Option<StoredFile>) {
    let sha256 = digit.to_string().repeat(64);
    let file = StoredFile {
        sha256: sha256.clone(),
        size: 1000,
        media_type: "application/pdf".into(),
        name: format!("files/{digit}.pdf"),
    };
    (JobResult::Done { reason: Reason::Ok, sha256 }, Some(file))
}
