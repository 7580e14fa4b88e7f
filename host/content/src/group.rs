//! Files that are ready at the same time become durable together: their bytes are synced at once, and each directory once for
//! all of them.
//!
//! Must never answer before the file, its blob's name and its readable name are on the disk, and never wait for files
//! that are still to come: a group is what was ready while the group before it was under way.

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
    files: Vec<Written>,
    is_worked_off: bool,
}

type Written = (Ready, oneshot::Sender<Answer>);

/// A file on its way through the steps of a group.
struct Kept {
    path: PathBuf,
    sha256: String,
    stem: String,
    extension: &'static str,
    is_known: bool,
    name: String,
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

/// Group after group, until nobody waits.
fn work_off(library: &Library) {
    // Also after a panic, the next file begins anew.
    let end = Ends(&library.group);
    loop {
        let files = {
            let mut waiting = library.group.lock();
            let files = std::mem::take(&mut waiting.files);
            if files.is_empty() {
                waiting.is_worked_off = false;
                std::mem::forget(end);
                return;
            }
            files
        };
        settle(library, files);
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

/// Bytes, directory, blob, name, in this order; what fails is answered at once and left out of what follows.
fn settle(library: &Library, files: Vec<Written>) {
    let blobs = &library.blobs;
    let mut made = false;
    let files = each(sync_bytes(blobs, files), |(ready, standing, answer)| {
        match (standing == Standing::Missing).then(|| blobs.make_shard(&ready.path)) {
            Some(Err(error)) => refuse(answer, &error),
            outcome => {
                made |= matches!(outcome, Some(Ok(true)));
                Some((ready, standing, answer))
            }
        }
    });
    let failed = made.then(|| blobs.sync_shards()).and_then(Result::err);
    let files = each(files, |(ready, standing, answer)| {
        let Ready { file, path, sha256, stem, extension, .. } = ready;
        if let Some(error) = &failed {
            return refuse(answer, error);
        }
        match blobs.publish(standing, file, &path) {
            Ok(is_known) => {
                Some(Kept { path, sha256, stem, extension, is_known, name: String::new(), answer })
            }
            Err(error) => refuse(answer, &error),
        }
    });
    let shards: BTreeSet<PathBuf> =
        files.iter().filter_map(|kept| kept.path.parent().map(PathBuf::from)).collect();
    let is_synced = shards.len() >= MANY && blobs.file_system.sync();
    let shards = if is_synced { BTreeSet::new() } else { shards };
    let failed: Vec<(PathBuf, ContentError)> = shards
        .into_iter()
        .filter_map(|shard| blobs.sync_shard(&shard.join("any")).err().map(|error| (shard, error)))
        .collect();
    let files = each(files, |mut kept| {
        if let Some((_, error)) = failed.iter().find(|(shard, _)| kept.path.parent() == Some(shard)) {
            return refuse(kept.answer, error);
        }
        match library.names.assign(&kept.path, &kept.sha256, &kept.stem, kept.extension) {
            Ok(name) => {
                kept.name = name;
                Some(kept)
            }
            Err(error) => refuse(kept.answer, &error),
        }
    });
    let failed = if files.is_empty() { None } else { library.names.sync().err() };
    for kept in files {
        let outcome = match &failed {
            None => Ok((kept.name, kept.is_known)),
            Some(error) => Err(error.failure()),
        };
        // Nobody waits any more when the download was stopped; the blob is found again.
        let _ = kept.answer.send(outcome);
    }
}

/// The bytes of all files are on the disk, but for those whose blob is there already.
fn sync_bytes(blobs: &Blobs, files: Vec<Written>) -> Vec<(Ready, Standing, oneshot::Sender<Answer>)> {
    let files = each(files, |(ready, answer)| {
        let standing = Blobs::standing(&ready.path, ready.size);
        let outcome = if standing == Standing::Known { Ok(()) } else { protect(&ready.file) };
        match outcome {
            Ok(()) => Some((ready, standing, answer)),
            Err(error) => refuse(answer, &error),
        }
    });
    let new = files.iter().filter(|(_, standing, _)| *standing != Standing::Known).count();
    if new >= MANY {
        (0..new).for_each(|_| fault::point("blob.written"));
        if blobs.file_system.sync() {
            (0..new).for_each(|_| fault::point("blob.synced"));
            return files;
        }
    }
    each(files, |(ready, standing, answer)| {
        match (standing != Standing::Known).then(|| sync_file(&ready.file)) {
            Some(Err(error)) => refuse(answer, &error),
            _ => Some((ready, standing, answer)),
        }
    })
}

fn each<A, B>(files: Vec<A>, step: impl FnMut(A) -> Option<B>) -> Vec<B> {
    files.into_iter().filter_map(step).collect()
}

fn refuse<T>(answer: oneshot::Sender<Answer>, error: &ContentError) -> Option<T> {
    // As above.
    let _ = answer.send(Err(error.failure()));
    None
}

#[cfg(test)]
mod tests;
