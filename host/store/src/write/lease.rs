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
use crate::error::Trouble;
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

/// Leases at most so many jobs of each key until `until`; none of a key that another process owns.
pub(crate) fn lease(
    tx: &Tx<'_>,
    wanted: &[(Key, u32)],
    holder: Holder,
    until: UnixMillis,
    now: UnixMillis,
) -> Result<Vec<Leased>, Trouble> {
    tx.prepare_cached(sql::PROCESS_INSERT)?.execute((holder.id, holder.pid, now.0))?;
    let mut owner = tx.prepare_cached(sql::KEY_OWNER)?;
    let mut pick = tx.prepare_cached(sql::READY_PICK)?;
    let mut leave = tx.prepare_cached(sql::READY_DELETE)?;
    let mut enter = tx.prepare_cached(sql::LEASE_INSERT)?;
    let (mut leased, mut plans) = (Vec::new(), Vec::<String>::new());
    for (key, most) in wanted {
        let name = key.to_string();
        let owned: Option<Option<i64>> = owner.query_row([&name], |row| row.get(0)).optional()?;
        if owned.flatten().is_some_and(|process| process != holder.id) {
            continue;
        }
        let first = leased.len();
        plans.clear();
        let mut rows = pick.query((&name, most))?;
        while let Some(row) = rows.next()? {
            let (id, prio, attempts): (i64, i32, u32) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let plan = row.get_ref(3)?.as_str()?;
            plans.push(plan.to_owned());
            leased.push(Leased {
                job: JobId(id),
                token: LeaseToken(fastrand::i64(..)),
                key: key.clone(),
                priority: Priority(prio),
                attempts: attempts.saturating_add(1),
                until,
                artifact: decode::artifact(id, row.get_ref(4)?.as_str()?, row.get_ref(5)?.as_str()?)?,
                plan: Plan::read(id, plan)?,
            });
        }
        tx.ready(&name, -((leased.len() - first) as i64));
        // Only now, so that no row moves under the query.
        for (one, plan) in leased[first..].iter().zip(&plans) {
            let Leased { job, token, priority, attempts, .. } = one;
            leave.execute((&name, priority.0, job.0))?;
            enter.execute((job.0, token.0, &name, priority.0, attempts, until.0, holder.id, plan))?;
        }
    }
    Ok(leased)
}
