//! Jobs that are ready under a key, looked at and moved to other keys without a lease: a stopped key leases none.
//!
//! Must never move a job that is not where it was seen.

use gleaner_model::artifact::Artifact;
use gleaner_model::job::{JobId, Priority};
use gleaner_model::key::Key;
use gleaner_model::plan::Plan;
use rusqlite::Connection;

use crate::Library;
use crate::decode::{self, Column};
use crate::error::{StoreError, Trouble};
use crate::sql;
use crate::write::Tx;

/// A job that is ready.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// Where it stands among those of its key: jobs are in this order.
    pub place: (Priority, JobId),
    /// What is wanted.
    pub artifact: Artifact,
    /// What is known.
    pub plan: Plan,
}

impl Library {
    /// At most so many jobs of a key, those behind a place.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn waiting(
        &self,
        key: Key,
        behind: Option<(Priority, JobId)>,
        most: u32,
    ) -> Result<Vec<Waiting>, StoreError> {
        self.read(move |c| page(c, &key.to_string(), behind, most)).await
    }

    /// Moves ready jobs from one key to others; returns how many were still there.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn pass_on(&self, from: Key, jobs: Vec<((Priority, JobId), Key)>) -> Result<u64, StoreError> {
        self.write(move |tx, _| pass_on(tx, &from.to_string(), &jobs)).await
    }
}

fn page(
    connection: &Connection,
    key: &str,
    behind: Option<(Priority, JobId)>,
    most: u32,
) -> Result<Vec<Waiting>, Trouble> {
    let (prio, id) = behind.map_or((i32::MIN, i64::MIN), |(prio, job)| (prio.0, job.0));
    let mut select = connection.prepare_cached(sql::READY_PAGE)?;
    let mut rows = select.query((key, prio, id, most))?;
    let mut jobs = Vec::new();
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(1)?;
        jobs.push(Waiting {
            place: (Priority(row.get(0)?), JobId(id)),
            plan: Plan::read(id, row.get_ref(2)?.as_str()?)?,
            artifact: decode::artifact(id, row.get_ref(3)?.as_str()?, row.get_ref(4)?.as_str()?)?,
        });
    }
    Ok(jobs)
}

fn pass_on(tx: &Tx<'_>, from: &str, jobs: &[((Priority, JobId), Key)]) -> Result<u64, Trouble> {
    let mut update = tx.prepare_cached(sql::READY_MOVE)?;
    let mut all = 0;
    for ((prio, id), to) in jobs {
        let to = to.to_string();
        let moved = i64::try_from(update.execute((from, &to, prio.0, id.0))?).unwrap_or(0);
        tx.ready(from, -moved);
        tx.ready(&to, moved);
        all += moved.unsigned_abs();
    }
    Ok(all)
}
