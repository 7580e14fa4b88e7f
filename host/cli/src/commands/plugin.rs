//! `gleaner plugin list` and `plugin inspect`; `plugin check` has a file of its own, and the commands on projects stand in
//! [`project`].
//!
//! Must never show a secret, only what carries it.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use gleaner_model::next::Takes;
use gleaner_model::suspension::Suspension;
use gleaner_orchestrator::{Refused, Resolvers, Rights, Sidecar, Wish};
use gleaner_runtime::{Catalogue, Plugin as Loaded, PluginInfo};
use gleaner_store::Library;
use serde_json::{Value, json};

use super::project;
use crate::args::{Global, Plugin};
use crate::commands::check::check;
use crate::commands::grant::grant;
use crate::context::Context;
use crate::exit::{Exit, Failed};
use crate::output::{Output, bytes};

/// Runs one command. Those on projects need no configuration, and so are not kept from working by a wrong one.
pub(crate) async fn plugin(global: &Global, command: Plugin) -> Result<Exit, Failed> {
    let context = || Context::new(global, |_| {});
    let output = Output::new(global.format);
    match command {
        Plugin::List => list(&context()?).await,
        Plugin::Inspect { target } => inspect(&context()?, &target).await,
        Plugin::Check { target } => check(&context()?, &target).await,
        Plugin::Grant(args) => grant(&context()?, &args).await,
        Plugin::New { name, lang, dir } => project::create(output, &name, lang, dir.as_deref()),
        Plugin::Build { dir, output: file } => project::build(output, &dir, file.as_deref()),
    }
}

async fn list(context: &Context) -> Result<Exit, Failed> {
    let runtime = context.runtime()?;
    let resolvers = context.resolvers(&runtime).await;
    let suspended = suspended(context, &resolvers).await.unwrap_or_else(|failed| {
        tracing::warn!("whether plugins are suspended is not known: {}", failed.error);
        Vec::new()
    });
    if context.output.is_json() {
        for (plugin, rights) in in_use(&resolvers) {
            let mut json = as_json(&plugin.info, rights.asked, rights.hosts);
            json["not_granted"] = json!(rights.lacking.hosts);
            let held = suspended.iter().find(|one| one.resolver == plugin.info.name);
            json["suspended"] = held.map_or(Value::Null, |one| {
                json!({ "until": one.until.to_string(), "failures": one.failures, "because": one.because })
            });
            context.output.json(&json)?;
        }
        for refused in resolvers.refused() {
            context.output.json(&json!({ "path": refused.path, "problem": refused.problem }))?;
        }
    } else {
        let rows: Vec<Vec<String>> = resolvers
            .list()
            .map(|(plugin, granted)| {
                let info = &plugin.info;
                vec![
                    info.name.to_string(),
                    info.version.clone(),
                    takes(info),
                    granted.join(" "),
                    info.summary.clone(),
                ]
            })
            .collect();
        context.output.table(&["NAME", "VERSION", "TAKES", "MAY REACH", "SUMMARY"], &rows)?;
        for Suspension { resolver, until, failures, because, .. } in &suspended {
            context.output.line(&format!(
                "suspended: {resolver} until {until}, because it failed {failures} times in a row, the last time with \
                 {because}; replace its file, or try it now with `gleaner queue resume resolver:{resolver}`"
            ))?;
        }
        for (plugin, rights) in in_use(&resolvers).filter(|(_, rights)| !rights.lacking.is_empty()) {
            let name = &plugin.info.name;
            context.output.line(&format!(
                "asks for more than it is granted: {name}: {}; `gleaner plugin grant {name}` shows and allows it",
                rights.lacking
            ))?;
        }
        for refused in resolvers.refused() {
            context.output.line(&format!("not used: {}: {}", refused.path.display(), refused.problem))?;
        }
    }
    Ok(if resolvers.refused().is_empty() { Exit::Well } else { Exit::Configuration })
}

/// Every plugin in use with its rights.
fn in_use(resolvers: &Resolvers) -> impl Iterator<Item = (&Arc<Loaded>, Rights<'_>)> {
    resolvers.list().filter_map(|(plugin, _)| Some((plugin, resolvers.rights(&plugin.info.name)?)))
}

/// The plugins that are suspended. There may be no library yet.
async fn suspended(context: &Context, resolvers: &Resolvers) -> Result<Vec<Suspension>, Failed> {
    if !context.library_dir().join(Library::DATABASE).exists() {
        return Ok(Vec::new());
    }
    let mut all = context.existing_library()?.suspensions().await?;
    let now = context.now();
    all.retain(|one| resolvers.sha256(&one.resolver).is_some_and(|sha256| one.holds(&sha256, now)));
    Ok(all)
}

