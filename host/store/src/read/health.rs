//! What reads say of the database itself.
//!
//! Must never need a table that an older schema lacks.

use gleaner_model::clock::UnixMillis;
use rusqlite::Connection;

use super::list;
use crate::error::Trouble;
use crate::queue::ProcessId;
use crate::sql;

/// What SQLite finds wrong.
pub(crate) fn quick_check(connection: &Connection) -> Result<Vec<String>, Trouble> {
    let mut problems = list(connection, sql::QUICK_CHECK, [], |row| Ok(row.get::<_, String>(0)?))?;
    problems.retain(|line| line != "ok");
    Ok(problems)
}

/// The latest time that was written down.
pub(crate) fn newest(connection: &Connection) -> Result<Option<UnixMillis>, Trouble> {
    let newest = connection.prepare_cached(sql::NEWEST)?.query_row([], |row| row.get::<_, Option<i64>>(0))?;
    Ok(newest.map(UnixMillis))
}

/// How many jobs a process holds.
pub(crate) fn leases(connection: &Connection, process: ProcessId) -> Result<u64, Trouble> {
    Ok(connection.prepare_cached(sql::LEASES_OF_PROCESS)?.query_row([process.0], |row| row.get(0))?)
}
