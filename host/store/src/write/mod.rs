//! What writes do, as functions of a connection inside the writer's transaction.
//!
//! Must never begin or end a transaction, and never read a clock.

mod enqueue;
mod fenced;
mod lease;
mod upkeep;

use gleaner_model::clock::UnixMillis;
use rusqlite::{Connection, Row};

pub(crate) use enqueue::enqueue;
pub(crate) use fenced::{ack, heartbeat, record, snooze};
pub(crate) use lease::{Holder, lease};
pub(crate) use upkeep::{begin_run, expire, promote_due, restart, save_cooldown, take_over};

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
    fn wait(
        self,
        connection: &Connection,
        until: Option<UnixMillis>,
        now: UnixMillis,
    ) -> rusqlite::Result<()> {
        let Self { id, key, prio, attempts, plan } = self;
        match until.filter(|until| *until > now) {
            None => {
                let mut insert = connection.prepare_cached(sql::READY_INSERT)?;
                insert.execute((key, prio, id, attempts, plan))?;
            }
            Some(until) => {
                let mut insert = connection.prepare_cached(sql::DELAYED_INSERT)?;
                insert.execute((until.0, key, prio, id, attempts, plan))?;
            }
        }
        Ok(())
    }

    /// Ends it.
    fn finish(
        self,
        connection: &Connection,
        (state, reason, detail): (&str, &str, &str),
        now: UnixMillis,
    ) -> rusqlite::Result<()> {
        let Self { id, prio, attempts, plan, .. } = self;
        let mut insert = connection.prepare_cached(sql::FINISHED_INSERT)?;
        insert.execute((id, state, reason, detail, now.0, prio, attempts, plan))?;
        Ok(())
    }
}
