//! Working on the queue: `queue run`, and what `get` shares with it.
//!
//! SIGINT and SIGTERM ask the run to end within its grace period; a second one ends it at once. SIGHUP has configuration
//! and plugins looked at again.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gleaner_model::job::{JobId, JobState};
use gleaner_orchestrator::{Drain, Finish, RunReport, Sources, Stop};
use gleaner_serve::{Bound, Ledger};
use gleaner_store::{Library, Scope, Summary, WorkQueue};
use gleaner_telemetry::{Event, Observer};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use toml::Value;

use crate::args::{Caps, License, Run};
use crate::commands::enqueue::report;
use crate::commands::measure::Measure;
use crate::commands::reload::Reload;
use crate::config::Layers;
use crate::context::Context;
use crate::exit::{Exit, Failed};
use crate::notify::Notify;
use crate::output::bytes;
use crate::progress::Progress;

/// How a run ended, as `get` and `queue run --drain` print it.
#[derive(Debug, Serialize)]
struct Totals {
    done: u64,
    skipped: u64,
    error: u64,
    queued: u64,
    bytes: u64,
    seconds: f64,
}

/// Lays the flags of a run over the configuration.
pub(crate) fn lay_flags(args: &Caps, layers: &mut Layers) {
    lay_license(args.license, layers);
    if let Some(workers) = args.workers {
        layers.set(&["orchestrator", "workers"], Value::Integer(workers.into()), "--workers");
    }
    if let Some(cap) = args.max_per_host {
        layers.set(&["limits", "default-host", "concurrency"], Value::Integer(cap.into()), "--max-per-host");
    }
    for (resolver, cap) in &args.max_per_resolver {
        let path = ["limits", "resolvers", resolver.as_str(), "concurrency"];
        layers.set(&path, Value::Integer(cap.get().into()), "--max-per-resolver");
    }
}

/// Lays `--license` over the configuration.
pub(crate) fn lay_license(license: Option<License>, layers: &mut Layers) {
    if let Some(license) = license {
        layers.set(&["tiers", "license"], Value::String(license.as_str().to_owned()), "--license");
    }
}

/// What a run is for.
pub(crate) enum Task {
    /// To work until told to stop.
    Serve,
    /// To empty the queue.
    Drain { max_wait: Duration },
    /// To work until these have ended.
    Jobs { jobs: Vec<JobId>, max_wait: Duration },
}

/// `gleaner queue run`.
pub(crate) async fn run(context: &Context, args: &Run) -> Result<Exit, Failed> {
    let (sources, reload) = Reload::begin(context).await?;
    let library = context.library()?;
    let task = if args.drain { Task::Drain { max_wait: args.max_wait.0 } } else { Task::Serve };
    let beside = Beside { metrics_file: args.metrics_file.clone(), ..Beside::default() };
    work(context, library, sources, reload, task, beside).await
}

/// What else there is while a run goes on.
#[derive(Default)]
pub(crate) struct Beside {
    /// Who answers.
    pub(crate) server: Option<Server>,
    /// Where measurements are written.
    pub(crate) metrics_file: Option<PathBuf>,
}

/// What answers while a run goes on.
pub(crate) struct Server {
    pub(crate) bound: Bound,
    pub(crate) ledger: Arc<Ledger>,
}

impl Server {
    /// Says where it listens, now that signals are heard: whoever started it on port 0 has to know.
    fn start(self, told: watch::Receiver<Stop>) -> std::io::Result<JoinHandle<()>> {
        report(&format!("listening on http://{}/", self.bound.address()?));
        Ok(tokio::spawn(self.bound.run(told)))
    }
}

/// Two who listen.
struct Both(Arc<dyn Observer>, Arc<dyn Observer>);

impl Observer for Both {
    fn on(&self, event: &Event) {
        self.0.on(event);
        self.1.on(event);
    }
}

/// Works on the library's queue, with whatever other processes do.
pub(crate) async fn work(
    context: &Context,
    library: Library,
    sources: Sources,
    reload: Reload,
    task: Task,
    Beside { server, metrics_file }: Beside,
) -> Result<Exit, Failed> {
    let started = Instant::now();
    // One spelling of the directory, so that traces go on wherever the command is given.
    let dir = context.library_dir();
    gleaner_telemetry::trace_library(&dir.canonicalize().unwrap_or_else(|_| dir.to_owned()));
    let identity = context.identity();
    gleaner_telemetry::log_run(&identity.run_id);
    // The totals are of the whole library, but an error of last year is not this run's failure. Joining may end
    // jobs of dead processes as poison, which is.
    let failed_before = match &task {
        Task::Jobs { .. } => 0,
        Task::Serve | Task::Drain { .. } => library.stats().await?.error,
    };
    let max_attempts = context.loaded.config.orchestrator.max_attempts.get();
    let (member, _) = library.join(gleaner_orchestrator::ALIVE_FOR, max_attempts).await?;
    library.begin_run(identity.clone()).await?;
    let is_serving = matches!(task, Task::Serve);
    let (drain, total, scope) = lower(&library, task).await?;
    let progress = Arc::new(Progress::new(total, context.quiet));
    let mut observer = Arc::clone(&progress) as Arc<dyn Observer>;
    if let Some(server) = &server {
        observer = Arc::new(Both(observer, Arc::clone(&server.ledger) as Arc<dyn Observer>));
    }
    let reload = tokio::spawn(reload.keep_up()?);
    let pieces = context.pieces(library.clone(), sources, identity, observer)?;
    let measure = || Measure::new(library.clone(), Arc::clone(&pieces), metrics_file.clone());
    let measuring = tokio::spawn(measure().keep_up());
    let (tell, told) = watch::channel(Stop::Go);
    let interrupted = Arc::new(AtomicBool::new(false));
    let signals = tokio::spawn(pass_signals_on(tell, Arc::clone(&interrupted))?);
    let server = server.map(|server| server.start(told.clone())).transpose()?;
    let notify = Notify::from_environment();
    notify.ready();
    let notifying = tokio::spawn(Notify::from_environment().keep_up(told.clone()));
    let report = pieces.run(drain, told).await;
    notify.stopping();
    notifying.abort();
    if let Some(server) = server {
        end(server, &report).await;
    }
    signals.abort();
    reload.abort();
    measuring.abort();
    let _ = measuring.await;
    measure().look().await;
    progress.finish();
    let report = report?;
    drop(pieces);
    let summary = library.summary(scope).await?;
    // What is left of it others take over.
    let _ = member.leave().await;
    library.close().await;
    if !(is_serving && report.finish == Finish::Stopped && context.output.is_json()) {
        print(context, &summary, &report, started.elapsed().as_secs_f64())?;
    }
    Ok(match report.finish {
        Finish::Stopped if interrupted.load(Ordering::SeqCst) => Exit::Interrupted,
        Finish::Stopped => Exit::Well,
        _ if totals(&summary, 0.0).error > failed_before => Exit::SomeFailed,
        _ => Exit::Well,
    })
}

