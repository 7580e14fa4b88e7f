//! A connection as the measurements of SQLite alone use it: the settings that were best for a queue, and a second
//! connection that merges the log beside the writer. Must never go through the store.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

/// Pages in the log that make a checkpoint worth while, and those at which the log begins anew.
const CHECKPOINT_PAGES: i64 = 8000;
const RESTART_PAGES: i64 = 4 * CHECKPOINT_PAGES;

/// The writing connection and the thread with the other one.
pub(crate) struct Raw {
    pub(crate) connection: Connection,
    committed: SyncSender<()>,
    checkpoints: JoinHandle<()>,
}

impl Raw {
    /// Opens the database, and makes it if it is missing.
    pub(crate) fn open(path: PathBuf) -> Self {
        let connection = tuned(&path);
        let (committed, signals) = sync_channel(1);
        let checkpoints = std::thread::spawn(move || merge_on(&signals, &path));
        Self { connection, committed, checkpoints }
    }

    /// Lets the other connection look at the log.
    pub(crate) fn committed(&self) {
        // Full means that the signal is given already.
        let _ = self.committed.try_send(());
    }

    /// Merges the whole log into the database.
    pub(crate) fn close(self) {
        drop(self.committed);
        self.checkpoints.join().unwrap();
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    }
}

/// WAL, FULL, 16 MiB of cache, no checkpoint by the writer.
fn tuned(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.set_prepared_statement_cache_capacity(64);
    let pragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;
                   PRAGMA cache_size = -16384; PRAGMA mmap_size = 268435456; PRAGMA temp_store = MEMORY;";
    connection.execute_batch(pragmas).unwrap();
    connection
}

fn merge_on(signals: &Receiver<()>, path: &Path) {
    let connection = tuned(path);
    let frames = |mode: &str| -> (i64, i64) {
        let pragma = format!("PRAGMA wal_checkpoint({mode})");
        connection.query_row(&pragma, [], |row| Ok((row.get(1)?, row.get(2)?))).unwrap()
    };
    while signals.recv().is_ok() {
        let (log, merged) = frames("NOOP");
        if log - merged >= CHECKPOINT_PAGES {
            frames("PASSIVE");
            if log >= RESTART_PAGES {
                frames("RESTART");
            }
        }
    }
}
