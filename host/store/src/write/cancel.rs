//! Ending jobs that nobody wants any more, and forgetting those that ended long ago.
//!
//! Must never end a job that has ended, nor forget one that holds a file: that is provenance.

use gleaner_model::clock::UnixMillis;
use gleaner_model::job::{JobId, JobState};
use gleaner_model::reason::Reason;

use super::upkeep::taken;
use super::{Moving, Tx};
use crate::error::Trouble;
use crate::sql;

/// Ends these jobs as `skipped`, reason `cancelled`, wherever they stand; returns those that had not ended.
/// Whoever works on one loses its lease with the next write or heartbeat.
pub(crate) fn cancel(tx: &Tx<'_>, jobs: &[JobId], now: UnixMillis) -> Result<Vec<JobId>, Trouble> {
    let mut cancelled = Vec::new();
    for &JobId(id) in jobs {
        let Some(job) = take(tx, id)? else { continue };
        job.finish(tx, (JobState::Skipped.as_str(), Reason::Cancelled.as_str(), "by the operator"), now)?;
        cancelled.push(JobId(id));
    }
    Ok(cancelled)
}

/// Takes a job out of whichever place it waits or runs in.
fn take(tx: &Tx<'_>, id: i64) -> rusqlite::Result<Option<Moving>> {
    if let Some(job) = taken(tx, sql::READY_TAKE_OF_JOB, [id])?.pop() {
        tx.ready(&job.key, -1);
        return Ok(Some(job));
    }
    if let Some(job) = taken(tx, sql::DELAYED_TAKE_OF_JOB, [id])?.pop() {
        tx.delayed(&job.key, -1);
        return Ok(Some(job));
    }
    Ok(taken(tx, sql::LEASE_TAKE_OF_JOB, [id])?.pop())
}

/// Deletes ended jobs with their names and manifest records; those that have started anew are passed over.
pub(crate) fn purge(tx: &Tx<'_>, jobs: &[i64]) -> Result<u64, Trouble> {
    tx.prepare_cached(sql::ATTEMPTS_END)?.execute([])?;
    let mut end = tx.prepare_cached(sql::FINISHED_DELETE)?;
    let mut parts = [
        tx.prepare_cached(sql::ATTEMPTS_DELETE)?,
        tx.prepare_cached(sql::IDENTIFIERS_DELETE)?,
        tx.prepare_cached(sql::JOB_DELETE)?,
    ];
    let mut count = 0;
    for id in jobs {
        let states: Vec<String> = end.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let Some(state) = states.first() else { continue };
        tx.ended(state, -1);
        for part in &mut parts {
            part.execute([id])?;
        }
        count += 1;
    }
    Ok(count)
}
