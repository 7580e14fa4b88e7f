//! `gleaner config show`, `config check`, `config init` and `config schema`.
//!
//! Must never overwrite a file unasked; the last two need no valid configuration.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use gleaner_desk::{Setting, problems_of_settings};
use serde_json::json;

use crate::args::{Config, Global, Init};
use crate::config::{self, Contact};
use crate::context::Context;
use crate::exit::{Exit, Failed};
use crate::output::Output;

/// The schema's file, beside the configuration that names it.
const SCHEMA: &str = "gleaner.schema.json";

/// Shows, checks, or writes.
pub(crate) async fn config(global: &Global, command: Config) -> Result<Exit, Failed> {
    match command {
        Config::Show => show(&Context::new(global, |_| {})?),
        Config::Check => check(&Context::new(global, |_| {})?).await,
        Config::Init(args) => init(global, &args),
        Config::Schema => {
            Output::new(global.format).line(&schema_text()?)?;
            Ok(Exit::Well)
        }
    }
}

fn schema_text() -> Result<String, Failed> {
    serde_json::to_string_pretty(&config::schema()).map_err(|error| Failed::from(std::io::Error::from(error)))
}

fn init(global: &Global, args: &Init) -> Result<Exit, Failed> {
    if let Some(contact) = &args.contact {
        Contact::try_from(contact.clone())
            .map_err(|problem| Failed::usage(format!("--contact {problem}")))?;
    }
    let path = match args.path.clone().or_else(|| global.config.clone()) {
        Some(path) => path,
        None => config::beside(global.library.as_deref())?,
    };
    let schema = path.with_file_name(SCHEMA);
    let schema_text = schema_text()? + "\n";
    let has_schema = std::fs::read_to_string(&schema).is_ok_and(|text| text == schema_text);
    let mut files: Vec<(&PathBuf, String)> = vec![(&path, config::template(SCHEMA, args.contact.as_deref()))];
    if !has_schema {
        files.push((&schema, schema_text));
    }
    // All or nothing: neither is written when the other is in the way.
    if let Some((there, _)) = files.iter().find(|(path, _)| !args.force && path.symlink_metadata().is_ok()) {
        return Err(Failed::usage(format!(
            "{} is there already, and nothing was written; name another file, or give --force to replace it",
            there.display()
        )));
    }
    for (path, text) in &files {
        write_new(path, text, args.force).map_err(|error| {
            Failed::usage(format!("cannot write {}: {error}; name another file", path.display()))
        })?;
    }
    let output = Output::new(global.format);
    if output.is_json() {
        output.json(&json!({ "file": path, "schema": schema }))?;
    } else {
        let to_do = match args.contact {
            Some(_) => "`gleaner doctor` tells whether all is well",
            None => "now set contact in it, your e-mail address",
        };
        output.line(&format!("{} is written; {to_do}", path.display()))?;
    }
    Ok(Exit::Well)
}

/// Writes a file that must not be there, unless it may be replaced.
fn write_new(path: &Path, text: &str, replace: bool) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(!replace).create(true).truncate(true);
    options.open(path)?.write_all(text.as_bytes())
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
