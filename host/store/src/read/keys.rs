//! What reads say of keys and processes.
//!
//! Must never decide who may use a key: that is a write.

use gleaner_model::clock::UnixMillis;
use gleaner_model::key::Key;
use gleaner_model::setting::{Condition, KeyLimit, KeySetting};
use rusqlite::{Connection, Row};

use super::list;
use crate::decode::Column;
use crate::error::{StoreError, Trouble};
use crate::keys::{KeyRow, Wish};
use crate::processes::{Others, Process};
use crate::queue::ProcessId;
use crate::sql;

/// Keys that the process owns.
pub(crate) fn owned(connection: &Connection, process: i64) -> Result<Vec<Key>, Trouble> {
    list(connection, sql::KEYS_OF_PROCESS, [process], |row| Ok(Key::read(0, row.get_ref(0)?.as_str()?)?))
}

/// What holds beyond the configuration.
pub(crate) fn settings(connection: &Connection, now: UnixMillis) -> Result<Vec<KeySetting>, Trouble> {
    list(connection, sql::KEYS_SET, [now.0], |row| {
        let key = Key::read(0, row.get_ref(0)?.as_str()?)?;
        setting(key, row, 1)
    })
}

/// Every key with anything to say of it.
pub(crate) fn all(connection: &Connection) -> Result<Vec<KeyRow>, Trouble> {
    list(connection, sql::KEYS_ALL, [], |row| {
        let key = Key::read(0, row.get_ref(0)?.as_str()?)?;
        Ok(KeyRow {
            setting: setting(key, row, 4)?,
            ready: row.get(1)?,
            delayed: row.get(2)?,
            leased: row.get(3)?,
            owner_pid: row.get(13)?,
        })
    })
}

/// The other processes, and which of this one's keys they wish for.
pub(crate) fn others(connection: &Connection, process: i64, now: UnixMillis) -> Result<Others, Trouble> {
    let processes = list(connection, sql::PROCESSES, [process], |row| {
        let (id, alive_until) = (ProcessId(row.get(0)?), UnixMillis(row.get(2)?));
        Ok(Process { id, pid: row.get(1)?, alive_until, busy_keys: row.get(3)? })
    })?;
    if processes.is_empty() {
        return Ok(Others::default());
    }
    let wishes = list(connection, sql::WISHES_OF_OTHERS, [process, now.0], |row| {
        let key = Key::read(0, row.get_ref(0)?.as_str()?)?;
        Ok(Wish { key, process: ProcessId(row.get(1)?), is_needed: row.get(2)? })
    })?;
    Ok(Others { processes, wishes })
}

/// The columns cooldown, paused, concurrency, rate, burst, broken, pace, day, used, from `first` on.
fn setting(key: Key, row: &Row<'_>, first: usize) -> Result<KeySetting, Trouble> {
    let number = |column: usize| -> rusqlite::Result<Option<std::num::NonZeroU32>> {
        Ok(row.get::<_, Option<u32>>(column)?.and_then(std::num::NonZeroU32::new))
    };
    let rate = row.get_ref(first + 3)?.as_str_or_null()?.map(str::parse).transpose();
    let rate = rate.map_err(|error: gleaner_model::units::UnitError| StoreError::Unreadable {
        job: 0,
        what: "rate",
        detail: error.to_string(),
    })?;
    Ok(KeySetting {
        key,
        cooldown_until: UnixMillis(row.get(first)?),
        paused: row.get(first + 1)?,
        limit: KeyLimit { concurrency: number(first + 2)?, rate, burst: number(first + 4)? },
        condition: Condition {
            is_broken: row.get(first + 5)?,
            pace: row.get(first + 6)?,
            day: row.get(first + 7)?,
            used: row.get(first + 8)?,
        },
    })
}
