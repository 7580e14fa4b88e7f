//! Answers in files: `cache/` in the library, one file an answer, shared by all processes that use the library.
//!
//! A file gets its name when it is whole, and its name is a salted digest: nobody learns from it what was asked. A file
//! that is torn or foreign is as good as none. Must never make a request fail, and never trust a directory that others
//! can write to. Everything here blocks.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use gleaner_model::clock::UnixMillis;
use sha2::{Digest, Sha256};

use super::key::Key;
use super::stored::Stored;
use super::sweep::{self, room};

/// Beside headers and digests, what a file may have more than its body.
const BESIDE_BODY: u64 = 1 << 20;
const SALT: &str = "salt";

/// The directory. Made when the first answer is kept.
#[derive(Debug)]
pub(super) struct Disk {
    dir: PathBuf,
    size: u64,
    max_file: u64,
    salt: OnceLock<[u8; 32]>,
    taken: Mutex<Taken>,
}

/// What is known of what all files take.
#[derive(Debug, Default)]
struct Taken {
    /// When they were last counted, and what was added and taken away here since.
    bytes: u64,
    /// Bytes that may be written here until they are counted again: other processes write too.
    left: u64,
}

impl Disk {
    pub(super) fn new(dir: PathBuf, size: u64, max_entry: u64) -> Self {
        let max_file = max_entry.saturating_add(BESIDE_BODY);
        Self { dir, size, max_file, salt: OnceLock::new(), taken: Mutex::default() }
    }

    /// The answer of that key. Notes that it was used.
    pub(super) fn read(&self, key: &Key, now: UnixMillis) -> Option<Stored> {
        let (path, name) = self.place(key, self.salt_if_there()?);
        let file = OpenOptions::new().read(true).open(&path).ok()?;
        let about = file.metadata().ok().filter(|about| about.is_file() && about.len() <= self.max_file)?;
        let mut bytes = Vec::with_capacity(usize::try_from(about.len()).unwrap_or(0));
        (&file).take(self.max_file + 1).read_to_end(&mut bytes).ok()?;
        let stored = Stored::decode(bytes, &name);
        if stored.is_some() {
            touch(&file, now);
        }
        stored
    }

    /// Keeps an answer. What goes wrong is logged: the next request asks again.
    pub(super) fn write(&self, key: &Key, stored: &Stored, now: UnixMillis) {
        if let Err(error) = self.try_write(key, stored, now) {
            tracing::debug!(dir = %self.dir.display(), %error, "an answer was not kept");
        }
    }

    fn try_write(&self, key: &Key, stored: &Stored, now: UnixMillis) -> io::Result<()> {
        let (path, name) = self.place(key, self.salt()?);
        let Some(bytes) = stored.encode(&name) else { return Ok(()) };
        let folder = path.parent().unwrap_or(&self.dir);
        make_private(folder)?;
        let before = fs::metadata(&path).map_or(0, |about| room(&about));
        let temporary = Temporary::new(folder)?;
        temporary.file.as_ref().map_or(Ok(()), |mut file| file.write_all(&bytes))?;
        temporary.file.as_ref().inspect(|file| touch(file, now));
        temporary.rename(&path)?;
        self.keep_to_size(before, bytes.len() as u64)
    }

    /// Removes what is kept of a URL, whoever asked.
    pub(super) fn invalidate(&self, url: &[u8; 32]) {
        let Some(salt) = self.salt_if_there() else { return };
        let (folder, begin) = self.of_url(url, salt);
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&begin) {
                // Another process may have been first.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Removes the answer of that key.
    pub(super) fn remove(&self, key: &Key) {
        if let Some(salt) = self.salt_if_there() {
            let _ = fs::remove_file(self.place(key, salt).0);
        }
    }

    fn keep_to_size(&self, before: u64, written: u64) -> io::Result<()> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let written = sweep::blocks(written);
        taken.bytes = taken.bytes.saturating_sub(before) + written;
        // Counted at first, when it seems too much, and after a part of what may be there.
        match taken.left.checked_sub(written).filter(|_| taken.bytes <= self.size) {
            Some(left) => taken.left = left,
            None => *taken = Taken { bytes: sweep::sweep(&self.dir, self.size)?, left: self.size / 8 },
        }
        Ok(())
    }

