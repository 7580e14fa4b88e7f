//! Suspended plugins as the library knows them, so that a restart, another process and an operator know them too.
//!
//! Must never decide when a plugin is suspended: whoever calls it does.

use std::time::Duration;

use gleaner_model::clock::UnixMillis;
use gleaner_model::key::{Key, ResolverName};
use gleaner_model::suspension::Suspension;
use rusqlite::Connection;

use crate::Library;
use crate::error::{StoreError, Trouble};
use crate::sql;
use crate::write::Tx;

impl Library {
    /// Remembers a suspension, in place of the resolver's last one.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn suspend(&self, suspension: Suspension) -> Result<(), StoreError> {
        self.write(move |tx, _| save(tx, &suspension)).await
    }

    /// Forgets the suspension of a resolver, if there is one, and has the jobs that wait for it looked at now.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn end_suspension(&self, resolver: ResolverName) -> Result<(), StoreError> {
        self.write(move |tx, now| end(tx, &resolver, now)).await
    }

    /// Every suspension, by name; those whose time has passed are among them until a call shows that the plugin
    /// works again.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn suspensions(&self) -> Result<Vec<Suspension>, StoreError> {
        self.read(all).await
    }

    /// Moves at most `most` ready jobs from one key to another; returns how many.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn hand_over(&self, from: Key, to: Key, most: u32) -> Result<u64, StoreError> {
        self.write(move |tx, _| hand_over(tx, &from.to_string(), &to.to_string(), most)).await
    }
}

fn save(connection: &Connection, suspension: &Suspension) -> Result<(), Trouble> {
    let Suspension { resolver, sha256, until, pause, failures, because } = suspension;
    let pause = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX).max(1);
    let values = (resolver.as_str(), sha256, until.0, pause, failures, because);
    Ok(connection.prepare_cached(sql::SUSPENSION_SAVE)?.execute(values).map(drop)?)
}

fn end(connection: &Connection, resolver: &ResolverName, now: UnixMillis) -> Result<(), Trouble> {
    connection.prepare_cached(sql::SUSPENSION_DELETE)?.execute([resolver.as_str()])?;
    let key = Key::Resolver(resolver.clone()).to_string();
    Ok(connection.prepare_cached(sql::DELAYED_HASTEN)?.execute((key, now.0)).map(drop)?)
}

fn all(connection: &Connection) -> Result<Vec<Suspension>, Trouble> {
    let mut select = connection.prepare_cached(sql::SUSPENSIONS)?;
    let rows = select.query_map([], |row| {
        let suspension = |resolver| {
            Ok(Suspension {
                resolver,
                sha256: row.get(1)?,
                until: UnixMillis(row.get(2)?),
                pause: Duration::from_millis(row.get(3)?),
                failures: row.get(4)?,
                because: row.get(5)?,
            })
        };
        // A name that is none any more is of nobody's plugin.
        ResolverName::new(row.get_ref(0)?.as_str()?).ok().map(suspension).transpose()
    })?;
    Ok(rows.filter_map(Result::transpose).collect::<Result<_, _>>()?)
}

fn hand_over(tx: &Tx<'_>, from: &str, to: &str, most: u32) -> Result<u64, Trouble> {
    let moved = tx.prepare_cached(sql::READY_HAND_OVER)?.execute((from, to, most))?;
    let count = i64::try_from(moved).unwrap_or(i64::MAX);
    tx.ready(from, -count);
    tx.ready(to, count);
    Ok(moved as u64)
}
