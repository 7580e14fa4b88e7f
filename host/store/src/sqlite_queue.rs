//! [`WorkQueue`] on SQLite: which write or read each call is.
//!
//! Must never touch a connection itself.

use std::time::Duration;

use async_trait::async_trait;
use gleaner_model::clock::UnixMillis;
use gleaner_model::job::{JobId, JobResult, JobState};
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
/// Jobs deleted in one command: each takes rows out of several tables.
const SMALL_BATCH: u32 = 500;

#[async_trait]
impl WorkQueue for Library {
    async fn enqueue(&self, jobs: Vec<NewJob>, recheck_after: Duration) -> Result<Vec<Enqueued>, StoreError> {
        let jobs: Vec<write::Entry> = jobs.into_iter().map(write::Entry::from).collect();
        self.write(move |tx, now| write::enqueue(tx, &jobs, recheck_after, now)).await
    }

    async fn lease(&self, wanted: Vec<(Key, u32)>, ttl: Duration) -> Result<Vec<Leased>, StoreError> {
        let holder = self.holder();
        // If the power fails, nobody works on these jobs any more.
        let leased = self
            .write_fleeting(move |tx, now| write::lease(tx, &wanted, holder, now.after(ttl), now))
            .await?;
        // One that cannot be read stays charged, and ends as poison like any that nobody can work on.
        let readable = |taken: write::Taken| {
            let read = taken.read();
            read.inspect_err(|error| tracing::error!(%error, "it is left alone until its lease expires")).ok()
        };
        Ok(leased.into_iter().filter_map(readable).collect())
    }

    async fn heartbeat(&self, extend: Vec<(Lease, UnixMillis)>) -> Result<Vec<Lease>, StoreError> {
        self.write(move |tx, _| write::heartbeat(tx, &extend)).await
    }

    async fn record(
        &self,
        lease: Lease,
        plan: Plan,
        records: Vec<ManifestRecord>,
        next: AfterRecord,
    ) -> Result<Fenced, StoreError> {
        let (plan, records) = (plan.to_json(), lines(records));
        self.write_in_company(move |tx, now| write::record(tx, lease, &plan, &records, &next, now)).await
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
        self.write_in_company(move |tx, now| write::snooze(tx, lease, &key, until, now)).await
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
        let (plan, records) = (plan.to_json(), lines(records));
        self.write_in_company(move |tx, now| {
            write::ack(tx, lease, &plan, &records, &result, file.as_ref(), now)
        })
        .await
    }

    async fn expire(&self, max_attempts: u32) -> Result<Expired, StoreError> {
        self.write(move |tx, now| write::expire(tx, max_attempts, now)).await
    }

    async fn promote_due(&self) -> Result<u64, StoreError> {
        self.write(|tx, now| write::promote_due(tx, BATCH, now)).await
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
                self.write(move |tx, now| write::restart(tx, &ended, now)).await?
            };
        }
    }

    async fn cancel(&self, jobs: Vec<JobId>) -> Result<Vec<JobId>, StoreError> {
        self.write(move |tx, now| write::cancel(tx, &jobs, now)).await
    }

    async fn purge(
        &self,
        states: Vec<JobState>,
        older_than: Duration,
        dry_run: bool,
    ) -> Result<u64, StoreError> {
        let (now, mut after, mut count) = (self.now(), 0, 0);
        loop {
            let states = states.clone();
            let ended =
                self.read(move |c| read::old(c, &states, older_than, after, SMALL_BATCH, now)).await?;
            let Some(&last) = ended.last() else { return Ok(count) };
            after = last;
            count += if dry_run {
                ended.len() as u64
            } else {
                self.write(move |tx, _| write::purge(tx, &ended)).await?
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

fn lines(records: Vec<ManifestRecord>) -> Vec<write::Line> {
    records.into_iter().map(write::Line::from).collect()
}
