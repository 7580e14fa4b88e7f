//! Enqueuing: a work is found by its id or any of its identifiers, and never gets a second job.
//!
//! Must never merge two jobs, nor change one that an ambiguous input names.

use std::collections::BTreeSet;
use std::time::Duration;

use gleaner_model::artifact::{Artifact, ArtifactId};
use gleaner_model::clock::UnixMillis;
use gleaner_model::identifier::Identifier;
use gleaner_model::job::{JobId, JobState};
use rusqlite::{Connection, OptionalExtension};

use super::{Moving, Tx};
use crate::decode;
use crate::error::Trouble;
use crate::queue::{Enqueued, NewJob};
use crate::sql;

/// A job as it is written. Made by whoever asks for the write: the one thread that writes has no time to.
pub(crate) struct Entry {
    artifact: Artifact,
    json: String,
    key: String,
    prio: i32,
    not_before: Option<UnixMillis>,
}

impl From<NewJob> for Entry {
    fn from(NewJob { artifact, key, priority, not_before }: NewJob) -> Self {
        let json = json(&artifact);
        Self { artifact, json, key: key.to_string(), prio: priority.0, not_before }
    }
}

/// Adds or finds each.
pub(crate) fn enqueue(
    tx: &Tx<'_>,
    jobs: &[Entry],
    recheck_after: Duration,
    now: UnixMillis,
) -> Result<Vec<Enqueued>, Trouble> {
    jobs.iter().map(|job| one(tx, job, recheck_after, now)).collect()
}

fn one(tx: &Tx<'_>, job: &Entry, recheck_after: Duration, now: UnixMillis) -> Result<Enqueued, Trouble> {
    let (known, unnamed) = look_up(tx, &job.artifact)?;
    let mut known = known.into_iter();
    match (known.next(), known.as_slice()) {
        (None, _) => {
            tx.prepare_cached(sql::JOB_INSERT)?.execute((job.artifact.id.as_str(), &job.json))?;
            let id = tx.last_insert_rowid();
            name(tx, id, &unnamed)?;
            start(tx, id, job, now)?;
            Ok(Enqueued::New(JobId(id)))
        }
        (Some(id), []) => {
            if !unnamed.is_empty() {
                add_identifiers(tx, id, &unnamed)?;
            }
            let skipped_before =
                now.0.saturating_sub(i64::try_from(recheck_after.as_millis()).unwrap_or(i64::MAX));
            let restarts = tx.prepare_cached(sql::FINISHED_TAKE_SKIPPED)?.execute((id, skipped_before))? == 1;
            if restarts {
                tx.ended(JobState::Skipped.as_str(), -1);
                start(tx, id, job, now)?;
            }
            Ok(if restarts { Enqueued::Requeued(JobId(id)) } else { Enqueued::Known(JobId(id)) })
        }
        (Some(first), others) => {
            let jobs = std::iter::once(&first).chain(others).map(|id| Ok((JobId(*id), load(tx, *id)?.id)));
            Ok(Enqueued::Conflict { jobs: jobs.collect::<Result<Vec<(JobId, ArtifactId)>, Trouble>>()? })
        }
    }
}

/// The jobs that the artifact's names belong to, in order, and the identifiers that belong to none.
fn look_up<'a>(
    connection: &Connection,
    artifact: &'a Artifact,
) -> Result<(Vec<i64>, Vec<&'a Identifier>), Trouble> {
    let mut by_id = connection.prepare_cached(sql::JOB_BY_ARTIFACT_ID)?;
    let mut by_identifier = connection.prepare_cached(sql::JOB_BY_IDENTIFIER)?;
    let mut known = BTreeSet::new();
    let mut unnamed = Vec::new();
    known.extend(by_id.query_row([artifact.id.as_str()], |row| row.get::<_, i64>(0)).optional()?);
    for identifier in &artifact.identifiers {
        let spelt = (identifier.scheme().as_str(), identifier.value());
        match by_identifier.query_row(spelt, |row| row.get(0)).optional()? {
            Some(job) => {
                known.insert(job);
            }
            None => unnamed.push(identifier),
        }
    }
    Ok((known.into_iter().collect(), unnamed))
}

fn start(tx: &Tx<'_>, id: i64, job: &Entry, now: UnixMillis) -> rusqlite::Result<()> {
    let Entry { key, prio, not_before, .. } = job;
    Moving { id, key: key.clone(), prio: *prio, attempts: 0, plan: String::new() }.wait(tx, *not_before, now)
}

fn name(connection: &Connection, id: i64, identifiers: &[&Identifier]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(sql::IDENTIFIER_INSERT)?;
    for identifier in identifiers {
        insert.execute((identifier.scheme().as_str(), identifier.value(), id))?;
    }
    Ok(())
}

/// Adds them to the job, where the artifact keeps them in the order of their schemes.
fn add_identifiers(connection: &Connection, id: i64, new: &[&Identifier]) -> Result<(), Trouble> {
    name(connection, id, new)?;
    let mut artifact = load(connection, id)?;
    artifact.identifiers.extend(new.iter().copied().cloned());
    artifact.identifiers.sort_by(|a, b| a.scheme().cmp(b.scheme()));
    connection.prepare_cached(sql::JOB_ARTIFACT_UPDATE)?.execute((id, json(&artifact)))?;
    Ok(())
}

fn load(connection: &Connection, id: i64) -> Result<Artifact, Trouble> {
    let mut select = connection.prepare_cached(sql::JOB_ARTIFACT)?;
    let (name, text): (String, String) = select.query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(decode::artifact(id, &name, &text)?)
}

/// Plain data with string keys: cannot fail, and an empty text would be refused by the schema.
fn json(artifact: &Artifact) -> String {
    serde_json::to_string(artifact).unwrap_or_default()
}
