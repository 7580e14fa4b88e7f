//! Asking for a file again that the library holds: by its validators where the blob is whole, for all of it where the
//! blob is lost or damaged.
//!
//! Must never let go of a blob or a name for a download that may yet fail.

use std::path::PathBuf;

use gleaner_egress::{Egress, Scope};
use gleaner_model::artifact::Artifact;
use gleaner_model::reason::Failure;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;
use url::Url;

use crate::blobs::hash_file;
use crate::content::{Library, NAMES};
use crate::{Content, ContentError, ErrorContext, FetchFacts, StoredBlob, blocking};

/// A file to ask for again.
#[derive(Debug, Clone, Copy)]
pub struct Revisit<'a> {
    /// Where it came from.
    pub url: &'a Url,
    /// Its hash: lower-case hex.
    pub sha256: &'a str,
    /// Its readable name, as seen from the library.
    pub name: &'a str,
    /// `ETag` of these bytes.
    pub etag: Option<&'a str>,
    /// `Last-Modified` of these bytes.
    pub last_modified: Option<&'a str>,
}

/// What came of it.
#[derive(Debug)]
pub struct Revisited {
    /// What was seen, whatever the outcome.
    pub facts: FetchFacts,
    /// The file as it is now at its source, checked and stored; none when the source says that it is as it was.
    pub outcome: Result<Option<StoredBlob>, Failure>,
}

impl Content {
    /// Whether the library has the file whole, every byte hashed. A blob that is lost and whose bytes are still there
    /// under its readable name is made from those.
    ///
    /// # Errors
    /// `storage`, when the disk refuses.
    pub async fn is_whole(&self, sha256: &str, name: &str) -> Result<bool, Failure> {
        let (library, content) = (self.0.clone(), self.clone());
        let (sha256, name) = (sha256.to_owned(), name.to_owned());
        blocking(move || Ok(content.verify_blob(&sha256).is_ok() || mend(&library, &sha256, &name)?)).await
    }

    /// Asks for a file again. The answer is checked and stored as by [`Content::fetch`]; what the library held stays,
    /// but for a damaged blob in whose place the same bytes came whole. Its deadline is the scope's.
    pub async fn revisit(
        &self,
        egress: &Egress,
        scope: &Scope,
        what: &Revisit<'_>,
        artifact: &Artifact,
    ) -> Revisited {
        let started = Instant::now();
        let mut facts = FetchFacts::default();
        let outcome = self.again(egress, scope, what, artifact, &mut facts).await;
        facts.total = started.elapsed();
        Revisited { facts, outcome }
    }

    async fn again(
        &self,
        egress: &Egress,
        scope: &Scope,
        what: &Revisit<'_>,
        artifact: &Artifact,
        facts: &mut FetchFacts,
    ) -> Result<Option<StoredBlob>, Failure> {
        let is_whole = self.is_whole(what.sha256, what.name).await?;
        let headers = if is_whole { conditions(what) } else { HeaderMap::new() };
        let (answer, _) = self.ask(egress, scope, what.url, headers, facts).await?;
        if answer.status == 304 && is_whole {
            facts.status = Some(304);
            return Ok(None);
        }
        if is_whole || answer.status != 200 {
            return self.receive(answer, artifact, facts).await.map(Some);
        }
        let (library, sha256, name) = (self.0.clone(), what.sha256.to_owned(), what.name.to_owned());
        let aside = blocking(move || set_aside(&library, &sha256, &name)).await?;
        let received = self.receive(answer, artifact, facts).await;
        if let Some(aside) = aside {
            blocking(move || aside.settle()).await?;
        }
        received.map(Some)
    }
}

/// The headers that ask for the file only if it is another.
fn conditions(what: &Revisit<'_>) -> HeaderMap {
    let known = [(header::IF_NONE_MATCH, what.etag), (header::IF_MODIFIED_SINCE, what.last_modified)];
    // One that cannot stand in a header came from no header; without it the answer is the file.
    let fits = |(name, value): (HeaderName, Option<&str>)| Some((name, HeaderValue::try_from(value?).ok()?));
    known.into_iter().filter_map(fits).collect()
}

/// Makes a lost blob from its readable name, if that has the bytes.
fn mend(library: &Library, sha256: &str, name: &str) -> Result<bool, ContentError> {
    let Some(name) = name.strip_prefix(NAMES).and_then(|name| name.strip_prefix('/')) else {
        return Ok(false);
    };
    let (path, blob) = (library.names.dir.join(name), library.blobs.path_of(sha256));
    if name.contains('/') || blob.exists() || !hash_file(&path).is_ok_and(|found| found == sha256) {
        return Ok(false);
    }
    let size = std::fs::metadata(&path).context("read", &path)?.len();
    library.blobs.take_over(&path, &blob, size)?;
    library.blobs.sync()?;
    tracing::warn!(blob = %blob.display(), "a lost blob is made from its readable name");
    Ok(true)
}

