//! `gleaner library refresh`: asks the sources whether the library's files are as they were.
//!
//! May be interrupted and run again: what was asked for lately is not due. SIGINT and SIGTERM let running requests finish
//! within the grace period, a second one ends them.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gleaner_model::clock::UnixMillis;
use gleaner_model::job::JobId;
use gleaner_orchestrator::{Recheck, Rechecked, Stop, Tally, Verdict};
use gleaner_runtime::Catalogue;
use gleaner_store::{Held, Library};
use gleaner_telemetry::{Event, Observer};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::sync::watch;

use crate::args::Refresh;
use crate::commands::enqueue::report;
use crate::commands::run::pass_signals_on;
use crate::context::Context;
use crate::exit::{Exit, Failed};
use crate::generations;
use crate::output::bytes;

/// Files of the whole library are left alone for so long.
const LATELY: Duration = Duration::from_secs(24 * 3600);
/// Rows read at a time.
const PAGE: u32 = 1000;

/// Asks, and says what came of it.
pub(crate) async fn refresh(context: &Context, args: &Refresh) -> Result<Exit, Failed> {
    if !args.dry_run {
        generations::require_contact(&context.loaded.config)?;
    }
    let library = context.library_to_change()?;
    let (jobs, unknown) = jobs(&library, &args.ids).await?;
    let lately = if jobs.is_some() { Duration::ZERO } else { LATELY };
    let age = args.older_than.map_or(lately, |span| span.0);
    let by = UnixMillis(context.now().0.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX)));
    let what = Recheck { jobs, by, force: args.force, max_wait: args.max_wait.0 };
    if args.dry_run {
        list(context, &library, &what).await?;
        library.close().await;
        return Ok(if unknown { Exit::SomeFailed } else { Exit::Well });
    }
    let identity = context.identity();
    let run_id = identity.run_id.clone();
    let max_attempts = context.loaded.config.orchestrator.max_attempts.get();
    let (member, _) = library.join(gleaner_orchestrator::ALIVE_FOR, max_attempts).await?;
    library.begin_run(identity.clone()).await?;
    // No resolver is asked.
    let sources = context.sources(context.assemble(Catalogue::default()), None)?;
    let pieces = context.pieces(library.clone(), sources, identity, Arc::new(Silent))?;
    let (tell, told) = watch::channel(Stop::Go);
    let interrupted = Arc::new(AtomicBool::new(false));
    let signals = tokio::spawn(pass_signals_on(tell, Arc::clone(&interrupted))?);
    let bar = bar(context.quiet);
    let quiet = context.quiet;
    let tally = pieces
        .recheck(what, told.clone(), |one| {
            bar.inc(1);
            say(&bar, one, quiet);
        })
        .await;
    signals.abort();
    bar.finish_and_clear();
    let tally = tally?;
    drop(pieces);
    // What is left of it others take over.
    let _ = member.leave().await;
    library.close().await;
    let is_stopped = *told.borrow() != Stop::Go;
    print(context, &tally, &run_id, is_stopped)?;
    Ok(match is_stopped {
        true if interrupted.load(Ordering::SeqCst) => Exit::Interrupted,
        _ if tally.failed > 0 || unknown => Exit::SomeFailed,
        _ => Exit::Well,
    })
}

/// The jobs that these ids mean; none when none was given. And whether some mean none.
async fn jobs(library: &Library, ids: &[String]) -> Result<(Option<Vec<JobId>>, bool), Failed> {
    if ids.is_empty() {
        return Ok((None, false));
    }
    let (mut jobs, mut unknown) = (BTreeSet::new(), false);
    for id in ids {
        match library.find(id).await? {
            Some(view) if view.file.is_some() => {
                jobs.insert(view.row.id);
            }
            _ => {
                unknown = true;
                report(&format!("{id}: the library has no file of it; `gleaner queue explain` says why"));
            }
        }
    }
    Ok((Some(jobs.into_iter().collect()), unknown))
}

