//! `gleaner plugin grant`: the difference between what a plugin asks for and what it is granted, and writing it down.
//!
//! Must never write what the configuration would not be read with, nor anything without being told to.

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use gleaner_model::key::ResolverName;
use gleaner_orchestrator::config::ResolverConfig;
use gleaner_orchestrator::{Lacking, Sidecar, asked_hosts, is_bundled};
use gleaner_runtime::{Catalogue, PluginInfo};
use serde_json::json;

use crate::args::Grant;
use crate::config::{Change, Config, Loaded, replace};
use crate::context::Context;
use crate::exit::{Exit, Failed};
use crate::generations;

/// What a plugin asks for and what the operator says of it now.
struct Standing {
    asked: Vec<String>,
    /// `grants.hosts`, or what a bundled plugin has without it.
    granted: Vec<String>,
    lacking: Lacking,
    sidecar: Option<Sidecar>,
}

/// Shows the difference, and writes it when that is wanted.
pub(crate) async fn grant(context: &Context, args: &Grant) -> Result<Exit, Failed> {
    let runtime = context.runtime()?;
    let catalogue = context.catalogue(&runtime).await;
    let info = &find(&catalogue, &args.name)?;
    let Some(file) = context.loaded.file.as_ref().or(context.loaded.candidates.first()) else {
        return Err(Failed::configuration(
            "there is no place for a configuration file; give one with --config",
        ));
    };
    let before = text_of(file)?;
    // What is written is computed from what it replaces: somebody may have written since the start.
    let loaded = match &before {
        Some(text) => (context.read_again())(Some((file, text)))?,
        None => context.loaded.clone(),
    };
    let standing = standing(&loaded.config, info);
    let change = change(&loaded.config, args, info, &standing)?;
    if change.is_empty() {
        tell(context, args, file, &standing, &change, false)?;
        return Ok(Exit::Well);
    }
    let after = change.apply(before.as_deref().unwrap_or_default(), &args.name);
    let after = after.map_err(|problem| {
        Failed::configuration(format!("{} cannot be changed: {problem}", file.display()))
    })?;
    let new = (context.read_again())(Some((file, &after)))?;
    expect(&new, &change, info, file)?;
    if !args.yes {
        // A program says beforehand what it wants.
        let can_ask = std::io::stdin().is_terminal() && !context.output.is_json();
        tell(context, args, file, &standing, &change, false)?;
        if !can_ask {
            return Err(Failed::usage("nothing was written; give --yes to write it"));
        }
        if !confirmed(file)? {
            context.output.line("nothing was written")?;
            return Ok(Exit::Well);
        }
    }
    replace(file, before.as_deref(), &after).await.map_err(Failed::configuration)?;
    if args.yes {
        tell(context, args, file, &standing, &change, true)?;
    }
    if !context.output.is_json() {
        context.output.line(&format!("written to {}; a run that goes on takes it in", file.display()))?;
    }
    Ok(Exit::Well)
}

fn find(catalogue: &Catalogue, name: &ResolverName) -> Result<PluginInfo, Failed> {
    if let Some(plugin) = catalogue.plugins.get(name) {
        return Ok(plugin.info.clone());
    }
    let is_meant = |path: &Path| path.file_stem().is_some_and(|stem| stem == name.as_str());
    Err(match catalogue.broken.iter().find(|one| is_meant(&one.path)) {
        Some(broken) => Failed::configuration(broken),
        None => Failed::usage(format!("no resolver {name} is loaded; see `gleaner plugin list`")),
    })
}

fn standing(config: &Config, info: &PluginInfo) -> Standing {
    let none = ResolverConfig::default();
    let own = config.resolvers.get(&info.name).unwrap_or(&none);
    let sidecar = Sidecar::read(&info.path).unwrap_or_else(|problem| {
        tracing::warn!("{} is not used: {problem}", Sidecar::path_of(&info.path).display());
        None
    });
    let asked = asked_hosts(info, sidecar.as_ref());
    let granted = match &own.grants {
        Some(grants) => grants.hosts.iter().map(ToString::to_string).collect(),
        None if is_bundled(&info.path, generations::bundled_dir().as_deref()) => asked.clone(),
        None => Vec::new(),
    };
    let sandbox = config.plugins.sandbox.with(&own.sandbox.unwrap_or_default());
    let lacking = Lacking::of(&asked, sidecar.as_ref(), &granted, &sandbox);
    Standing { asked, granted, lacking, sidecar }
}

