//! Every write after a lease: it names the lease's token, and without it changes nothing.
//!
//! Must never find a job by its number alone.

use gleaner_model::clock::UnixMillis;
use gleaner_model::job::JobResult;
use gleaner_model::key::Key;
use rusqlite::{Connection, OptionalExtension};

use super::{Line, Moving, Tx};
use crate::error::Trouble;
use crate::queue::{AfterRecord, Fenced, Lease, StoredFile};
use crate::sql;

/// Sets when leases expire; returns those that are not held.
pub(crate) fn heartbeat(
    connection: &Connection,
    extend: &[(Lease, UnixMillis)],
) -> Result<Vec<Lease>, Trouble> {
    let mut update = connection.prepare_cached(sql::LEASE_EXTEND)?;
    let mut lost = Vec::new();
    for (lease, until) in extend {
        if update.execute((lease.job.0, lease.token.0, until.0))? == 0 {
            lost.push(*lease);
        }
    }
    Ok(lost)
}

/// Writes a step's result; the job stays leased or goes to wait, with no attempt charged for the past.
pub(crate) fn record(
    tx: &Tx<'_>,
    lease: Lease,
    plan: &str,
    records: &[Line],
    next: &AfterRecord,
    now: UnixMillis,
) -> Result<Fenced, Trouble> {
    let (key, until) = match next {
        AfterRecord::Keep { key, until } => return keep(tx, lease, plan, records, key, *until),
        AfterRecord::Queue { key } => (key, None),
        AfterRecord::Wait { key, until } => (key, Some(*until)),
    };
    let Some((job, step)) = take(tx, lease)? else { return Ok(Fenced::Lost) };
    write_manifest(tx, lease, step, records)?;
    Moving { key: key.to_string(), attempts: 0, plan: plan.to_owned(), ..job }.wait(tx, until, now)?;
    Ok(Fenced::Held(()))
}

fn keep(
    tx: &Tx<'_>,
    lease: Lease,
    plan: &str,
    records: &[Line],
    key: &Key,
    until: UnixMillis,
) -> Result<Fenced, Trouble> {
    let mut update = tx.prepare_cached(sql::LEASE_KEEP)?;
    let values = (lease.job.0, lease.token.0, key.to_string(), plan, records.len() as i64, until.0);
    let Some(step) = update.query_row(values, |row| row.get(0)).optional()? else { return Ok(Fenced::Lost) };
    write_manifest(tx, lease, step, records)?;
    Ok(Fenced::Held(()))
}

/// Gives the job back, its attempt with it.
pub(crate) fn snooze(
    tx: &Tx<'_>,
    lease: Lease,
    key: &Key,
    until: Option<UnixMillis>,
    now: UnixMillis,
) -> Result<Fenced, Trouble> {
    let Some((job, _)) = take(tx, lease)? else { return Ok(Fenced::Lost) };
    let attempts = job.attempts.saturating_sub(1);
    Moving { key: key.to_string(), attempts, ..job }.wait(tx, until, now)?;
    Ok(Fenced::Held(()))
}

/// Ends the job. That `file` is there exactly for `Done` has been checked.
pub(crate) fn ack(
    tx: &Tx<'_>,
    lease: Lease,
    plan: &str,
    records: &[Line],
    result: &JobResult,
    file: Option<&StoredFile>,
    now: UnixMillis,
) -> Result<Fenced, Trouble> {
    let Some((job, step)) = take(tx, lease)? else { return Ok(Fenced::Lost) };
    write_manifest(tx, lease, step, records)?;
    if let Some(StoredFile { sha256, size, media_type, name }) = file {
        tx.prepare_cached(sql::FILE_INSERT)?.execute((sha256, size, media_type, now.0))?;
        tx.prepare_cached(sql::HOLDING_INSERT)?.execute((job.id, sha256, name))?;
    }
    let end = (result.state().as_str(), result.reason().as_str(), result.detail());
    Moving { plan: plan.to_owned(), ..job }.finish(tx, end, now)?;
    Ok(Fenced::Held(()))
}

/// Takes the job out of its lease, if it is held: the job, and how many records its lease has written.
fn take(connection: &Connection, lease: Lease) -> rusqlite::Result<Option<(Moving, i64)>> {
    // Two statements: one that deletes and returns builds a table for its one row.
    let mut held = connection.prepare_cached(sql::LEASE_HELD)?;
    let job = held.query_row((lease.job.0, lease.token.0), |row| Ok((Moving::from_row(row)?, row.get(5)?)));
    let job = job.optional()?;
    if job.is_some() {
        connection.prepare_cached(sql::LEASE_DELETE)?.execute([lease.job.0])?;
    }
    Ok(job)
}

/// Adds the records, numbered on from `step`.
fn write_manifest(tx: &Tx<'_>, lease: Lease, step: i64, records: &[Line]) -> rusqlite::Result<()> {
    for (step, line) in (step..).zip(records) {
        line.write(tx, lease, step)?;
    }
    Ok(())
}
