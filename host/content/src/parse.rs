//! Looks into a file with a parser, after its beginning and its end were found to be in order.
//!
//! Parsers are others', files are strangers': one runs on a thread of its own kind, a few at a time, on files of bounded
//! size, for a bounded time. None can be stopped; one that takes too long is left to itself, and as it may never end, so
//! are only a few of them. Must never run on an async thread, and never refuse a file that it merely does not understand.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use gleaner_model::artifact::Artifact;
use gleaner_model::reason::{Failure, Reason};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::FileKind;
use crate::download::Received;
use crate::{ContentError, epub, markup, pdf};

/// Larger files are not parsed: a parser wants all bytes in memory.
pub(crate) const MAX_PARSED: u64 = 64 << 20;

/// A file that takes longer is not judged; waiting for a turn counts.
const PATIENCE: Duration = Duration::from_secs(20);

/// Files parsed at once.
const AT_ONCE: usize = 2;

/// Parsers that are left to themselves. When there are as many, nobody else waits for a turn.
const LEFT_ALONE: usize = 4;

static PARSERS: LazyLock<Parsers> = LazyLock::new(|| Parsers::new(PATIENCE));

/// A range of so few pages may be a mistake, and its article may have come as one page.
const FEW_PAGES: u32 = 3;

/// Looks into a file; says nothing when it cannot be read or understood.
pub(crate) type Look = LookFor<Result<(), Failure>>;

type LookFor<T> = Box<dyn FnOnce() -> Option<T> + Send>;

/// How to look into the file at `path`, of `size` bytes, which seems to be of that kind and whose work has so many pages. None
/// where it is too large. `whole`: its bytes, if somebody has them.
pub(crate) fn look(
    kind: FileKind,
    path: PathBuf,
    size: u64,
    whole: Option<Bytes>,
    pages: Option<u32>,
) -> Option<Look> {
    if size > MAX_PARSED {
        return None;
    }
    Some(Box::new(move || {
        let bytes = whole.or_else(|| std::fs::read(path).ok().map(Bytes::from))?;
        Some(match kind {
            FileKind::Pdf => pdf::check(&bytes, pages),
            FileKind::Jats => markup::check_jats(&bytes),
            FileKind::Html => markup::check_html(&bytes),
            FileKind::Epub => epub::check(&bytes),
        })
    }))
}

/// Has a file finished where that keeps nobody waiting, and looks into it.
///
/// # Errors
/// What `finish` says; beside the file it gives how to look into it. What is found there is said with the file: `encrypted`,
/// `not_a_pdf`, `truncated`, `html_instead_of_pdf`.
pub(crate) async fn finish(
    finish: impl FnOnce() -> Result<(Finished, Option<Look>), ContentError> + Send + 'static,
) -> Result<Finished, Failure> {
    let (mut file, verdict) = PARSERS.finish(finish).await?;
    if let Some(Err(failure)) = verdict {
        file.kind = Err(failure);
    }
    Ok(file)
}

/// A file that arrived, and what it is.
pub(crate) struct Finished {
    pub(crate) received: Received,
    /// What kind of file, or why it is no full text.
    pub(crate) kind: Result<FileKind, Failure>,
}

/// One who waits for a parser. When it is dropped, the parser's turn goes to others; of one that has ended nothing is left.
struct Waiting<'a> {
    parsers: &'a Parsers,
    place: &'a Place,
}

/// A parser's turn as long as it has one.
type Place = Mutex<Option<OwnedSemaphorePermit>>;

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.parsers.leave_alone(self.place);
    }
}

/// What parsers share.
struct Parsers {
    turns: Arc<Semaphore>,
    left_alone: Arc<Semaphore>,
    patience: Duration,
}

impl Parsers {
    fn new(patience: Duration) -> Self {
        let (turns, left_alone) = (Semaphore::new(AT_ONCE), Semaphore::new(LEFT_ALONE));
        Self { turns: Arc::new(turns), left_alone: Arc::new(left_alone), patience }
    }

