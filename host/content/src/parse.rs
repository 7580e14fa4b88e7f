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
mod tests {
    use gleaner_model::identifier::Identifier;

    use super::*;
    use crate::testing;

    fn work(pages: &str) -> Artifact {
        let mut artifact = Artifact::of(Identifier::parse("10.1000/x").unwrap());
        artifact.extra.insert("pages".into(), pages.into());
        artifact
    }

    #[test]
    fn page_ranges_are_read_or_left() {
        for (text, pages) in [
            ("123-145", Some(23)),
            ("123–45", Some(23)),
            ("1 -- 9", Some(9)),
            ("7—12", Some(6)),
            ("1-3", None),
            ("12", None),
            ("e12-e19", None),
            ("145-123", None),
            ("9-4294967295", Some(4_294_967_287)),
            ("1-99999999999", None),
            ("-", None),
            ("", None),
            ("é-12345", None),
        ] {
            assert_eq!(pages_of(&work(text)), pages, "{text:?}");
        }
    }

    /// A parser that is busy until its sender is dropped.
    fn busy() -> (std::sync::mpsc::Sender<()>, impl FnOnce() -> Option<()> + Send + 'static) {
        let (sender, until) = std::sync::mpsc::channel::<()>();
        let parse = move || {
            let _ = until.recv();
            Some(())
        };
        (sender, parse)
    }

    #[tokio::test]
    async fn busy_parsers_keep_no_other_from_its_turn_and_there_are_few_of_them() {
        let parsers = Parsers::new(Duration::from_millis(50));
        // The same turns, for those that must not run out of patience on a machine that is busy itself.
        let (turns, left_alone) = (Arc::clone(&parsers.turns), Arc::clone(&parsers.left_alone));
        let patient = Parsers { turns, left_alone, patience: Duration::from_secs(3600) };
        let path = Path::new("x.pdf");
        let mut running = Vec::new();
        for n in 0..LEFT_ALONE {
            let (sender, parse) = busy();
            assert_eq!(parsers.run(path, parse).await, None);
            running.push(sender);
            assert_eq!(patient.run(path, move || Some(n)).await, Some(n), "{n} are left alone");
        }
        for _ in 0..AT_ONCE {
            let (sender, parse) = busy();
            assert_eq!(parsers.run(path, parse).await, None);
            running.push(sender);
        }
        assert_eq!(patient.run(path, || Some(7)).await, None, "no turn is left, and nobody waits for one");
        running.clear();
        let all = u32::try_from(LEFT_ALONE).unwrap();
        let _ended = parsers.left_alone.acquire_many(all).await.unwrap();
        let _too = parsers.turns.acquire_many(2).await.unwrap();
    }

    fn arrived() -> Finished {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (head, tail) = (Vec::new(), Vec::new());
        let received = Received { file, sha256: String::new(), size: 0, head, tail, whole: None };
        Finished { received, kind: Ok(FileKind::Pdf) }
    }

