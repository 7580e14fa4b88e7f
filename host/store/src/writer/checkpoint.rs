//! The thread that merges the log into the database.
//!
//! Must never make a commit wait, unless the log would grow without end.

use std::sync::mpsc::Receiver;

use rusqlite::Connection;

/// Pages in the log that make a checkpoint worth while.
const CHECKPOINT_PAGES: i64 = 8000;
/// Pages at which the writer is made to wait for the checkpoint: under an endless stream of writes the log
/// would never be reused, and grow.
const RESTART_PAGES: i64 = 2 * CHECKPOINT_PAGES;

/// Merges the log into the database beside the writer, so that no commit waits for it.
pub(super) fn merge_on(signals: &Receiver<()>, connection: &Connection) {
    let frames = |mode: &str| {
        connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
            Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        })
    };
    let mut failed = false;
    while signals.recv().is_ok() {
        let done = frames("NOOP").and_then(|(log, merged)| match log {
            log if log - merged < CHECKPOINT_PAGES => Ok((0, 0)),
            log if log < RESTART_PAGES => frames("PASSIVE"),
            _ => frames("PASSIVE").and_then(|_| frames("RESTART")),
        });
        // Said once, not at each commit: on a full disk they come by the hundred.
        if let Err(error) = &done
            && !failed
        {
            tracing::warn!(%error, "the log of the library could not be merged; it grows until the next try");
        }
        failed = done.is_err();
    }
}
