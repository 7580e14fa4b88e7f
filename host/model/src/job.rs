//! Jobs: the durable unit of work for one artifact, and the names that a lease needs.
//!
//! Must never hold what the plan holds: a job is where a plan stands, not what it says.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A job's row number in its library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct JobId(pub i64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Proof of the current lease of a job: new at each lease, and asked for by every later write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeaseToken(pub i64);

/// Smaller numbers go first. The default is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Priority(pub i32);

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for its next step.
    Queued,
    /// Leased.
    InProgress,
    /// Ended with a file.
    Done,
    /// Ended: nothing to fetch, which is not an error.
    Skipped,
    /// Ended by failure.
    Error,
}

impl JobState {
    /// Every state.
    pub const ALL: [JobState; 5] = [Self::Queued, Self::InProgress, Self::Done, Self::Skipped, Self::Error];

    /// The name, as stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for JobState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| UnknownState(crate::identifier::abridged(text)))
    }
}

/// Not one of the states.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a state; use queued, in_progress, done, skipped or error")]
pub struct UnknownState(String);

/// How a job ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum JobResult {
    /// With a file: SHA-256 in lower-case hex.
    Done {
        /// `ok` or `already_stored`.
        reason: crate::reason::Reason,
        /// The file.
        sha256: String,
    },
    /// Nothing to fetch.
    Skipped {
        /// Why.
        reason: crate::reason::Reason,
        /// What more there is to say.
        detail: String,
    },
    /// By failure.
    Error {
        /// Why.
        reason: crate::reason::Reason,
        /// What more there is to say.
        detail: String,
    },
}

impl JobResult {
    /// The state it ends in.
    pub fn state(&self) -> JobState {
        match self {
            Self::Done { .. } => JobState::Done,
            Self::Skipped { .. } => JobState::Skipped,
            Self::Error { .. } => JobState::Error,
        }
    }

    /// Why.
    pub fn reason(&self) -> crate::reason::Reason {
        match self {
            Self::Done { reason, .. } | Self::Skipped { reason, .. } | Self::Error { reason, .. } => *reason,
        }
    }

    /// What more there is to say; empty when there is nothing.
    pub fn detail(&self) -> &str {
        match self {
            Self::Done { .. } => "",
            Self::Skipped { detail, .. } | Self::Error { detail, .. } => detail,
        }
    }
}
