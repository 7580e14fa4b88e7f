//! Adding works to the queue, in batches; the next is gathered while one is written.
//!
//! Good works are kept whatever the bad ones are; each bad one is named to who asks.

use std::collections::BTreeMap;
use std::time::Duration;

use gleaner_model::artifact::{Artifact, ArtifactId};
use gleaner_model::clock::UnixMillis;
use gleaner_model::job::JobId;
use gleaner_model::key::{Key, ResolverName};
use gleaner_model::next::{Next, Planner};
use gleaner_model::plan::Plan;
use gleaner_store::{Enqueued, Library, NewJob, StoreError, WorkQueue};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::task::JoinHandle;

use crate::look::Look;
use crate::wanted::{Turn, Wanted};

/// Jobs a transaction, and bytes of their input: whichever comes first.
const BATCH: usize = 5000;
const BATCH_BYTES: usize = 4 << 20;

/// What became of works that were added.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Added {
    /// Works that are new.
    pub new: u64,
    /// Works that had a job.
    pub known: u64,
    /// Works that had been skipped long ago, and start anew.
    pub requeued: u64,
    /// Works whose identifiers belong to several jobs.
    pub conflicts: u64,
    /// Works that nothing names.
    pub broken: u64,
    /// The jobs, each once, where they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<JobId>,
    /// What is wrong with those that were not added, where that was not told one by one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// Adds works to a library.
pub struct Enqueuer<'a> {
    library: &'a Library,
    planner: Planner,
    suspended: BTreeMap<ResolverName, UnixMillis>,
    resolver: Option<ResolverName>,
    turn: Turn,
    now: UnixMillis,
    recheck_after: Duration,
    batch: Vec<NewJob>,
    batch_bytes: usize,
    /// The batch before, while it is written: reading goes on meanwhile.
    writing: Option<Writing>,
    keep_jobs: bool,
    added: Added,
    /// Who hears of a work that cannot be added at once; none: the answer names it.
    tell: Option<fn(&str)>,
}

/// A batch that is being written: the names of its works, and what will have become of them.
type Writing = (Vec<ArtifactId>, JoinHandle<Result<Vec<Enqueued>, StoreError>>);

impl<'a> Enqueuer<'a> {
    /// Nothing is added yet. `planner` says who is asked first.
    pub fn new(look: Look<'a>, planner: Planner) -> Self {
        Self {
            library: look.library,
            planner,
            suspended: BTreeMap::new(),
            resolver: None,
            turn: Turn::default(),
            now: look.now,
            recheck_after: look.rules.recheck_after.0,
            batch: Vec::new(),
            batch_bytes: 0,
            writing: None,
            keep_jobs: false,
            added: Added::default(),
            tell: None,
        }
    }

    /// Tells at once of each work that cannot be added; the answer names none then.
    pub fn telling(mut self, tell: fn(&str)) -> Self {
        self.tell = Some(tell);
        self
    }

    /// Others than these resolvers are to be asked first.
    pub fn without(mut self, suspended: BTreeMap<ResolverName, UnixMillis>) -> Self {
        self.suspended = suspended;
        self
    }

    /// Only this resolver is to be asked for them.
    pub fn hint(mut self, resolver: Option<ResolverName>) -> Self {
        self.resolver = resolver;
        self
    }

    /// Whose turn it is where an object does not say so itself.
    pub fn turn(mut self, turn: Turn) -> Self {
        self.turn = turn;
        self
    }

    /// The jobs are wanted afterwards. Ten million numbers are not free.
    pub fn keep_jobs(mut self) -> Self {
        self.keep_jobs = true;
        self
    }

    /// Notes a work that cannot be added.
    pub fn complain(&mut self, message: String) {
        self.added.broken += 1;
        self.say(message);
    }

    fn say(&mut self, message: String) {
        match self.tell {
            Some(tell) => tell(&message),
            None => self.added.problems.push(message),
        }
    }

    /// Adds a work that took that many bytes of input.
    ///
    /// # Errors
    /// When the library cannot be written.
    pub async fn add(&mut self, wanted: Wanted, bytes: usize) -> Result<(), StoreError> {
        let Wanted { mut artifact, turn } = wanted;
        if let Some(resolver) = &self.resolver {
            artifact.resolver_hint = Some(resolver.to_string());
        }
        let key = self.first_key(&artifact);
        let priority = turn.priority.or(self.turn.priority).unwrap_or_default();
        let not_before = turn.not_before.or(self.turn.not_before).map(|when| when.from(self.now));
        self.batch_bytes += bytes;
        self.batch.push(NewJob { artifact, key, priority, not_before });
        if self.batch.len() >= BATCH || self.batch_bytes >= BATCH_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    /// Begins to write the batch, when the one before is written.
    async fn flush(&mut self) -> Result<(), StoreError> {
        self.written().await?;
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        let names = batch.iter().map(|job| job.artifact.id.clone()).collect();
        let (library, recheck_after) = (self.library.clone(), self.recheck_after);
        let write = tokio::spawn(async move { library.enqueue(batch, recheck_after).await });
        self.writing = Some((names, write));
        Ok(())
    }

    /// Waits for the batch that is being written, and counts what became of it.
    async fn written(&mut self) -> Result<(), StoreError> {
        let Some((names, write)) = self.writing.take() else { return Ok(()) };
        let results =
            write.await.map_err(|_| StoreError::Closed { path: self.library.dir().to_owned() })??;
        for (name, result) in names.into_iter().zip(results) {
            let added = &mut self.added;
            if let (true, Enqueued::New(job) | Enqueued::Known(job) | Enqueued::Requeued(job)) =
                (self.keep_jobs, &result)
            {
                added.jobs.push(*job);
            }
            match result {
                Enqueued::New(_) => added.new += 1,
                Enqueued::Known(_) => added.known += 1,
                Enqueued::Requeued(_) => added.requeued += 1,
                Enqueued::Conflict { jobs } => {
                    added.conflicts += 1;
                    let jobs: Vec<_> = jobs.iter().map(|(id, name)| format!("job {id} ({name})")).collect();
                    let conflict = format!(
                        "{name}: its identifiers belong to several jobs: {}; nothing was changed. Give the works apart",
                        jobs.join(", ")
                    );
                    self.say(conflict);
                }
            }
        }
        Ok(())
    }

    /// What a new job's first step is limited by.
    fn first_key(&self, artifact: &Artifact) -> Key {
        let plan = Plan::default();
        match self.planner.next_without(&plan, artifact, self.now, &self.suspended) {
            Next::Step(step) => plan.key(&step),
            Next::Wait(..) | Next::End(_) => Key::Plan,
        }
    }

    /// Waits until all is written.
    ///
    /// # Errors
    /// When the library cannot be written.
    pub async fn finish(mut self) -> Result<Added, StoreError> {
        self.flush().await?;
        self.written().await?;
        self.added.jobs.sort_unstable();
        self.added.jobs.dedup();
        Ok(self.added)
    }
}
