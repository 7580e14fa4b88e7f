//! Readable names: hard links beside the blobs, under names that every file system takes.
//!
//! Must never follow what an artifact says out of `files/`, never replace a name that exists, and never
//! give two different blobs one name, not even on a file system that ignores case.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use gleaner_model::artifact::Artifact;
use gleaner_model::fault;
use unicode_normalization::UnicodeNormalization;

use crate::blobs::lacks_hard_links;
use crate::durable::sync_dir;
use crate::template::{NameTemplate, cut};
use crate::{ContentError, ErrorContext};

/// Longest name without its ending, in bytes: leaves room under the 143 bytes of encrypted home directories.
pub(crate) const MAX_STEM: usize = 120;

/// A title keeps at least so much of itself when a name must be shortened, in bytes.
const MIN_TITLE: usize = 24;

/// The directory of readable names.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) dir: PathBuf,
    hasher: RandomState,
    /// Hashes of the names in use, folded. A collision costs a number behind a name and nothing else.
    taken: Mutex<HashSet<u64>>,
}

impl Names {
    pub(crate) fn open(dir: PathBuf) -> Result<Self, ContentError> {
        let hasher = RandomState::new();
        let mut taken = HashSet::new();
        for entry in std::fs::read_dir(&dir).context("read", &dir)? {
            let name = entry.context("read", &dir)?.file_name();
            taken.insert(hasher.hash_one(fold(&name.to_string_lossy())));
        }
        Ok(Self { dir, hasher, taken: Mutex::new(taken) })
    }

    /// Gives `blob` the name `stem.extension`, or one like it when that is another file's. A blob that has
    /// the name already keeps it. On the disk after [`Self::sync`].
    pub(crate) fn assign(
        &self,
        blob: &Path,
        sha256: &str,
        stem: &str,
        extension: &str,
    ) -> Result<String, ContentError> {
        for suffix in suffixes(sha256) {
            let name = format!("{}{suffix}.{extension}", cut(stem, MAX_STEM - suffix.len()).trim_end());
            let path = self.dir.join(&name);
            if self.claim(&path, &name, blob)? {
                fault::point("name.linked");
                return Ok(name);
            }
        }
        let source = std::io::Error::from(ErrorKind::AlreadyExists);
        Err(ContentError::Storage { action: "find a free name for", path: self.dir.join(stem), source })
    }

    /// Gives `blob` exactly that name; false when it is another file's. On the disk after [`Self::sync`].
    pub(crate) fn give(&self, blob: &Path, name: &str) -> Result<bool, ContentError> {
        let path = self.dir.join(name);
        Ok(is_link(&path, blob) || link(blob, &path)?)
    }

    /// Takes a name away from the blob, if it is a hard link to it, so that its successor gets it; returns where it was.
    /// A symbolic link leads to the successor anyway.
    pub(crate) fn withdraw(&self, name: &str, blob: &Path) -> Result<Option<PathBuf>, ContentError> {
        let path = self.dir.join(name);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if path.is_symlink() || !is_link(&path, blob) {
            return Ok(None);
        }
        std::fs::remove_file(&path).context("remove", &path)?;
        taken.remove(&self.hasher.hash_one(fold(name)));
        Ok(Some(path))
    }

    /// All names are on the disk.
    pub(crate) fn sync(&self) -> Result<(), ContentError> {
        sync_dir(&self.dir)?;
        fault::point("name.directory-synced");
        Ok(())
    }

    /// Whether the blob has that name now: it had it, or the name was free.
    fn claim(&self, path: &Path, name: &str, blob: &Path) -> Result<bool, ContentError> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let is_free = taken.insert(self.hasher.hash_one(fold(name)));
        // A name that nobody has is linked without a look, which most are.
        Ok(is_free && link(blob, path)? || is_link(path, blob))
    }
}

/// What tells files of one name apart: nothing, a number, and from the tenth on the hash.
fn suffixes(sha256: &str) -> impl Iterator<Item = String> {
    let numbers = (2..10).map(|n| format!(" ({n})"));
    let hashes = [8, 16, 64].map(|digits| format!(" {}", cut(sha256, digits)));
    std::iter::once(String::new()).chain(numbers).chain(hashes)
}

