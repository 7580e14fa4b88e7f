//! What the library shows of its jobs and files: the answers of the reading calls.
//!
//! Must never be written back: a view is a moment's copy.

use gleaner_model::artifact::{Artifact, ArtifactId};
use gleaner_model::clock::UnixMillis;
use gleaner_model::job::{JobId, JobState};
use gleaner_model::key::Key;
use gleaner_model::manifest::ManifestRecord;
use gleaner_model::plan::Plan;
use gleaner_model::reason::Reason;
use schemars::JsonSchema;
use serde::Serialize;

/// A job in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// Its number.
    pub id: JobId,
    /// Its work.
    pub artifact_id: ArtifactId,
    /// Where it stands.
    pub state: JobState,
    /// What its step is limited by; none when it has ended.
    pub key: Option<Key>,
    /// Why it ended.
    pub reason: Option<Reason>,
    /// What more there is to say; mostly empty.
    pub detail: String,
    /// Leases since the last record.
    pub attempts: u32,
    /// What time there is to it: not before then (`queued`), the lease expires (`in_progress`), it ended.
    pub at: Option<UnixMillis>,
    /// The work's title as given.
    pub title: Option<String>,
}

/// Everything the library knows of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobView {
    /// Where it stands.
    pub row: JobRow,
    /// What is wanted.
    pub artifact: Artifact,
    /// What is known.
    pub plan: Plan,
    /// The file it holds.
    pub file: Option<FileRow>,
    /// Every attempt, in order.
    pub records: Vec<ManifestRecord>,
}

/// A file that a job holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FileRow {
    /// The job.
    pub job: JobId,
    /// Its work.
    #[schemars(with = "String")]
    pub artifact_id: ArtifactId,
    /// SHA-256 in lower-case hex.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// What the bytes are.
    pub media_type: String,
    /// Readable name, relative to the library.
    pub name: String,
    /// When the library got it.
    pub stored_at: UnixMillis,
}

/// Which jobs a [`Summary`] is of.
#[derive(Debug, Clone)]
pub enum Scope {
    /// All.
    Library,
    /// These.
    Jobs(Vec<JobId>),
    /// Those with an attempt in the run of that id.
    Run(String),
}

/// How jobs stand, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Jobs by state and, where ended, reason.
    pub states: Vec<(JobState, Option<Reason>, u64)>,
    /// Files accepted, by the resolver that proposed them.
    pub resolvers: Vec<(String, u64)>,
    /// Different files that these jobs hold.
    pub files: u64,
    /// Bytes of those files.
    pub bytes: u64,
}
