//! What reads do, as functions of a read-only connection.
//!
//! Must be short: a long reader keeps the log from being merged. Lists come in pages.

pub(crate) mod files;
pub(crate) mod health;
pub(crate) mod keys;
pub(crate) mod search;

use std::time::Duration;

use gleaner_model::artifact::ArtifactId;
use gleaner_model::clock::UnixMillis;
use gleaner_model::identifier::Identifier;
use gleaner_model::job::{JobId, JobState};
use gleaner_model::key::Key;
use gleaner_model::manifest::ManifestRecord;
use gleaner_model::plan::Plan;
use gleaner_model::reason::Reason;
use rusqlite::{Connection, OptionalExtension, Params, Row};

use crate::decode::{self, Column};
use crate::error::Trouble;
use crate::queue::{Backlog, Lease, QueueStats, RetryFilter};
use crate::sql;
use crate::view::{FileRow, JobRow, JobView, Scope, Summary};

/// Jobs per state.
pub(crate) fn stats(connection: &Connection) -> Result<QueueStats, Trouble> {
    Ok(connection.prepare_cached(sql::STATS)?.query_row([], |row| {
        let [queued, in_progress, done, skipped, error] =
            [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
        let total = queued + in_progress + done + skipped + error;
        Ok(QueueStats { queued, in_progress, done, skipped, error, total })
    })?)
}

/// What waits.
pub(crate) fn backlog(connection: &Connection) -> Result<Backlog, Trouble> {
    let mut backlog = Backlog::default();
    let mut select = connection.prepare_cached(sql::BACKLOG_KEYS)?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let ready: u64 = row.get(1)?;
        if ready > 0 {
            backlog.ready.push((Key::read(0, row.get_ref(0)?.as_str()?)?, ready));
        }
        backlog.delayed += row.get::<_, u64>(2)?;
    }
    (backlog.next_due, backlog.leased, backlog.next_expiry) =
        connection.prepare_cached(sql::BACKLOG_WAITING)?.query_row([], |row| {
            let time = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(UnixMillis));
            Ok((time(0)?, row.get(1)?, time(2)?))
        })?;
    Ok(backlog)
}

/// How many jobs of its key go before a job that is ready.
pub(crate) fn ahead_of(connection: &Connection, job: JobId, most: u32) -> Result<Option<u64>, Trouble> {
    let mut place = connection.prepare_cached(sql::READY_PLACE)?;
    let place = place.query_row([job.0], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i32>(1)?)));
    let Some((key, prio)) = place.optional()? else { return Ok(None) };
    let mut count = connection.prepare_cached(sql::AHEAD_OF_JOB)?;
    Ok(Some(count.query_row((key, prio, job.0, most), |row| row.get(0))?))
}

/// The job that a user means: by its work's id, by any identifier of it, or by its number.
pub(crate) fn find(connection: &Connection, text: &str) -> Result<Option<JobView>, Trouble> {
    let text = text.trim();
    let mut id = number(connection, sql::JOB_BY_ARTIFACT_ID, [text])?;
    if id.is_none()
        && let Ok(identifier) = Identifier::parse(text)
    {
        let spelt = (identifier.scheme().as_str(), identifier.value());
        id = number(connection, sql::JOB_BY_IDENTIFIER, spelt)?;
    }
    match id.or_else(|| text.parse().ok()) {
        Some(id) => job(connection, JobId(id)),
        None => Ok(None),
    }
}

fn number(connection: &Connection, statement: &str, values: impl Params) -> rusqlite::Result<Option<i64>> {
    connection.prepare_cached(statement)?.query_row(values, |row| row.get(0)).optional()
}

/// Everything about a job.
pub(crate) fn job(connection: &Connection, id: JobId) -> Result<Option<JobView>, Trouble> {
    let mut select = connection.prepare_cached(sql::JOB_VIEW)?;
    let mut rows = select.query([id.0])?;
    let Some(found) = rows.next()? else { return Ok(None) };
    let row = job_row(found)?;
    Ok(Some(JobView {
        artifact: decode::artifact(id.0, row.artifact_id.as_str(), found.get_ref(9)?.as_str()?)?,
        plan: Plan::read(id.0, found.get_ref(10)?.as_str()?)?,
        file: list(connection, sql::FILE_OF_JOB, [id.0], file_row)?.pop(),
        records: list(connection, sql::ATTEMPTS_OF_JOB, [id.0], |row| {
            Ok(ManifestRecord::read(id.0, row.get_ref(0)?.as_str()?)?)
        })?,
        row,
    }))
}

