//! Tests of the whole way from headers to the named file, without a network.

use gleaner_model::identifier::Identifier;
use gleaner_model::reason::Reason;

use super::*;
use crate::testing::{self, Script, body};

struct Fixture {
    dir: tempfile::TempDir,
    content: Content,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let content = Content::open(dir.path(), ContentConfig::default(), NameTemplate::default()).unwrap();
        Self { dir, content }
    }

    async fn receive(&self, answer: Answer<Script>) -> (Result<StoredBlob, Failure>, FetchFacts) {
        let mut artifact = Artifact::of(Identifier::parse("10.1000/x").unwrap());
        artifact.title = Some("On files".into());
        let mut facts = FetchFacts::default();
        let outcome = self.content.receive(answer, &artifact, &mut facts).await;
        (outcome, facts)
    }

    /// Every file of the library but the lock, relative to it.
    fn files(&self) -> Vec<String> {
        fn walk(dir: &Path, into: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { walk(&path, into) } else { into.push(path) }
            }
        }
        let mut paths = Vec::new();
        walk(self.dir.path(), &mut paths);
        let relative = |path: &PathBuf| path.strip_prefix(self.dir.path()).unwrap().display().to_string();
        let mut names: Vec<_> = paths.iter().map(relative).filter(|name| name != "tmp/.lock").collect();
        names.sort();
        names
    }
}

fn answer(status: u16, bytes: &[u8]) -> Answer<Script> {
    Answer {
        status,
        media_type: Some("application/pdf".into()),
        length: Some(bytes.len() as u64),
        body: body(bytes, 1000),
    }
}

#[tokio::test]
async fn a_good_file_is_stored_once_and_named_once() {
    let library = Fixture::new();
    let pdf = testing::pdf(2, "text", 5000);
    let (stored, facts) = library.receive(answer(200, &pdf)).await;
    let stored = stored.unwrap();
    assert_eq!((stored.size, stored.known), (pdf.len() as u64, false));
    assert_eq!(stored.media_type, "application/pdf");
    assert_eq!(stored.name, "files/On files.pdf");
    assert_eq!(std::fs::read(library.dir.path().join(&stored.name)).unwrap(), pdf);
    assert_eq!(std::fs::read(library.content.blob_path(&stored.sha256).unwrap()).unwrap(), pdf);
    library.content.verify_blob(&stored.sha256).unwrap();
    assert_eq!(facts.status, Some(200));
    assert_eq!(facts.bytes, Some(pdf.len() as u64));
    assert_eq!(facts.media_type_found.as_deref(), Some("application/pdf"));

    let files = library.files();
    let (again, _) = library.receive(answer(200, &pdf)).await;
    assert_eq!(again.unwrap(), StoredBlob { known: true, ..stored });
    assert_eq!(library.files(), files);
    assert_eq!(files.len(), 2);
}

#[tokio::test]
async fn what_is_not_a_file_is_never_stored() {
    let library = Fixture::new();
    let pdf = testing::pdf(2, "text", 5000);
    let html = "<!DOCTYPE html><html><title>An article</title>".repeat(90);
    let cut = Answer { length: None, ..answer(200, &pdf[..3000]) };
    let short = Answer { length: Some(pdf.len() as u64), ..answer(200, &pdf[..3000]) };
    let broken = Answer { body: body(&pdf[..3000], 100).then_breaks(), ..answer(200, &pdf) };
    for (what, answer, reason) in [
        ("a 404 with a good PDF", answer(404, &pdf), Reason::NotFound),
        ("a 404 page", answer(404, html.as_bytes()), Reason::NotFound),
        ("a part", answer(206, &pdf), Reason::HttpStatus),
        ("an HTML page", answer(200, html.as_bytes()), Reason::HtmlInsteadOfPdf),
        ("a truncated body", cut, Reason::Truncated),
        ("a wrong length", short, Reason::LengthMismatch),
        ("a broken connection", broken, Reason::Connection),
        ("no bytes", answer(200, b""), Reason::Empty),
        ("no pages", answer(200, &testing::pdf(0, "text", 5000)), Reason::NotAPdf),
        ("a password", answer(200, &testing::encrypted("sesame")), Reason::Encrypted),
    ] {
        let (outcome, _) = library.receive(answer).await;
        assert_eq!(outcome.unwrap_err().reason, reason, "{what}");
        assert_eq!(library.files(), Vec::<String>::new(), "{what}");
    }
}

#[tokio::test]
async fn a_download_that_is_dropped_leaves_nothing() {
    let library = Fixture::new();
    let pdf = testing::pdf(2, "text", 600_000);
    let stalls =
        Answer { body: Stalls(body(&pdf[..400_000], 1000)), status: 200, media_type: None, length: None };
    let artifact = Artifact::of(Identifier::parse("10.1000/x").unwrap());
    let mut facts = FetchFacts::default();
    {
        let mut receiving = std::pin::pin!(library.content.receive(stalls, &artifact, &mut facts));
        // The body stalls for ever; a minute of paused time passes as soon as nothing else can happen.
        tokio::time::pause();
        let minute = std::time::Duration::from_secs(60);
        assert!(tokio::time::timeout(minute, receiving.as_mut()).await.is_err());
        assert_eq!(library.files().len(), 1);
    }
    assert_eq!(library.files(), Vec::<String>::new());
}

/// Never ends once its chunks are through.
struct Stalls(Script);

impl ByteSource for Stalls {
    async fn chunk(&mut self) -> Result<Option<bytes::Bytes>, Failure> {
        match self.0.chunk().await {
            Ok(None) => std::future::pending().await,
            chunk => chunk,
        }
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_may_pass() {
    let library = Fixture::new();
    std::fs::remove_file(library.dir.path().join("tmp/.lock")).unwrap();
    std::fs::remove_dir(library.dir.path().join("tmp")).unwrap();
    let (outcome, _) = library.receive(answer(200, &testing::pdf(1, "text", 5000))).await;
    let failure = outcome.unwrap_err();
    assert_eq!(failure.reason, Reason::Storage);
    assert!(failure.detail.contains("cannot create a temporary file in"), "{}", failure.detail);
}

#[test]
fn a_library_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Content::open(&file, ContentConfig::default(), NameTemplate::default()).unwrap_err();
    assert!(
        error.to_string().contains(&format!("cannot create {}", file.join("blobs").display())),
        "{error}"
    );
}