/// A damaged blob while its successor is on its way.
struct Aside {
    blob: PathBuf,
    damaged: PathBuf,
    /// The readable name that it had.
    name: Option<PathBuf>,
}

/// Makes room for a whole blob where a damaged one is; none when there is nothing in the way.
fn set_aside(library: &Library, sha256: &str, name: &str) -> Result<Option<Aside>, ContentError> {
    let blob = library.blobs.path_of(sha256);
    if !blob.exists() {
        return Ok(None);
    }
    let name = match name.strip_prefix(NAMES).and_then(|name| name.strip_prefix('/')) {
        Some(name) if !name.contains('/') => library.names.withdraw(name, &blob)?,
        _ => None,
    };
    let damaged = library.blobs.tmp.join(format!("damaged-{sha256}"));
    std::fs::rename(&blob, &damaged).context("move aside", &blob)?;
    Ok(Some(Aside { blob, damaged, name }))
}

impl Aside {
    /// Removes the damaged blob if a whole one came, else puts it back: it may still be readable.
    fn settle(self) -> Result<(), ContentError> {
        if self.blob.exists() {
            return std::fs::remove_file(&self.damaged).context("remove", &self.damaged);
        }
        std::fs::rename(&self.damaged, &self.blob).context("put back", &self.blob)?;
        if let Some(name) = self.name.filter(|name| !name.exists()) {
            std::fs::hard_link(&self.blob, &name).context("create the name", &name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use sha2::{Digest, Sha256};

    use super::*;
    use crate::blobs::hex;
    use crate::{ContentConfig, NameTemplate};

    struct Fixture {
        dir: tempfile::TempDir,
        content: Content,
        sha256: String,
    }

    impl Fixture {
        /// A library with one blob under one name.
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let content =
                Content::open(dir.path(), ContentConfig::default(), NameTemplate::default()).unwrap();
            let this = Self { dir, content, sha256: hex(&Sha256::digest(b"abc")) };
            assert_eq!(this.store(b"abc"), "a.pdf");
            this
        }

        fn store(&self, bytes: &[u8]) -> String {
            let library = &self.content.0;
            let sha256 = hex(&Sha256::digest(bytes));
            let mut file = library.blobs.temporary().unwrap();
            file.write_all(bytes).unwrap();
            let path = library.blobs.path_of(&sha256);
            library.blobs.keep(file, &path, bytes.len() as u64).unwrap();
            library.names.assign(&path, &sha256, "a", "pdf").unwrap()
        }

        fn blob(&self) -> PathBuf {
            self.content.blob_path(&self.sha256).unwrap()
        }

        fn name(&self) -> PathBuf {
            self.dir.path().join("files/a.pdf")
        }

        /// The blob's bytes change under it, and with them those of its name.
        fn damage(&self) {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(self.blob(), std::fs::Permissions::from_mode(0o644)).unwrap();
            std::fs::write(self.blob(), b"abd").unwrap();
        }
    }

    #[tokio::test]
    async fn a_lost_blob_is_made_from_its_name() {
        let library = Fixture::new();
        std::fs::remove_file(library.blob()).unwrap();
        assert!(library.content.is_whole(&library.sha256, "files/a.pdf").await.unwrap());
        library.content.verify_blob(&library.sha256).unwrap();
        library.damage();
        assert!(!library.content.is_whole(&library.sha256, "files/a.pdf").await.unwrap());
        std::fs::remove_file(library.blob()).unwrap();
        for name in ["files/a.pdf", "files/../a.pdf", "a.pdf", "files/none.pdf"] {
            assert!(!library.content.is_whole(&library.sha256, name).await.unwrap(), "{name}");
        }
    }

    #[test]
    fn a_whole_blob_takes_the_place_and_the_name_of_a_damaged_one() {
        let library = Fixture::new();
        library.damage();
        let aside = set_aside(&library.content.0, &library.sha256, "files/a.pdf").unwrap().unwrap();
        assert_eq!(library.store(b"abc"), "a.pdf");
        aside.settle().unwrap();
        library.content.verify_blob(&library.sha256).unwrap();
        assert_eq!(std::fs::read(library.name()).unwrap(), b"abc");
        assert_eq!(std::fs::read_dir(library.dir.path().join("tmp")).unwrap().count(), 1, "the lock");
    }

    #[test]
    fn a_damaged_blob_comes_back_when_nothing_better_came() {
        let library = Fixture::new();
        library.damage();
        let aside = set_aside(&library.content.0, &library.sha256, "files/a.pdf").unwrap().unwrap();
        assert!(!library.blob().exists() && !library.name().exists());
        aside.settle().unwrap();
        for path in [library.blob(), library.name()] {
            assert_eq!(std::fs::read(path).unwrap(), b"abd");
        }
    }
}