    #[tokio::test]
    async fn a_file_is_looked_into_where_it_is_finished_or_when_there_is_a_turn() {
        let parsers = Parsers::new(Duration::from_secs(3600));
        let finishes = |look: LookFor<usize>| move || Ok((arrived(), Some(look)));
        let (_, verdict) = parsers.finish(finishes(Box::new(|| Some(1)))).await.unwrap();
        assert_eq!(verdict, Some(1));
        let turns = Arc::clone(&parsers.turns).acquire_many_owned(2).await.unwrap();
        let waiting = parsers.finish(finishes(Box::new(|| Some(2))));
        let freed = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            drop(turns);
        };
        let (finished, ()) = tokio::join!(waiting, freed);
        assert_eq!(finished.unwrap().1, Some(2));
        let (_, verdict) = parsers.finish::<usize>(|| Ok((arrived(), None))).await.unwrap();
        assert_eq!(verdict, None, "nothing to look for");
        let (_, verdict) = parsers.finish(finishes(Box::new(|| panic!("a parser")))).await.unwrap();
        assert_eq!((verdict, parsers.turns.available_permits()), (None, AT_ONCE));
        let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let refused = move || Err(ContentError::Storage { action: "write", path: "x".into(), source });
        assert_eq!(parsers.finish::<usize>(refused).await.err().unwrap().reason, Reason::Storage);
        let stops = || panic!("before there is a file");
        assert_eq!(parsers.finish::<usize>(stops).await.err().unwrap().reason, Reason::Storage);
    }

    #[tokio::test]
    async fn a_file_outlives_the_patience_with_its_parser_and_the_slowness_of_its_disk() {
        let parsers = Parsers::new(Duration::from_millis(20));
        let (ends, look) = busy();
        let (file, verdict) =
            parsers.finish(move || Ok((arrived(), Some(Box::new(look) as _)))).await.unwrap();
        assert!(file.received.file.path().exists() && verdict.is_none());
        assert_eq!(parsers.left_alone.available_permits(), LEFT_ALONE - 1);
        assert_eq!(parsers.turns.available_permits(), AT_ONCE, "others have its turn");
        drop(ends);
        let _ended = parsers.left_alone.acquire_many(u32::try_from(LEFT_ALONE).unwrap()).await.unwrap();
        let (_open, never) = std::sync::mpsc::channel::<()>();
        let slow = move || {
            let _ = never.recv_timeout(Duration::from_millis(100));
            Ok((arrived(), Some(Box::new(|| Some(())) as LookFor<()>)))
        };
        assert_eq!(parsers.finish(slow).await.unwrap().1, Some(()));
    }

    /// Strings that are never closed: each of its objects is read to the depth that the parser allows, and a catalogue is
    /// looked for in all of them.
    #[tokio::test]
    async fn a_file_that_keeps_its_parser_busy_passes_and_holds_nobody_up() {
        let dir = tempfile::tempdir().unwrap();
        let (path, encrypted) = (dir.path().join("busy"), dir.path().join("encrypted"));
        let mut hostile = b"%PDF-1.5\n".to_vec();
        for n in 1..3000 {
            hostile.extend(format!("{n} 0 obj\n({}\n", "x".repeat(3000)).bytes());
        }
        hostile.extend(b"\n%%EOF\n");
        std::fs::write(&path, &hostile).unwrap();
        let sesame = testing::encrypted("sesame");
        std::fs::write(&encrypted, &sesame).unwrap();
        let parsers = Parsers::new(Duration::from_millis(1));
        for _ in 0..AT_ONCE {
            let (path, bytes) = (path.clone(), hostile.clone());
            assert!(parsers.run(&path, move || Some(pdf::check(&bytes, None))).await.is_none());
        }
        assert_eq!(parsers.left_alone.available_permits(), LEFT_ALONE - AT_ONCE, "it was busy indeed");
        let parsers = Parsers { patience: PATIENCE, ..parsers };
        let refused = parsers.run(&encrypted, move || Some(pdf::check(&sesame, None))).await.unwrap();
        assert_eq!(refused.unwrap_err().reason, Reason::Encrypted);
    }

    #[test]
    fn what_cannot_be_judged_passes() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing");
        assert_eq!(look(FileKind::Pdf, missing.clone(), 100, None, None).unwrap()(), None);
        assert!(look(FileKind::Pdf, missing, MAX_PARSED + 1, None, None).is_none());
    }

    #[test]
    fn refusals_have_their_reason() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let page = b"<html><body>abstract only</body></html>".to_vec();
        for (kind, bytes, pages, reason) in [
            (FileKind::Pdf, testing::pdf(0, "text", 100), "", Reason::NotAPdf),
            (FileKind::Pdf, testing::encrypted("sesame"), "", Reason::Encrypted),
            (FileKind::Pdf, testing::pdf(1, "text", 100), "101-123", Reason::Truncated),
            (FileKind::Html, page, "", Reason::HtmlInsteadOfPdf),
            (FileKind::Jats, b"<article><front/>".to_vec(), "", Reason::Truncated),
            (FileKind::Epub, b"PK\x03\x04 and no more".to_vec(), "", Reason::Truncated),
        ] {
            std::fs::write(&path, &bytes).unwrap();
            let (size, pages) = (bytes.len() as u64, pages_of(&work(pages)));
            let looks = [(path.clone(), None), (dir.path().join("missing"), Some(bytes.into()))];
            for (path, whole) in looks {
                let found = look(kind, path, size, whole, pages).unwrap()();
                assert_eq!(found.unwrap().unwrap_err().reason, reason, "{kind:?}");
            }
        }
        std::fs::write(&path, testing::pdf(2, "text", 100)).unwrap();
        let found = look(FileKind::Pdf, path, 100, None, pages_of(&work("101-123"))).unwrap()();
        assert_eq!(found, Some(Ok(())), "two pages are no preview");
    }
}
