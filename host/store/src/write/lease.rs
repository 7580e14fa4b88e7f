//! Leasing: takes jobs of a key out of `ready`, and tells exactly which.
//!
//! Must never cost more for a longer backlog.

use gleaner_model::clock::UnixMillis;
use gleaner_model::job::{JobId, LeaseToken, Priority};
use gleaner_model::key::Key;
use gleaner_model::plan::Plan;
use rusqlite::OptionalExtension;

use super::Tx;
use crate::decode::{self, Column};
use crate::error::{StoreError, Trouble};
use crate::queue::Leased;
use crate::sql;

/// The process that leases.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holder {
    /// Its number in this library, drawn at random.
    pub(crate) id: i64,
    /// Its number in the system, for messages.
    pub(crate) pid: u32,
}

/// A job under a new lease, as its rows say it. Whoever asked reads them: the one thread that writes has no time to.
pub(crate) struct Taken {
    job: JobId,
    token: LeaseToken,
    key: Key,
    priority: Priority,
    attempts: u32,
    until: UnixMillis,
    artifact_id: String,
    artifact: String,
    plan: String,
}

impl Taken {
    /// The rows as they are meant.
    pub(crate) fn read(self) -> Result<Leased, StoreError> {
        let Self { job, token, key, priority, attempts, until, .. } = self;
        let artifact = decode::artifact(job.0, &self.artifact_id, &self.artifact)?;
        let plan = Plan::read(job.0, &self.plan)?;
        Ok(Leased { job, token, key, priority, attempts, until, artifact, plan })
    }
}

/// Leases at most so many jobs of each key until `until`; none of a key that another process owns.
pub(crate) fn lease(
    tx: &Tx<'_>,
    wanted: &[(Key, u32)],
    holder: Holder,
    until: UnixMillis,
    now: UnixMillis,
) -> Result<Vec<Taken>, Trouble> {
    tx.prepare_cached(sql::PROCESS_INSERT)?.execute((holder.id, holder.pid, now.0))?;
    let mut owner = tx.prepare_cached(sql::KEY_OWNER)?;
    let mut pick = tx.prepare_cached(sql::READY_PICK)?;
    let mut leave = tx.prepare_cached(sql::READY_DELETE)?;
    let mut enter = tx.prepare_cached(sql::LEASE_INSERT)?;
    let mut leased = Vec::new();
    for (key, most) in wanted {
        let name = key.to_string();
        let owned: Option<Option<i64>> = owner.query_row([&name], |row| row.get(0)).optional()?;
        if owned.flatten().is_some_and(|process| process != holder.id) {
            continue;
        }
        let first = leased.len();
        let mut rows = pick.query((&name, most))?;
        while let Some(row) = rows.next()? {
            leased.push(Taken {
                job: JobId(row.get(0)?),
                token: LeaseToken(fastrand::i64(..)),
                key: key.clone(),
                priority: Priority(row.get(1)?),
                attempts: row.get::<_, u32>(2)?.saturating_add(1),
                until,
                artifact_id: row.get(4)?,
                artifact: row.get(5)?,
                plan: row.get(3)?,
            });
        }
        tx.ready(&name, -((leased.len() - first) as i64));
        // Only now, so that no row moves under the query.
        for Taken { job, token, priority, attempts, plan, .. } in &leased[first..] {
            leave.execute((&name, priority.0, job.0))?;
            enter.execute((job.0, token.0, &name, priority.0, attempts, until.0, holder.id, plan))?;
        }
    }
    Ok(leased)
}
