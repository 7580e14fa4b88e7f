//! Finding and removing what nothing refers to: blobs without a row, their names, temporary files of long ago.
//!
//! Must never take a file that a running process just stored and has yet to write down, nor one that is not ours. A
//! process touches every blob that it stores, known ones too, so what was touched lately is left. Between looking and
//! removing it may be touched: so a file is first moved aside, then looked at again, and put back if it was.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::durable::sync_dir;
use crate::{Content, ContentError, ErrorContext};

/// A blob that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobFile {
    /// Its name, which should be its SHA-256.
    pub sha256: String,
    /// Where it is.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Device and inode: readable names are links to it.
    inode: (u64, u64),
    touched: SystemTime,
}

/// What a [`Leftover`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Bytes under their hash.
    Blob,
    /// A readable name.
    Name,
    /// A temporary file, or half a download.
    Temporary,
}

/// Something that nothing refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// What it is.
    pub kind: Kind,
    /// Where it is, or was.
    pub path: PathBuf,
    /// Bytes that its removal frees; none for a name.
    pub size: u64,
}

/// One go at tidying up.
#[derive(Debug)]
pub struct Gc {
    content: Content,
    /// What was touched since then is left.
    before: SystemTime,
    is_dry: bool,
    /// Blobs that stay, and those that go.
    live: HashSet<(u64, u64)>,
    dead: HashSet<(u64, u64)>,
}

impl Content {
    /// The first two digits of all blobs: the folders there are.
    ///
    /// # Errors
    /// [`ContentError::Storage`] when the disk refuses.
    pub fn shards(&self) -> Result<Vec<String>, ContentError> {
        let dir = &self.0.blobs.dir;
        let mut shards = Vec::new();
        for entry in std::fs::read_dir(dir).context("read", dir)? {
            let name = entry.context("read", dir)?.file_name();
            shards.extend(name.to_str().filter(|name| is_hex(name, 2)).map(str::to_owned));
        }
        shards.sort();
        Ok(shards)
    }

    /// The blobs whose name begins with these digits. Files with names that no blob has are passed over.
    ///
    /// # Errors
    /// [`ContentError::Storage`] when the disk refuses.
    pub fn blobs_in(&self, shard: &str) -> Result<Vec<BlobFile>, ContentError> {
        let dir = self.0.blobs.dir.join(shard);
        let mut blobs = Vec::new();
        for entry in std::fs::read_dir(&dir).context("read", &dir)? {
            let entry = entry.context("read", &dir)?;
            let name = entry.file_name();
            let Some(rest) = name.to_str().filter(|name| is_hex(name, 62)) else { continue };
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_file() {
                blobs.push(BlobFile {
                    sha256: format!("{shard}{rest}"),
                    path: entry.path(),
                    size: metadata.len(),
                    inode: (metadata.dev(), metadata.ino()),
                    touched: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                });
            }
        }
        Ok(blobs)
    }

    /// Begins to tidy up: what was touched since `before` is left, and with `is_dry` everything is. First puts back
    /// what an earlier go had moved aside when it died. Blocks on the disk, as its methods do.
    ///
    /// # Errors
    /// [`ContentError::Storage`] when the disk refuses.
    pub fn gc(&self, before: SystemTime, is_dry: bool) -> Result<Gc, ContentError> {
        let tmp = &self.0.blobs.tmp;
        for entry in std::fs::read_dir(tmp).context("read", tmp)? {
            let entry = entry.context("read", tmp)?;
            let name = entry.file_name();
            let blob =
                name.to_str().and_then(|name| name.strip_prefix(ASIDE)).and_then(|sha| self.blob_path(sha));
            if let Some(blob) = blob.filter(|_| !is_dry) {
                put_back(&entry.path(), &blob)?;
            }
        }
        Ok(Gc { content: self.clone(), before, is_dry, live: HashSet::new(), dead: HashSet::new() })
    }
}

/// What a blob is called while it is looked at once more.
const ASIDE: &str = "aside-";

impl Gc {
    /// Removes the blobs of a folder that are none of `known`. To be called for every folder before the names.
    ///
    /// # Errors
    /// [`ContentError::Storage`] when the disk refuses.
    pub fn blobs(&mut self, shard: &str, known: &HashSet<String>) -> Result<Vec<Leftover>, ContentError> {
        let mut gone = Vec::new();
        for blob in self.content.blobs_in(shard)? {
            let is_old = blob.touched < self.before;
            if known.contains(&blob.sha256) || !is_old || !self.is_gone(&blob.path, &blob.sha256)? {
                self.live.insert(blob.inode);
                continue;
            }
            self.dead.insert(blob.inode);
            gone.push(Leftover { kind: Kind::Blob, path: blob.path, size: blob.size });
        }
        Ok(gone)
    }

