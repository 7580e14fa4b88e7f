//! Looks into a file with a parser, after its beginning and its end were found to be in order.
//!
//! Parsers are others', files are strangers': one runs on a thread of its own kind, a few at a time, on files of bounded
//! size, for a bounded time. Must never run on an async thread, and never refuse a file that it merely does not understand.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use gleaner_model::artifact::Artifact;
use gleaner_model::reason::{Failure, Reason};
use tokio::sync::Semaphore;

use crate::config::FileKind;
use crate::{epub, markup, pdf};

/// Larger files are not parsed: a parser wants all bytes in memory.
pub(crate) const MAX_PARSED: u64 = 64 << 20;

/// A file that takes longer is not judged; waiting for a turn counts.
const PATIENCE: Duration = Duration::from_secs(20);

/// Files parsed at once. A parse that ran out of patience keeps its turn until it really ends.
static TURNS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(2)));

/// A range of so few pages may be a mistake, and its article may have come as one page.
const FEW_PAGES: u32 = 3;

/// Checks the file at `path`, of `size` bytes, which seems to be of that kind.
///
/// # Errors
/// Why it is no full text: `encrypted`, `not_a_pdf`, `truncated`, `html_instead_of_pdf`.
pub(crate) async fn check(
    kind: FileKind,
    path: PathBuf,
    size: u64,
    artifact: &Artifact,
) -> Result<(), Failure> {
    if size > MAX_PARSED {
        return Ok(());
    }
    let pages = pages_of(artifact);
    let parse = async {
        let turn = TURNS.clone().acquire_owned().await.ok()?;
        let parse = move || {
            let _turn = turn;
            let bytes = std::fs::read(path).ok()?;
            Some(match kind {
                FileKind::Pdf => pdf::check(&bytes, pages),
                FileKind::Jats => markup::check_jats(&bytes),
                FileKind::Html => markup::check_html(&bytes),
                FileKind::Epub => epub::check(&bytes),
            })
        };
        // A panic of the parser is one more way to say that it does not understand the file.
        tokio::task::spawn_blocking(parse).await.ok().flatten()
    };
    tokio::time::timeout(PATIENCE, parse).await.ok().flatten().unwrap_or(Ok(()))
}

/// How many pages the work has by what was given as `pages`: `123-145`, `123–45`. None where it does not say, or says
/// few.
fn pages_of(artifact: &Artifact) -> Option<u32> {
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

    #[tokio::test]
    async fn what_cannot_be_judged_passes() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing");
        assert_eq!(check(FileKind::Pdf, missing.clone(), 100, &work("")).await, Ok(()));
        assert_eq!(check(FileKind::Pdf, missing, MAX_PARSED + 1, &work("")).await, Ok(()));
    }

    #[tokio::test]
    async fn refusals_have_their_reason() {
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
            let refused = check(kind, path.clone(), bytes.len() as u64, &work(pages)).await.unwrap_err();
            assert_eq!(refused.reason, reason, "{kind:?}");
        }
        std::fs::write(&path, testing::pdf(2, "text", 100)).unwrap();
        assert_eq!(
            check(FileKind::Pdf, path, 100, &work("101-123")).await,
            Ok(()),
            "two pages are no preview"
        );
    }
}
