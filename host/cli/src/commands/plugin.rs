//! `gleaner plugin list` and `plugin inspect`; the commands on projects stand in [`project`].

use std::path::Path;

use gleaner_model::next::Takes;
use gleaner_runtime::PluginInfo;
use serde_json::{Value, json};

use super::project;
use crate::args::{Global, Plugin};
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
        Plugin::New { name, lang, dir } => project::create(output, &name, lang, dir.as_deref()),
        Plugin::Build { dir, output: file } => project::build(output, &dir, file.as_deref()),
    }
}

async fn list(context: &Context) -> Result<Exit, Failed> {
    let runtime = context.runtime()?;
    let resolvers = context.resolvers(&runtime).await;
    if context.output.is_json() {
        for (plugin, granted) in resolvers.list() {
            context.output.json(&as_json(&plugin.info, granted))?;
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
        for refused in resolvers.refused() {
            context.output.line(&format!("not used: {}: {}", refused.path.display(), refused.problem))?;
        }
    }
    Ok(if resolvers.refused().is_empty() { Exit::Well } else { Exit::Configuration })
}

async fn inspect(context: &Context, target: &str) -> Result<Exit, Failed> {
    let runtime = context.runtime()?;
    let path = Path::new(target);
    if path.is_file() {
        let plugin =
            runtime.load(path).await.map_err(|error| Failed::configuration(format!("{target}: {error}")))?;
        print(context, &plugin.info, None)?;
        return Ok(Exit::Well);
    }
    let resolvers = context.resolvers(&runtime).await;
    let Some((plugin, granted)) = resolvers.list().find(|(plugin, _)| plugin.info.name.as_str() == target)
    else {
        return Err(Failed::usage(format!(
            "{target:?} is neither a file nor the name of a loaded resolver; see `gleaner plugin list`"
        )));
    };
    print(context, &plugin.info, Some(granted))?;
    Ok(Exit::Well)
}

/// `granted` is unknown for a file that is not installed.
fn print(context: &Context, info: &PluginInfo, granted: Option<&[String]>) -> Result<(), Failed> {
    if context.output.is_json() {
        let mut value = as_json(info, granted.unwrap_or_default());
        if granted.is_none() {
            value["granted_hosts"] = Value::Null;
        }
        return Ok(context.output.json(&value)?);
    }
    let granted = granted.map_or("not installed".to_owned(), |hosts| hosts.join(" "));
    let rows = [
        ("name", info.name.to_string()),
        ("version", info.version.clone()),
        ("summary", info.summary.clone()),
        ("file", info.path.display().to_string()),
        ("sha256", info.sha256.clone()),
        ("size", bytes(info.size)),
        ("interface", info.wit.clone()),
        ("takes", takes(info)),
        ("asks for hosts", info.hosts.join(" ")),
        ("may reach", granted),
        ("imports", info.imports.join(" ")),
        ("exports", info.exports.join(" ")),
        ("compiled in", format!("{} ms", info.compile.as_millis())),
    ];
    let settings =
        info.settings.iter().map(|(name, meaning)| vec![format!("setting {name}"), meaning.clone()]);
    let rows: Vec<Vec<String>> =
        rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).chain(settings).collect();
    Ok(context.output.table(&["", ""], &rows)?)
}

fn as_json(info: &PluginInfo, granted: &[String]) -> Value {
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
        "hosts": info.hosts,
        "granted_hosts": granted,
        "settings": settings,
        "imports": info.imports,
        "exports": info.exports,
        "compile_ms": u64::try_from(info.compile.as_millis()).unwrap_or(u64::MAX),
    })
}

fn takes(info: &PluginInfo) -> String {
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