    /// Finishes a file, and looks into it on the same thread if a parser's turn is free by then: that saves a trip to
    /// another. What the parser says as [`Self::run`] has it.
    async fn finish<T: Send + 'static>(
        &self,
        finish: impl FnOnce() -> Result<(Finished, Option<LookFor<T>>), ContentError> + Send + 'static,
    ) -> Result<(Finished, Option<T>), Failure> {
        // Where the file is whatever becomes of the parser.
        let file = Arc::new(Mutex::new(None::<Finished>));
        let place = Arc::new(Place::default());
        let _waiting = Waiting { parsers: self, place: &place };
        let (turns, finished, held) = (Arc::clone(&self.turns), Arc::clone(&file), Arc::clone(&place));
        let mut looking = tokio::task::spawn_blocking(move || {
            let (file, look) = finish()?;
            *lock(&finished) = Some(file);
            match (look, turns.try_acquire_owned()) {
                (Some(look), Ok(turn)) => {
                    *lock(&held) = Some(turn);
                    let verdict = look();
                    *lock(&held) = None;
                    Ok::<_, ContentError>((verdict, None))
                }
                (look, _) => Ok((None, look)),
            }
        });
        let (mut verdict, look) = loop {
            match tokio::time::timeout(self.patience, &mut looking).await {
                Ok(Ok(Ok(looked))) => break looked,
                Ok(Ok(Err(error))) => return Err(error.failure()),
                // As in `run`, if it was the parser.
                Ok(Err(_)) => break (None, None),
                Err(_) => {
                    if let Some(file) = lock(&file).as_ref() {
                        tell_of_busy(file.received.file.path());
                        break (None, None);
                    }
                    // The disk is slow: there is no file yet.
                }
            }
        };
        let stopped = || Failure::transient(Reason::Storage, "the disk's thread stopped");
        let file = lock(&file).take().ok_or_else(stopped)?;
        if let Some(look) = look {
            verdict = self.run(file.received.file.path(), look).await;
        }
        Ok((file, verdict))
    }

    /// What the parser says of a file; nothing when it does not understand it or takes too long.
    async fn run<T: Send + 'static>(
        &self,
        shown: &Path,
        parse: impl FnOnce() -> Option<T> + Send + 'static,
    ) -> Option<T> {
        let end = tokio::time::Instant::now() + self.patience;
        let turn = if self.left_alone.available_permits() > 0 {
            tokio::time::timeout_at(end, self.turns.clone().acquire_owned()).await.ok()?.ok()?
        } else {
            // A turn may never come.
            self.turns.clone().try_acquire_owned().ok()?
        };
        // The parser has its turn until it really ends; whoever stops waiting for it, by patience or for any other reason,
        // gives that to others.
        let place = Arc::new(Mutex::new(Some(turn)));
        let held = Arc::clone(&place);
        let _waiting = Waiting { parsers: self, place: &place };
        let parsed = tokio::task::spawn_blocking(move || {
            let verdict = parse();
            drop(held);
            verdict
        });
        match tokio::time::timeout_at(end, parsed).await {
            // A panic of the parser is one more way to say that it does not understand the file.
            Ok(verdict) => verdict.ok().flatten(),
            Err(_) => {
                tell_of_busy(shown);
                None
            }
        }
    }

    /// Gives the turn of a parser to others, if it may be left alone.
    fn leave_alone(&self, place: &Place) {
        let mut place = lock(place);
        if place.is_some()
            && let Ok(other) = self.left_alone.clone().try_acquire_owned()
        {
            *place = Some(other);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tell_of_busy(path: &Path) {
    tracing::warn!("{} keeps its parser busy and is not looked into", path.display());
}

/// How many pages the work has by what was given as `pages`: `123-145`, `123–45`. None where it does not say, or says
/// few.
pub(crate) fn pages_of(artifact: &Artifact) -> Option<u32> {
    let text = artifact.extra.get("pages")?.as_str()?;
    let (first, last) = text.split_once(['-', '–', '—'])?;
    let (first, last) = (first.trim(), last.trim_start_matches(['-', '–', '—']).trim());
    // `123–45` leaves out what both have.
    let shared = first.get(..first.len().saturating_sub(last.len()))?;
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    let pages = number(&format!("{shared}{last}"))?.checked_sub(number(first)?)?.checked_add(1)?;
    (pages > FEW_PAGES).then_some(pages)
}

/// A file of which the end, or all but the first page, is missing.
pub(crate) fn truncated(detail: impl Into<String>) -> Failure {
    Failure::permanent(Reason::Truncated, detail.into())
}

#[cfg(test)]
mod tests;
