//! What writes do, as functions of a connection inside the writer's transaction.
//!
//! Must never begin or end a transaction, and never read a clock.

mod cancel;
mod counts;
mod enqueue;
mod fenced;
mod keys;
mod lease;
mod line;
mod processes;
mod upkeep;
mod visit;

use gleaner_model::clock::UnixMillis;
use rusqlite::Row;

pub(crate) use cancel::{cancel, purge};
pub(crate) use counts::{Counts, Tx};
pub(crate) use enqueue::{Entry, enqueue};
pub(crate) use fenced::{ack, heartbeat, record, snooze};
pub(crate) use keys::{claim, give, limit, pause, save_condition, save_cooldown};
pub(crate) use lease::{Holder, Taken, lease};
pub(crate) use line::Line;
pub(crate) use processes::{bury, leave, renew};
pub(crate) use upkeep::{begin_run, expire, promote_due, prune, restart};
pub(crate) use visit::visited;

use crate::sql;

/// A job between two places: taken out of one table, not yet in the next.
struct Moving {
    id: i64,
    key: String,
    prio: i32,
    attempts: u32,
    plan: String,
}

impl Moving {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            key: row.get(1)?,
            prio: row.get(2)?,
            attempts: row.get(3)?,
            plan: row.get(4)?,
        })
    }

    /// Lets it wait for its turn, and for `until` if that is to come.
    fn wait(self, tx: &Tx<'_>, until: Option<UnixMillis>, now: UnixMillis) -> rusqlite::Result<()> {
        let Self { id, key, prio, attempts, plan } = self;
        match until.filter(|until| *until > now) {
            None => {
                tx.ready(&key, 1);
                let mut insert = tx.prepare_cached(sql::READY_INSERT)?;
                insert.execute((key, prio, id, attempts, plan))?;
            }
            Some(until) => {
                tx.delayed(&key, 1);
                let mut insert = tx.prepare_cached(sql::DELAYED_INSERT)?;
                insert.execute((until.0, key, prio, id, attempts, plan))?;
            }
        }
        Ok(())
    }

    /// Ends it.
    fn finish(
        self,
        tx: &Tx<'_>,
        (state, reason, detail): (&str, &str, &str),
        now: UnixMillis,
    ) -> rusqlite::Result<()> {
        let Self { id, prio, attempts, plan, .. } = self;
        tx.ended(state, 1);
        let mut insert = tx.prepare_cached(sql::FINISHED_INSERT)?;
        insert.execute((id, state, reason, detail, now.0, prio, attempts, plan))?;
        Ok(())
    }
}