/// The server ends by itself when the run was told to stop, and with a run that failed.
async fn end<E>(server: JoinHandle<()>, report: &Result<RunReport, E>) {
    if report.is_err() {
        server.abort();
    }
    let _ = server.await;
}

/// What the run drains, over how many jobs, and what its summary is of. Looked up after joining: that may
/// have ended jobs.
async fn lower(library: &Library, task: Task) -> Result<(Drain, u64, Scope), Failed> {
    Ok(match task {
        Task::Serve => (Drain::Serve, 0, Scope::Library),
        Task::Drain { max_wait } => {
            (Drain::Empty { max_wait }, library.stats().await?.unfinished(), Scope::Library)
        }
        Task::Jobs { jobs, max_wait } => {
            let open: HashSet<JobId> = library.unfinished(jobs.clone()).await?.into_iter().collect();
            let total = open.len() as u64;
            (Drain::Jobs { jobs: open, max_wait }, total, Scope::Jobs(jobs))
        }
    })
}

/// The first signal asks to end, the second to end at once. `interrupted` notes a SIGINT, which ends with another
/// code than SIGTERM, an order that was carried out.
pub(crate) fn pass_signals_on(
    tell: watch::Sender<Stop>,
    interrupted: Arc<AtomicBool>,
) -> std::io::Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        for stop in [Stop::Drain, Stop::Now] {
            tokio::select! {
                _ = interrupt.recv() => interrupted.store(true, Ordering::SeqCst),
                _ = terminate.recv() => {}
            }
            if stop == Stop::Drain {
                tracing::warn!("stopping: running steps may finish; once more to stop at once");
            }
            if tell.send(stop).is_err() {
                return;
            }
        }
        // The run ends by itself now; this task is only here to be dropped.
        std::future::pending::<()>().await;
    })
}

fn totals(summary: &Summary, seconds: f64) -> Totals {
    let count = |wanted: &[JobState]| {
        summary.states.iter().filter(|(state, ..)| wanted.contains(state)).map(|(.., count)| count).sum()
    };
    Totals {
        done: count(&[JobState::Done]),
        skipped: count(&[JobState::Skipped]),
        error: count(&[JobState::Error]),
        queued: count(&[JobState::Queued, JobState::InProgress]),
        bytes: summary.bytes,
        seconds,
    }
}

fn print(context: &Context, summary: &Summary, report: &RunReport, seconds: f64) -> Result<(), Failed> {
    let totals = totals(summary, (seconds * 1000.0).round() / 1000.0);
    if context.output.is_json() {
        return Ok(context.output.json(&totals)?);
    }
    let rows: Vec<Vec<String>> = summary
        .states
        .iter()
        .map(|(state, reason, count)| {
            let reason = reason.map(|reason| reason.to_string()).unwrap_or_default();
            vec![count.to_string(), state.to_string(), reason]
        })
        .collect();
    if !rows.is_empty() {
        context.output.table(&["WORKS", "STATE", "REASON"], &rows)?;
    }
    if !summary.resolvers.is_empty() {
        let rows: Vec<Vec<String>> =
            summary.resolvers.iter().map(|(name, count)| vec![count.to_string(), name.clone()]).collect();
        context.output.line("")?;
        context.output.table(&["FILES", "FOUND BY"], &rows)?;
    }
    if !rows.is_empty() {
        context.output.line("")?;
    }
    context.output.line(&format!(
        "{} done, {} skipped, {} error, {} queued; {} files, {} in {:.1} s, under {}",
        totals.done,
        totals.skipped,
        totals.error,
        totals.queued,
        summary.files,
        bytes(totals.bytes),
        totals.seconds,
        context.library_dir().join("files").display(),
    ))?;
    if let Finish::Waiting { until } = report.finish {
        let when = until.map_or("later".to_owned(), |until| format!("after {until}"));
        context.output.line(&format!(
            "{} works wait longer than --max-wait allows; `gleaner queue run --drain` goes on with them {when}",
            totals.queued
        ))?;
    }
    Ok(())
}