    /// Where a key's file is, and what stands in it as its name.
    fn place(&self, key: &Key, salt: [u8; 32]) -> (PathBuf, [u8; 32]) {
        let (folder, begin) = self.of_url(key.url(), salt);
        let name = salted(salt, key.whole());
        (folder.join(format!("{begin}{}", hex(&name))), name)
    }

    fn of_url(&self, url: &[u8; 32], salt: [u8; 32]) -> (PathBuf, String) {
        let digest = hex(&salted(salt, url)[..8]);
        (self.dir.join(&digest[..2]), format!("{digest}-"))
    }

    fn salt_if_there(&self) -> Option<[u8; 32]> {
        if let Some(salt) = self.salt.get() {
            return Some(*salt);
        }
        let salt = check_private(&self.dir).and_then(|()| read_salt(&self.dir)).ok()?;
        Some(*self.salt.get_or_init(|| salt))
    }

    /// The salt of this directory, which the first process makes.
    fn salt(&self) -> io::Result<[u8; 32]> {
        if let Some(salt) = self.salt_if_there() {
            return Ok(salt);
        }
        make_private(&self.dir)?;
        let mut new = [0; 32];
        File::open("/dev/urandom")?.read_exact(&mut new)?;
        let temporary = Temporary::new(&self.dir)?;
        temporary.file.as_ref().map_or(Ok(()), |mut file| file.write_all(&new))?;
        let path = self.dir.join(SALT);
        match fs::hard_link(&temporary.path, &path) {
            // Another process was first; or what is there is no salt.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if read_salt(&self.dir).is_err() {
                    temporary.rename(&path)?;
                }
            }
            done => done?,
        }
        let salt = read_salt(&self.dir)?;
        Ok(*self.salt.get_or_init(|| salt))
    }
}

/// A file that is removed unless it gets its name.
struct Temporary {
    path: PathBuf,
    file: Option<File>,
}

impl Temporary {
    fn new(folder: &Path) -> io::Result<Self> {
        let name = format!("{}{}-{:016x}", sweep::TEMPORARY, std::process::id(), fastrand::u64(..));
        let path = folder.join(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { path, file: Some(file) })
    }

    fn rename(mut self, to: &Path) -> io::Result<()> {
        fs::rename(&self.path, to)?;
        self.file = None;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.file.is_some() {
            // At worst it lies there until it is swept.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes a directory that is the user's alone, or finds that it is.
fn make_private(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    check_private(dir)?;
    fs::set_permissions(dir, Permissions::from_mode(0o700))
}

/// A link, or a directory that others may write to, is not trusted: what lies in it may be theirs.
fn check_private(dir: &Path) -> io::Result<()> {
    let about = fs::symlink_metadata(dir)?;
    let is_ours =
        about.is_dir() && about.mode() & 0o022 == 0 && about.uid() == rustix::process::geteuid().as_raw();
    is_ours.then_some(()).ok_or_else(|| io::ErrorKind::PermissionDenied.into())
}

fn read_salt(dir: &Path) -> io::Result<[u8; 32]> {
    let salt = fs::read(dir.join(SALT))?;
    salt.try_into().map_err(|_| io::ErrorKind::InvalidData.into())
}

/// When it was last used, by the clock that everything goes by.
fn touch(file: &File, now: UnixMillis) {
    let at = UNIX_EPOCH + Duration::from_millis(u64::try_from(now.0).unwrap_or(0));
    // Where that is refused, it only goes earlier than it had to.
    let _ = file.set_modified(at);
}

fn salted(salt: [u8; 32], digest: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(salt).chain_update(digest).finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
