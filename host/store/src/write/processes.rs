//! Processes that work on the queue: they say that they live, and the dead leave nothing behind.
//!
//! Must never judge by itself whether a process is dead: who looked at its lock says so.

use gleaner_model::clock::UnixMillis;
use rusqlite::Connection;

use super::Tx;
use super::lease::Holder;
use super::upkeep::take_back;
use crate::error::Trouble;
use crate::queue::{Expired, ProcessId};
use crate::sql;

/// Says that the holder lives until then.
pub(crate) fn renew(
    connection: &Connection,
    holder: Holder,
    alive_until: UnixMillis,
    now: UnixMillis,
) -> Result<(), Trouble> {
    let values = (holder.id, holder.pid, now.0, alive_until.0);
    connection.prepare_cached(sql::PROCESS_RENEW)?.execute(values)?;
    Ok(())
}

/// Takes back the leases of dead processes, as if they had expired, and frees their keys.
pub(crate) fn bury(
    tx: &Tx<'_>,
    dead: &[ProcessId],
    max_attempts: u32,
    now: UnixMillis,
) -> Result<Expired, Trouble> {
    let mut all = Expired::default();
    for process in dead {
        let expired = take_back(tx, sql::LEASE_TAKE_OF_PROCESS, [process.0], max_attempts, now)?;
        all.requeued += expired.requeued;
        all.poisoned.extend(expired.poisoned);
        leave(tx, process.0, now)?;
    }
    Ok(all)
}

/// Forgets a process, its wishes and what it owned. It must hold no lease.
pub(crate) fn leave(connection: &Connection, process: i64, now: UnixMillis) -> Result<(), Trouble> {
    connection.prepare_cached(sql::KEYS_RELEASE)?.execute((process, now.0))?;
    connection.prepare_cached(sql::PROCESS_DELETE)?.execute([process])?;
    Ok(())
}
