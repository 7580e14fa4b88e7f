//! Files that are ready at the same time become durable together, in rounds: one sync makes the bytes of those that have
//! just come durable, the blobs' names of those that came a round before, and the readable names of those before them.
//!
//! Must never give a blob its name before its bytes are on the disk, nor a readable name before the blob's name is, nor
//! answer before all three are; and never wait for files that are still to come: a round takes what is ready when it
//! begins.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use gleaner_model::fault;
use gleaner_model::reason::{Failure, Reason};
use tempfile::NamedTempFile;
use tokio::sync::oneshot;

use crate::ContentError;
use crate::blobs::{Blobs, Standing};
use crate::content::Library;
use crate::durable::{protect, sync_file};

/// What came of one file: its readable name in `files/`, and whether the library had the bytes before.
type Answer = Result<(String, bool), Failure>;

/// So many files are synced with their whole file system. For fewer it is not worth waiting for what others write.
const MANY: usize = 4;

/// A file that is written, and what it is to be called.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) file: NamedTempFile,
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    pub(crate) sha256: String,
    pub(crate) stem: String,
    pub(crate) extension: &'static str,
}

/// Files that wait for their turn.
#[derive(Debug, Default)]
pub(crate) struct Group(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    files: Vec<(Ready, oneshot::Sender<Answer>)>,
    is_worked_off: bool,
}

/// Files under way, by what the next sync makes durable.
#[derive(Default)]
struct Belt {
    /// The names of their blobs.
    published: Vec<Published>,
    /// Their readable names.
    named: Vec<Named>,
}

struct Written {
    ready: Ready,
    standing: Standing,
    answer: oneshot::Sender<Answer>,
}

struct Published {
    path: PathBuf,
    sha256: String,
    stem: String,
    extension: &'static str,
    is_known: bool,
    answer: oneshot::Sender<Answer>,
}

struct Named {
    name: String,
    is_known: bool,
    answer: oneshot::Sender<Answer>,
}

/// Files are kept with others that are ready now.
///
/// # Errors
/// `storage` when the disk refuses.
pub(crate) async fn keep(library: &Arc<Library>, ready: Ready) -> Answer {
    let (answer, answered) = oneshot::channel();
    let is_first = {
        let mut waiting = library.group.lock();
        waiting.files.push((ready, answer));
        !std::mem::replace(&mut waiting.is_worked_off, true)
    };
    if is_first {
        let library = Arc::clone(library);
        tokio::task::spawn_blocking(move || work_off(&library));
    }
    let stopped = |_| Err(Failure::transient(Reason::Storage, "the disk's thread stopped"));
    answered.await.unwrap_or_else(stopped)
}

impl Group {
    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Round after round, until nobody waits and nothing is under way.
fn work_off(library: &Library) {
    // Also after a panic, the next file begins anew.
    let end = Ends(&library.group);
    let mut belt = Belt::default();
    loop {
        let files = {
            let mut waiting = library.group.lock();
            let files = std::mem::take(&mut waiting.files);
            if files.is_empty() && belt.is_empty() {
                waiting.is_worked_off = false;
                std::mem::forget(end);
                return;
            }
            files
        };
        belt.round(library, files);
    }
}

struct Ends<'a>(&'a Group);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        waiting.is_worked_off = false;
        // Their senders go with them, which tells them.
        waiting.files.clear();
    }
}

impl Belt {
    fn is_empty(&self) -> bool {
        self.published.is_empty() && self.named.is_empty()
    }

