//! How a library's database fares, for whoever looks after it.
//!
//! Only looks: what is to be done is said by the caller, and done by a run.

use gleaner_model::clock::UnixMillis;

use crate::error::StoreError;
use crate::processes::Process;
use crate::{Library, read};

/// What there is to say of a database beside what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Its schema version, and the one that this program writes.
    pub schema: (i64, i64),
    /// What is wrong with it, by SQLite's quick check; empty when nothing is.
    pub problems: Vec<String>,
    /// Bytes of the write-ahead log.
    pub log_bytes: u64,
    /// The latest time that was written down: a run's start, a job's end, a stored file.
    pub newest: Option<UnixMillis>,
    /// Processes that died without leaving, each with how many leases it holds.
    pub dead: Vec<(Process, u64)>,
}

impl Library {
    /// Looks at the database. Reads all of it once.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn health(&self) -> Result<Health, StoreError> {
        let processes = self.others().await?.processes;
        let dead = self.dead_of(processes).await?;
        let log = self.dir().join(format!("{}-wal", Self::DATABASE));
        let log_bytes = std::fs::metadata(log).map_or(0, |file| file.len());
        self.read_alone(move |c| {
            let leases = |process: Process| Ok((process.clone(), read::health::leases(c, process.id)?));
            Ok(Health {
                schema: crate::connection::versions(c)?,
                problems: read::health::quick_check(c)?,
                log_bytes,
                newest: read::health::newest(c)?,
                dead: dead.into_iter().map(leases).collect::<Result<_, crate::error::Trouble>>()?,
            })
        })
        .await
    }
}