/// Jobs behind `after`, in the order of their numbers.
pub(crate) fn jobs(
    connection: &Connection,
    state: Option<JobState>,
    after: JobId,
    limit: u32,
) -> Result<Vec<JobRow>, Trouble> {
    list(connection, sql::JOB_ROWS, (state.map(JobState::as_str), after.0, limit), job_row)
}

/// Files behind that of the job `after`, in the order of the jobs' numbers.
pub(crate) fn files(connection: &Connection, after: JobId, limit: u32) -> Result<Vec<FileRow>, Trouble> {
    list(connection, sql::FILES_AFTER, (after.0, limit), file_row)
}

/// How jobs stand, counted.
pub(crate) fn summary(connection: &Connection, scope: &Scope) -> Result<Summary, Trouble> {
    let ids: Vec<i64> = match scope {
        Scope::Library => {
            let whole =
                [sql::SUMMARY_LIBRARY_STATES, sql::SUMMARY_LIBRARY_RESOLVERS, sql::SUMMARY_LIBRARY_FILES];
            return summary_of(connection, whole, ());
        }
        Scope::Jobs(jobs) => jobs.iter().map(|job| job.0).collect(),
        Scope::Run(run) => list(connection, sql::JOBS_OF_RUN, [run], |row| Ok(row.get(0)?))?,
    };
    let some = [sql::SUMMARY_STATES, sql::SUMMARY_RESOLVERS, sql::SUMMARY_FILES];
    summary_of(connection, some, [format!("{ids:?}")])
}

/// States, resolvers and files by the three statements.
fn summary_of(
    connection: &Connection,
    [states, resolvers, files]: [&str; 3],
    values: impl Params + Clone,
) -> Result<Summary, Trouble> {
    let (files, bytes) =
        connection.prepare_cached(files)?.query_row(values.clone(), |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Summary {
        states: list(connection, states, values.clone(), state_count)?,
        resolvers: list(connection, resolvers, values, |row| Ok((row.get(0)?, row.get(1)?)))?,
        files,
        bytes,
    })
}

/// Those jobs per state. Numbers that no job has are not counted.
pub(crate) fn job_states(connection: &Connection, jobs: &[JobId]) -> Result<QueueStats, Trouble> {
    let ids = format!("{:?}", jobs.iter().map(|job| job.0).collect::<Vec<_>>());
    let mut stats = QueueStats::default();
    for (state, _, count) in list(connection, sql::SUMMARY_STATES, [ids], state_count)? {
        stats.total += count;
        *match state {
            JobState::Queued => &mut stats.queued,
            JobState::InProgress => &mut stats.in_progress,
            JobState::Done => &mut stats.done,
            JobState::Skipped => &mut stats.skipped,
            JobState::Error => &mut stats.error,
        } += count;
    }
    Ok(stats)
}

/// Those of these jobs that have not ended.
pub(crate) fn unfinished(connection: &Connection, jobs: &[JobId]) -> Result<Vec<JobId>, Trouble> {
    let ids = format!("{:?}", jobs.iter().map(|job| job.0).collect::<Vec<_>>());
    list(connection, sql::JOBS_UNFINISHED, [ids], |row| Ok(JobId(row.get(0)?)))
}

/// Those of these leases that hold no longer.
pub(crate) fn lost(connection: &Connection, mut leases: Vec<Lease>) -> Result<Vec<Lease>, Trouble> {
    let mut held = connection.prepare_cached(sql::LEASE_HELD)?;
    let mut failed = None;
    leases.retain(|lease| match held.exists((lease.job.0, lease.token.0)) {
        Ok(is_held) => !is_held,
        Err(error) => {
            failed = Some(error);
            false
        }
    });
    failed.map_or(Ok(leases), |error| Err(error.into()))
}

type StateCount = (JobState, Option<Reason>, u64);

