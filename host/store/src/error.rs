//! What can go wrong with a library, and what to do about it.
//!
//! Must never carry a database driver's type: nobody outside this crate knows which one it is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gleaner_model::units::Span;
use rusqlite::ErrorCode;

/// Why a library could not be opened, read or written. Nothing was changed by the call that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another process held the write lock for too long.
    #[error(
        "{} is being written by another process, and waiting {} for it was not enough; try again, or raise \
         [queue] busy-timeout", path.display(), Span(*waited)
    )]
    Busy {
        /// The database.
        path: PathBuf,
        /// How long the write waited.
        waited: Duration,
    },
    /// No space left.
    #[error("the disk of {} is full; make room and run again, nothing is lost", path.display())]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// May not be written.
    #[error("{} cannot be written: {detail}; check the permissions of the file and of its directory", path.display())]
    ReadOnly {
        /// The database.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// The file is damaged.
    #[error(
        "{} is damaged: {detail}; restore it from a copy, or move it away and enqueue again (files already in \
         the library are recognised)", path.display()
    )]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// Made by a later version.
    #[error(
        "{} has schema version {found}, and this gleaner knows up to {known}; use a newer gleaner",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The latest known here.
        known: i64,
    },
    /// A file of another program.
    #[error("{} is not a gleaner library; name another directory with --library", path.display())]
    NotALibrary {
        /// The file.
        path: PathBuf,
    },
    /// Nothing is there.
    #[error("there is no library at {}; `gleaner get` or `gleaner queue enqueue` makes one", path.display())]
    Missing {
        /// The directory.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot {action} {}: {detail}; check the path and its permissions", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// [`crate::Library::close`] was called, or the writer ended after a failure that is in the log.
    #[error("the library {} is closed; the log says why, and running again opens it", path.display())]
    Closed {
        /// The database.
        path: PathBuf,
    },
    /// A stored value cannot be read.
    #[error("job {job}: its stored {what} cannot be read: {detail}; was it written by another version?")]
    Unreadable {
        /// Which job.
        job: i64,
        /// Which value.
        what: &'static str,
        /// Why.
        detail: String,
    },
    /// A result and a file that do not belong together: a mistake of the caller.
    #[error("job {job} cannot end so: {detail}")]
    WrongResult {
        /// Which job.
        job: i64,
        /// Why.
        detail: &'static str,
    },
    /// Anything else.
    #[error("{} cannot be used: {detail}; `gleaner library verify` says whether it is whole", path.display())]
    Sql {
        /// The database.
        path: PathBuf,
        /// What the database said.
        detail: String,
    },
}

impl StoreError {
    /// Sorts what the database said.
    pub(crate) fn of(error: rusqlite::Error, path: &Path, waited: Duration) -> Self {
        let path = path.to_owned();
        let detail = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path, waited },
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                Self::ReadOnly { path, detail }
            }
            Some(ErrorCode::DatabaseCorrupt) => Self::Corrupt { path, detail },
            Some(ErrorCode::NotADatabase) => Self::NotALibrary { path },
            _ => Self::Sql { path, detail },
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path, error: &std::io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), detail: error.to_string() }
    }
}

/// What a piece of work on a connection can fail with, before the database's path is known.
#[derive(Debug)]
pub(crate) enum Trouble {
    Sql(rusqlite::Error),
    Store(StoreError),
}

impl Trouble {
    pub(crate) fn at(self, path: &Path, waited: Duration) -> StoreError {
        match self {
            Self::Sql(error) => StoreError::of(error, path, waited),
            Self::Store(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<rusqlite::types::FromSqlError> for Trouble {
    fn from(error: rusqlite::types::FromSqlError) -> Self {
        Self::Store(StoreError::Unreadable { job: 0, what: "value", detail: error.to_string() })
    }
}
