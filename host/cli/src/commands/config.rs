//! `gleaner config show` and `config check`.

use gleaner_desk::{Setting, problems_of_settings};
use serde_json::json;

use crate::args::Config;
use crate::context::Context;
use crate::exit::{Exit, Failed};

/// Shows or checks.
pub(crate) async fn config(context: &Context, command: Config) -> Result<Exit, Failed> {
    match command {
        Config::Show => show(context),
        Config::Check => check(context).await,
    }
}

fn show(context: &Context) -> Result<Exit, Failed> {
    let settings = context.loaded.layers.settings();
    if context.output.is_json() {
        context.output.json(&settings)?;
    } else {
        let row = |one: Setting| vec![one.key, one.origin, one.value.to_string()];
        let rows: Vec<_> = settings.into_iter().map(row).collect();
        context.output.table(&["KEY", "ORIGIN", "VALUE"], &rows)?;
    }
    Ok(Exit::Well)
}

/// The configuration is valid when this runs at all; what is left to check is what it names.
async fn check(context: &Context) -> Result<Exit, Failed> {
    let mut problems = Vec::new();
    let runtime = context.runtime()?;
    let resolvers = context.resolvers(&runtime).await;
    for refused in resolvers.refused() {
        problems.push(format!("{}: {}", refused.path.display(), refused.problem));
    }
    let names: Vec<_> = resolvers.list().map(|(plugin, _)| plugin.info.name.clone()).collect();
    for (name, config) in &context.loaded.config.resolvers {
        let refused =
            resolvers.refused().iter().any(|one| one.path.file_stem() == Some(name.as_str().as_ref()));
        if config.enabled != Some(false) && !names.contains(name) && !refused {
            let near =
                names.iter().find(|known| strsim::damerau_levenshtein(known.as_str(), name.as_str()) <= 2);
            let hint = near.map_or(String::new(), |known| format!(" (did you mean {known}?)"));
            problems.push(format!("resolvers.{name} is configured, and no such resolver is installed{hint}; see `gleaner plugin list`"));
        }
    }
    for (plugin, _) in resolvers.list() {
        let rights = resolvers.rights(&plugin.info.name);
        problems.extend(rights.iter().flat_map(|rights| problems_of_settings(&plugin.info, rights.settings)));
    }
    if context.loaded.config.contact.is_none() {
        problems.push(
            "contact is not set, so no public service will be asked; add contact = \"you@example.org\""
                .into(),
        );
    }
    // Made here and dropped: it reads the certificate files that the configuration names.
    context.sources(resolvers, None)?;
    let file = context.loaded.file.as_ref().map_or("none".to_owned(), |path| path.display().to_string());
    if context.output.is_json() {
        context.output.json(&json!({ "file": file, "hash": context.loaded.hash, "problems": problems }))?;
    } else {
        context.output.line(&format!(
            "file: {file}\nhash: {}\nresolvers: {}",
            context.loaded.hash,
            names.len()
        ))?;
        for problem in &problems {
            context.output.line(&format!("problem: {problem}"))?;
        }
    }
    Ok(if problems.is_empty() { Exit::Well } else { Exit::Configuration })
}
