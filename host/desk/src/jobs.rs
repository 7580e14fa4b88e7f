//! Jobs as they are shown: a line of a list, and everything about one.
//!
//! Fields are only added. Must never leave out an attempt.

use std::path::Path;

use gleaner_model::artifact::Artifact;
use gleaner_model::job::{JobId, JobState};
use gleaner_model::manifest::ManifestRecord;
use gleaner_model::plan::Plan;
use gleaner_model::reason::Reason;
use gleaner_store::{FileRow, JobRow, JobView};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// A job in a list.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct JobLine {
    /// Its number.
    pub job: JobId,
    /// Its work.
    pub artifact_id: String,
    /// Where it stands.
    pub state: JobState,
    /// What its step is limited by; none when it has ended.
    pub key: Option<String>,
    /// Why it ended.
    #[schemars(with = "Option<String>")]
    pub reason: Option<Reason>,
    /// What more there is to say.
    pub detail: String,
    /// Leases since the last record.
    pub attempts: u32,
    /// RFC 3339: not before then (`queued`), the lease expires (`in_progress`), it ended.
    pub at: Option<String>,
    /// The work's title as given.
    pub title: Option<String>,
}

impl From<&JobRow> for JobLine {
    fn from(row: &JobRow) -> Self {
        Self {
            job: row.id,
            artifact_id: row.artifact_id.to_string(),
            state: row.state,
            key: row.key.as_ref().map(ToString::to_string),
            reason: row.reason,
            detail: row.detail.clone(),
            attempts: row.attempts,
            at: row.at.map(|at| at.to_string()),
            title: row.title.clone(),
        }
    }
}

/// Everything that the library knows of a job.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct JobDocument {
    /// As in a list.
    #[serde(flatten)]
    pub line: JobLine,
    /// What is wanted: identifiers, bibliographic fields, what else came with it.
    #[schemars(with = "Map<String, Value>")]
    pub artifact: Artifact,
    /// The facts that are known of its steps.
    #[schemars(with = "Map<String, Value>")]
    pub plan: Plan,
    /// The file it holds.
    pub file: Option<FileRow>,
    /// Every attempt, in order: records of the manifest.
    pub attempts_made: Vec<ManifestRecord>,
}

impl From<JobView> for JobDocument {
    fn from(view: JobView) -> Self {
        let line = JobLine::from(&view.row);
        let JobView { artifact, plan, file, records, .. } = view;
        Self { line, artifact, plan, file, attempts_made: records }
    }
}

/// What became of jobs that were to be cancelled.
#[derive(Debug, Clone, Copy, Default, Serialize, JsonSchema)]
pub struct Cancelled {
    /// Jobs that were ended.
    pub cancelled: u64,
    /// Jobs that had ended already.
    pub ended: u64,
    /// Names that no job has, and lines that are none.
    pub unknown: u64,
}

/// What to say when nothing in a library is called so.
pub fn no_such_job(library: &Path, id: &str) -> String {
    format!(
        "no job in {} has {id:?} as its number, artifact id or identifier; see `gleaner queue list`",
        library.display()
    )
}
