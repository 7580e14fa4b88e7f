//! The processes that work on a library: each holds a lock on a file of its own, which the system frees when it
//! dies, however it dies.
//!
//! Must never decide by time whether a process lives: time only tells whether it may keep its keys.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gleaner_model::clock::UnixMillis;

use crate::error::StoreError;
use crate::keys::Wish;
use crate::queue::{Expired, ProcessId};
use crate::{Library, read, write};

/// This process's place among those that work on a library. Dropping it is like dying: the others take over.
#[derive(Debug)]
pub struct Membership {
    library: Library,
    path: PathBuf,
    _lock: File,
}

/// Another process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number in this library.
    pub id: ProcessId,
    /// Its number in the system.
    pub pid: u32,
    /// Until when it has said that it lives.
    pub alive_until: UnixMillis,
    /// How many keys it owns that have jobs.
    pub busy_keys: u64,
}

/// Who else works on the library, and what they wish for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Others {
    /// Dead ones too, until they are buried.
    pub processes: Vec<Process>,
    /// Keys of ours that they wish for.
    pub wishes: Vec<Wish>,
}

impl Library {
    /// Makes this process one of those that work on the queue; others hear that it lives for `ttl` from now.
    /// What dead processes held goes back at once, as [`crate::WorkQueue::expire`] does it.
    ///
    /// # Errors
    /// When the lock file cannot be made or the library cannot be written.
    pub async fn join(&self, ttl: Duration, max_attempts: u32) -> Result<(Membership, Expired), StoreError> {
        let path = self.lock_path(ProcessId(self.holder().id));
        let lock = blocking(self, move || {
            let lock = lock_anew(&path)?;
            Ok((lock, path))
        });
        let (lock, path) = lock.await?;
        self.renew(ttl).await?;
        let expired = self.bury_the_dead(max_attempts).await?;
        Ok((Membership { library: self.clone(), path, _lock: lock }, expired))
    }

    /// Says that this process lives for `ttl` from now.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn renew(&self, ttl: Duration) -> Result<(), StoreError> {
        let holder = self.holder();
        self.write(move |tx, now| write::renew(tx, holder, now.after(ttl), now)).await
    }

    /// Who else works on the library.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn others(&self) -> Result<Others, StoreError> {
        let (holder, now) = (self.holder(), self.now());
        self.read(move |c| read::keys::others(c, holder.id, now)).await
    }

    /// Takes back what dead processes held: who holds no lock on its file is dead.
    ///
    /// # Errors
    /// When the library cannot be read or written.
    pub async fn bury_the_dead(&self, max_attempts: u32) -> Result<Expired, StoreError> {
        let dead = self.dead_of(self.others().await?.processes).await?;
        if dead.is_empty() {
            return Ok(Expired::default());
        }
        let ids: Vec<ProcessId> = dead.iter().map(|dead| dead.id).collect();
        let expired = self.write(move |tx, now| write::bury(tx, &ids, max_attempts, now)).await?;
        for process in dead {
            // Only what it says is gone; a file that cannot be removed does no harm.
            let _ = std::fs::remove_file(self.lock_path(process.id));
        }
        Ok(expired)
    }

    /// Those of these that hold no lock on their files.
    pub(crate) async fn dead_of(&self, processes: Vec<Process>) -> Result<Vec<Process>, StoreError> {
        if processes.is_empty() {
            return Ok(processes);
        }
        let files: Vec<_> = processes.into_iter().map(|one| (self.lock_path(one.id), one)).collect();
        blocking(self, move || {
            Ok(files.into_iter().filter(|(path, _)| is_free(path)).map(|(_, one)| one).collect())
        })
        .await
    }

    /// Makes the tables and the file smaller where that costs little.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn prune(&self) -> Result<(), StoreError> {
        self.write(|tx, now| write::prune(tx, now)).await
    }

    fn lock_path(&self, process: ProcessId) -> PathBuf {
        self.dir().join("processes").join(format!("{:016x}.lock", process.0))
    }
}

impl Membership {
    /// Leaves: what this process owned is free at once. It must hold no lease any more; if it does, others take
    /// it over as from a dead process.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn leave(self) -> Result<(), StoreError> {
        let holder = self.library.holder();
        let left = self.library.write(move |tx, now| write::leave(tx, holder.id, now)).await;
        if left.is_ok() {
            let _ = std::fs::remove_file(&self.path);
        }
        left
    }
}

fn lock_anew(path: &Path) -> Result<File, StoreError> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(|error| StoreError::io("make the directory", dir, &error))?;
    }
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(path);
    let file = file.map_err(|error| StoreError::io("make the lock file", path, &error))?;
    file.lock().map_err(|error| StoreError::io("lock", path, &error))?;
    Ok(file)
}

/// Whether nobody holds the lock: whoever did is dead. In doubt it lives.
fn is_free(path: &Path) -> bool {
    match File::open(path) {
        Ok(file) => !matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock | TryLockError::Error(_))),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

async fn blocking<T: Send + 'static>(
    library: &Library,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| StoreError::Closed { path: library.dir().to_owned() })?
}
