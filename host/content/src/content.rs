//! The files of one library: download, check, store, name, in this order.
//!
//! Must never give a name to what was not checked, or say that a file is stored before it is on the disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gleaner_egress::{Egress, Request, Scope};
use gleaner_model::artifact::Artifact;
use gleaner_model::key::HostKey;
use gleaner_model::reason::{Failure, FailureClass};
use http::header::{self, HeaderMap, HeaderValue};
use tokio::time::Instant;
use url::Url;

use crate::blobs::{BlobProblem, Blobs};
use crate::config::{ContentConfig, FileKind};
use crate::download::{self, ByteSource, Received};
use crate::group::{self, Group, Ready};
use crate::names::{self, Names};
use crate::parse::Finished;
use crate::parts::Parts;
use crate::sink::Sink;
use crate::template::NameTemplate;
use crate::validate::{self, Sample};
use crate::{ContentError, ErrorContext, FetchFacts, Fetched, StoredBlob, parse, sniff};

/// The files of one library. Clones are the same library.
#[derive(Debug, Clone)]
pub struct Content(pub(crate) Arc<Library>);

#[derive(Debug)]
pub(crate) struct Library {
    pub(crate) config: ContentConfig,
    template: NameTemplate,
    pub(crate) blobs: Blobs,
    pub(crate) names: Names,
    pub(crate) parts: Arc<Parts>,
    pub(crate) group: Group,
}

/// An answer whose body is still to come.
#[derive(Debug)]
pub(crate) struct Answer<S> {
    pub(crate) status: u16,
    pub(crate) media_type: Option<String>,
    /// Bytes announced.
    pub(crate) length: Option<u64>,
    pub(crate) body: S,
}

/// Where readable names are, as seen from the library.
pub(crate) const NAMES: &str = "files";

/// Asks for the file where a server has a page about it under the same URL.
const ACCEPT: HeaderValue = HeaderValue::from_static("application/pdf, */*;q=0.5");

impl Content {
    /// Opens the files of the library in `library_dir`: makes `blobs/`, `files/` and `tmp/` where they are
    /// missing, and removes what runs that died left in `tmp/`, but for unfinished downloads that can be resumed. Blocks
    /// on the disk.
    ///
    /// # Errors
    /// [`ContentError::Storage`] when the disk refuses.
    pub fn open(
        library_dir: &Path,
        config: ContentConfig,
        template: NameTemplate,
    ) -> Result<Self, ContentError> {
        let [blobs, files, tmp] = ["blobs", NAMES, "tmp"].map(|name| library_dir.join(name));
        for dir in [&blobs, &files, &tmp] {
            std::fs::create_dir_all(dir).context("create", dir)?;
        }
        let (blobs, names) = (Blobs::open(blobs, tmp.clone())?, Names::open(files)?);
        let parts = Arc::new(Parts::open(tmp, config.unfinished()));
        let group = Group::default();
        Ok(Self(Arc::new(Library { config, template, blobs, names, parts, group })))
    }

    /// Downloads `url`, checks the bytes, and files them under their hash and under a readable name.
    /// What an earlier try left unfinished is resumed where the server says that the file is the same. Dropping the
    /// future stops the download; an unfinished file is left only if it can be resumed. Its deadline is the scope's.
    pub async fn fetch(&self, egress: &Egress, scope: &Scope, url: &Url, artifact: &Artifact) -> Fetched {
        let started = Instant::now();
        let mut facts = FetchFacts::default();
        let outcome = self.download(egress, scope, url, artifact, &mut facts).await;
        facts.total = started.elapsed();
        Fetched { facts, outcome }
    }

    /// Where the blob of that hash is or would be; `None` when `sha256` is not 64 lower-case hex digits.
    pub fn blob_path(&self, sha256: &str) -> Option<PathBuf> {
        self.0.blobs.path(sha256)
    }

    /// Reads the blob again and compares its hash. Blocks on the disk.
    ///
    /// # Errors
    /// [`BlobProblem`]: what is wrong with it, and what to do.
    pub fn verify_blob(&self, sha256: &str) -> Result<(), BlobProblem> {
        self.0.blobs.verify(sha256)
    }

