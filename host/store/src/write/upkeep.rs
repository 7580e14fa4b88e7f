//! What keeps the queue moving: expired leases, due jobs, second chances, cooldowns and runs.
//!
//! Must never give an attempt back: only a record or a snooze does.

use gleaner_model::clock::UnixMillis;
use gleaner_model::job::{JobId, JobState};
use gleaner_model::key::Key;
use gleaner_model::manifest::RunIdentity;
use gleaner_model::reason::Reason;
use rusqlite::{Connection, Params};

use super::Moving;
use super::lease::Holder;
use crate::error::Trouble;
use crate::queue::Expired;
use crate::sql;

/// Takes back leases whose time has passed.
pub(crate) fn expire(
    connection: &Connection,
    max_attempts: u32,
    now: UnixMillis,
) -> Result<Expired, Trouble> {
    take_back(connection, sql::LEASE_TAKE_EXPIRED, [now.0], max_attempts, now)
}

/// Takes back the leases of every other process.
pub(crate) fn take_over(
    connection: &Connection,
    holder: Holder,
    max_attempts: u32,
    now: UnixMillis,
) -> Result<Expired, Trouble> {
    take_back(connection, sql::LEASE_TAKE_FOREIGN, [holder.id], max_attempts, now)
}

fn take_back(
    connection: &Connection,
    statement: &str,
    values: impl Params,
    max_attempts: u32,
    now: UnixMillis,
) -> Result<Expired, Trouble> {
    let mut expired = Expired::default();
    for job in taken(connection, statement, values)? {
        if job.attempts < max_attempts {
            job.wait(connection, None, now)?;
            expired.requeued += 1;
        } else {
            expired.poisoned.push(JobId(job.id));
            let detail = format!("{}: leased {} times, and no result came", job.key, job.attempts);
            job.finish(connection, (JobState::Error.as_str(), Reason::Poison.as_str(), &detail), now)?;
        }
    }
    Ok(expired)
}

/// Moves at most `most` jobs whose time has come; returns how many.
pub(crate) fn promote_due(connection: &Connection, most: u32, now: UnixMillis) -> Result<u64, Trouble> {
    let due = taken(connection, sql::DELAYED_TAKE_DUE, (now.0, most))?;
    let count = due.len() as u64;
    for job in due {
        job.wait(connection, None, now)?;
    }
    Ok(count)
}

/// Starts these ended jobs anew, as if they had just been enqueued. Those that are not ended are passed over.
pub(crate) fn restart(
    connection: &Connection,
    ended: &[(i64, i32)],
    now: UnixMillis,
) -> Result<u64, Trouble> {
    let mut delete = connection.prepare_cached(sql::FINISHED_DELETE)?;
    let mut count = 0;
    for &(id, prio) in ended {
        if delete.execute([id])? == 1 {
            let fresh = Moving { id, key: Key::Plan.to_string(), prio, attempts: 0, plan: String::new() };
            fresh.wait(connection, None, now)?;
            count += 1;
        }
    }
    Ok(count)
}

/// Remembers that a key is not to be used before then.
pub(crate) fn save_cooldown(connection: &Connection, key: &Key, until: UnixMillis) -> Result<(), Trouble> {
    connection.prepare_cached(sql::COOLDOWN_SAVE)?.execute((key.to_string(), until.0))?;
    Ok(())
}

/// Notes that a run begins.
pub(crate) fn begin_run(connection: &Connection, run: &RunIdentity, now: UnixMillis) -> Result<(), Trouble> {
    connection.prepare_cached(sql::RUN_INSERT)?.execute((&run.run_id, now.0, &run.config_hash))?;
    Ok(())
}

/// Runs a deleting statement to its end and returns what it took.
fn taken(connection: &Connection, statement: &str, values: impl Params) -> rusqlite::Result<Vec<Moving>> {
    connection.prepare_cached(statement)?.query_map(values, Moving::from_row)?.collect()
}