async fn inspect(context: &Context, target: &str) -> Result<Exit, Failed> {
    let runtime = context.runtime()?;
    let path = Path::new(target);
    let (info, resolvers) = if path.is_file() {
        let loaded = runtime.load(path).await;
        let plugin = loaded.map_err(|error| Failed::configuration(format!("{target}: {error}")))?;
        (plugin.info.clone(), context.assemble(Catalogue::of(plugin)))
    } else {
        let resolvers = context.resolvers(&runtime).await;
        let found = resolvers.list().find(|(plugin, _)| plugin.info.name.as_str() == target);
        let info = found.map(|(plugin, _)| plugin.info.clone()).ok_or_else(|| {
            Failed::usage(format!(
                "{target:?} is neither a file nor the name of a loaded resolver; see `gleaner plugin list`"
            ))
        })?;
        (info, resolvers)
    };
    // A file that is not used has no rights; the reason stands in their place.
    let refused = resolvers.refused().iter().filter(|refused| refused.path == info.path);
    let refused = refused.map(|refused| refused.problem.as_str()).next();
    let why = refused.unwrap_or("its configuration says enabled = false");
    let sidecar = Sidecar::path_of(&info.path);
    let sidecar = resolvers.refused().iter().find(|refused| refused.path == sidecar);
    print(context, &info, resolvers.rights(&info.name).as_ref().ok_or(why), sidecar)?;
    Ok(Exit::Well)
}

/// What it says of itself, asks for and gets; or why it gets nothing.
fn print(
    context: &Context,
    info: &PluginInfo,
    rights: Result<&Rights<'_>, &str>,
    broken_sidecar: Option<&Refused>,
) -> Result<(), Failed> {
    if context.output.is_json() {
        return Ok(context.output.json(&whole(info, rights, broken_sidecar))?);
    }
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut add = |name: &str, values: Vec<String>| {
        let values = if values.is_empty() { vec!["-".to_owned()] } else { values };
        let names = std::iter::once(name).chain(std::iter::repeat(""));
        rows.extend(names.zip(values).map(|(name, value)| vec![name.to_owned(), value]));
    };
    add("name", vec![format!("{} {}", info.name, info.version)]);
    add("summary", vec![info.summary.clone()]);
    add("file", vec![info.path.display().to_string()]);
    add("sha256", vec![info.sha256.clone()]);
    add("size", vec![format!("{}, compiled in {} ms", bytes(info.size), info.compile.as_millis())]);
    add("needs", vec![needs(info)]);
    add("interface", vec![info.wit.clone()]);
    add("imports", info.imports.clone());
    add("exports", info.exports.clone());
    add("takes", vec![takes(info)]);
    if let Some(most) = info.most {
        add("works a call", vec![format!("up to {most}")]);
    }
    let asked = rights.map_or(&*info.hosts, |rights| rights.asked);
    add("asks for hosts", asked.to_vec());
    let rights = match rights {
        Ok(rights) => rights,
        Err(why) => {
            add("not used", vec![why.to_owned()]);
            return Ok(context.output.table(&["", ""], &rows)?);
        }
    };
    match (rights.sidecar, broken_sidecar) {
        (Some(sidecar), None) => {
            add("sidecar", vec![sidecar.path.display().to_string(), sidecar.sha256.clone()])
        }
        (_, Some(broken)) => add("sidecar", vec![broken.path.display().to_string(), broken.problem.clone()]),
        (None, None) => {}
    }
    add("may reach", rights.hosts.to_vec());
    if !rights.lacking.is_empty() {
        let hosts = rights.lacking.hosts.iter().cloned();
        let limits = rights.lacking.limits.iter();
        let limits = limits.map(|wish| format!("{} {} (now {})", wish.limit, wish.asked, wish.allowed));
        add("not granted", hosts.chain(limits).collect());
    }
    let sandbox = rights.sandbox;
    add(
        "a call may use",
        vec![
            format!(
                "{} of memory, {} of processor time, {} in all",
                sandbox.memory, sandbox.cpu, sandbox.wall
            ),
            format!(
                "{} requests, {} of bodies, {} log lines",
                sandbox.requests, sandbox.bytes, sandbox.log_lines
            ),
        ],
    );
    let setting = |(name, meaning): &(String, String)| {
        let bare = name.strip_suffix('!').unwrap_or(name);
        let state = match (rights.settings.contains_key(bare), bare.len() < name.len()) {
            (true, _) => " (set)",
            (false, true) => " (required, and not set)",
            (false, false) => "",
        };
        format!("{bare}{state}: {meaning}")
    };
    add("settings", info.settings.iter().map(setting).collect());
    if !rights.injected.is_empty() {
        let injected = rights.injected.iter();
        add("secrets", injected.map(|(host, carrier)| format!("{carrier} for {host}")).collect());
    }
    Ok(context.output.table(&["", ""], &rows)?)
}

