//! `gleaner resolve`: what each resolver says about one work.

use gleaner_model::artifact::Artifact;
use gleaner_model::candidate::{Candidate, CandidateKind};
use gleaner_model::identifier::Identifier;
use gleaner_orchestrator::{AskReport, ask};
use serde_json::{Value, json};

use crate::args::Resolve;
use crate::context::Context;
use crate::exit::{Exit, Failed};
use crate::generations;

/// Asks; downloads and enqueues nothing.
pub(crate) async fn resolve(context: &Context, args: &Resolve) -> Result<Exit, Failed> {
    let identifier = Identifier::parse(&args.id).map_err(Failed::usage)?;
    let artifact = Artifact::of(identifier);
    generations::require_contact(&context.loaded.config)?;
    let runtime = context.runtime()?;
    let resolvers = context.resolvers(&runtime).await;
    for name in &args.resolver {
        if !resolvers.list().any(|(plugin, _)| plugin.info.name == *name) {
            return Err(Failed::configuration(format!(
                "no resolver \"{name}\" is loaded; see `gleaner plugin list`"
            )));
        }
    }
    // It opens no library, so it asks anew each time.
    let sources = context.sources(resolvers, None)?;
    let report = ask(&sources, &artifact, &args.resolver).await;
    print(context, &artifact, &report)?;
    let all_failed =
        !report.answers.is_empty() && report.answers.iter().all(|answer| answer.outcome.is_err());
    Ok(if all_failed { Exit::SomeFailed } else { Exit::Well })
}

fn print(context: &Context, artifact: &Artifact, report: &AskReport) -> Result<(), Failed> {
    if context.output.is_json() {
        return Ok(context.output.json(&as_json(artifact, report))?);
    }
    let rows: Vec<Vec<String>> = report
        .answers
        .iter()
        .map(|answer| {
            let said = match &answer.outcome {
                Ok(0) => "nothing new".to_owned(),
                Ok(count) => format!("{count} candidates"),
                Err(failure) => format!("{}: {}", failure.reason, failure.detail),
            };
            vec![answer.resolver.to_string(), format!("{} ms", answer.took.as_millis()), said]
        })
        .collect();
    context.output.line(&artifact.id.to_string())?;
    context.output.line("")?;
    context.output.table(&["RESOLVER", "TOOK", "SAID"], &rows)?;
    if report.candidates.is_empty() {
        return Ok(());
    }
    context.output.line("")?;
    let rows: Vec<Vec<String>> = report.candidates.iter().map(row).collect();
    Ok(context
        .output
        .table(&["RESOLVER", "KIND", "VERSION", "LICENSE", "HOST", "CONFIDENCE", "URL"], &rows)?)
}

fn row(candidate: &Candidate) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    vec![
        candidate.resolver.to_string(),
        kind(candidate).to_owned(),
        or_dash(candidate.version.map(word)),
        or_dash(candidate.license.clone()),
        or_dash(candidate.host_type.map(word)),
        format!("{:.2}", candidate.confidence),
        candidate.url.as_url().to_string(),
    ]
}

fn as_json(artifact: &Artifact, report: &AskReport) -> Value {
    let candidates: Vec<Value> = report
        .candidates
        .iter()
        .map(|candidate| {
            json!({
                "resolver": candidate.resolver,
                "url": candidate.url.as_url(),
                "kind": kind(candidate),
                "media_type": candidate.media_type,
                "version": candidate.version,
                "license": candidate.license,
                "host_type": candidate.host_type,
                "confidence": candidate.confidence,
            })
        })
        .collect();
    let failures: Vec<Value> = report
        .answers
        .iter()
        .filter_map(|answer| answer.outcome.as_ref().err().map(|failure| (&answer.resolver, failure)))
        .map(|(resolver, failure)| json!({ "resolver": resolver, "reason": failure.reason, "detail": failure.detail }))
        .collect();
    let artifact = json!({ "artifact_id": artifact.id, "identifiers": artifact.identifiers });
    json!({ "artifact": artifact, "candidates": candidates, "failures": failures })
}

fn kind(candidate: &Candidate) -> &'static str {
    match candidate.kind {
        CandidateKind::File => "file",
        CandidateKind::LandingPage => "landing-page",
    }
}

/// A closed vocabulary's word, as JSON spells it.
fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
