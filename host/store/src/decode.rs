//! Reading stored values back into the model's types.
//!
//! Must never guess: a value that cannot be read names its job and itself.

use std::fmt::Display;

use gleaner_model::artifact::{Artifact, ArtifactId};
use gleaner_model::key::Key;
use gleaner_model::manifest::ManifestRecord;
use gleaner_model::plan::Plan;

use crate::StoreError;

/// A type that is stored as text in a row of a job.
pub(crate) trait Column: Sized {
    /// Reads it; `job` is for the error.
    fn read(job: i64, text: &str) -> Result<Self, StoreError>;
}

macro_rules! columns {
    ($($type:ty = $what:literal by $read:expr),+ $(,)?) => {$(
        impl Column for $type {
            fn read(job: i64, text: &str) -> Result<Self, StoreError> {
                ($read)(text).map_err(|error| unreadable(job, $what, error))
            }
        }
    )+};
}

columns! {
    Artifact = "artifact" by serde_json::from_str::<Artifact>,
    ArtifactId = "artifact_id" by ArtifactId::new,
    Key = "key" by Key::parse,
    ManifestRecord = "manifest record" by serde_json::from_str::<ManifestRecord>,
    Plan = "plan" by Plan::from_json,
    gleaner_model::job::JobState = "state" by str::parse::<Self>,
    gleaner_model::reason::Reason = "reason" by str::parse::<Self>,
}

fn unreadable(job: i64, what: &'static str, error: impl Display) -> StoreError {
    StoreError::Unreadable { job, what, detail: error.to_string() }
}

/// The artifact with its name, which stands in a column of its own.
pub(crate) fn artifact(job: i64, name: &str, json: &str) -> Result<Artifact, StoreError> {
    let mut artifact = Artifact::read(job, json)?;
    artifact.id = ArtifactId::read(job, name)?;
    Ok(artifact)
}
