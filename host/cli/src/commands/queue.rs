//! `gleaner queue enqueue|import|run|stats|retry-failed|list|show`; the other commands of the queue have files of
//! their own.

use gleaner_desk::{Enqueuer, JobDocument, JobLine, Retry};
use gleaner_model::job::{JobId, JobState};
use gleaner_model::key::ResolverName;
use gleaner_store::{JobView, RetryFilter, WorkQueue};

use crate::args::{self, Global, Queue, RetryFailed, Turn};
use crate::commands::{cancel, enqueue, explain, keys, run};
use crate::context::Context;
use crate::exit::{Exit, Failed};

/// Rows read at a time.
const PAGE: u32 = 1000;

/// Everything of the queue.
pub(crate) async fn queue(global: &Global, command: Queue) -> Result<Exit, Failed> {
    let context = || Context::new(global, |_| {});
    match command {
        Queue::Enqueue { works, resolver, turn } => {
            add(&context()?, Source::Works(works, resolver), turn).await
        }
        Queue::Import { file, turn } => add(&context()?, Source::Json(file), turn).await,
        Queue::Run(args) => {
            let flags = args.caps.clone();
            let context = Context::new(global, move |layers| run::lay_flags(&flags, layers))?;
            run::run(&context, &args).await
        }
        Queue::Stats => stats(&context()?).await,
        Queue::RetryFailed(args) => retry_failed(&context()?, args).await,
        Queue::List { state } => list(&context()?, state).await,
        Queue::Show { id } => show(&context()?, &id).await,
        Queue::Explain { id } => explain::explain(&context()?, &id).await,
        Queue::Keys => keys::list(&context()?).await,
        Queue::Pause { key } => keys::pause(&context()?, &key, true).await,
        Queue::Resume { key } => keys::pause(&context()?, &key, false).await,
        Queue::Limit(args) => keys::limit(&context()?, args).await,
        Queue::Cancel(args) => cancel::cancel(&context()?, &args).await,
        Queue::Purge(args) => cancel::purge(&context()?, args).await,
    }
}

enum Source {
    Works(args::Works, Option<ResolverName>),
    Json(std::path::PathBuf),
}

async fn add(context: &Context, source: Source, turn: Turn) -> Result<Exit, Failed> {
    let library = context.library()?;
    let runtime = context.runtime()?;
    let resolvers = context.resolvers(&runtime).await;
    let enqueuer = Enqueuer::new(context.look(&library), context.planner(&resolvers)).turn(turn.into());
    let enqueuer = enqueuer.telling(enqueue::report).without(context.suspended(&library, &resolvers).await?);
    let added = match source {
        Source::Works(works, resolver) => enqueue::works(enqueuer.hint(resolver), &works).await?,
        Source::Json(file) => enqueue::import(enqueuer, &file).await?,
    };
    library.close().await;
    enqueue::print(context, &added)
}

async fn stats(context: &Context) -> Result<Exit, Failed> {
    let stats = context.existing_library()?.stats().await?;
    if context.output.is_json() {
        context.output.json(&stats)?;
    } else {
        let states = stats.by_state().map(|(state, jobs)| (state.as_str(), jobs));
        let rows = states.into_iter().chain([("total", stats.total)]);
        let rows: Vec<_> = rows.map(|(state, jobs)| vec![state.to_owned(), jobs.to_string()]).collect();
        context.output.table(&["STATE", "WORKS"], &rows)?;
    }
    Ok(Exit::Well)
}

async fn retry_failed(context: &Context, args: RetryFailed) -> Result<Exit, Failed> {
    let library = context.library_to_change()?;
    let RetryFailed { reason, resolver, host, state, older_than, dry_run } = args;
    let states = state.into_iter().collect();
    let older_than = older_than.map(|span| span.0);
    let filter = RetryFilter { states, reason, resolver, host, older_than };
    let retried = Retry { filter, dry_run }.run(&library).await?;
    library.close().await;
    if context.output.is_json() {
        context.output.json(&retried)?;
    } else {
        let verb = if dry_run { "would start" } else { "start" };
        context.output.line(&format!("{} works {verb} anew", retried.retried))?;
    }
    Ok(Exit::Well)
}

async fn list(context: &Context, state: Option<JobState>) -> Result<Exit, Failed> {
    let library = context.existing_library()?;
    let mut after: Option<JobId> = None;
    if !context.output.is_json() {
        context.output.line("JOB\tSTATE\tREASON\tARTIFACT\tWAITS FOR\tDETAIL")?;
    }
    loop {
        let rows = library.list(state, after, PAGE).await?;
        let Some(last) = rows.last() else { return Ok(Exit::Well) };
        after = Some(last.id);
        for row in &rows {
            if context.output.is_json() {
                context.output.json(&JobLine::from(row))?;
            } else {
                let text = |value: Option<String>| value.unwrap_or_default();
                context.output.line(&format!(
                    "{}\t{}\t{}\t{}\t{}\t{}",
                    row.id,
                    row.state,
                    text(row.reason.map(|reason| reason.to_string())),
                    row.artifact_id,
                    text(row.key.as_ref().map(ToString::to_string)),
                    row.detail
                ))?;
            }
        }
    }
}

async fn show(context: &Context, id: &str) -> Result<Exit, Failed> {
    let library = context.existing_library()?;
    let view = library.find(id).await?.ok_or_else(|| no_such_job(context, id))?;
    if context.output.is_json() {
        context.output.json(&JobDocument::from(view))?;
    } else {
        print_view(context, &view)?;
    }
    Ok(Exit::Well)
}

/// What to say when nothing is called so.
pub(crate) fn no_such_job(context: &Context, id: &str) -> Failed {
    Failed::usage(gleaner_desk::no_such_job(context.library_dir(), id))
}

fn print_view(context: &Context, view: &JobView) -> Result<(), Failed> {
    let row = &view.row;
    let mut rows = vec![
        ("job", row.id.to_string()),
        ("artifact", row.artifact_id.to_string()),
        ("state", row.state.to_string()),
    ];
    if let Some(reason) = row.reason {
        rows.push(("reason", format!("{reason}: {}", reason.meaning())));
    }
    if !row.detail.is_empty() {
        rows.push(("detail", row.detail.clone()));
    }
    if let Some(key) = &row.key {
        rows.push(("waits for", key.to_string()));
    }
    if let Some(at) = row.at {
        let what = match row.state {
            JobState::Queued => "not before",
            JobState::InProgress => "lease expires",
            _ => "ended",
        };
        rows.push((what, at.to_string()));
    }
    let names: Vec<_> =
        view.artifact.identifiers.iter().chain(&view.plan.discovered).map(ToString::to_string).collect();
    rows.push(("identifiers", names.join(" ")));
    if let Some(file) = &view.file {
        rows.push(("file", file.name.clone()));
        rows.push(("sha256", file.sha256.clone()));
    }
    let rows: Vec<_> = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    context.output.table(&["", ""], &rows)?;
    if view.records.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = view
        .records
        .iter()
        .map(|record| {
            let target = record.candidate_url.clone().unwrap_or_default();
            vec![
                record.time.clone(),
                record.resolver.clone(),
                record.reason.to_string(),
                record.detail.clone(),
                target,
            ]
        })
        .collect();
    context.output.line("")?;
    Ok(context.output.table(&["TIME", "RESOLVER", "REASON", "DETAIL", "URL"], &rows)?)
}
