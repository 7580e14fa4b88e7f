//! `gleaner plugin record` and `gleaner plugin test`: what a plugin asks and gets, in a file, and the plugin held to it
//! without a network.
//!
//! Recording asks as a run does, with the same grants and limits. Must never send anything in a test.

use std::path::Path;
use std::sync::Arc;

use gleaner_cassette::{Call, Cassette, Recorder, Verdict, play};
use gleaner_desk::Wanted;
use gleaner_model::artifact::Artifact;
use gleaner_orchestrator::ask_through;
use gleaner_runtime::{Catalogue, GuestHost, Plugin, Sandbox};
use serde_json::{Value, json};

use crate::args::{Record, Test};
use crate::commands::plugin::{target, unknown, why_not};
use crate::context::Context;
use crate::exit::{Exit, Failed};
use crate::generations;
use crate::output::bytes;

/// Asks a plugin about each work, and writes down what passes.
pub(crate) async fn record(context: &Context, args: &Record) -> Result<Exit, Failed> {
    generations::require_contact(&context.loaded.config)?;
    if args.output.exists() && !args.force {
        let file = args.output.display();
        return Err(Failed::usage(format!("{file} is there already; --force replaces it")));
    }
    // Before anybody is asked.
    let dir = args.output.parent().filter(|dir| !dir.as_os_str().is_empty());
    if args.output.is_dir() || dir.is_some_and(|dir| !dir.is_dir()) {
        let file = args.output.display();
        return Err(Failed::usage(format!("{file} is no place for a file; name another with --output")));
    }
    let works = args.ids.iter().map(|id| Wanted::named(id).map(|wanted| wanted.artifact));
    let works: Vec<Artifact> = works.collect::<Result<_, _>>().map_err(Failed::usage)?;
    let runtime = context.runtime()?;
    let (info, resolvers) = target(context, &runtime, &args.target).await?;
    if resolvers.rights(&info.name).is_none() {
        let why = why_not(&info, &resolvers);
        return Err(Failed::configuration(format!("{} is not used: {why}", info.name)));
    }
    // Without a cache: what is recorded is what the source says now.
    let sources = context.sources(resolvers, None)?;
    let now = context.now().to_string();
    let mut cassette = Cassette::new(info.name.as_str(), &info.version, &info.sha256, now);
    for work in &works {
        let mut recorder = None;
        let pages = args.landing_page.iter().map(ToString::to_string).collect();
        let asked = ask_through(&sources, work, pages, &info.name, |host| {
            let between = Arc::new(Recorder::new(host));
            recorder = Some(Arc::clone(&between));
            between as Arc<dyn GuestHost>
        });
        // Both are there: it is in use.
        if let (Some((query, report)), Some(recorder)) = (asked.await, recorder) {
            cassette.calls.push(recorder.call(&query, &report));
        }
    }
    let size = cassette.write(&args.output)?;
    print_recorded(context, &cassette, &args.output, size)?;
    Ok(Exit::Well)
}

fn print_recorded(context: &Context, cassette: &Cassette, path: &Path, size: u64) -> Result<(), Failed> {
    let calls = &cassette.calls;
    let mut settings: Vec<&String> = calls
        .iter()
        .flat_map(|call| &call.settings)
        .filter_map(|(name, value)| value.as_ref().map(|_| name))
        .collect();
    settings.sort();
    settings.dedup();
    if context.output.is_json() {
        let calls: Vec<Value> = calls
            .iter()
            .map(
                |call| json!({ "work": work(call), "requests": call.exchanges.len(), "answer": call.answer }),
            )
            .collect();
        let document = json!({ "cassette": path, "plugin": cassette.plugin, "bytes": size, "settings": settings, "calls": calls });
        return Ok(context.output.json(&document)?);
    }
    let rows: Vec<Vec<String>> = calls
        .iter()
        .map(|call| vec![work(call), call.exchanges.len().to_string(), summary(&call.answer)])
        .collect();
    context.output.table(&["WORK", "REQUESTS", "ANSWER"], &rows)?;
    context.output.line(&format!("\n{}, {}", path.display(), bytes(size)))?;
    if !settings.is_empty() {
        let settings: Vec<&str> = settings.into_iter().map(String::as_str).collect();
        let names = settings.join(", ");
        context.output.line(&format!(
            "it has the settings that were read ({names}): look at them before you give it away"
        ))?;
    }
    Ok(())
}