    /// One sync, and the next step of every file; what fails is answered at once and goes no further.
    fn round(&mut self, library: &Library, files: Vec<(Ready, oneshot::Sender<Answer>)>) {
        let blobs = &library.blobs;
        let mut made = false;
        let written = each(files, |(ready, answer)| {
            let standing = Blobs::standing(&ready.path, ready.size);
            match prepare(blobs, &ready, standing) {
                Ok(new_shard) => {
                    made |= new_shard;
                    Some(Written { ready, standing, answer })
                }
                Err(error) => refuse(answer, &error),
            }
        });
        let written = self.sync(library, written, made);
        for Named { name, is_known, answer } in self.named.drain(..) {
            // Nobody waits any more when the download was stopped; the blob is found again.
            let _ = answer.send(Ok((name, is_known)));
        }
        self.named = each(self.published.drain(..), |file| {
            let Published { path, sha256, stem, extension, is_known, answer } = file;
            match library.names.assign(&path, &sha256, &stem, extension) {
                Ok(name) => Some(Named { name, is_known, answer }),
                Err(error) => refuse(answer, &error),
            }
        });
        self.published = each(written, |Written { ready, standing, answer }| {
            let Ready { file, path, sha256, stem, extension, .. } = ready;
            match blobs.publish(standing, file, &path) {
                Ok(is_known) => Some(Published { path, sha256, stem, extension, is_known, answer }),
                Err(error) => refuse(answer, &error),
            }
        });
    }

    /// Makes durable what is due of each file, and of the directories of blobs if one was made: all at once, or one by one.
    /// Returns those of the written files whose bytes are on the disk.
    fn sync(&mut self, library: &Library, written: Vec<Written>, made: bool) -> Vec<Written> {
        let blobs = &library.blobs;
        let new = written.iter().filter(|file| file.standing != Standing::Known).count();
        let shards: BTreeSet<PathBuf> =
            self.published.iter().filter_map(|file| file.path.parent().map(PathBuf::from)).collect();
        if new + shards.len() + usize::from(!self.named.is_empty()) >= MANY {
            (0..new).for_each(|_| fault::point("blob.written"));
            if blobs.file_system.sync() {
                (0..new).for_each(|_| fault::point("blob.synced"));
                let also = [
                    (made, "shard.synced"),
                    (!self.published.is_empty(), "blob.directory-synced"),
                    (!self.named.is_empty(), "name.directory-synced"),
                ];
                also.iter().filter(|(is_due, _)| *is_due).for_each(|(_, point)| fault::point(point));
                return written;
            }
        }
        let failed: Vec<(PathBuf, ContentError)> = shards
            .into_iter()
            .filter_map(|shard| blobs.sync_shard(&shard.join("any")).err().map(|error| (shard, error)))
            .collect();
        self.published = each(self.published.drain(..), |file| {
            match failed.iter().find(|(shard, _)| file.path.parent() == Some(shard)) {
                Some((_, error)) => refuse(file.answer, error),
                None => Some(file),
            }
        });
        if !self.named.is_empty()
            && let Err(error) = library.names.sync()
        {
            for file in self.named.drain(..) {
                refuse::<()>(file.answer, &error);
            }
        }
        let failed = made.then(|| blobs.sync_shards()).and_then(Result::err);
        each(written, |file| {
            let own = (file.standing != Standing::Known).then(|| sync_file(&file.ready.file));
            match (own, &failed) {
                (Some(Err(error)), _) => refuse(file.answer, &error),
                (_, Some(error)) => refuse(file.answer, error),
                _ => Some(file),
            }
        })
    }
}

/// What comes before the sync that makes a file's bytes durable. Whether a directory of blobs was made for it.
fn prepare(blobs: &Blobs, ready: &Ready, standing: Standing) -> Result<bool, ContentError> {
    if standing != Standing::Known {
        protect(&ready.file)?;
    }
    if standing == Standing::Missing { blobs.make_shard(&ready.path) } else { Ok(false) }
}

fn each<A, B>(files: impl IntoIterator<Item = A>, step: impl FnMut(A) -> Option<B>) -> Vec<B> {
    files.into_iter().filter_map(step).collect()
}

fn refuse<T>(answer: oneshot::Sender<Answer>, error: &ContentError) -> Option<T> {
    // As above.
    let _ = answer.send(Err(error.failure()));
    None
}

#[cfg(test)]
mod tests;
