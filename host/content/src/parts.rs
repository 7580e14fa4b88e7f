//! Unfinished downloads that can be resumed: the bytes that have come, and beside them what they are the beginning of.
//!
//! Must never let a beginning be continued that is not, byte for byte, what was noted: a file's length proves nothing.
//! Part and note may be as old as they like, and either may be missing after a crash or a power cut.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use gleaner_model::artifact::Artifact;
use gleaner_model::manifest::Transport;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempPath};
use url::Url;

use crate::blobs::{hex, wall_time};
use crate::range::Validators;

/// Nobody comes back to an older part.
const OLD: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What a part is called, and its note with `.json` behind.
const PREFIX: &str = "part-";

/// The unfinished downloads of a library.
#[derive(Debug)]
pub(crate) struct Parts {
    dir: PathBuf,
    /// Bytes of all parts together.
    most: u64,
    /// Whether there may be any: spares the usual download a look at the disk.
    any: AtomicBool,
}

/// What is noted of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    /// What was asked for.
    pub(crate) url: Url,
    /// What the server calls this version of the file.
    pub(crate) validators: Validators,
    /// `Content-Type` of the answer that began it.
    pub(crate) media_type: Option<String>,
    /// Bytes of the whole file, as declared.
    pub(crate) total: u64,
    /// Bytes of the beginning.
    pub(crate) length: u64,
    /// SHA-256 of the beginning, lower-case hex.
    pub(crate) sha256: String,
    /// How the beginning came; of notes that do not say, as badly as can be.
    #[serde(default = "unprotected")]
    pub(crate) transport: Transport,
}

fn unprotected() -> Transport {
    Transport::Http
}

/// Where the part of one URL and one artifact belongs.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    part: PathBuf,
    note: PathBuf,
}

impl Parts {
    /// Removes what is old or too much. Blocks on the disk.
    pub(crate) fn open(dir: PathBuf, most: u64) -> Self {
        let parts = Self { dir, most, any: AtomicBool::new(false) };
        parts.tidy_up();
        parts
    }