/// What is to be written.
fn change(config: &Config, args: &Grant, info: &PluginInfo, standing: &Standing) -> Result<Change, Failed> {
    let named: Vec<String> = args.hosts.iter().map(ToString::to_string).collect();
    let mut hosts = standing.granted.clone();
    if args.revoke {
        if let Some(other) = named.iter().find(|host| !hosts.contains(host)) {
            return Err(Failed::usage(format!(
                "{other} is not granted as such; {} is granted {}",
                info.name,
                words(&hosts)
            )));
        }
        hosts.retain(|host| !named.is_empty() && !named.contains(host));
    } else {
        let all = if args.limits { &[][..] } else { &standing.lacking.hosts };
        let more = if named.is_empty() { all } else { &named };
        let new: Vec<String> = more.iter().filter(|host| !hosts.contains(host)).cloned().collect();
        hosts.extend(new);
    }
    let wants_limits = !args.revoke && (args.limits || named.is_empty());
    let limits = standing.lacking.limits.iter().filter(|_| wants_limits);
    let own = config.resolvers.get(&info.name);
    let sidecar = standing.sidecar.as_ref();
    let pins = [
        ("sha256", Some(&info.sha256), own.and_then(|own| own.sha256.as_ref())),
        ("sidecar-sha256", sidecar.map(|it| &it.sha256), own.and_then(|own| own.sidecar_sha256.as_ref())),
    ];
    let pins =
        pins.into_iter().filter(|(_, digest, pinned)| args.pin && digest.is_some() && digest != pinned);
    Ok(Change {
        hosts: Some(hosts).filter(|hosts| *hosts != standing.granted),
        limits: limits.map(|wish| (wish.limit, wish.asked.clone())).collect(),
        pins: pins.filter_map(|(pin, digest, _)| Some((pin, digest?.clone()))).collect(),
    })
}

/// Something that wins over the file would make the change one in name only.
fn expect(new: &Loaded, change: &Change, info: &PluginInfo, file: &Path) -> Result<(), Failed> {
    let name = &info.name;
    let none = ResolverConfig::default();
    let own = new.config.resolvers.get(name).unwrap_or(&none);
    let now = standing(&new.config, info);
    let mut lost = Vec::new();
    if change.hosts.as_ref().is_some_and(|hosts| own.grants.is_none() || *hosts != now.granted) {
        lost.push(("grants", "hosts"));
    }
    let still_wanted = |limit| now.lacking.limits.iter().any(|wish| wish.limit == limit);
    lost.extend(
        change.limits.iter().filter(|(limit, _)| still_wanted(*limit)).map(|(limit, _)| ("sandbox", *limit)),
    );
    let is_lost = |pin: &str, digest: &String| match pin {
        "sha256" => own.sha256.as_ref() != Some(digest),
        _ => own.sidecar_sha256.as_ref() != Some(digest),
    };
    lost.extend(change.pins.iter().filter(|(pin, digest)| is_lost(pin, digest)).map(|(pin, _)| (*pin, "")));
    let Some((part, key)) = lost.first() else { return Ok(()) };
    // The value itself, or all that it stands in, may come from elsewhere.
    let group = format!("resolvers.{name}.{part}");
    let whole = if key.is_empty() { group.clone() } else { format!("{group}.{key}") };
    let ours = format!("{}:", file.display());
    let origins = [&whole, &group].map(|key| new.layers.origin(key));
    let origin = origins.into_iter().find(|origin| !origin.starts_with(&ours)).unwrap_or("something else");
    Err(Failed::configuration(format!(
        "{whole} is given by {origin}, which wins over {}; change it there, nothing was written",
        file.display()
    )))
}

fn text_of(file: &PathBuf) -> Result<Option<String>, Failed> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(crate::config::ConfigError::Read { path: file.clone(), source }.into()),
    }
}

fn tell(
    context: &Context,
    args: &Grant,
    file: &Path,
    standing: &Standing,
    change: &Change,
    written: bool,
) -> Result<(), Failed> {
    let Standing { asked, granted, lacking, .. } = standing;
    let lines = change.lines(&args.name);
    if context.output.is_json() {
        let limit = |wish: &gleaner_orchestrator::Wish| json!({ "limit": wish.limit, "asked": wish.asked, "allowed": wish.allowed });
        let limits: Vec<_> = lacking.limits.iter().map(limit).collect();
        return Ok(context.output.json(&json!({
            "name": args.name, "hosts": asked, "granted_hosts": granted, "not_granted": lacking.hosts,
            "not_granted_limits": limits, "file": file, "change": lines, "written": written,
        }))?);
    }
    let mut rows: Vec<Vec<String>> = Vec::new();
    for host in asked {
        let state = if lacking.hosts.contains(host) { "not granted" } else { "granted" };
        rows.push(vec![format!("host {host}"), state.to_owned()]);
    }
    // What was granted beyond its requests.
    for host in granted.iter().filter(|host| !asked.contains(host)) {
        rows.push(vec![format!("host {host}"), "granted, not asked for".to_owned()]);
    }
    for wish in &lacking.limits {
        rows.push(vec![format!("{} {}", wish.limit, wish.asked), format!("{} is allowed", wish.allowed)]);
    }
    context.output.table(&[&format!("{} ASKS FOR", args.name), "STATE"], &rows)?;
    if lines.is_empty() {
        context.output.line("\nnothing is to be changed")?;
    } else {
        context.output.line(&format!("\nfor {}:\n  {}", file.display(), lines.join("\n  ")))?;
    }
    Ok(())
}

fn words(hosts: &[String]) -> String {
    if hosts.is_empty() { "no host".to_owned() } else { hosts.join(" ") }
}

/// Whether whoever sits there wants it.
fn confirmed(file: &Path) -> Result<bool, Failed> {
    let mut terminal = std::io::stderr();
    write!(terminal, "write this to {}? [y/N] ", file.display())?;
    terminal.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
