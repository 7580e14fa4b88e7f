//! Jobs found by what is known of them.
//!
//! Must never promise a full page: what no index knows is looked for in so many jobs a call.

use gleaner_model::job::{JobId, JobState};
use gleaner_model::key::{HostKey, ResolverName};
use gleaner_model::reason::Reason;

use crate::error::StoreError;
use crate::view::JobRow;
use crate::{Library, read};

/// Which jobs; all that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// In this state.
    pub state: Option<JobState>,
    /// Ended for that reason.
    pub reason: Option<Reason>,
    /// With an attempt of that resolver, or waiting for it.
    pub resolver: Option<ResolverName>,
    /// With an attempt that ended at that host, or waiting for it.
    pub host: Option<HostKey>,
    /// A whole identifier, artifact id or number; else a part of a title, an author, an identifier, or a year.
    pub text: Option<String>,
}

/// Some jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobPage {
    /// Those that fit, in the order of their numbers. There may be fewer than asked for, even none, and more behind.
    pub rows: Vec<JobRow>,
    /// Where the next page begins: behind this one; none at the end.
    pub next: Option<JobId>,
    /// How many jobs were looked at.
    pub looked_at: u32,
}

impl Library {
    /// At most `limit` jobs that fit, behind `after`, in the order of their numbers.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn search(
        &self,
        filter: JobFilter,
        after: Option<JobId>,
        limit: u32,
    ) -> Result<JobPage, StoreError> {
        self.read(move |c| read::search::jobs(c, &filter, after.unwrap_or(JobId(0)), limit)).await
    }
}
