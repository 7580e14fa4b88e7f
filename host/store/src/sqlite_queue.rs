//! [`WorkQueue`] on SQLite: which write or read each call is.
//!
//! Must never touch a connection itself.

use std::time::Duration;

use async_trait::async_trait;
use gleaner_model::clock::UnixMillis;
use gleaner_model::job::JobResult;
use gleaner_model::key::Key;
use gleaner_model::manifest::ManifestRecord;
use gleaner_model::plan::Plan;

use crate::library::Library;
use crate::queue::{
    AfterRecord, Backlog, Enqueued, Expired, Fenced, Lease, Leased, NewJob, QueueStats, RetryFilter,
    StoredFile, WorkQueue,
};
use crate::{StoreError, read, write};

/// Jobs moved in one command, so that no other waits long behind it.
const BATCH: u32 = 5000;

#[async_trait]
impl WorkQueue for Library {
    async fn enqueue(&self, jobs: Vec<NewJob>, recheck_after: Duration) -> Result<Vec<Enqueued>, StoreError> {
        self.write(move |c, now| write::enqueue(c, &jobs, recheck_after, now)).await
    }

    async fn lease(&self, wanted: Vec<(Key, u32)>, ttl: Duration) -> Result<Vec<Leased>, StoreError> {
        let holder = self.holder();
        self.write(move |c, now| write::lease(c, &wanted, holder, now.after(ttl), now)).await
    }

    async fn heartbeat(&self, extend: Vec<(Lease, UnixMillis)>) -> Result<Vec<Lease>, StoreError> {
        self.write(move |c, _| write::heartbeat(c, &extend)).await
    }

    async fn record(
        &self,
        lease: Lease,
        plan: Plan,
        records: Vec<ManifestRecord>,
        next: AfterRecord,
    ) -> Result<Fenced, StoreError> {
        self.write(move |c, now| write::record(c, lease, &plan, &records, next, now)).await
    }

    async fn fail_and_retry(
        &self,
        lease: Lease,
        plan: Plan,
        records: Vec<ManifestRecord>,
        key: Key,
        until: UnixMillis,
    ) -> Result<Fenced, StoreError> {
        self.record(lease, plan, records, AfterRecord::Wait { key, until }).await
    }

    async fn snooze(&self, lease: Lease, key: Key, until: Option<UnixMillis>) -> Result<Fenced, StoreError> {
        self.write(move |c, now| write::snooze(c, lease, &key, until, now)).await
    }

    async fn ack(
        &self,
        lease: Lease,
        plan: Plan,
        records: Vec<ManifestRecord>,
        result: JobResult,
        file: Option<StoredFile>,
    ) -> Result<Fenced, StoreError> {
        let wrong = match (&result, &file) {
            (JobResult::Done { sha256, .. }, Some(file)) if *sha256 != file.sha256 => {
                Some("it names another file")
            }
            (JobResult::Done { .. }, None) => Some("done needs a file"),
            (JobResult::Skipped { .. } | JobResult::Error { .. }, Some(_)) => Some("only done has a file"),
            _ => None,
        };
        if let Some(detail) = wrong {
            return Err(StoreError::WrongResult { job: lease.job.0, detail });
        }
        self.write(move |c, now| write::ack(c, lease, &plan, &records, &result, file.as_ref(), now)).await
    }

    async fn expire(&self, max_attempts: u32) -> Result<Expired, StoreError> {
        self.write(move |c, now| write::expire(c, max_attempts, now)).await
    }

    async fn promote_due(&self) -> Result<u64, StoreError> {
        self.write(|c, now| write::promote_due(c, BATCH, now)).await
    }

    async fn retry_failed(&self, filter: RetryFilter, dry_run: bool) -> Result<u64, StoreError> {
        let (now, mut after, mut count) = (self.now(), 0, 0);
        loop {
            let filter = filter.clone();
            let ended = self.read(move |c| read::ended(c, &filter, after, BATCH, now)).await?;
            let Some(&(last, _)) = ended.last() else { return Ok(count) };
            after = last;
            count += if dry_run {
                ended.len() as u64
            } else {
                self.write(move |c, now| write::restart(c, &ended, now)).await?
            };
        }
    }

    async fn stats(&self) -> Result<QueueStats, StoreError> {
        self.read(read::stats).await
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.read(read::backlog).await
    }
}
