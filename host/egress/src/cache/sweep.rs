//! The cache's files together: counting them, and removing what was used longest ago.
//!
//! Must never touch a file that is not the cache's own.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Begins the names of files that are being written.
pub(super) const TEMPORARY: &str = ".new-";
/// What files take is counted in pages, as file systems do.
const PAGE: u64 = 4096;

/// What the answers that are kept take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheUse {
    /// Answers.
    pub entries: u64,
    /// On disk, in bytes.
    pub bytes: u64,
}

struct Kept {
    path: PathBuf,
    used: i64,
    room: u64,
}

/// What the cache in `dir` takes; nothing when it is not there.
///
/// # Errors
/// When a directory cannot be read.
pub fn cache_use(dir: &Path) -> io::Result<CacheUse> {
    let kept = kept(dir)?;
    Ok(CacheUse { entries: kept.len() as u64, bytes: kept.iter().map(|one| one.room).sum() })
}

/// Removes every answer that is kept in `dir`, also while others use it. Returns what they took.
///
/// # Errors
/// When a directory cannot be read or a file not removed.
pub fn clear_cache(dir: &Path) -> io::Result<CacheUse> {
    let mut removed = CacheUse::default();
    for one in kept(dir)? {
        remove(&one.path)?;
        removed.entries += 1;
        removed.bytes += one.room;
    }
    Ok(removed)
}

/// Removes what was used longest ago when all take more than `size`: then until an eighth is free, so that it is
/// not done at every write. Returns what is left.
pub(super) fn sweep(dir: &Path, size: u64) -> io::Result<u64> {
    let mut kept = kept(dir)?;
    let mut taken: u64 = kept.iter().map(|one| one.room).sum();
    if taken > size {
        kept.sort_by_key(|one| one.used);
        let goal = size - size / 8;
        for one in kept {
            if taken <= goal {
                break;
            }
            remove(&one.path)?;
            taken -= one.room;
        }
    }
    Ok(taken)
}

/// What a file takes.
pub(super) fn room(about: &Metadata) -> u64 {
    blocks(about.len())
}

/// What so many bytes take.
pub(super) fn blocks(bytes: u64) -> u64 {
    bytes.div_ceil(PAGE).saturating_mul(PAGE)
}

/// Every answer, and every file that somebody began to write.
fn kept(dir: &Path) -> io::Result<Vec<Kept>> {
    let mut kept = Vec::new();
    for folder in entries(dir)? {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.len() != 2 || !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            continue;
        }
        for path in entries(&folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_ours = name.starts_with(TEMPORARY)
                || name.starts_with(|first: char| first.is_ascii_hexdigit()) && name.len() == 81;
            // One that is gone was removed by another process.
            if let Some(about) = fs::symlink_metadata(&path).ok().filter(|about| is_ours && about.is_file()) {
                let used = about.mtime().saturating_mul(1000).saturating_add(about.mtime_nsec() / 1_000_000);
                kept.push(Kept { path, used, room: room(&about) });
            }
        }
    }
    Ok(kept)
}

fn entries(dir: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
