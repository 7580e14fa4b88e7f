//! Adding works to the queue, from arguments, lists and JSON lines.
//!
//! Good works are kept whatever the bad ones are; each bad one is named on standard error.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use gleaner_model::artifact::{Artifact, ArtifactId};
use gleaner_model::clock::UnixMillis;
use gleaner_model::identifier::Identifier;
use gleaner_model::job::JobId;
use gleaner_model::key::{Key, ResolverName};
use gleaner_model::next::{Next, Planner};
use gleaner_model::plan::Plan;
use gleaner_store::{Enqueued, Library, NewJob, StoreError, WorkQueue};
use serde::Serialize;
use tokio::task::JoinHandle;

use crate::args::{self, Turn};
use crate::context::Context;
use crate::exit::{Exit, Failed};
use crate::input::{Notation, Wanted, Works};

/// Jobs a transaction, and bytes of their input: whichever comes first.
const BATCH: usize = 5000;
const BATCH_BYTES: usize = 4 << 20;

/// What became of an input.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Added {
    /// Works that are new.
    new: u64,
    /// Works that had a job.
    known: u64,
    /// Works that had been skipped long ago, and start anew.
    requeued: u64,
    /// Works whose identifiers belong to several jobs.
    conflicts: u64,
    /// Lines that name no work.
    broken: u64,
    /// The jobs, each once.
    #[serde(skip)]
    pub(crate) jobs: Vec<JobId>,
}

impl Added {
    /// 1 when something of the input could not be used.
    pub(crate) fn exit(&self) -> Exit {
        if self.broken + self.conflicts > 0 { Exit::SomeFailed } else { Exit::Well }
    }
}

/// Adds works to a library.
pub(crate) struct Enqueuer<'a> {
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
}

/// A batch that is being written: the names of its works, and what will have become of them.
type Writing = (Vec<ArtifactId>, JoinHandle<Result<Vec<Enqueued>, StoreError>>);

impl<'a> Enqueuer<'a> {
    pub(crate) fn new(context: &Context, library: &'a Library, planner: Planner) -> Self {
        let recheck_after = context.loaded.config.orchestrator.recheck_after.0;
        Self {
            library,
            planner,
            suspended: BTreeMap::new(),
            resolver: None,
            turn: Turn::default(),
            now: context.now(),
            recheck_after,
            batch: Vec::new(),
            batch_bytes: 0,
            writing: None,
            keep_jobs: false,
            added: Added::default(),
        }
    }

    /// Others than these resolvers are to be asked first.
    pub(crate) fn without(mut self, suspended: BTreeMap<ResolverName, UnixMillis>) -> Self {
        self.suspended = suspended;
        self
    }

    /// Only this resolver is to be asked for them.
    pub(crate) fn hint(mut self, resolver: Option<ResolverName>) -> Self {
        self.resolver = resolver;
        self
    }

    /// Whose turn it is where an object does not say so itself.
    pub(crate) fn turn(mut self, turn: Turn) -> Self {
        self.turn = turn;
        self
    }

    /// The jobs are wanted afterwards. Ten million numbers are not free.
    pub(crate) fn keep_jobs(mut self) -> Self {
        self.keep_jobs = true;
        self
    }

    /// Adds what the arguments name.
    pub(crate) async fn works(mut self, works: &args::Works) -> Result<Added, Failed> {
        if works.ids.is_empty() && works.input.is_none() {
            return Err(Failed::usage("nothing to add: give identifiers, or a list with --input FILE"));
        }
        for (position, text) in works.ids.iter().enumerate() {
            match Identifier::parse(text) {
                Ok(identifier) => self.add(Artifact::of(identifier).into()).await?,
                Err(error) => self.complain(&format!("argument {}: {error}", position + 1)),
            }
        }
        match &works.input {
            Some(path) => self.read_all(path, Notation::List).await,
            None => self.finish().await,
        }
    }

    /// Adds the works of a JSON-lines file.
    pub(crate) async fn import(self, path: &Path) -> Result<Added, Failed> {
        self.read_all(path, Notation::Json).await
    }

    /// An input that breaks off is an error, but the works before the break are kept.
    async fn read_all(mut self, path: &Path, notation: Notation) -> Result<Added, Failed> {
        let read = self.read(path, notation).await;
        let added = self.finish().await?;
        read.map(|()| added)
    }

    async fn read(&mut self, path: &Path, notation: Notation) -> Result<(), Failed> {
        let (name, reader) = open(path)?;
        let mut works = Works::new(reader, notation);
        while let Some(work) = works.next() {
            match work.map_err(|error| unreadable(&name, &error))? {
                Ok(wanted) => self.add(wanted).await?,
                Err(bad) => self.complain(&format!("{name}: {bad}")),
            }
            self.batch_bytes += works.line_bytes();
        }
        Ok(())
    }

    fn complain(&mut self, message: &str) {
        self.added.broken += 1;
        report(message);
    }

    async fn add(&mut self, wanted: Wanted) -> Result<(), Failed> {
        let Wanted { mut artifact, turn } = wanted;
        if let Some(resolver) = &self.resolver {
            artifact.resolver_hint = Some(resolver.to_string());
        }
        let key = self.first_key(&artifact);
        let priority = turn.priority.or(self.turn.priority).unwrap_or_default();
        let not_before = turn.not_before.or(self.turn.not_before).map(|when| when.from(self.now));
        self.batch.push(NewJob { artifact, key, priority, not_before });
        if self.batch.len() >= BATCH || self.batch_bytes >= BATCH_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    /// Begins to write the batch, when the one before is written.
    async fn flush(&mut self) -> Result<(), Failed> {
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
    async fn written(&mut self) -> Result<(), Failed> {
        let Some((names, write)) = self.writing.take() else { return Ok(()) };
        let results = write.await.map_err(std::io::Error::other)??;
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
                    report(&format!(
                        "{name}: its identifiers belong to several jobs: {}; nothing was changed. Give the works apart",
                        jobs.join(", ")
                    ));
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

    async fn finish(mut self) -> Result<Added, Failed> {
        self.flush().await?;
        self.written().await?;
        self.added.jobs.sort_unstable();
        self.added.jobs.dedup();
        Ok(self.added)
    }
}

/// An input and its name for messages; `-` is standard input.
pub(crate) fn open(path: &Path) -> Result<(String, Box<dyn BufRead + Send>), Failed> {
    if path == Path::new("-") {
        return Ok(("standard input".to_owned(), Box::new(BufReader::new(io::stdin()))));
    }
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| unreadable(&name, &error))?;
    Ok((name, Box::new(BufReader::with_capacity(1 << 16, file))))
}

pub(crate) fn unreadable(name: &str, error: &io::Error) -> Failed {
    Failed::usage(format!("cannot read {name}: {error}; give a text file, or - for standard input"))
}

/// A line for the user, which must not break the run when nobody reads it.
pub(crate) fn report(message: &str) {
    use std::io::Write;
    let _ = writeln!(io::stderr().lock(), "{message}");
}

/// Prints what became of the input, as a command of its own.
pub(crate) fn print(context: &Context, added: &Added) -> Result<Exit, Failed> {
    if context.output.is_json() {
        context.output.json(added)?;
    } else {
        let Added { new, known, requeued, conflicts, broken, .. } = added;
        context.output.line(&format!(
            "{new} new, {known} known, {requeued} started anew, {conflicts} conflicts, {broken} broken"
        ))?;
    }
    Ok(added.exit())
}
