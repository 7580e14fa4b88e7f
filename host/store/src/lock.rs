//! The lock that lets one process at a time work on a library's queue.
//!
//! The system frees it when the process ends, however it ends; what the file says is only for messages.
//! Must never decide by time whether a process lives.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::StoreError;

/// Held while a process leases. Dropping it frees the lock.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl RunLock {
    /// Takes the lock of the library in `dir`, or tells who has it.
    pub(crate) fn take(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join("run.lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| StoreError::io("open the lock file", &path, &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Without a number the message only says less.
                let _ = file.read_to_string(&mut text);
                return Err(StoreError::Locked { path: dir.to_owned(), pid: text.trim().parse().ok() });
            }
            Err(TryLockError::Error(error)) => return Err(StoreError::io("lock", &path, &error)),
        }
        let named = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(file, "{}", std::process::id()));
        named.map_err(|error| StoreError::io("write", &path, &error))?;
        Ok(Self { _file: file })
    }
}
