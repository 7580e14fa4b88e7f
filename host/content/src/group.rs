//! Files that are ready at the same time become durable together: each directory is synced once for all of them.
//!
//! Must never answer before the file, its blob's name and its readable name are on the disk, and never wait for files
//! that are still to come: a group is what was ready while the group before it was under way.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use gleaner_model::reason::{Failure, Reason};
use tempfile::NamedTempFile;
use tokio::sync::oneshot;

use crate::ContentError;
use crate::blobs::Standing;
use crate::content::Library;

/// What came of one file: its readable name in `files/`, and whether the library had the bytes before.
type Answer = Result<(String, bool), Failure>;

/// A file whose bytes are on the disk, and what it is to be called.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) file: NamedTempFile,
    /// How its blob stood when the bytes were synced.
    pub(crate) standing: Standing,
    pub(crate) path: PathBuf,
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

/// Directory, blob, name, in this order; what fails is answered at once and left out of what follows.
fn settle(library: &Library, files: Vec<(Ready, oneshot::Sender<Answer>)>) {
    let blobs = &library.blobs;
    let mut made = false;
    let files = each(files, |(ready, answer)| {
        match (ready.standing == Standing::Missing).then(|| blobs.make_shard(&ready.path)) {
            Some(Err(error)) => refuse(answer, &error),
            outcome => {
                made |= matches!(outcome, Some(Ok(true)));
                Some((ready, answer))
            }
        }
    });
    let failed = made.then(|| blobs.sync_shards()).and_then(Result::err);
    let files = each(files, |(ready, answer)| {
        let Ready { file, standing, path, sha256, stem, extension } = ready;
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
