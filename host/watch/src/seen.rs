//! What a look finds: each file that counts, with what tells that it has changed.
//!
//! Must never say that a file is the same when it was written to in between: besides size and time of writing, the
//! time of the last change of any kind and the file's own number count, which no program sets at will.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::Watched;

/// Every file found, by its path; none for a single file that is not there. Equal when nothing has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen(BTreeMap<PathBuf, Option<Stamp>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    size: u64,
    /// Device and number: a file that is put in another's place has its own.
    file: (u64, u64),
    /// Seconds and nanoseconds.
    written: (i64, i64),
    changed: (i64, i64),
}

impl Seen {
    pub(crate) fn of(watched: &Watched) -> Self {
        let counts = |path: &PathBuf| {
            let ending = path.extension().and_then(|ending| ending.to_str());
            ending.is_some_and(|ending| watched.endings.contains(&ending))
        };
        // A directory that is not there has no files.
        let listed = watched.dirs.iter().filter_map(|dir| std::fs::read_dir(dir).ok()).flatten();
        let in_dirs = listed.filter_map(|entry| Some(entry.ok()?.path())).filter(counts);
        Self(in_dirs.chain(watched.files.iter().cloned()).map(|path| (path.clone(), stamp(&path))).collect())
    }
}

/// Of the file itself, behind any links.
fn stamp(path: &Path) -> Option<Stamp> {
    let found = std::fs::metadata(path).ok()?;
    Some(Stamp {
        size: found.len(),
        file: (found.dev(), found.ino()),
        written: (found.mtime(), found.mtime_nsec()),
        changed: (found.ctime(), found.ctime_nsec()),
    })
}