/// Lists what would be asked for.
async fn list(context: &Context, library: &Library, what: &Recheck) -> Result<(), Failed> {
    let mut after = None;
    let mut count = 0;
    if let Some(jobs) = &what.jobs {
        for job in jobs {
            let held = library.held_by(*job).await?;
            if let Some(held) = held.filter(|held| held.last_asked() <= what.by) {
                count += u64::from(row(context, &held, what.force)?);
            }
        }
    } else {
        loop {
            let page = library.due(after, what.by, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.file.job);
            for held in &page {
                count += u64::from(row(context, held, what.force)?);
            }
        }
    }
    if !context.output.is_json() {
        context.output.line(&format!("{count} files would be asked for"))?;
    }
    Ok(())
}

/// One file; whether it would be asked for.
fn row(context: &Context, held: &Held, force: bool) -> Result<bool, Failed> {
    let url = held.origin.as_ref().and_then(|origin| origin.candidate_url.as_deref());
    let how = match (url, held.etag.is_some() || held.last_modified.is_some()) {
        (None, _) => "without_source",
        (Some(_), true) => "conditional",
        (Some(_), false) if force => "whole",
        (Some(_), false) => "without_validators",
    };
    if context.output.is_json() {
        context.output.json(&json!({
            "artifact_id": held.file.artifact_id, "name": held.file.name, "url": url, "how": how,
            "last_asked": held.last_asked().to_string(),
        }))?;
    } else {
        let line = format!("{how}\t{}\t{}", held.file.artifact_id, url.unwrap_or("-"));
        context.output.line(&line)?;
    }
    Ok(how == "conditional" || how == "whole")
}

/// A line for what a person wants to know at once.
fn say(bar: &ProgressBar, one: &Rechecked, quiet: bool) {
    let what = match one.verdict {
        Verdict::Changed => "has changed at its source; both versions are kept",
        Verdict::Renewed => "was missing or damaged, and is whole again",
        Verdict::Gone => "is gone at its source; the file is kept",
        Verdict::Failed => "could not be compared",
        _ => return,
    };
    if quiet {
        return;
    }
    let reason = match (one.verdict, one.reason) {
        (Verdict::Failed, Some(reason)) => format!(": {reason} {}", one.detail),
        _ => String::new(),
    };
    let line = format!("{} ({}) {what}{reason}", one.artifact_id, one.url);
    bar.suspend(|| report(&line));
}

/// How many were asked for, on a terminal.
fn bar(quiet: bool) -> ProgressBar {
    if quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::no_length();
    bar.enable_steady_tick(Duration::from_millis(200));
    let style = ProgressStyle::with_template("{spinner} {pos} files asked for  {per_sec}");
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

fn print(context: &Context, tally: &Tally, run_id: &str, is_stopped: bool) -> Result<(), Failed> {
    if context.output.is_json() {
        let mut told = serde_json::to_value(tally).map_err(io::Error::from)?;
        told["run_id"] = json!(run_id);
        told["interrupted"] = json!(is_stopped);
        return Ok(context.output.json(&told)?);
    }
    let Tally { not_modified, unchanged, renewed, changed, gone, failed, .. } = tally;
    context.output.line(&format!(
        "{} as they were, {changed} changed, {renewed} fetched anew, {gone} gone, {failed} failed; {} received",
        not_modified + unchanged,
        bytes(tally.bytes),
    ))?;
    for (count, why) in [
        (tally.put_off, "wait longer than --max-wait allows; they stay due"),
        (tally.without_validators, "have neither ETag nor Last-Modified; --force fetches them again"),
        (tally.without_source, "have no record of where they are from"),
    ] {
        if count > 0 {
            context.output.line(&format!("{count} files {why}"))?;
        }
    }
    Ok(context.output.line(&format!("`gleaner library manifest --run {run_id}` has every answer"))?)
}

/// The events of a run, which this is none of.
struct Silent;

impl Observer for Silent {
    fn on(&self, _: &Event) {}
}