fn state_count(row: &Row<'_>) -> Result<StateCount, Trouble> {
    let reason = row.get_ref(1)?.as_str_or_null()?.map(|text| Reason::read(0, text)).transpose()?;
    Ok((JobState::read(0, row.get_ref(0)?.as_str()?)?, reason, row.get(2)?))
}

/// Ended jobs behind `after` that the filter lets through, with their priorities.
pub(crate) fn ended(
    connection: &Connection,
    filter: &RetryFilter,
    after: i64,
    limit: u32,
    now: UnixMillis,
) -> Result<Vec<(i64, i32)>, Trouble> {
    let errors = filter.states.is_empty() || filter.states.contains(&JobState::Error);
    let values = (
        after,
        before(now, filter.older_than.unwrap_or_default()),
        errors,
        filter.states.contains(&JobState::Skipped),
        filter.reason.map(Reason::as_str),
        filter.resolver.as_ref().map(|name| name.as_str()),
        filter.host.as_ref().map(|host| host.as_str()),
        limit,
    );
    list(connection, sql::FINISHED_PICK, values, |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Jobs behind `after` that ended without a file, long enough ago.
pub(crate) fn old(
    connection: &Connection,
    states: &[JobState],
    older_than: Duration,
    after: i64,
    limit: u32,
    now: UnixMillis,
) -> Result<Vec<i64>, Trouble> {
    let wanted = |state| states.is_empty() || states.contains(&state);
    let values = (after, before(now, older_than), wanted(JobState::Error), wanted(JobState::Skipped), limit);
    list(connection, sql::PURGE_PICK, values, |row| Ok(row.get(0)?))
}

/// The time that long ago.
fn before(now: UnixMillis, age: Duration) -> i64 {
    now.0.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
}

/// Whether the library has that file.
pub(crate) fn file_known(connection: &Connection, sha256: &str) -> Result<bool, Trouble> {
    Ok(connection.prepare_cached(sql::FILE_KNOWN)?.exists([sha256])?)
}

/// What is wrong with the database; empty when nothing is.
pub(crate) fn problems(connection: &Connection) -> Result<Vec<String>, Trouble> {
    let mut problems = health::quick_check(connection)?;
    problems.extend(list(connection, sql::MISPLACED_JOBS, [], |row| {
        let (id, places, state): (i64, u32, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(format!("job {id} stands in {places} places as {state}, or its file does not fit that"))
    })?);
    problems.extend(list(connection, sql::MISCOUNTED, [], |row| {
        let (name, counted, found): (String, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(format!("{counted} jobs are counted as {name}, and there are {found}"))
    })?);
    Ok(problems)
}

fn job_row(row: &Row<'_>) -> Result<JobRow, Trouble> {
    let id: i64 = row.get(0)?;
    Ok(JobRow {
        id: JobId(id),
        artifact_id: ArtifactId::read(id, row.get_ref(1)?.as_str()?)?,
        state: JobState::read(id, row.get_ref(2)?.as_str()?)?,
        key: row.get_ref(3)?.as_str_or_null()?.map(|text| Key::read(id, text)).transpose()?,
        reason: row.get_ref(4)?.as_str_or_null()?.map(|text| Reason::read(id, text)).transpose()?,
        detail: row.get(5)?,
        attempts: row.get(6)?,
        at: row.get::<_, Option<i64>>(7)?.map(UnixMillis),
        title: row.get(8)?,
    })
}

fn file_row(row: &Row<'_>) -> Result<FileRow, Trouble> {
    let job: i64 = row.get(0)?;
    Ok(FileRow {
        job: JobId(job),
        artifact_id: ArtifactId::read(job, row.get_ref(1)?.as_str()?)?,
        sha256: row.get(2)?,
        size: row.get(3)?,
        media_type: row.get(4)?,
        name: row.get(5)?,
        stored_at: UnixMillis(row.get(6)?),
    })
}

fn list<T>(
    connection: &Connection,
    statement: &str,
    values: impl Params,
    read: impl FnMut(&Row<'_>) -> Result<T, Trouble>,
) -> Result<Vec<T>, Trouble> {
    connection.prepare_cached(statement)?.query_and_then(values, read)?.collect()
}
