//! Blobs: files named after the SHA-256 of their bytes, `blobs/ab/cdef...`, and the temporary files that
//! become blobs.
//!
//! Must never show a blob under its name before its bytes are on the disk, and never change one that is
//! right. Each durable step is a function of its own.

use std::fs::{File, Permissions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use gleaner_model::clock::{Clock, SystemClock};
use gleaner_model::fault;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::durable::{FileSystem, protect, sync_dir, sync_file};
use crate::{ContentError, ErrorContext};

/// What is wrong with a blob.
#[derive(Debug, thiserror::Error)]
pub enum BlobProblem {
    /// Not the name of a blob.
    #[error("{0:?} is not a SHA-256 of 64 lower-case hex digits")]
    NotAHash(String),
    /// It is not there.
    #[error("{0} is missing; restore it from a copy, or from the URL in its manifest record")]
    Missing(PathBuf),
    /// Its bytes are not those that were stored.
    #[error(
        "{path} has changed: its SHA-256 is now {found}; restore it from a copy, or from the URL in its manifest record"
    )]
    Changed {
        /// The blob.
        path: PathBuf,
        /// SHA-256 of what is there.
        found: String,
    },
    /// It cannot be read.
    #[error("cannot read {path}: {source}; check the disk and the permissions")]
    Unreadable {
        /// The blob.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// How a blob stood when its bytes came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is there, with as many bytes.
    Known,
    /// It is there, with fewer bytes or more.
    Damaged,
    /// It is not there.
    Missing,
}

/// The blobs of a library, and its temporary files.
#[derive(Debug)]
pub(crate) struct Blobs {
    pub(crate) dir: PathBuf,
    pub(crate) tmp: PathBuf,
    /// What both are on: files are renamed from one to the other.
    pub(crate) file_system: FileSystem,
    /// Held shared as long as temporary files may exist: see [`enter`].
    _in_use: File,
}

impl Blobs {
    pub(crate) fn open(dir: PathBuf, tmp: PathBuf) -> Result<Self, ContentError> {
        let in_use = enter(&tmp)?;
        let file_system = FileSystem::of(&tmp);
        Ok(Self { dir, tmp, file_system, _in_use: in_use })
    }

    /// A new temporary file, removed when dropped.
    pub(crate) fn temporary(&self) -> Result<NamedTempFile, ContentError> {
        tempfile::Builder::new()
            .prefix("download-")
            // As far as the umask allows; a blob then is what is left of it to read.
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(&self.tmp)
            .context("create a temporary file in", &self.tmp)
    }

    /// Where the blob of that hash is or would be; `None` when it is no hash.
    pub(crate) fn path(&self, sha256: &str) -> Option<PathBuf> {
        let is_hash = sha256.len() == 64 && sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        is_hash.then(|| self.path_of(sha256))
    }

    /// As [`Self::path`], for a hash made here.
    pub(crate) fn path_of(&self, sha256: &str) -> PathBuf {
        let (shard, rest) = sha256.split_at(sha256.len().min(2));
        self.dir.join(shard).join(rest)
    }

    /// Makes the temporary file, of `size` bytes, the blob at `path`, and tells whether that blob was known.
    /// It is on the disk when this returns. Many files are kept faster in a [`crate::group`].
    pub(crate) fn keep(&self, file: NamedTempFile, path: &Path, size: u64) -> Result<bool, ContentError> {
        let standing = Self::standing(path, size);
        if standing != Standing::Known {
            protect(&file)?;
            sync_file(&file)?;
        }
        if standing == Standing::Missing && self.make_shard(path)? {
            self.sync_shards()?;
        }
        let is_known = self.publish(standing, file, path)?;
        self.sync_shard(path)?;
        Ok(is_known)
    }

    /// First: whether the blob is there already. If not, the file is to be protected and synced.
    pub(crate) fn standing(path: &Path, size: u64) -> Standing {
        match std::fs::metadata(path).map(|found| found.len()) {
            Ok(found) if found == size && touch(path) => Standing::Known,
            Ok(found) if found != size => Standing::Damaged,
            _ => Standing::Missing,
        }
    }

    /// Second: the directory of a missing blob is there. True when it was made, and [`Self::sync_shards`] is due.
    pub(crate) fn make_shard(&self, path: &Path) -> Result<bool, ContentError> {
        let shard = path.parent().unwrap_or(&self.dir);
        match std::fs::create_dir(shard) {
            Ok(()) => {
                fault::point("shard.made");
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error).context("create", shard),
        }
    }

    /// The names of the directories of blobs are on the disk.
    pub(crate) fn sync_shards(&self) -> Result<(), ContentError> {
        sync_dir(&self.dir)?;
        fault::point("shard.synced");
        Ok(())
    }

