//! `gleaner doctor`: whether all is well, and for each thing that is not, what would change it.
//!
//! Changes nothing but the pauses that hosts ask for, and sends at most one request to a host. Must never stop at the first
//! finding where a later one can be told too.

mod library;
mod network;
mod plugins;

use serde::Serialize;
use serde_json::json;

use crate::commands::check::State;
use crate::context::Context;
use crate::exit::{Exit, Failed};
use crate::generations;

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    state: State,
    what: String,
    /// The line of the configuration, or the command, that changes it.
    change: Option<String>,
}

fn ok(check: &'static str, what: impl Into<String>) -> Finding {
    Finding { check, state: State::Ok, what: what.into(), change: None }
}

/// It works, but perhaps not as is meant.
fn warning(check: &'static str, what: impl Into<String>, change: impl Into<String>) -> Finding {
    Finding { check, state: State::Warning, what: what.into(), change: Some(change.into()) }
}

/// It keeps something from working.
fn problem(check: &'static str, what: impl Into<String>, change: impl Into<String>) -> Finding {
    Finding { check, state: State::Problem, what: what.into(), change: Some(change.into()) }
}

/// Looks at everything; asks nobody when `offline`.
pub(crate) async fn doctor(context: &Context, offline: bool) -> Result<Exit, Failed> {
    let mut findings = vec![of_configuration(context), of_contact(context)];
    let runtime = context.runtime()?;
    let resolvers = context.resolvers(&runtime).await;
    findings.extend(plugins::of_plugins(&resolvers));
    findings.extend(library::of_secrets(context));
    findings.push(of_server(context));
    findings.push(library::of_cache_dir());
    findings.extend(library::of_disk(context));
    findings.extend(library::of_library(context, &resolvers).await);
    if offline {
        findings.push(ok("network", "not looked at, as --offline asks"));
    } else {
        findings.extend(network::of_network(context, resolvers).await);
    }
    print(context, &findings)?;
    let is_stopped = findings.iter().any(|finding| finding.state == State::Problem);
    Ok(if is_stopped { Exit::SomeFailed } else { Exit::Well })
}

fn of_configuration(context: &Context) -> Finding {
    match &context.loaded.file {
        Some(file) => ok("configuration", file.display().to_string()),
        None => ok("configuration", "no file; the defaults hold (`gleaner config init` begins one)"),
    }
}

fn of_contact(context: &Context) -> Finding {
    match &context.loaded.config.contact {
        Some(contact) => ok("contact", contact.as_str()),
        None => problem(
            "contact",
            "none is set, and public services want to know whom to write to",
            "contact = \"you@example.org\" at the top of the configuration, or GLEANER_CONTACT",
        ),
    }
}

/// Whether `gleaner serve` would begin.
fn of_server(context: &Context) -> Finding {
    let config = &context.loaded.config;
    match generations::serve_token(config) {
        Ok(_) => ok("server", format!("`gleaner serve` would listen on {}", config.serve.listen)),
        Err(why) => {
            warning("server", format!("`gleaner serve` would not begin: {why}"), "the section [serve]")
        }
    }
}

fn print(context: &Context, findings: &[Finding]) -> Result<(), Failed> {
    let count = |state| findings.iter().filter(|finding| finding.state == state).count();
    let (problems, warnings) = (count(State::Problem), count(State::Warning));
    if context.output.is_json() {
        let document = json!({ "problems": problems, "warnings": warnings, "findings": findings });
        return Ok(context.output.json(&document)?);
    }
    let rows: Vec<Vec<String>> = findings
        .iter()
        .map(|finding| {
            let what = match &finding.change {
                Some(change) => format!("{}; to change it: {change}", finding.what),
                None => finding.what.clone(),
            };
            vec![finding.check.to_owned(), finding.state.word().to_owned(), what]
        })
        .collect();
    context.output.table(&["CHECK", "STATE", "WHAT"], &rows)?;
    context.output.line(&format!("\n{problems} problems, {warnings} warnings"))?;
    Ok(())
}
