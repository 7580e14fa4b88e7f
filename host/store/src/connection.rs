//! Opening `library.db`: is it one of ours, which version, and the settings of a connection.
//!
//! A released migration must never change. A file that is not a library is never written to.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::error::{StoreError, Trouble};
use crate::options::{Durability, StoreOptions};

/// `Glnr`, in the header of every library.
const APPLICATION_ID: i64 = 0x476c_6e72;

/// In order; the schema version is how many of them have been applied.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_sharing.sql"),
    include_str!("migrations/0003_suspensions.sql"),
    include_str!("migrations/0004_versions.sql"),
    include_str!("migrations/0005_conditions.sql"),
];

/// Prepared statements held per connection: more than there are.
const STATEMENTS: usize = 128;

/// What a connection may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Create, migrate, read and write.
    Write,
    /// Read.
    Read,
}

/// Opens the database; in [`Mode::Write`] makes it if it is missing and brings it up to date.
pub(crate) fn open(path: &Path, mode: Mode, options: &StoreOptions) -> Result<Connection, StoreError> {
    configured(path, mode, options).map_err(|trouble| trouble.at(path, options.busy_timeout.0))
}

fn configured(path: &Path, mode: Mode, options: &StoreOptions) -> Result<Connection, Trouble> {
    let access = match mode {
        Mode::Write => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        Mode::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    let mut connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(options.busy_timeout.0)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Else a LIMIT that is bound anew has its statement compiled anew, in case another plan were better then.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    let version = identify(&connection, path)?;
    if mode == Mode::Read && version == 0 {
        return Err(StoreError::NotALibrary { path: path.to_owned() }.into());
    }
    if mode == Mode::Write {
        if version == 0 {
            // Before there are tables; later it would take rewriting the file.
            connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        }
        // Answers with the mode; cannot be set inside a transaction.
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        connection.pragma_update(
            None,
            "synchronous",
            match options.durability {
                Durability::Full => "FULL",
                Durability::Normal => "NORMAL",
            },
        )?;
        connection.query_row("PRAGMA wal_autocheckpoint = 0", [], |_| Ok(()))?;
        // A log that a burst made long is cut when it is next reused.
        connection.query_row("PRAGMA journal_size_limit = 67108864", [], |_| Ok(()))?;
        migrate(&mut connection, path)?;
        connection.pragma_update(None, "foreign_keys", true)?;
    }
    connection.pragma_update(None, "cache_size", -16_384)?; // KiB
    // Of each connection, and what it maps counts as the process's memory.
    connection.query_row("PRAGMA mmap_size = 33554432", [], |_| Ok(()))?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}

/// The schema version; 0 for an empty database.
fn identify(connection: &Connection, path: &Path) -> Result<i64, Trouble> {
    let path = || path.to_owned();
    let (application, found, objects) = connection.query_row(
        "SELECT (SELECT application_id FROM pragma_application_id),
                (SELECT user_version FROM pragma_user_version),
                (SELECT count(*) FROM sqlite_schema)",
        [],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)),
    )?;
    let known = MIGRATIONS.len() as i64;
    match (application, found, objects) {
        (0, 0, 0) => Ok(0),
        (APPLICATION_ID, found, _) if found > known => {
            Err(StoreError::Newer { path: path(), found, known }.into())
        }
        (APPLICATION_ID, found, _) => Ok(found),
        _ => Err(StoreError::NotALibrary { path: path() }.into()),
    }
}

/// The schema version of an open library, and the latest one that is known.
pub(crate) fn versions(connection: &Connection) -> Result<(i64, i64), Trouble> {
    let found = identify(connection, Path::new(crate::Library::DATABASE))?;
    Ok((found, MIGRATIONS.len() as i64))
}

/// Applies what is missing, all or nothing. Two processes may come here at once: the second finds it done.
fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Trouble> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = identify(&transaction, path)?;
    for migration in MIGRATIONS.iter().skip(usize::try_from(version).unwrap_or(0)) {
        transaction.execute_batch(migration)?;
    }
    if version < MIGRATIONS.len() as i64 {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
    }
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::tests::options;

    fn scratch() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("library.db");
        (dir, path)
    }

    #[test]
    fn opening_twice_changes_nothing() {
        let (_dir, path) = scratch();
        let schema = |connection: &Connection| -> String {
            connection.query_row("SELECT group_concat(sql) FROM sqlite_schema", [], |row| row.get(0)).unwrap()
        };
        let first = schema(&open(&path, Mode::Write, &options()).unwrap());
        assert_eq!(schema(&open(&path, Mode::Write, &options()).unwrap()), first);
        assert_eq!(schema(&open(&path, Mode::Read, &options()).unwrap()), first);
    }

    #[test]
    fn a_statement_is_compiled_once_whatever_is_bound() {
        let (_dir, path) = scratch();
        let connection = open(&path, Mode::Write, &options()).unwrap();
        let mut pick = connection.prepare(crate::sql::READY_PICK).unwrap();
        for most in [1, 64, 0, 7] {
            pick.query(("resolver:direct", most)).unwrap().next().unwrap();
        }
        assert_eq!(pick.get_status(rusqlite::StatementStatus::RePrepare), 0);
    }

    #[test]
    fn many_may_create_it_at_once() {
        let (_dir, path) = scratch();
        let openers: Vec<_> = (0..8)
            .map(|_| {
                let path = path.clone();
                std::thread::spawn(move || open(&path, Mode::Write, &options()).map(drop))
            })
            .collect();
        for opener in openers {
            opener.join().unwrap().unwrap();
        }
    }

    #[test]
    fn a_file_of_another_kind_is_left_alone() {
        let (_dir, path) = scratch();
        std::fs::write(&path, "not a database, but long enough to look at ".repeat(100)).unwrap();
        assert_eq!(
            open(&path, Mode::Write, &options()).map(drop),
            Err(StoreError::NotALibrary { path: path.clone() })
        );
        std::fs::remove_file(&path).unwrap();
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
        assert_eq!(
            open(&path, Mode::Write, &options()).map(drop),
            Err(StoreError::NotALibrary { path: path.clone() })
        );
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "").unwrap();
        assert_eq!(open(&path, Mode::Read, &options()).map(drop), Err(StoreError::NotALibrary { path }));
    }

    #[test]
    fn a_later_version_is_refused() {
        let (_dir, path) = scratch();
        open(&path, Mode::Write, &options()).unwrap().pragma_update(None, "user_version", 1000).unwrap();
        for mode in [Mode::Write, Mode::Read] {
            let error = open(&path, mode, &options()).map(drop).unwrap_err();
            assert!(error.to_string().contains("use a newer gleaner"), "{error}");
        }
    }
}
