//! The files of the library and their manifest, for those who look after them: versions, what is due to be asked for
//! again, what came of it, records in pages.
//!
//! Must never forget a file: one that was replaced at its source stays, with its name.

use std::path::Path;

use gleaner_model::artifact::Artifact;
use gleaner_model::clock::UnixMillis;
use gleaner_model::job::{JobId, LeaseToken};
use gleaner_model::manifest::ManifestRecord;

use crate::error::StoreError;
use crate::queue::{Fenced, StoredFile};
use crate::view::FileRow;
use crate::write::Line;
use crate::{Library, read, write};

/// Which records of the manifest; what is `None` does not restrict.
#[derive(Debug, Clone, Default)]
pub struct ManifestFilter {
    /// Those of that run.
    pub run: Option<String>,
    /// Those of that job.
    pub job: Option<JobId>,
    /// Those whose attempt ended then or later.
    pub since: Option<UnixMillis>,
}

/// Some records of the manifest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ManifestPage {
    /// In the order of writing, each with its number in this library. Numbers grow, and none is ever given twice.
    pub records: Vec<(i64, ManifestRecord)>,
    /// Where the next page begins; none at the end.
    pub next: Option<i64>,
}

/// A file that a job held before the one it holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// The file.
    pub file: FileRow,
    /// When another took its place.
    pub replaced_at: UnixMillis,
    /// The next call's `after`.
    pub row: i64,
}

/// A file that a job holds, with what it takes to ask for it again.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// The file.
    pub file: FileRow,
    /// The work.
    pub artifact: Artifact,
    /// When it was last asked for again; none when it never was.
    pub visited_at: Option<UnixMillis>,
    /// The last record that tells where these bytes are from; none when there is no such record.
    pub origin: Option<ManifestRecord>,
    /// `ETag` of these bytes.
    pub etag: Option<String>,
    /// `Last-Modified` of these bytes.
    pub last_modified: Option<String>,
}

impl Held {
    /// When its source was last asked, for the first time or again.
    pub fn last_asked(&self) -> UnixMillis {
        self.visited_at.unwrap_or(self.file.stored_at)
    }
}

impl Library {
    /// Makes the directory of a library if it is missing: for its owner and their group, as far as the umask allows.
    /// One that is there keeps its permissions.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make_dir(dir: &Path) -> Result<(), StoreError> {
        use std::os::unix::fs::DirBuilderExt;
        let refused = |error| StoreError::io("make the directory", dir, &error);
        if let Some(parent) = dir.parent().filter(|parent| !parent.exists()) {
            std::fs::create_dir_all(parent).map_err(refused)?;
        }
        match std::fs::DirBuilder::new().mode(0o750).create(dir) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
            made => made.map_err(refused),
        }
    }

    /// Looks at `limit` manifest records behind `after`, 0 at first, and returns those that fit.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn manifest(
        &self,
        filter: &ManifestFilter,
        after: i64,
        limit: u32,
    ) -> Result<ManifestPage, StoreError> {
        let filter = filter.clone();
        self.read(move |c| read::files::manifest(c, &filter, after, limit)).await
    }

    /// At most `limit` earlier versions behind the row `after`, 0 at first.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn earlier(&self, after: i64, limit: u32) -> Result<Vec<Earlier>, StoreError> {
        self.read(move |c| read::files::earlier(c, after, limit)).await
    }

    /// Earlier versions of a job's file, the latest first.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn earlier_of(&self, job: JobId) -> Result<Vec<Earlier>, StoreError> {
        self.read(move |c| read::files::earlier_of(c, job)).await
    }

    /// Every work's file of that SHA-256, in lower-case hex; earlier versions last. Looks through all holdings.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn files_of(&self, sha256: &str) -> Result<Vec<FileRow>, StoreError> {
        let sha256 = sha256.to_owned();
        self.read(move |c| read::files::by_sha256(c, &sha256)).await
    }

    /// The hashes of the files whose SHA-256 begins with these two hex digits.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn hashes(&self, digits: &str) -> Result<Vec<String>, StoreError> {
        let digits = digits.to_owned();
        self.read(move |c| read::files::shard(c, &digits)).await
    }

    /// At most `limit` files behind that of the job `after` that were last asked for, or stored, at `by` or before, in the
    /// order of the jobs' numbers.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn due(
        &self,
        after: Option<JobId>,
        by: UnixMillis,
        limit: u32,
    ) -> Result<Vec<Held>, StoreError> {
        self.read(move |c| read::files::due(c, after.unwrap_or(JobId(0)), by, limit)).await
    }

    /// The file that a job holds.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn held_by(&self, job: JobId) -> Result<Option<Held>, StoreError> {
        self.read(move |c| read::files::held_by(c, job)).await
    }

    /// Writes down what asking for the file `held` again came to. A `file` of other bytes becomes the job's, and the one
    /// it held an earlier version; of the same bytes, it may bring another name. Nothing is written, and the answer is
    /// [`Fenced::Lost`], when the job does not hold that file any more.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn visited(
        &self,
        job: JobId,
        held: &str,
        record: ManifestRecord,
        file: Option<StoredFile>,
    ) -> Result<Fenced, StoreError> {
        let (held, line) = (held.to_owned(), Line::from(record));
        // No lease has it: those are drawn from as many numbers.
        let token = LeaseToken(fastrand::i64(..));
        self.write(move |tx, now| write::visited(tx, (job, &held), token, &line, file.as_ref(), now)).await
    }
}
