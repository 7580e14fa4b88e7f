//! From a candidate's URL to a checked file in the library: download, validation, blobs, readable names.
//!
//! Must never store what was not validated, never write outside the library, and never leave a file under
//! its final name before all of its bytes are on the disk.

mod blobs;
mod buffer;
mod config;
mod content;
mod copy;
mod download;
mod durable;
mod epub;
mod gathered;
mod gc;
mod group;
mod markup;
mod names;
#[cfg(test)]
mod outside;
mod parse;
mod parts;
mod pdf;
mod range;
mod resume;
mod revisit;
mod sink;
mod sniff;
mod space;
mod speed;
mod template;
#[cfg(test)]
mod testing;
mod uncached;
mod validate;
mod verify;

use std::path::PathBuf;
use std::time::Duration;

use gleaner_model::manifest::Transport;
use gleaner_model::reason::{Failure, Reason};
use url::Url;

pub use blobs::BlobProblem;
pub use config::{ContentConfig, FileKind};
pub use content::Content;
pub use copy::Given;
pub use gc::{BlobFile, Gc, Kind, Leftover};
pub use revisit::{Revisit, Revisited};
pub use space::NoSpace;
pub use speed::Speed;
pub use template::NameTemplate;

/// What came of one download.
#[derive(Debug)]
pub struct Fetched {
    /// What was seen, whatever the outcome.
    pub facts: FetchFacts,
    /// The file kept, or why there is none.
    pub outcome: Result<StoredBlob, Failure>,
}

/// What was seen on the way; fields of steps that did not happen are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FetchFacts {
    /// Every URL on the way, the last one answered; see [`gleaner_egress::Response::chain`].
    pub chain: Vec<Url>,
    /// How well the least protected hop was protected, those of earlier tries included whose bytes are used.
    pub transport: Option<Transport>,
    /// HTTP status.
    pub status: Option<u16>,
    /// `Content-Type`, as declared.
    pub media_type_declared: Option<String>,
    /// What the bytes are.
    pub media_type_found: Option<String>,
    /// Bytes of the body that are there, those of earlier tries included.
    pub bytes: Option<u64>,
    /// `ETag`.
    pub etag: Option<String>,
    /// `Last-Modified`.
    pub last_modified: Option<String>,
    /// Waiting for limits.
    pub waited: Option<Duration>,
    /// From sending the request to the answer's headers, connection included.
    pub first_byte: Option<Duration>,
    /// Of that, making the connection; none where there was one already.
    pub connect: Option<Duration>,
    /// All of it.
    pub total: Duration,
}

/// A file in the library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlob {
    /// SHA-256, 64 lower-case hex digits: its name in `blobs/`.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// Media type found.
    pub media_type: String,
    /// Readable name, relative to the library: `files/2017-Vaswani-Attention Is All You Need.pdf`.
    pub name: String,
    /// Whether the library had these bytes before.
    pub known: bool,
}

/// Why the library's files cannot be opened, or their configuration not be used.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// The disk refused.
    #[error("cannot {action} {}: {source}; check that the library's disk is there, writable and not full", path.display())]
    Storage {
        /// What was tried.
        action: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The section `[content]` cannot be used.
    #[error("[content] {0}")]
    Config(String),
    /// `name-template` cannot be used.
    #[error("name-template {template:?} {problem}")]
    Template {
        /// As written.
        template: String,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
}

impl ContentError {
    /// What a download that met it comes to. The disk may have room again later.
    fn failure(&self) -> Failure {
        Failure::transient(Reason::Storage, self.to_string())
    }
}

/// Says what was tried when the system refused.
trait ErrorContext<T> {
    fn context(self, action: &'static str, path: &std::path::Path) -> Result<T, ContentError>;
}

impl<T> ErrorContext<T> for std::io::Result<T> {
    fn context(self, action: &'static str, path: &std::path::Path) -> Result<T, ContentError> {
        self.map_err(|source| ContentError::Storage { action, path: path.to_owned(), source })
    }
}

/// Runs work that waits for the disk where it keeps nobody else waiting.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ContentError> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| error.failure()),
        Err(stopped) => {
            Err(Failure::transient(Reason::Storage, format!("the disk's thread stopped: {stopped}")))
        }
    }
}
