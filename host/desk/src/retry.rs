//! Starting failed jobs anew.
//!
//! Must never start one that has a file.

use gleaner_store::{Library, RetryFilter, StoreError, WorkQueue};
use schemars::JsonSchema;
use serde::Serialize;

/// Which jobs to start anew.
#[derive(Debug, Clone, Default)]
pub struct Retry {
    /// All that is given must hold.
    pub filter: RetryFilter,
    /// Change nothing; say how many it would be.
    pub dry_run: bool,
}

/// How many were started anew.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub struct Retried {
    /// Jobs.
    pub retried: u64,
    /// Whether nothing was changed.
    pub dry_run: bool,
}

impl Retry {
    /// Does it.
    ///
    /// # Errors
    /// When the library cannot be read or written.
    pub async fn run(self, library: &Library) -> Result<Retried, StoreError> {
        let retried = library.retry_failed(self.filter, self.dry_run).await?;
        Ok(Retried { retried, dry_run: self.dry_run })
    }
}