/// Everything for a program.
fn whole(info: &PluginInfo, rights: Result<&Rights<'_>, &str>, broken_sidecar: Option<&Refused>) -> Value {
    let asked = rights.map_or(&*info.hosts, |rights| rights.asked);
    let mut value = as_json(info, asked, rights.map(|rights| rights.hosts).unwrap_or_default());
    match rights {
        Ok(rights) => {
            let injected = rights.injected.iter();
            let wish =
                |wish: &Wish| json!({ "limit": wish.limit, "asked": wish.asked, "allowed": wish.allowed });
            value["not_granted"] = json!(rights.lacking.hosts);
            value["not_granted_limits"] = rights.lacking.limits.iter().map(wish).collect();
            value["sidecar"] = rights
                .sidecar
                .map_or(Value::Null, |sidecar| json!({ "path": sidecar.path, "sha256": sidecar.sha256 }));
            value["sandbox"] = json!(rights.sandbox);
            value["injected"] =
                injected.map(|(host, carrier)| json!({ "host": host, "carrier": carrier })).collect();
            let mut problems = problems_of_settings(info, rights.settings);
            problems.extend(
                broken_sidecar.map(|broken| format!("{}: {}", broken.path.display(), broken.problem)),
            );
            value["problems"] = json!(problems);
        }
        Err(why) => {
            value["granted_hosts"] = Value::Null;
            value["problems"] = json!([why]);
        }
    }
    value
}

/// Required settings that are not there, each with where to give it.
pub(crate) fn problems_of_settings(info: &PluginInfo, given: &BTreeMap<String, String>) -> Vec<String> {
    let name = &info.name;
    let required = info.settings.iter().filter_map(|(setting, _)| setting.strip_suffix('!'));
    let missing = required.filter(|setting| !given.contains_key(*setting));
    missing
        .map(|setting| {
            let place = match setting {
                "contact" => "at the top of the configuration".to_owned(),
                "base-url" => format!("under [resolvers.{name}]"),
                other => format!("as resolvers.{name}.settings.{other}"),
            };
            format!("resolver {name} needs the setting {setting:?}; give it {place}")
        })
        .collect()
}

/// What an instance takes from the start.
pub(crate) fn needs(info: &PluginInfo) -> String {
    let needs = &info.needs;
    let count =
        |count: u32, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    format!(
        "{}, the largest with {}; {} of up to {} elements",
        count(needs.memories, "memory", "memories"),
        bytes(needs.memory_bytes),
        count(needs.tables, "table", "tables"),
        needs.table_elements
    )
}

fn as_json(info: &PluginInfo, asked: &[String], granted: &[String]) -> Value {
    let settings: Vec<Value> =
        info.settings.iter().map(|(name, meaning)| json!({ "name": name, "meaning": meaning })).collect();
    json!({
        "name": info.name,
        "version": info.version,
        "summary": info.summary,
        "path": info.path,
        "sha256": info.sha256,
        "size": info.size,
        "wit": info.wit,
        "takes": info.takes.iter().map(takes_word).collect::<Vec<_>>(),
        "hosts": asked,
        "granted_hosts": granted,
        "settings": settings,
        "imports": info.imports,
        "exports": info.exports,
        "works_a_call": info.most.map_or(1, NonZeroU32::get),
        "needs": info.needs,
        "compile_ms": u64::try_from(info.compile.as_millis()).unwrap_or(u64::MAX),
    })
}

pub(crate) fn takes(info: &PluginInfo) -> String {
    info.takes.iter().map(takes_word).collect::<Vec<_>>().join(" ")
}

fn takes_word(takes: &Takes) -> String {
    match takes {
        Takes::Identifier(scheme, prefix) if prefix.is_empty() => scheme.to_string(),
        Takes::Identifier(scheme, prefix) => format!("{scheme}:{prefix}"),
        Takes::LandingPage => "landing-page".into(),
        Takes::FailedUrl => "failed-url".into(),
    }
}
