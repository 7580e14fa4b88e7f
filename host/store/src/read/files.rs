//! Reading files and their manifest: pages of it, what is due to be asked for again, what a user means by a hash.

use gleaner_model::clock::UnixMillis;
use gleaner_model::job::JobId;
use gleaner_model::manifest::ManifestRecord;
use rusqlite::{Connection, OptionalExtension, Row};

use super::{file_row, list};
use crate::decode::{self, Column};
use crate::error::Trouble;
use crate::files::{Earlier, Held, ManifestFilter, ManifestPage};
use crate::sql;
use crate::view::FileRow;

/// Looks at `limit` records behind `after`, and returns those that fit.
pub(crate) fn manifest(
    connection: &Connection,
    filter: &ManifestFilter,
    after: i64,
    limit: u32,
) -> Result<ManifestPage, Trouble> {
    let begins = match &filter.run {
        Some(run) => {
            let mut first = connection.prepare_cached(sql::RUN_FIRST_ATTEMPT)?;
            let first = first.query_row([run], |row| row.get(0)).optional()?;
            // A run that is not known has no records.
            let Some(first) = first else { return Ok(ManifestPage::default()) };
            after.max(first)
        }
        None => after,
    };
    let row = |row: &Row<'_>| {
        let text: String = row.get(3)?;
        Ok::<_, Trouble>((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?, text))
    };
    let rows = match filter.job {
        Some(job) => list(connection, sql::ATTEMPTS_OF_JOB_AFTER, (job.0, begins, limit), row)?,
        None => list(connection, sql::ATTEMPTS_AFTER, (begins, limit), row)?,
    };
    let next = rows.last().filter(|_| rows.len() >= limit as usize).map(|(id, ..)| *id);
    let mut records = Vec::new();
    for (id, job, run, text) in rows {
        if filter.run.as_ref().is_some_and(|wanted| *wanted != run) {
            continue;
        }
        let record = ManifestRecord::read(job, &text)?;
        // Both are RFC 3339 in UTC to the millisecond.
        if filter.since.is_none_or(|since| record.time >= since.to_string()) {
            records.push((id, record));
        }
    }
    Ok(ManifestPage { records, next })
}

/// Earlier versions behind the row `after`, each with its row.
pub(crate) fn earlier(connection: &Connection, after: i64, limit: u32) -> Result<Vec<Earlier>, Trouble> {
    if !has_earlier(connection)? {
        return Ok(Vec::new());
    }
    list(connection, sql::EARLIER_AFTER, (after, limit), earlier_row)
}

/// Earlier versions of a job's file, the latest first.
pub(crate) fn earlier_of(connection: &Connection, job: JobId) -> Result<Vec<Earlier>, Trouble> {
    if !has_earlier(connection)? {
        return Ok(Vec::new());
    }
    list(connection, sql::EARLIER_OF_JOB, [job.0], earlier_row)
}

/// Every holding of those bytes, earlier ones last.
pub(crate) fn by_sha256(connection: &Connection, sha256: &str) -> Result<Vec<FileRow>, Trouble> {
    let mut rows = list(connection, sql::HOLDINGS_BY_SHA256, [sha256], file_row)?;
    if has_earlier(connection)? {
        let earlier = list(connection, sql::EARLIER_BY_SHA256, [sha256], earlier_row)?;
        rows.extend(earlier.into_iter().map(|one| one.file));
    }
    Ok(rows)
}

/// The hashes of all files of one folder of blobs: those that begin with these two digits.
pub(crate) fn shard(connection: &Connection, digits: &str) -> Result<Vec<String>, Trouble> {
    // Behind every hash that begins with them: `g` is behind the last hex digit.
    let end = format!("{digits}g");
    list(connection, sql::FILES_BETWEEN, (digits, end), |row| Ok(row.get(0)?))
}

/// Files behind that of the job `after` that were last asked for, or stored, by `by`.
pub(crate) fn due(
    connection: &Connection,
    after: JobId,
    by: UnixMillis,
    limit: u32,
) -> Result<Vec<Held>, Trouble> {
    list(connection, sql::VISITS_DUE, (after.0, by.0, limit), |row| held(connection, row))
}

/// The file that a job holds.
pub(crate) fn held_by(connection: &Connection, job: JobId) -> Result<Option<Held>, Trouble> {
    Ok(list(connection, sql::VISIT_OF_JOB, [job.0], |row| held(connection, row))?.pop())
}

fn held(connection: &Connection, row: &Row<'_>) -> Result<Held, Trouble> {
    let file = file_row(row)?;
    let artifact = decode::artifact(file.job.0, file.artifact_id.as_str(), row.get_ref(7)?.as_str()?)?;
    let visited_at = row.get::<_, Option<i64>>(8)?.map(UnixMillis);
    let records = list(connection, sql::ATTEMPTS_OF_JOB, [file.job.0], |row| {
        Ok(ManifestRecord::read(file.job.0, row.get_ref(0)?.as_str()?)?)
    })?;
    let of_these_bytes = |record: &ManifestRecord| {
        record.sha256.as_deref() == Some(&*file.sha256) && record.candidate_url.is_some()
    };
    let records: Vec<_> = records.into_iter().filter(of_these_bytes).collect();
    let has_validators = |record: &&ManifestRecord| record.etag.is_some() || record.last_modified.is_some();
    let validators = records.iter().rev().find(has_validators);
    let (etag, last_modified) =
        validators.map(|record| (record.etag.clone(), record.last_modified.clone())).unwrap_or_default();
    let origin = records.into_iter().next_back();
    Ok(Held { file, artifact, visited_at, origin, etag, last_modified })
}

fn has_earlier(connection: &Connection) -> Result<bool, Trouble> {
    Ok(connection.prepare_cached(sql::EARLIER_THERE)?.exists([])?)
}

fn earlier_row(row: &Row<'_>) -> Result<Earlier, Trouble> {
    Ok(Earlier { file: file_row(row)?, replaced_at: UnixMillis(row.get(7)?), row: row.get(8)? })
}
