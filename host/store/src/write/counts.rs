//! What a transaction moved, counted, so that nobody has to count what is there.
//!
//! Every move is noted where a row leaves or enters; the sums are written once, right before the commit. Must
//! never be written by a command itself: one that fails takes its counts with it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::Deref;

use gleaner_model::job::JobState;
use rusqlite::Connection;

use crate::sql;

/// The connection inside the writer's transaction, and what the command moved.
pub(crate) struct Tx<'a> {
    connection: &'a Connection,
    counts: RefCell<Counts>,
    /// The number of the next manifest record, once it was looked up: nobody else writes meanwhile.
    next_attempt: Cell<Option<i64>>,
}

impl<'a> Tx<'a> {
    pub(crate) fn new(connection: &'a Connection) -> Self {
        Self { connection, counts: RefCell::default(), next_attempt: Cell::default() }
    }

    pub(crate) fn into_counts(self) -> Counts {
        self.counts.into_inner()
    }

    /// A number for a manifest record, greater than any that was ever given.
    pub(super) fn attempt_number(&self) -> rusqlite::Result<i64> {
        let number = match self.next_attempt.get() {
            Some(number) => number,
            None => self.prepare_cached(sql::ATTEMPT_NEXT)?.query_row([], |row| row.get(0))?,
        };
        self.next_attempt.set(Some(number + 1));
        Ok(number)
    }

    /// So many jobs more (or less) are ready under that key.
    pub(crate) fn ready(&self, key: &str, by: i64) {
        self.counts.borrow_mut().note(key, (by, 0));
    }

    /// So many jobs more (or less) wait for a time under that key.
    pub(crate) fn delayed(&self, key: &str, by: i64) {
        self.counts.borrow_mut().note(key, (0, by));
    }

    /// So many jobs more (or less) have ended so.
    pub(crate) fn ended(&self, state: &str, by: i64) {
        if let Some(place) = ENDS.iter().position(|end| end.as_str() == state) {
            self.counts.borrow_mut().ended[place] += by;
        }
    }
}

impl Deref for Tx<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

const ENDS: [JobState; 3] = [JobState::Done, JobState::Skipped, JobState::Error];

/// Differences, by key (ready, delayed) and by how jobs end.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    keys: HashMap<String, (i64, i64)>,
    ended: [i64; 3],
}

impl Counts {
    /// Adds to what moved under the key.
    fn note(&mut self, key: &str, (ready, delayed): (i64, i64)) {
        match self.keys.get_mut(key) {
            Some(sums) => *sums = (sums.0 + ready, sums.1 + delayed),
            None => drop(self.keys.insert(key.to_owned(), (ready, delayed))),
        }
    }

    /// Adds what another command of the same transaction moved.
    pub(crate) fn add(&mut self, other: Self) {
        for (key, moved) in &other.keys {
            self.note(key, *moved);
        }
        for (sum, by) in self.ended.iter_mut().zip(other.ended) {
            *sum += by;
        }
    }

    /// Writes the differences.
    pub(crate) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut update = connection.prepare_cached(sql::BACKLOG_MOVE)?;
        let mut insert = connection.prepare_cached(sql::BACKLOG_INSERT)?;
        for (key, &(ready, delayed)) in self.keys.iter().filter(|(_, by)| **by != (0, 0)) {
            if update.execute((key, ready, delayed))? == 0 {
                insert.execute((key, ready, delayed))?;
            }
        }
        let mut add = connection.prepare_cached(sql::TALLY_ADD)?;
        for (state, by) in ENDS.iter().zip(self.ended).filter(|(_, by)| *by != 0) {
            add.execute((state.as_str(), by))?;
        }
        Ok(())
    }
}