/// A hard link; a relative symbolic one where the file system has none: a copy would take the space twice, and go on
/// when the blob is found damaged and replaced. False when the name is in use,
/// by whichever process.
fn link(blob: &Path, path: &Path) -> Result<bool, ContentError> {
    let linked = match std::fs::hard_link(blob, path) {
        Err(error) if lacks_hard_links(&error) => std::os::unix::fs::symlink(relative(blob), path),
        other => other,
    };
    match linked {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        other => other.context("create the name", path).map(|()| true),
    }
}

/// The blob as seen from `files/`.
fn relative(blob: &Path) -> PathBuf {
    let mut parts = blob.components().rev().take(3).collect::<Vec<_>>();
    parts.reverse();
    Path::new("..").join(parts.into_iter().collect::<PathBuf>())
}

fn is_link(path: &Path, blob: &Path) -> bool {
    let inode = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    let same_inode = match (std::fs::symlink_metadata(path), std::fs::symlink_metadata(blob)) {
        (Ok(name), Ok(blob)) => inode(name) == inode(blob),
        _ => false,
    };
    same_inode || std::fs::read_link(path).is_ok_and(|target| target == relative(blob))
}

/// The stem of an artifact's file: what the template says, else the artifact's id, else the hash.
pub(crate) fn stem(template: &NameTemplate, artifact: &Artifact, sha256: &str) -> String {
    let full = safe(&template.fill(artifact, sha256, usize::MAX), usize::MAX);
    if (1..=MAX_STEM).contains(&full.len()) {
        return full;
    }
    let title_bytes = artifact.title.as_deref().map_or(0, |title| title.trim().len());
    // Other fields tell more per byte than the end of a long title.
    let excess = full.len().saturating_sub(MAX_STEM);
    let filled = template.fill(artifact, sha256, title_bytes.saturating_sub(excess).max(MIN_TITLE));
    [filled.as_str(), artifact.id.as_str()]
        .into_iter()
        .map(|text| safe(text, MAX_STEM))
        .find(|stem| !stem.is_empty())
        .unwrap_or_else(|| format!("file-{}", cut(sha256, 8)))
}

/// The text as a name that every file system takes: composed, no reserved or invisible character, not a
/// device of Windows, not hidden, not an option, at most so many bytes. May be empty.
fn safe(text: &str, max_bytes: usize) -> String {
    let visible: String = text
        .chars()
        .filter(|&c| !is_invisible(c))
        .map(|c| {
            if c.is_whitespace() {
                ' '
            } else if is_reserved(c) {
                '_'
            } else {
                c
            }
        })
        .collect();
    let words: Vec<_> = visible.split(' ').filter(|word| !word.is_empty()).collect();
    let composed: String = words.join(" ").nfc().collect();
    let stem = trimmed(&composed, max_bytes);
    if is_device(stem) { trimmed(&format!("_{stem}"), max_bytes).to_owned() } else { stem.to_owned() }
}

fn trimmed(text: &str, max_bytes: usize) -> &str {
    cut(text.trim_start_matches(['.', ' ', '-']), max_bytes).trim_end_matches(['.', ' ', '-'])
}

/// Characters that some file system refuses, or that mean something in paths.
pub(crate) fn is_reserved(c: char) -> bool {
    c.is_control() || matches!(c, '<' | '>' | ':' | '"' | '/' | '\\' | '|' | '?' | '*')
}

/// Joiners, marks of direction, soft hyphens, selectors of variants, fillers: two names that differ in them look alike.
/// All that Unicode calls default ignorable, and annotations.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Whether Windows takes the name for a device, whatever its ending.
fn is_device(stem: &str) -> bool {
    let base = stem.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let numbered = |prefix| {
        base.strip_prefix(prefix).is_some_and(|rest: &str| {
            let mut chars = rest.chars();
            matches!((chars.next(), chars.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
        })
    };
    matches!(base.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$")
        || numbered("COM")
        || numbered("LPT")
}

/// What names have in common that a file system without case, or one that composes or decomposes letters, takes for
/// the same; a little coarser than any of them.
fn fold(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    let alike: String = name.nfkc().collect();
    // Small first: a capital sharp s is its own capital.
    alike.to_lowercase().to_uppercase().to_lowercase().nfkc().collect()
}

#[cfg(test)]
mod tests;