    /// Sends the request with these headers, and writes down what the answer's say.
    pub(crate) async fn ask(
        &self,
        egress: &Egress,
        scope: &Scope,
        url: &Url,
        headers: HeaderMap,
        facts: &mut FetchFacts,
    ) -> Result<(Answer<gleaner_egress::Body>, HeaderMap), Failure> {
        facts.chain = vec![url.clone()];
        // The cap of size is kept here, not by egress, so that an answer over it is still described.
        let mut request = Request { headers, ..Request::get(url.clone(), u64::MAX) };
        request.headers.insert(header::ACCEPT, ACCEPT);
        let response = egress.send(request, scope).await.map_err(|error| {
            let asked = scope.asked();
            if !asked.is_empty() {
                facts.chain = asked;
            }
            error.failure()
        })?;
        let text = |name| response.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        facts.etag = text(header::ETAG);
        facts.last_modified = text(header::LAST_MODIFIED);
        facts.waited = Some(facts.waited.unwrap_or_default() + response.waited);
        (facts.first_byte, facts.connect) = (Some(response.first_byte), response.connect);
        facts.transport = Some(response.transport);
        let (status, media_type) = (response.status.as_u16(), text(header::CONTENT_TYPE));
        facts.chain = response.chain;
        let (length, body) = (response.body.declared(), response.body);
        Ok((Answer { status, media_type, length, body }, response.headers))
    }

    /// What follows the headers of an answer with the whole file, or with none; egress is out of the game but for the
    /// body's bytes.
    pub(crate) async fn receive<S: ByteSource>(
        &self,
        answer: Answer<S>,
        artifact: &Artifact,
        facts: &mut FetchFacts,
    ) -> Result<StoredBlob, Failure> {
        self.receive_into(answer, self.sink(), artifact, facts).await
    }

    /// As [`Self::receive`]; the sink may have the beginning, to which the body of a 206 is the rest.
    pub(crate) async fn receive_into<S: ByteSource>(
        &self,
        mut answer: Answer<S>,
        mut sink: Sink,
        artifact: &Artifact,
        facts: &mut FetchFacts,
    ) -> Result<StoredBlob, Failure> {
        facts.status = Some(answer.status);
        facts.media_type_declared.clone_from(&answer.media_type);
        let is_rest = answer.status == 206 && sink.length() > 0;
        if answer.status != 200 && !is_rest {
            let head = download::peek(&mut answer.body).await;
            let failure = validate::status_failure(answer.status, &head);
            if !matches!(failure.class, FailureClass::Transient { .. }) {
                sink.give_up();
            }
            return Err(failure);
        }
        let bytes = facts.bytes.insert(0);
        let sink = download::receive(&mut answer.body, answer.length, sink, &self.0.config, bytes).await?;
        // The connection's permit comes back here, before the file is written, parsed and synced.
        drop(answer.body);
        self.accept(sink, answer.length.is_some(), artifact, facts).await
    }

    /// Checks a file that arrived whole, and stores it.
    pub(crate) async fn accept(
        &self,
        sink: Sink,
        length_declared: bool,
        artifact: &Artifact,
        facts: &mut FetchFacts,
    ) -> Result<StoredBlob, Failure> {
        let (library, pages) = (Arc::clone(&self.0), parse::pages_of(artifact));
        let (from, declared) = (facts.chain.last().and_then(HostKey::of), facts.media_type_declared.clone());
        let finished = parse::finish(move || {
            let mut received = sink.finish()?;
            let sample = Sample {
                head: &received.head,
                tail: &received.tail,
                size: received.size,
                media_type_declared: declared.as_deref(),
                length_declared,
                accepted: library.config.accepted_from(from.as_ref()),
            };
            let kind = validate::check(sample, &library.config);
            let (path, whole) = (received.file.path().to_owned(), received.whole.take());
            let look =
                kind.as_ref().ok().and_then(|&kind| parse::look(kind, path, received.size, whole, pages));
            Ok((Finished { received, kind }, look))
        });
        let Finished { received, kind } = finished.await?;
        if received.size > 0 {
            facts.media_type_found = Some(sniff::sniff(&received.head).media_type().to_owned());
        }
        self.store(received, kind?, artifact).await
    }

    /// A sink for a file that is not there yet.
    pub(crate) fn sink(&self) -> Sink {
        let library = self.0.clone();
        Sink::new(Box::new(move || library.blobs.temporary()))
    }

    /// Blob first, then its name: a name always leads to a whole file.
    async fn store(
        &self,
        received: Received,
        kind: FileKind,
        artifact: &Artifact,
    ) -> Result<StoredBlob, Failure> {
        let library = &self.0;
        let Received { file, sha256, size, .. } = received;
        let (path, stem) =
            (library.blobs.path_of(&sha256), names::stem(&library.template, artifact, &sha256));
        let (extension, media_type) = (kind.extension(), kind.media_type().to_owned());
        let ready = Ready { file, path, size, sha256: sha256.clone(), stem, extension };
        let (name, known) = group::keep(library, ready).await?;
        Ok(StoredBlob { sha256, size, media_type, name: format!("{NAMES}/{name}"), known })
    }
}

#[cfg(test)]
mod tests;