    /// Third: the file has its name; true when the blob was known, or another run was faster with the same bytes.
    pub(crate) fn publish(
        &self,
        standing: Standing,
        file: NamedTempFile,
        path: &Path,
    ) -> Result<bool, ContentError> {
        let is_known = match standing {
            Standing::Known => true,
            Standing::Damaged => {
                tracing::warn!(blob = %path.display(), "a damaged blob is replaced");
                file.persist(path).map_err(|error| error.error).context("replace", path)?;
                false
            }
            Standing::Missing => publish(file, path)?,
        };
        fault::point("blob.renamed");
        Ok(is_known)
    }

    /// Last: the name is on the disk. Also for a known blob: another process may have renamed it and not yet synced.
    pub(crate) fn sync_shard(&self, path: &Path) -> Result<(), ContentError> {
        sync_dir(path.parent().unwrap_or(&self.dir))?;
        fault::point("blob.directory-synced");
        Ok(())
    }

    /// Another library's blob, of `size` bytes: the same file under another name where the file system has hard
    /// links, else a copy. On the disk after [`Self::sync`].
    pub(crate) fn take_over(&self, from: &Path, path: &Path, size: u64) -> Result<(), ContentError> {
        if std::fs::metadata(path).is_ok_and(|found| found.len() == size) {
            return Ok(());
        }
        if self.make_shard(path)? {
            self.sync_shards()?;
        }
        match std::fs::hard_link(from, path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists || lacks_hard_links(&error) => {
                let mut file = self.temporary()?;
                let mut blob = File::open(from).context("read", from)?;
                std::io::copy(&mut blob, file.as_file_mut()).context("write", path)?;
                self.keep(file, path, size).map(drop)
            }
            Err(error) => Err(error).context("link", path),
        }
    }

    /// The names of all blobs are on the disk.
    pub(crate) fn sync(&self) -> Result<(), ContentError> {
        for shard in std::fs::read_dir(&self.dir).context("read", &self.dir)? {
            sync_dir(&shard.context("read", &self.dir)?.path())?;
        }
        sync_dir(&self.dir)
    }

    /// Reads the blob again and compares.
    pub(crate) fn verify(&self, sha256: &str) -> Result<(), BlobProblem> {
        let path = self.path(sha256).ok_or_else(|| BlobProblem::NotAHash(sha256.to_owned()))?;
        match hash_file(&path) {
            Ok(found) if found == sha256 => Ok(()),
            Ok(found) => Err(BlobProblem::Changed { path, found }),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(BlobProblem::Missing(path)),
            Err(source) => Err(BlobProblem::Unreadable { path, source }),
        }
    }
}

/// Removes what dead runs left in `tmp`, and announces this run.
///
/// Each run holds a lock on `tmp/.lock`, shared; who can have it alone knows that nobody else is here.
/// The system drops the locks of a process that died.
fn enter(tmp: &Path) -> Result<File, ContentError> {
    let path = tmp.join(".lock");
    let lock = File::options().create(true).truncate(false).write(true).open(&path).context("open", &path)?;
    if lock.try_lock().is_ok() {
        sweep(tmp)?;
        lock.unlock().context("unlock", &path)?;
    }
    lock.lock_shared().context("lock", &path)?;
    Ok(lock)
}

fn sweep(tmp: &Path) -> Result<(), ContentError> {
    for entry in std::fs::read_dir(tmp).context("read", tmp)? {
        let entry = entry.context("read", tmp)?;
        if entry.file_name().to_string_lossy().starts_with("download-") {
            std::fs::remove_file(entry.path()).context("remove", &entry.path())?;
        }
    }
    Ok(())
}

/// Says that the blob is wanted: nobody removes what was touched lately. False when somebody just has.
fn touch(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    // Another user's blob cannot be touched, nor removed by who cannot.
    let _ = file.set_modified(wall_time());
    let inode = |metadata: &std::fs::Metadata| (metadata.dev(), metadata.ino());
    matches!((&file.metadata(), &std::fs::metadata(path)), (Ok(open), Ok(named)) if inode(open) == inode(named))
}

/// Now, as file systems count.
pub(crate) fn wall_time() -> std::time::SystemTime {
    let millis = u64::try_from(SystemClock.now().0).unwrap_or(0);
    std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(millis)
}

/// Gives the file its name; true when another run was faster with the same bytes.
fn publish(file: NamedTempFile, path: &Path) -> Result<bool, ContentError> {
    match file.persist_noclobber(path) {
        Ok(_) => Ok(false),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(true),
        Err(error) => Err(error.error).context("create", path),
    }
}

/// Whether another way than a hard link has to be found.
pub(crate) fn lacks_hard_links(error: &std::io::Error) -> bool {
    use ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
    matches!(error.kind(), Unsupported | PermissionDenied | TooManyLinks | CrossesDevices)
}

pub(crate) fn hash_file(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hasher.finalize())),
            length => hasher.update(&buffer[..length]),
        }
    }
}

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests;
