//! What keeps the queue moving: expired leases, due jobs, second chances, runs; and the tables small.
//!
//! Must never give an attempt back: only a record or a snooze does.

use gleaner_model::clock::UnixMillis;
use gleaner_model::job::{JobId, JobState};
use gleaner_model::key::Key;
use gleaner_model::manifest::RunIdentity;
use gleaner_model::reason::Reason;
use rusqlite::{Connection, OptionalExtension, Params};

use super::{Moving, Tx};
use crate::error::Trouble;
use crate::queue::Expired;
use crate::sql;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// Takes back leases whose time has passed.
pub(crate) fn expire(tx: &Tx<'_>, max_attempts: u32, now: UnixMillis) -> Result<Expired, Trouble> {
    take_back(tx, sql::LEASE_TAKE_EXPIRED, [now.0], max_attempts, now)
}

/// Runs a statement that deletes leases; their jobs wait again, or end as poison.
pub(super) fn take_back(
    tx: &Tx<'_>,
    statement: &str,
    values: impl Params,
    max_attempts: u32,
    now: UnixMillis,
) -> Result<Expired, Trouble> {
    let mut expired = Expired::default();
    for job in taken(tx, statement, values)? {
        if job.attempts < max_attempts {
            job.wait(tx, None, now)?;
            expired.requeued += 1;
        } else {
            expired.poisoned.push(JobId(job.id));
            let detail = format!("{}: leased {} times, and no result came", job.key, job.attempts);
            job.finish(tx, (JobState::Error.as_str(), Reason::Poison.as_str(), &detail), now)?;
        }
    }
    Ok(expired)
}

/// Moves at most `most` jobs whose time has come; returns how many.
pub(crate) fn promote_due(tx: &Tx<'_>, most: u32, now: UnixMillis) -> Result<u64, Trouble> {
    let due = taken(tx, sql::DELAYED_TAKE_DUE, (now.0, most))?;
    let count = due.len() as u64;
    for job in due {
        tx.delayed(&job.key, -1);
        job.wait(tx, None, now)?;
    }
    Ok(count)
}

/// Starts these ended jobs anew, as if they had just been enqueued. Those that are not ended are passed over.
pub(crate) fn restart(tx: &Tx<'_>, ended: &[(i64, i32)], now: UnixMillis) -> Result<u64, Trouble> {
    let mut delete = tx.prepare_cached(sql::FINISHED_DELETE)?;
    let mut count = 0;
    for &(id, prio) in ended {
        let state: Option<String> = delete.query_row([id], |row| row.get(0)).optional()?;
        if let Some(state) = state {
            tx.ended(&state, -1);
            let fresh = Moving { id, key: Key::Plan.to_string(), prio, attempts: 0, plan: String::new() };
            fresh.wait(tx, None, now)?;
            count += 1;
        }
    }
    Ok(count)
}

/// Notes that a run begins.
pub(crate) fn begin_run(connection: &Connection, run: &RunIdentity, now: UnixMillis) -> Result<(), Trouble> {
    connection.prepare_cached(sql::RUN_INSERT)?.execute((&run.run_id, now.0, &run.config_hash))?;
    Ok(())
}

/// Forgets what says nothing any more: keys without jobs, owner or setting, wishes of long ago.
pub(crate) fn prune(connection: &Connection, now: UnixMillis) -> Result<(), Trouble> {
    connection.prepare_cached(sql::BACKLOG_PRUNE)?.execute([])?;
    connection.prepare_cached(sql::KEYS_PRUNE)?.execute((now.0, now.0.saturating_sub(DAY_MS)))?;
    connection.prepare_cached(sql::WISHES_PRUNE)?.execute([now.0])?;
    // As many free pages as a busy minute makes; a statement that shrinks the file answers with rows.
    connection.prepare_cached(sql::VACUUM_SOME)?.query([])?.next().map(drop)?;
    Ok(())
}

/// Runs a deleting statement to its end and returns what it took.
pub(super) fn taken(
    connection: &Connection,
    statement: &str,
    values: impl Params,
) -> rusqlite::Result<Vec<Moving>> {
    connection.prepare_cached(statement)?.query_map(values, Moving::from_row)?.collect()
}