    /// False: there are none, unless another process made one.
    pub(crate) fn may_have_some(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    pub(crate) fn slot(&self, url: &Url, artifact: &Artifact) -> Slot {
        let name = format!("{}{}", of_artifact(artifact), &digest(url.as_str())[..24]);
        Slot { note: self.dir.join(format!("{name}.json")), part: self.dir.join(name) }
    }

    /// The part of that slot, if it can be resumed and nobody else is at it, with its lock. Its bytes are not checked
    /// yet. What cannot be resumed is removed. Blocks on the disk.
    pub(crate) fn take(&self, slot: &Slot, url: &Url) -> Option<(NamedTempFile, Note)> {
        let file = File::options().read(true).write(true).open(&slot.part).ok()?;
        if file.try_lock().is_err() || !is_still_at(&file, &slot.part) {
            return None;
        }
        let note = std::fs::read(&slot.note).ok().and_then(|text| serde_json::from_slice::<Note>(&text).ok());
        let length = file.metadata().ok()?.len();
        match note {
            Some(note) if note.url == *url && (1..=length.min(note.total)).contains(&note.length) => {
                let path = TempPath::try_from_path(&slot.part).ok()?;
                Some((NamedTempFile::from_parts(file, path), note))
            }
            _ => {
                slot.forget();
                None
            }
        }
    }

    /// Puts an unfinished file into its slot with its note. Gives it back as an error when that fails, or when another
    /// has the slot. Blocks on the disk.
    pub(crate) fn put(
        &self,
        file: NamedTempFile,
        slot: &Slot,
        note: &Note,
    ) -> Result<NamedTempFile, NamedTempFile> {
        self.any.store(true, Ordering::Relaxed);
        let file = if file.path() == slot.part { file } else { move_into(file, slot)? };
        let write = || {
            let mut new = tempfile::Builder::new().prefix("download-").tempfile_in(&self.dir)?;
            serde_json::to_writer(&mut new, note)?;
            new.flush()?;
            new.persist(&slot.note).map_err(|error| error.error)
        };
        match write() {
            Ok(_) => Ok(file),
            Err(error) => {
                tracing::debug!(%error, part = %slot.part.display(), "an unfinished download is not kept");
                Err(file)
            }
        }
    }

    /// Removes the parts of an artifact that has its file, or gets none. Blocks on the disk.
    pub(crate) fn forget(&self, artifact: &Artifact) {
        let prefix = of_artifact(artifact);
        for (path, ..) in self.list() {
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix)) {
                remove_if_free(&path);
            }
        }
    }

    /// Removes parts that are old, and the oldest of what is more than fits. Parts in use stay.
    pub(crate) fn tidy_up(&self) {
        let mut parts = self.list();
        self.any.store(!parts.is_empty(), Ordering::Relaxed);
        parts.sort_by_key(|(_, modified, _)| std::cmp::Reverse(*modified));
        let now = wall_time();
        let mut bytes = 0_u64;
        for (path, modified, size) in parts {
            bytes = bytes.saturating_add(size);
            if bytes > self.most || now.duration_since(modified).is_ok_and(|age| age > OLD) {
                remove_if_free(&path);
            }
        }
    }

    /// Parts, when they were last written to, and their sizes; and notes whose part is gone, as parts of no bytes.
    fn list(&self) -> Vec<(PathBuf, SystemTime, u64)> {
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return Vec::new() };
        let parts = entries.flatten().filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with(PREFIX) {
                return None;
            }
            if let Some(part) = name.strip_suffix(".json") {
                let part = self.dir.join(part);
                return (!part.exists()).then_some((part, SystemTime::UNIX_EPOCH, 0));
            }
            let metadata = entry.metadata().ok()?;
            Some((entry.path(), metadata.modified().ok()?, metadata.len()))
        });
        parts.collect()
    }
}

impl Slot {
    /// Nothing is noted of what is in it any more.
    pub(crate) fn forget_note(&self) {
        // It may never have been there.
        let _ = std::fs::remove_file(&self.note);
    }

    fn forget(&self) {
        self.forget_note();
        // As above.
        let _ = std::fs::remove_file(&self.part);
    }
}

/// Gives a file the name of a part, locked before anybody can find it.
fn move_into(file: NamedTempFile, slot: &Slot) -> Result<NamedTempFile, NamedTempFile> {
    let Ok(path) = TempPath::try_from_path(&slot.part) else { return Err(file) };
    if file.as_file().try_lock().is_err() {
        return Err(file);
    }
    match file.persist_noclobber(&slot.part) {
        Ok(file) => Ok(NamedTempFile::from_parts(file, path)),
        Err(error) => {
            // It is another's, and not to be removed.
            std::mem::forget(path);
            Err(error.file)
        }
    }
}

/// All parts of an artifact begin so.
fn of_artifact(artifact: &Artifact) -> String {
    format!("{PREFIX}{}-", &digest(artifact.id.as_str())[..16])
}

fn digest(text: &str) -> String {
    hex(&Sha256::digest(text))
}

/// Whether the open file is the one that has the name: another may have removed it before it was locked.
fn is_still_at(file: &File, path: &Path) -> bool {
    matches!((file.metadata(), std::fs::metadata(path)), (Ok(open), Ok(named))
        if (open.dev(), open.ino()) == (named.dev(), named.ino()))
}

fn remove_if_free(part: &Path) {
    let is_free = match File::open(part) {
        Ok(file) => file.try_lock().is_ok(),
        Err(_) => true,
    };
    if is_free {
        let mut note = part.as_os_str().to_owned();
        note.push(".json");
        Slot { part: part.to_owned(), note: note.into() }.forget();
    }
}

#[cfg(test)]
mod tests;
