//! Working on the queue: `queue run`, and what `get` shares with it.
//!
//! SIGINT and SIGTERM ask the run to end within its grace period; a second one ends it at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use gleaner_model::job::{JobId, JobState};
use gleaner_orchestrator::{Drain, Finish, RunReport, Sources, Stop};
use gleaner_store::{Library, Scope, Summary};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use toml::Value;

use crate::args::Run;
use crate::config::Layers;
use crate::context::Context;
use crate::exit::{Exit, Failed};
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

/// Lays the flags of `queue run` over the configuration.
pub(crate) fn lay_flags(args: &Run, layers: &mut Layers) {
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

/// `gleaner queue run`.
pub(crate) async fn run(context: &Context, args: &Run) -> Result<Exit, Failed> {
    let sources = context.sources_to_use().await?;
    let library = context.library()?;
    let (drain, total) = if args.drain {
        let stats = gleaner_store::WorkQueue::stats(&library).await?;
        (Drain::Empty { max_wait: args.max_wait.0 }, stats.unfinished())
    } else {
        (Drain::Serve, 0)
    };
    work(context, library, sources, drain, total, Scope::Library, Exit::Well).await
}

/// Works on `jobs` until they have ended; `input` is how well their input was read.
pub(crate) async fn work_on(
    context: &Context,
    library: Library,
    sources: Sources,
    jobs: Vec<JobId>,
    max_wait: std::time::Duration,
    input: Exit,
) -> Result<Exit, Failed> {
    let open: HashSet<JobId> = library.unfinished(jobs.clone()).await?.into_iter().collect();
    let total = open.len() as u64;
    let drain = Drain::Jobs { jobs: open, max_wait };
    work(context, library, sources, drain, total, Scope::Jobs(jobs), input).await
}

async fn work(
    context: &Context,
    library: Library,
    sources: Sources,
    drain: Drain,
    total: u64,
    scope: Scope,
    input: Exit,
) -> Result<Exit, Failed> {
    let started = Instant::now();
    let identity = context.identity();
    let max_attempts = context.loaded.config.orchestrator.max_attempts.get();
    let (lock, _) = library.take_run_lock(max_attempts).await?;
    library.begin_run(identity.clone()).await?;
    let progress = Arc::new(Progress::new(total, context.quiet));
    let observer = Arc::clone(&progress) as Arc<dyn gleaner_telemetry::Observer>;
    let pieces = context.pieces(library.clone(), sources, identity, observer).await?;
    let (tell, told) = watch::channel(Stop::Go);
    let signals = tokio::spawn(pass_signals_on(tell)?);
    let is_serving = matches!(drain, Drain::Serve);
    let report = pieces.run(drain, told).await;
    signals.abort();
    progress.finish();
    let report = report?;
    drop(pieces);
    let summary = library.summary(scope).await?;
    drop(lock);
    library.close().await;
    if !(is_serving && report.finish == Finish::Stopped && context.output.is_json()) {
        print(context, &summary, &report, started.elapsed().as_secs_f64())?;
    }
    let failed = totals(&summary, 0.0).error > 0;
    Ok(match report.finish {
        Finish::Stopped => INTERRUPTED_BY.exit(),
        _ if failed || input == Exit::SomeFailed => Exit::SomeFailed,
        _ => Exit::Well,
    })
}

/// Which signal asked to stop: SIGINT ends with 130, SIGTERM is an order that was carried out.
struct InterruptedBy(std::sync::atomic::AtomicBool);

static INTERRUPTED_BY: InterruptedBy = InterruptedBy(std::sync::atomic::AtomicBool::new(false));

impl InterruptedBy {
    fn exit(&self) -> Exit {
        if self.0.load(std::sync::atomic::Ordering::SeqCst) { Exit::Interrupted } else { Exit::Well }
    }
}

fn pass_signals_on(tell: watch::Sender<Stop>) -> std::io::Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        for stop in [Stop::Drain, Stop::Now] {
            tokio::select! {
                _ = interrupt.recv() => INTERRUPTED_BY.0.store(true, std::sync::atomic::Ordering::SeqCst),
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