/// Holds a plugin to a cassette.
pub(crate) async fn test(context: &Context, args: &Test) -> Result<Exit, Failed> {
    let mut cassette = Cassette::read(&args.cassette)?;
    let name = args.target.clone().unwrap_or_else(|| cassette.plugin.clone());
    let (plugin, sandbox) = plugin(context, &name).await?;
    if plugin.info.name.as_str() != cassette.plugin {
        let (file, other) = (args.cassette.display(), &plugin.info.name);
        return Err(Failed::usage(format!("{file} is of {}, and {name} is {other}", cassette.plugin)));
    }
    let mut played = Vec::new();
    for call in &mut cassette.calls {
        let verdict = play(&plugin, call, &sandbox).await;
        let end = match verdict.is_passed() {
            true => End::Passed,
            false if args.update && verdict.missing.is_empty() => End::TakenOver,
            false => End::Failed,
        };
        if end == End::TakenOver {
            call.answer = verdict.answer.clone();
        }
        played.push((end, verdict));
    }
    if played.iter().any(|(end, _)| *end == End::TakenOver) {
        cassette.write(&args.cassette)?;
    }
    print_verdicts(context, &cassette, &args.cassette, &played)?;
    let has_failed = played.iter().any(|(end, _)| *end == End::Failed);
    Ok(if has_failed { Exit::SomeFailed } else { Exit::Well })
}

/// What became of a call that was played.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Passed,
    TakenOver,
    Failed,
}

/// The plugin of a file or of that name, whether it is in use or not, and the limits of a call of it.
async fn plugin(context: &Context, target: &str) -> Result<(Arc<Plugin>, Sandbox), Failed> {
    let runtime = context.runtime()?;
    let mut catalogue = if Path::new(target).is_file() {
        let loaded = runtime.load(Path::new(target)).await;
        Catalogue::of(loaded.map_err(|error| Failed::configuration(format!("{target}: {error}")))?)
    } else {
        let mut catalogue = context.catalogue(&runtime).await;
        catalogue.plugins.retain(|name, _| name.as_str() == target);
        catalogue
    };
    let Some((name, plugin)) = catalogue.plugins.pop_first() else {
        return Err(unknown(target));
    };
    let config = &context.loaded.config;
    let part = config.resolvers.get(&name).and_then(|resolver| resolver.sandbox).unwrap_or_default();
    Ok((plugin, config.plugins.sandbox.with(&part)))
}

fn print_verdicts(
    context: &Context,
    cassette: &Cassette,
    path: &Path,
    played: &[(End, Verdict)],
) -> Result<(), Failed> {
    let count = |what: End| played.iter().filter(|(end, _)| *end == what).count();
    let [passed, taken_over, failed] = [End::Passed, End::TakenOver, End::Failed].map(count);
    let of_calls = cassette.calls.iter().zip(played);
    if context.output.is_json() {
        let calls: Vec<Value> = of_calls
            .map(|(call, (end, Verdict { differences, missing, unused, .. }))| {
                let is_passed = *end == End::Passed;
                json!({ "work": work(call), "passed": is_passed, "differences": differences, "missing": missing, "unused": unused })
            })
            .collect();
        let document = json!({ "cassette": path, "plugin": cassette.plugin, "passed": passed, "taken_over": taken_over, "failed": failed, "calls": calls });
        return Ok(context.output.json(&document)?);
    }
    for (call, (end, verdict)) in of_calls {
        let word = match end {
            End::Passed => "as recorded",
            End::TakenOver => "taken over",
            End::Failed => "FAILED",
        };
        context.output.line(&format!("{}: {word}: {}", work(call), summary(&verdict.answer)))?;
        let differences = verdict.differences.iter().map(ToString::to_string);
        let missing =
            verdict.missing.iter().map(|asked| format!("asks, and that is not on the cassette: {asked}"));
        let unused = verdict.unused.iter().map(|asked| format!("does not ask any more: {asked}"));
        for told in differences.chain(missing).chain(unused) {
            context.output.line(&format!("  {told}"))?;
        }
    }
    let advice = if failed > 0 { "; what is meant is taken over by --update, or recorded anew" } else { "" };
    let taken_over = if taken_over > 0 { format!("{taken_over} taken over, ") } else { String::new() };
    Ok(context.output.line(&format!("\n{passed} as recorded, {taken_over}{failed} failed{advice}"))?)
}

/// What a call is about.
fn work(call: &Call) -> String {
    call.query.about().unwrap_or_else(|| "a work without a name".to_owned())
}

/// An answer in a few words.
fn summary(answer: &Value) -> String {
    let failure = &answer["failure"];
    if failure.is_object() {
        let text = |part: &str| failure[part].as_str().unwrap_or_default().to_owned();
        return format!("{}: {}", text("reason"), text("detail"));
    }
    let candidates = answer["candidates"].as_array().map(Vec::as_slice).unwrap_or_default();
    let discovered = answer["discovered"].as_array().map_or(0, Vec::len);
    let first = candidates.first().and_then(|first| first["url"].as_str());
    let first = first.map_or_else(String::new, |url| format!(", first {url}"));
    format!("candidates: {}, identifiers: {discovered}{first}", candidates.len())
}
