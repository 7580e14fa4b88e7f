//! `library.db`: the work queue, the manifest, and what limits remember over a restart.
//!
//! One thread writes and commits groups; readers have connections of their own. The queue is a trait,
//! [`WorkQueue`], and [`conformance`] says what an implementation has to keep. Must remain the only crate
//! that knows which database it is: no type of the driver leaves it.

mod backup;
pub mod conformance;
mod connection;
mod decode;
mod error;
mod files;
mod health;
mod keys;
mod library;
mod options;
mod processes;
mod queue;
mod read;
mod readers;
mod search;
mod sql;
mod sqlite_queue;
mod suspensions;
mod view;
mod waiting;
mod write;
mod writer;

pub use error::StoreError;
pub use files::{Earlier, Held, ManifestFilter, ManifestPage};
pub use health::Health;
pub use keys::{Claim, KeyRow, Wish};
pub use library::Library;
pub use options::{Durability, StoreOptions};
pub use processes::{Membership, Others, Process};
pub use queue::{
    AfterRecord, Backlog, Enqueued, Expired, Fenced, Lease, Leased, NewJob, ProcessId, QueueStats,
    RetryFilter, StoredFile, WorkQueue,
};
pub use search::{JobFilter, JobPage};
pub use view::{FileRow, JobRow, JobView, Scope, Summary};
pub use waiting::Waiting;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gleaner_model::units::Span;

    use crate::{Durability, StoreOptions};

    pub(crate) fn options() -> StoreOptions {
        StoreOptions { durability: Durability::Normal, busy_timeout: Span(Duration::from_secs(10)) }
    }
}