    /// Removes readable names that lead to a blob and are none of those that `is_known` knows, as seen from the
    /// library; and those that lead to a blob that is gone. What is not a name of ours is left.
    ///
    /// # Errors
    /// [`ContentError::Storage`] when the disk refuses.
    pub fn names(&self, is_known: impl Fn(&str) -> bool) -> Result<Vec<Leftover>, ContentError> {
        let dir = &self.content.0.names.dir;
        let mut gone = Vec::new();
        for entry in std::fs::read_dir(dir).context("read", dir)? {
            let entry = entry.context("read", dir)?;
            let (path, name) = (entry.path(), entry.file_name());
            let Ok(metadata) = entry.metadata() else { continue };
            let is_ours = if metadata.is_symlink() {
                std::fs::read_link(&path).is_ok_and(|target| target.starts_with("../blobs"))
            } else {
                let inode = (metadata.dev(), metadata.ino());
                metadata.is_file() && (self.live.contains(&inode) || self.dead.contains(&inode))
            };
            let is_wanted =
                name.to_str().is_none_or(|name| is_known(&format!("{}/{name}", crate::content::NAMES)));
            if !is_ours || is_wanted || touched(&path).is_some_and(|at| at >= self.before) {
                continue;
            }
            let aside = format!("name-{}-{}", metadata.dev(), metadata.ino());
            if self.is_gone(&path, &aside)? {
                gone.push(Leftover { kind: Kind::Name, path, size: 0 });
            }
        }
        if !self.is_dry {
            sync_dir(dir)?;
        }
        Ok(gone)
    }

    /// Removes temporary files that nobody has written to lately, half downloads too.
    ///
    /// # Errors
    /// [`ContentError::Storage`] when the disk refuses.
    pub fn temporary(&self) -> Result<Vec<Leftover>, ContentError> {
        let mut gone = Vec::new();
        let mut dirs = vec![self.content.0.blobs.tmp.clone()];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(&dir).context("read", &dir)? {
                let entry = entry.context("read", &dir)?;
                let (path, Ok(metadata)) = (entry.path(), entry.metadata()) else { continue };
                if metadata.is_dir() {
                    dirs.push(path);
                } else if metadata.is_file()
                    && path.file_name() != Some(OsStr::new(".lock"))
                    && metadata.modified().is_ok_and(|at| at < self.before)
                {
                    if !self.is_dry {
                        remove(&path)?;
                    }
                    gone.push(Leftover { kind: Kind::Temporary, path, size: metadata.len() });
                }
            }
        }
        Ok(gone)
    }

    /// Removes the file, unless it turns out to be wanted.
    fn is_gone(&self, path: &Path, name: &str) -> Result<bool, ContentError> {
        if self.is_dry {
            return Ok(true);
        }
        let aside = self.content.0.blobs.tmp.join(format!("{ASIDE}{name}"));
        match std::fs::rename(path, &aside) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            moved => moved.context("move aside", path)?,
        }
        // A symbolic link leads nowhere from here; where it led to is looked at in its place.
        let at = if aside.is_symlink() {
            led_to(&aside, path).and_then(|blob| touched(&blob))
        } else {
            touched(&aside)
        };
        if at.is_some_and(|at| at >= self.before) {
            put_back(&aside, path)?;
            return Ok(false);
        }
        remove(&aside)?;
        Ok(true)
    }
}

/// When the file, or what the link leads to, was last touched.
fn touched(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// Where a relative link leads to from where it was.
fn led_to(link: &Path, was_at: &Path) -> Option<PathBuf> {
    Some(was_at.parent()?.join(std::fs::read_link(link).ok()?))
}

/// Gives a file that was moved aside its name again, unless somebody has made it anew.
fn put_back(aside: &Path, path: &Path) -> Result<(), ContentError> {
    match std::fs::hard_link(aside, path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        // No hard links here: there is no better way than to see that the name is free.
        Err(_) if !path.exists() => return std::fs::rename(aside, path).context("put back", path),
        Err(_) => {}
    }
    remove(aside)
}

fn remove(path: &Path) -> Result<(), ContentError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.context("remove", path),
    }
}

fn is_hex(name: &str, digits: usize) -> bool {
    name.len() == digits && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests;
