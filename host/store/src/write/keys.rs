//! Keys: who owns them, and what was set for them.
//!
//! Only the owner leases a key's jobs and sends its requests. Must never take a key from a process that has
//! said in time that it lives.

use gleaner_model::clock::UnixMillis;
use gleaner_model::key::Key;
use gleaner_model::setting::{Condition, KeyLimit};
use rusqlite::{Connection, OptionalExtension};

use super::lease::Holder;
use crate::error::Trouble;
use crate::keys::Claim;
use crate::queue::ProcessId;
use crate::sql;

/// Makes the holder the owner of each of these keys that nobody owns, or whose owner has not said in time
/// that it lives.
pub(crate) fn claim(
    connection: &Connection,
    keys: &[Key],
    holder: Holder,
    wish: (UnixMillis, bool),
    now: UnixMillis,
) -> Result<Vec<Claim>, Trouble> {
    keys.iter().map(|key| claim_one(connection, key, holder, wish, now)).collect()
}

fn claim_one(
    connection: &Connection,
    key: &Key,
    holder: Holder,
    (wish_until, is_needed): (UnixMillis, bool),
    now: UnixMillis,
) -> Result<Claim, Trouble> {
    let name = key.to_string();
    let mut select = connection.prepare_cached(sql::KEY_OWNER)?;
    let row = select.query_row([&name], |row| {
        Ok((
            row.get::<_, Option<i64>>(0)?,
            row.get::<_, Option<i64>>(1)?,
            row.get::<_, i64>(2)?,
            row.get::<_, i64>(3)?,
        ))
    });
    let (owner, alive_until, cooldown, released) = row.optional()?.unwrap_or_default();
    let lives = alive_until.is_some_and(|until| until > now.0);
    if owner.is_some_and(|owner| owner != holder.id) && lives {
        let values = (&name, holder.id, wish_until.0, is_needed, now.0);
        connection.prepare_cached(sql::WISH_INSERT)?.execute(values)?;
        return Ok(Claim::Foreign);
    }
    // Who takes a key from a process that does not answer begins as if that had let go just now.
    let released = if owner.is_some_and(|owner| owner != holder.id) { now.0 } else { released };
    if owner != Some(holder.id) {
        connection.prepare_cached(sql::KEY_CLAIM)?.execute((&name, holder.id))?;
        connection.prepare_cached(sql::WISH_DELETE)?.execute((&name, holder.id))?;
    }
    let mut leases = connection.prepare_cached(sql::LEASES_OF_KEY)?;
    let busy_until = leases
        .query_map((&name, holder.id, now.0), |row| Ok(UnixMillis(row.get(0)?)))?
        .collect::<Result<_, _>>()?;
    let (cooldown_until, released_at) = (UnixMillis(cooldown), UnixMillis(released));
    Ok(Claim::Owned { cooldown_until, busy_until, released_at })
}

/// Lets go of keys that the holder owns, each to nobody or to a process that wishes for it.
pub(crate) fn give(
    connection: &Connection,
    keys: &[(Key, Option<ProcessId>)],
    holder: Holder,
    now: UnixMillis,
) -> Result<(), Trouble> {
    let mut release = connection.prepare_cached(sql::KEY_RELEASE)?;
    let mut forget = connection.prepare_cached(sql::WISH_DELETE)?;
    for (key, to) in keys {
        let name = key.to_string();
        let given = release.execute((&name, holder.id, to.map(|to| to.0), now.0))? == 1;
        // A wish for a key that was not ours to give is still open.
        if let Some(to) = to.filter(|_| given) {
            forget.execute((&name, to.0))?;
        }
    }
    Ok(())
}

/// Remembers that a key is not to be used before then.
pub(crate) fn save_cooldown(connection: &Connection, key: &Key, until: UnixMillis) -> Result<(), Trouble> {
    connection.prepare_cached(sql::COOLDOWN_SAVE)?.execute((key.to_string(), until.0))?;
    Ok(())
}

/// Remembers how a key fares.
pub(crate) fn save_condition(
    connection: &Connection,
    key: &Key,
    condition: &Condition,
) -> Result<(), Trouble> {
    let Condition { is_broken, pace, day, used } = *condition;
    let values = (key.to_string(), is_broken, pace, day, used);
    connection.prepare_cached(sql::CONDITION_SAVE)?.execute(values)?;
    Ok(())
}

/// Stops or starts a key.
pub(crate) fn pause(connection: &Connection, key: &Key, paused: bool) -> Result<(), Trouble> {
    connection.prepare_cached(sql::KEY_PAUSE)?.execute((key.to_string(), paused))?;
    Ok(())
}

/// Sets what differs from the configuration for a key; the empty limit is the configuration's again.
pub(crate) fn limit(connection: &Connection, key: &Key, limit: KeyLimit) -> Result<(), Trouble> {
    let KeyLimit { concurrency, rate, burst } = limit;
    let rate = rate.map(|rate| rate.to_string());
    let values = (key.to_string(), concurrency.map(|n| n.get()), rate, burst.map(|n| n.get()));
    connection.prepare_cached(sql::KEY_LIMIT)?.execute(values)?;
    Ok(())
}
