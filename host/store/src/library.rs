//! A library's database, opened: one writer, any number of readers.
//!
//! Must never hold what is in the database: every call asks it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gleaner_model::clock::{SharedClock, UnixMillis};
use gleaner_model::job::{JobId, JobState};
use gleaner_model::manifest::RunIdentity;
use rusqlite::Connection;

use crate::connection::{Mode, open};
use crate::error::{StoreError, Trouble};
use crate::options::StoreOptions;
use crate::queue::{Lease, QueueStats};
use crate::readers::Readers;
use crate::view::{FileRow, JobRow, JobView, Scope, Summary};
use crate::write::{Holder, Tx};
use crate::writer::{Haste, Writer};
use crate::{read, write};

/// A handle; clones share it.
#[derive(Debug, Clone)]
pub struct Library {
    dir: Arc<Path>,
    writer: Option<Arc<Writer>>,
    readers: Readers,
    clock: SharedClock,
    holder: Holder,
}

impl Library {
    /// Name of the database in its library.
    pub const DATABASE: &str = "library.db";

    /// Opens the library in `dir`; makes the directory and `library.db` if they are missing, and brings the
    /// database up to date. Does I/O: call it before the work begins.
    ///
    /// # Errors
    /// When the directory or the database cannot be made, is of another kind, or of a later version.
    pub fn open(dir: &Path, options: &StoreOptions, clock: SharedClock) -> Result<Self, StoreError> {
        Self::make_dir(dir)?;
        let path = dir.join(Self::DATABASE);
        let connections = (open(&path, Mode::Write, options)?, open(&path, Mode::Write, options)?);
        let readers = Readers::open(path.clone(), *options)?;
        let writer = Writer::start(connections.0, connections.1, path, options.busy_timeout.0)?;
        Ok(Self::assemble(dir, Some(writer), readers, clock))
    }

    /// Opens a library that is there, for reading: every write fails with [`StoreError::ReadOnly`].
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is none, and as for [`Library::open`].
    pub fn open_read_only(
        dir: &Path,
        options: &StoreOptions,
        clock: SharedClock,
    ) -> Result<Self, StoreError> {
        let path = dir.join(Self::DATABASE);
        if !path.exists() {
            return Err(StoreError::Missing { path: dir.to_owned() });
        }
        Ok(Self::assemble(dir, None, Readers::open(path, *options)?, clock))
    }

    fn assemble(dir: &Path, writer: Option<Writer>, readers: Readers, clock: SharedClock) -> Self {
        let holder = Holder { id: fastrand::i64(..), pid: std::process::id() };
        Self { dir: dir.into(), writer: writer.map(Arc::new), readers, clock, holder }
    }

    /// Waits for the writes under way, merges the log and ends the threads. Other clones get
    /// [`StoreError::Closed`] when they write. A library that is dropped instead loses nothing.
    pub async fn close(self) {
        self.readers.close();
        if let Some(writer) = &self.writer {
            writer.close().await;
        }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Notes that a run begins; its manifest records carry its id.
    ///
    /// # Errors
    /// When the write fails, as it does for an id that was used before.
    pub async fn begin_run(&self, run: RunIdentity) -> Result<(), StoreError> {
        self.write(move |tx, now| write::begin_run(tx, &run, now)).await
    }

    /// The job that a user means by an `artifact_id`, any identifier in any notation, or a job's number.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn find(&self, text: &str) -> Result<Option<JobView>, StoreError> {
        let text = text.to_owned();
        self.read(move |c| read::find(c, &text)).await
    }

    /// How many jobs under the same key go before this one, counted up to `most`; none when it is not ready.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn ahead_of(&self, job: JobId, most: u32) -> Result<Option<u64>, StoreError> {
        self.read(move |c| read::ahead_of(c, job, most)).await
    }

    /// Everything about a job.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn show(&self, job: JobId) -> Result<Option<JobView>, StoreError> {
        self.read(move |c| read::job(c, job)).await
    }

    /// At most `limit` jobs, of one state or all, behind `after`, in the order of their numbers.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn list(
        &self,
        state: Option<JobState>,
        after: Option<JobId>,
        limit: u32,
    ) -> Result<Vec<JobRow>, StoreError> {
        self.read(move |c| read::jobs(c, state, after.unwrap_or(JobId(0)), limit)).await
    }

    /// At most `limit` files, behind that of the job `after`, in the order of the jobs' numbers.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn files(&self, after: Option<JobId>, limit: u32) -> Result<Vec<FileRow>, StoreError> {
        self.read(move |c| read::files(c, after.unwrap_or(JobId(0)), limit)).await
    }

    /// How jobs stand, counted.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn summary(&self, scope: Scope) -> Result<Summary, StoreError> {
        self.read(move |c| read::summary(c, &scope)).await
    }

    /// Those jobs per state; ended when [`QueueStats::unfinished`] is 0.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn job_states(&self, jobs: Vec<JobId>) -> Result<QueueStats, StoreError> {
        self.read(move |c| read::job_states(c, &jobs)).await
    }

    /// Those of these jobs that have not ended.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn unfinished(&self, jobs: Vec<JobId>) -> Result<Vec<JobId>, StoreError> {
        self.read(move |c| read::unfinished(c, &jobs)).await
    }

    /// Those of these leases that hold no longer: they were given back, taken by another process, or their jobs were
    /// cancelled.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn lost(&self, leases: Vec<Lease>) -> Result<Vec<Lease>, StoreError> {
        self.read(move |c| read::lost(c, leases)).await
    }

    /// Whether the library has that file: SHA-256 in lower-case hex.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn file_known(&self, sha256: &str) -> Result<bool, StoreError> {
        let sha256 = sha256.to_owned();
        self.read(move |c| read::file_known(c, &sha256)).await
    }

    /// What is wrong with the database itself, at most some dozens of lines; empty when nothing is. Reads
    /// all of it.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn problems(&self) -> Result<Vec<String>, StoreError> {
        self.read(read::problems).await
    }

    /// A write may wait for another process as long as that takes; or, again, for the busy timeout only.
    pub fn be_patient(&self, patient: bool) {
        if let Some(writer) = &self.writer {
            writer.set_patient(patient);
        }
    }

    pub(crate) fn holder(&self) -> Holder {
        self.holder
    }

    pub(crate) fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// Writes, at the time of the call, and without waiting for others.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&Tx<'_>, UnixMillis) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_with(Haste::AtOnce, work).await
    }

    /// The same, together with others that come within some milliseconds, while many do.
    pub(crate) async fn write_in_company<T: Send + 'static>(
        &self,
        work: impl FnMut(&Tx<'_>, UnixMillis) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_with(Haste::InCompany, work).await
    }

    /// The same as [`Self::write`], where a failure of the power may undo it.
    pub(crate) async fn write_fleeting<T: Send + 'static>(
        &self,
        work: impl FnMut(&Tx<'_>, UnixMillis) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_with(Haste::Fleeting, work).await
    }

    async fn write_with<T: Send + 'static>(
        &self,
        haste: Haste,
        mut work: impl FnMut(&Tx<'_>, UnixMillis) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, StoreError> {
        let now = self.clock.now();
        match &self.writer {
            Some(writer) => writer.call(haste, move |tx| work(tx, now)).await,
            None => Err(StoreError::ReadOnly { path: self.path(), detail: "opened for reading".into() }),
        }
    }

    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.readers.call(work).await
    }

    /// Reads without a transaction around it, for a statement that makes its own.
    pub(crate) async fn read_alone<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.readers.call_alone(work).await
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.join(Self::DATABASE)
    }
}
