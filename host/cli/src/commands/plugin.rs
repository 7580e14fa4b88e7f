//! `gleaner plugin list` and `plugin inspect`; `plugin check` and those on cassettes have files of their own, and the
//! commands on projects stand in [`project`].
//!
//! Must never show a secret, only what carries it.

use std::path::Path;
use std::sync::Arc;

use gleaner_desk::{
    LackingLimit, PluginBase, PluginView, RefusedView, problems_of_settings, suspended_now, takes,
};
use gleaner_model::suspension::Suspension;
use gleaner_orchestrator::{Refused, Resolvers, Rights, Sidecar};
use gleaner_runtime::{Catalogue, Plugin as Loaded, PluginInfo, Runtime};
use gleaner_store::Library;
use serde_json::{Value, json};

use super::{cassette, project};
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
        Plugin::Record(args) => cassette::record(&context()?, &args).await,
        Plugin::Test(args) => cassette::test(&context()?, &args).await,
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
        for plugin in PluginView::all(&resolvers, &suspended) {
            context.output.json(&plugin)?;
        }
        for refused in resolvers.refused() {
            context.output.json(&RefusedView::from(refused))?;
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
    let all = context.existing_library()?.suspensions().await?;
    Ok(suspended_now(all, resolvers, context.now()))
}

/// The plugin of a file, alone, or the one of that name among all.
pub(crate) async fn target(
    context: &Context,
    runtime: &Runtime,
    target: &str,
) -> Result<(PluginInfo, Resolvers), Failed> {
    let path = Path::new(target);
    if path.is_file() {
        let loaded = runtime.load(path).await;
        let plugin = loaded.map_err(|error| Failed::configuration(format!("{target}: {error}")))?;
        return Ok((plugin.info.clone(), context.assemble(Catalogue::of(plugin))));
    }
    let resolvers = context.resolvers(runtime).await;
    let found = resolvers.list().find(|(plugin, _)| plugin.info.name.as_str() == target);
    let info = found.map(|(plugin, _)| plugin.info.clone()).ok_or_else(|| unknown(target))?;
    Ok((info, resolvers))
}

/// Nothing of that name is known.
pub(crate) fn unknown(target: &str) -> Failed {
    Failed::usage(format!(
        "{target:?} is neither a file nor the name of a loaded resolver; see `gleaner plugin list`"
    ))
}

/// Why a plugin that has no rights is not in use.
pub(crate) fn why_not<'a>(info: &PluginInfo, resolvers: &'a Resolvers) -> &'a str {
    let refused = resolvers.refused().iter().find(|refused| refused.path == info.path);
    refused.map_or("its configuration says enabled = false", |refused| refused.problem.as_str())
}

async fn inspect(context: &Context, name: &str) -> Result<Exit, Failed> {
    let (info, resolvers) = target(context, &context.runtime()?, name).await?;
    // A file that is not used has no rights; the reason stands in their place.
    let why = why_not(&info, &resolvers);
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
        return Ok(context.output.json(&whole(info, rights, broken_sidecar)?)?);
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
fn whole(
    info: &PluginInfo,
    rights: Result<&Rights<'_>, &str>,
    broken_sidecar: Option<&Refused>,
) -> std::io::Result<Value> {
    let asked = rights.map_or(&*info.hosts, |rights| rights.asked);
    let granted = rights.ok().map(|rights| rights.hosts);
    let mut value = serde_json::to_value(PluginBase::new(info, asked, granted))?;
    match rights {
        Ok(rights) => {
            let injected = rights.injected.iter();
            value["not_granted"] = json!(rights.lacking.hosts);
            value["not_granted_limits"] =
                json!(rights.lacking.limits.iter().map(LackingLimit::from).collect::<Vec<_>>());
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
            value["problems"] = json!([why]);
        }
    }
    Ok(value)
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
