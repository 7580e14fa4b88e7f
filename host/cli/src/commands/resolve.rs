//! `gleaner resolve`: what each resolver says about one work.
//!
//! Must never download or write anything.

mod table;

use gleaner_model::artifact::Artifact;
use gleaner_model::candidate::{Candidate, CandidateKind};
use gleaner_model::identifier::Identifier;
use gleaner_model::reason::Reason;
use gleaner_orchestrator::{AskReport, Ranked, ask};
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
    Ok(context.output.line(table::table(artifact, report, &table::Paper::of_stdout()).trim_end())?)
}

fn as_json(artifact: &Artifact, report: &AskReport) -> Value {
    let candidates: Vec<Value> = report
        .candidates
        .iter()
        .map(|Ranked { candidate, is_admitted }| {
            json!({
                "resolver": candidate.resolver,
                "url": candidate.url.as_url(),
                "kind": kind(candidate),
                "media_type": candidate.media_type,
                "version": candidate.version,
                "license": candidate.license,
                "host_type": candidate.host_type,
                "confidence": candidate.confidence,
                "reason": (!is_admitted).then_some(Reason::NotOpen),
            })
        })
        .collect();
    let answers: Vec<Value> = report
        .answers
        .iter()
        .map(|answer| {
            let (news, failure) = (answer.outcome.as_ref().ok(), answer.outcome.as_ref().err());
            json!({
                "resolver": answer.resolver,
                "took_ms": u64::try_from(answer.took.as_millis()).unwrap_or(u64::MAX),
                "files": news.map(|news| news.files),
                "landing_pages": news.map(|news| news.pages),
                "discovered": news.map(|news| &news.discovered),
                "reason": failure.map(|failure| failure.reason),
                "detail": failure.map(|failure| &failure.detail),
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
    json!({
        "artifact": artifact,
        "answers": answers,
        "candidates": candidates,
        "discovered": report.discovered,
        "failures": failures,
        "first": report.first().map(|first| first.url.as_url()),
    })
}

fn kind(candidate: &Candidate) -> &'static str {
    match candidate.kind {
        CandidateKind::File => "file",
        CandidateKind::LandingPage => "landing-page",
    }
}
