//! Whether a PDF opens and has pages, as far as a safe parser can tell.
//!
//! Must never refuse a file because the parser does not understand it, and never let a file keep more
//! than a thread busy: a file that is too large or takes too long counts as unknown.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use gleaner_model::reason::{Failure, Reason};
use lopdf::{Document, Object};
use tokio::sync::Semaphore;

/// Larger files are not parsed: the parser wants all bytes in memory.
const MAX_PARSED: u64 = 64 << 20;

/// A file that takes longer is not judged; waiting for a turn counts.
const PATIENCE: Duration = Duration::from_secs(20);

/// Files parsed at once. A parse that ran out of patience keeps its turn until it really ends.
static TURNS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(2)));

/// What the parser made of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opened {
    /// It has pages.
    Pages,
    /// It opens, and has none.
    NoPages,
    /// It asks for a password.
    Password,
    /// The parser does not understand it.
    Unknown,
}

/// Checks the file at `path`.
///
/// # Errors
/// `encrypted` when it opens only with a password, `not_a_pdf` when it has no page.
pub(crate) async fn check(path: PathBuf, size: u64) -> Result<(), Failure> {
    if size > MAX_PARSED {
        return Ok(());
    }
    let parse = async {
        let turn = TURNS.clone().acquire_owned().await.ok()?;
        let parse = move || {
            let _turn = turn;
            std::fs::read(path).map_or(Opened::Unknown, |bytes| open(&bytes))
        };
        // A panic of the parser is one more way to say that it does not understand the file.
        tokio::task::spawn_blocking(parse).await.ok()
    };
    match tokio::time::timeout(PATIENCE, parse).await.ok().flatten().unwrap_or(Opened::Unknown) {
        Opened::NoPages => Err(Failure::permanent(Reason::NotAPdf, "it has no page")),
        Opened::Password => Err(Failure::permanent(Reason::Encrypted, "it opens only with a password")),
        Opened::Pages | Opened::Unknown => Ok(()),
    }
}

fn open(bytes: &[u8]) -> Opened {
    match Document::load_metadata_mem(bytes) {
        Ok(metadata) if metadata.page_count > 0 => Opened::Pages,
        // Zero may also mean that the count or the password could not be read: look closer.
        Ok(_) => open_thoroughly(bytes),
        Err(_) => Opened::Unknown,
    }
}

fn open_thoroughly(bytes: &[u8]) -> Opened {
    let Ok(document) = Document::load_mem(bytes) else { return Opened::Unknown };
    if document.is_encrypted() {
        return match document.authenticate_password("") {
            Err(
                lopdf::Error::InvalidPassword
                | lopdf::Error::Decryption(lopdf::encryption::DecryptionError::IncorrectPassword),
            ) => Opened::Password,
            _ => Opened::Unknown,
        };
    }
    let has_page_tree = document
        .catalog()
        .and_then(|catalog| catalog.get_deref(b"Pages", &document))
        .and_then(Object::as_dict)
        .and_then(|pages| pages.get_deref(b"Kids", &document))
        .and_then(Object::as_array)
        .is_ok();
    match document.page_iter().next() {
        Some(_) => Opened::Pages,
        // What a repaired file lacks may have been lost in the repair.
        None if has_page_tree && document.xref_recovery.is_none() => Opened::NoPages,
        None => Opened::Unknown,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::testing;

    /// Opens any bytes; that this returns is the test.
    pub(crate) fn opens(bytes: &[u8]) {
        let _ = open(bytes);
    }

    /// What is said of files that are refused.
    pub(crate) async fn refusals() -> [String; 2] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mut said = [String::new(), String::new()];
        for (said, bytes) in said.iter_mut().zip([testing::pdf(0, "text", 100), testing::encrypted("sesame")])
        {
            std::fs::write(&path, &bytes).unwrap();
            *said = check(path.clone(), bytes.len() as u64).await.unwrap_err().detail;
        }
        said
    }

    #[test]
    fn the_parser_tells_what_it_knows() {
        let pages = testing::pdf(3, "text", 100);
        let mut no_pages = testing::pdf(0, "text", 100);
        assert_eq!(open(&pages), Opened::Pages);
        assert_eq!(open(&no_pages), Opened::NoPages);
        no_pages.truncate(no_pages.len() / 4);
        for unknown in [no_pages.as_slice(), b"%PDF-1.4 and then nothing of the kind %%EOF", b""] {
            assert_eq!(open(unknown), Opened::Unknown);
        }
    }

    #[test]
    fn a_count_of_zero_is_not_believed() {
        let pdf = String::from_utf8_lossy(&testing::pdf(2, "text", 100)).replace("/Count 2", "/Count 0");
        assert_eq!(open(pdf.as_bytes()), Opened::Pages);
    }

    #[test]
    fn only_a_password_to_open_makes_it_encrypted() {
        assert_eq!(open(&testing::encrypted("")), Opened::Pages);
        assert_eq!(open(&testing::encrypted("sesame")), Opened::Password);
    }

    #[tokio::test]
    async fn what_cannot_be_judged_passes() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing");
        assert_eq!(check(missing.clone(), 100).await, Ok(()));
        assert_eq!(check(missing, MAX_PARSED + 1).await, Ok(()));
    }

    #[tokio::test]
    async fn refusals_have_their_reason() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for (bytes, reason) in [
            (testing::pdf(0, "text", 100), Reason::NotAPdf),
            (testing::encrypted("sesame"), Reason::Encrypted),
        ] {
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(check(path.clone(), bytes.len() as u64).await.unwrap_err().reason, reason);
        }
    }
}
