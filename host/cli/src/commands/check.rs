//! `gleaner plugin check`: whether a plugin could go to work, and everything that stands against it.
//!
//! Looks at one file and at what the operator set for it; asks nobody and changes nothing. Must never stop at the first
//! problem where a later one can be told too.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gleaner_desk::{problems_of_settings, takes};
use gleaner_orchestrator::{Rights, Sidecar};
use gleaner_runtime::{Catalogue, LoadError, Plugin, PluginInfo};
use serde::Serialize;
use serde_json::json;

use crate::commands::plugin::needs;
use crate::context::Context;
use crate::exit::{Exit, Failed};
use crate::output::bytes;

/// What is looked at while a file is loaded, in this order: [`LoadError::check`].
const AT_LOAD: [&str; 6] = ["file", "component", "compile", "world", "interface", "describe"];

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    check: &'static str,
    state: State,
    detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    Ok,
    /// It works, but perhaps not as is meant.
    Warning,
    /// It does not work.
    Problem,
}

impl State {
    /// As a table says it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

fn of(check: &'static str, state: State, detail: impl Into<String>) -> Check {
    Check { check, state, detail: detail.into() }
}

/// Checks a file, or the file of a resolver with that name.
pub(crate) async fn check(context: &Context, target: &str) -> Result<Exit, Failed> {
    let runtime = context.runtime()?;
    let catalogue = context.catalogue(&runtime).await;
    let path = path_of(target, &catalogue)?;
    let (name, checks) = match runtime.load(&path).await {
        Ok(plugin) => (Some(plugin.info.name.clone()), of_plugin(context, &catalogue, plugin)),
        Err(error) => (None, of_broken(error)?),
    };
    let count = |state| checks.iter().filter(|check| check.state == state).count();
    let (problems, warnings) = (count(State::Problem), count(State::Warning));
    if context.output.is_json() {
        let ready = problems == 0;
        context.output.json(&json!({ "path": path, "name": name, "ready": ready, "checks": checks }))?;
    } else {
        let rows: Vec<Vec<String>> = checks
            .iter()
            .map(|check| vec![check.check.to_owned(), check.state.word().to_owned(), check.detail.clone()])
            .collect();
        context.output.line(&path.display().to_string())?;
        context.output.table(&["CHECK", "STATE", "WHAT"], &rows)?;
        let verdict = match (problems, warnings) {
            (0, 0) => "ready to work".to_owned(),
            (0, 1) => "ready to work, with 1 warning".to_owned(),
            (0, warnings) => format!("ready to work, with {warnings} warnings"),
            (1, _) => "not ready: 1 problem".to_owned(),
            (problems, _) => format!("not ready: {problems} problems"),
        };
        context.output.line(&format!("\n{verdict}"))?;
    }
    Ok(if problems == 0 { Exit::Well } else { Exit::Configuration })
}

/// The file that is meant. One that gave no plugin is known by its file name alone.
fn path_of(target: &str, catalogue: &Catalogue) -> Result<PathBuf, Failed> {
    let path = Path::new(target);
    if path.exists() {
        return Ok(path.to_owned());
    }
    let loaded = catalogue.plugins.values().find(|plugin| plugin.info.name.as_str() == target);
    let broken =
        || catalogue.broken.iter().find(|broken| broken.path.file_stem().is_some_and(|name| name == target));
    let found = loaded.map(|plugin| &plugin.info.path).or_else(|| broken().map(|broken| &broken.path));
    found.cloned().ok_or_else(|| {
        Failed::usage(format!(
            "{target:?} is neither a file nor the name of a resolver; see `gleaner plugin list`"
        ))
    })
}

/// What was passed until the file failed, and why it did.
fn of_broken(error: LoadError) -> Result<Vec<Check>, Failed> {
    let Some(failed) = error.check() else { return Err(error.into()) };
    let passed = AT_LOAD.iter().take_while(|check| **check != failed);
    let mut checks: Vec<Check> = passed.map(|check| of(check, State::Ok, "")).collect();
    checks.push(of(failed, State::Problem, error.to_string()));
    Ok(checks)
}

fn of_plugin(context: &Context, catalogue: &Catalogue, plugin: Plugin) -> Vec<Check> {
    let info = plugin.info.clone();
    // Packages rather than interfaces: `wasi:io@0.2.12`.
    let package = |name: &String| {
        let (package, rest) = name.split_once('/')?;
        Some(format!("{package}@{}", rest.split_once('@')?.1)).filter(|_| package.starts_with("wasi:"))
    };
    let others: BTreeSet<String> = info.imports.iter().filter_map(package).collect();
    let others: Vec<String> = others.into_iter().collect();
    let beside = if others.is_empty() { String::new() } else { format!(", with {}", others.join(" ")) };
    let mut checks = vec![
        of("file", State::Ok, format!("{}, SHA-256 {}", bytes(info.size), info.sha256)),
        of("component", State::Ok, ""),
        of("compile", State::Ok, format!("in {} ms; {}", info.compile.as_millis(), needs(&info))),
        of("world", State::Ok, "gleaner:resolver/resolver-plugin"),
        of("interface", State::Ok, format!("{}{beside}", info.wit)),
        of("describe", State::Ok, format!("{} {}, takes {}", info.name, info.version, takes(&info))),
        of_name(&info, catalogue),
    ];
    let config = context.loaded.config.resolvers.get(&info.name);
    if config.is_some_and(|config| config.enabled == Some(false)) {
        let why = format!("resolvers.{}.enabled is false, so it is not used", info.name);
        checks.push(of("configuration", State::Warning, why));
        return checks;
    }
    let resolvers = context.assemble(Catalogue::of(plugin));
    let sidecar = Sidecar::path_of(&info.path);
    let of_sidecar = resolvers.refused().iter().find(|refused| refused.path == sidecar);
    if let Some(refused) = of_sidecar {
        let detail = format!("{}: {}", sidecar.display(), refused.problem);
        checks.push(of("sidecar", State::Warning, detail));
    }
    match resolvers.rights(&info.name) {
        Some(rights) => {
            if let (Some(sidecar), None) = (rights.sidecar, of_sidecar) {
                let detail = format!("{}, SHA-256 {}", sidecar.path.display(), sidecar.sha256);
                checks.push(of("sidecar", State::Ok, detail));
            }
            checks.extend(of_rights(&info, &rights));
        }
        None => {
            let why = resolvers.refused().iter().filter(|refused| refused.path == info.path);
            let why = why.map(|refused| refused.problem.clone());
            checks.extend(why.map(|why| of("configuration", State::Problem, why)));
        }
    }
    checks
}

/// Of two files with one name only the first is used.
fn of_name(info: &PluginInfo, catalogue: &Catalogue) -> Check {
    let real = |path: &Path| path.canonicalize().ok();
    let other = catalogue.plugins.get(&info.name).map(|plugin| &plugin.info.path);
    match other.filter(|other| real(other) != real(&info.path)) {
        None => of("name", State::Ok, info.name.to_string()),
        Some(other) => of(
            "name",
            State::Warning,
            format!("{} has the name {:?} too, and is the one in use", other.display(), info.name.as_str()),
        ),
    }
}

/// What the operator allows and set, against what the plugin asks for.
fn of_rights(info: &PluginInfo, rights: &Rights<'_>) -> Vec<Check> {
    let (name, hosts) = (&info.name, rights.hosts);
    let granted = if hosts.is_empty() { "no host".to_owned() } else { hosts.join(" ") };
    let grants = if rights.lacking.is_empty() {
        of("grants", State::Ok, format!("may reach {granted}"))
    } else {
        let is_shut_in = hosts.is_empty() && !rights.lacking.hosts.is_empty();
        let state = if is_shut_in { State::Problem } else { State::Warning };
        let detail = format!(
            "may reach {granted}, and asks for {}; `gleaner plugin grant {name}` shows and allows it",
            rights.lacking
        );
        of("grants", state, detail)
    };
    let (wants, most) = (info.needs.memory_bytes, rights.sandbox.memory);
    let memory = if wants > most.0 {
        let detail = format!(
            "starts with {}, and resolvers.{name}.sandbox.memory allows {most}; raise it",
            bytes(wants)
        );
        of("memory", State::Problem, detail)
    } else {
        of("memory", State::Ok, format!("starts with {} of {most}", bytes(wants)))
    };
    let mut checks = vec![grants, memory];
    let problems = problems_of_settings(info, rights.settings);
    if problems.is_empty() {
        checks.push(of("settings", State::Ok, rights.settings.keys().cloned().collect::<Vec<_>>().join(" ")));
    }
    checks.extend(problems.into_iter().map(|problem| of("settings", State::Problem, problem)));
    if !rights.injected.is_empty() {
        let carriers: Vec<String> =
            rights.injected.iter().map(|(host, carrier)| format!("{carrier} for {host}")).collect();
        checks.push(of("secrets", State::Ok, carriers.join(", ")));
    }
    checks
}
