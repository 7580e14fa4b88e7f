//! `gleaner library list|export|verify`; `backup` has a file of its own.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use gleaner_model::job::JobId;
use gleaner_store::Scope;
use serde_json::json;

use crate::args::Library;
use crate::commands::{backup, library_cache};
use crate::context::Context;
use crate::exit::{Exit, Failed};
use crate::output::bytes;
use crate::progress;

/// Rows read at a time.
const PAGE: u32 = 1000;

/// Lists, exports or verifies.
pub(crate) async fn library(context: &Context, command: Library) -> Result<Exit, Failed> {
    match command {
        Library::List => list(context).await,
        Library::Export { output } => export(context, output.as_deref()).await,
        Library::Verify => verify(context).await,
        Library::Cache { clear } => library_cache::cache(context, clear).await,
        Library::Backup { dir } => backup::backup(context, &dir).await,
    }
}

async fn list(context: &Context) -> Result<Exit, Failed> {
    let library = context.existing_library()?;
    let mut after: Option<JobId> = None;
    if !context.output.is_json() {
        context.output.line("SIZE\tSHA-256\tARTIFACT\tFILE")?;
    }
    loop {
        let rows = library.files(after, PAGE).await?;
        let Some(last) = rows.last() else { return Ok(Exit::Well) };
        after = Some(last.job);
        for row in &rows {
            if context.output.is_json() {
                context.output.json(&json!({
                    "job": row.job,
                    "artifact_id": row.artifact_id,
                    "sha256": row.sha256,
                    "size": row.size,
                    "media_type": row.media_type,
                    "name": row.name,
                    "stored_at": row.stored_at.to_string(),
                }))?;
            } else {
                let size = bytes(row.size);
                context.output.line(&format!("{size}\t{}\t{}\t{}", row.sha256, row.artifact_id, row.name))?;
            }
        }
    }
}

async fn export(context: &Context, output: Option<&Path>) -> Result<Exit, Failed> {
    let library = context.existing_library()?;
    let mut sink: Box<dyn Write> = match output {
        Some(path) => {
            let unwritable = |error| {
                Failed::usage(format!(
                    "cannot write {}: {error}; --output names another file",
                    path.display()
                ))
            };
            Box::new(BufWriter::new(File::create(path).map_err(unwritable)?))
        }
        None => Box::new(BufWriter::new(io::stdout())),
    };
    let mut after = 0;
    loop {
        let page = library.export_manifest(after, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = *last;
        for (_, record) in &page {
            serde_json::to_writer(&mut sink, record).map_err(io::Error::from)?;
            sink.write_all(b"\n")?;
        }
    }
    sink.flush()?;
    Ok(Exit::Well)
}

/// Checks the database and hashes every file that a job holds, with a bar on a terminal.
async fn verify(context: &Context) -> Result<Exit, Failed> {
    let library = context.existing_library()?;
    let content = context.content()?;
    let mut bad = Vec::new();
    for problem in library.problems().await? {
        bad.push(json!({ "database": problem }));
    }
    let total = library.summary(Scope::Library).await?.bytes;
    let bar = progress::bytes_bar(total, context.quiet);
    let (mut after, mut checked): (Option<JobId>, u64) = (None, 0);
    loop {
        let rows = library.files(after, PAGE).await?;
        let Some(last) = rows.last() else { break };
        after = Some(last.job);
        for row in rows {
            let (content, sha256) = (content.clone(), row.sha256.clone());
            let hashed = tokio::task::spawn_blocking(move || content.verify_blob(&sha256)).await;
            checked += 1;
            bar.inc(row.size);
            if let Err(problem) = hashed.map_err(io::Error::other)? {
                let problem = problem.to_string();
                bad.push(json!({ "artifact_id": row.artifact_id, "sha256": row.sha256, "name": row.name, "problem": problem }));
            }
        }
    }
    bar.finish_and_clear();
    if context.output.is_json() {
        context.output.json(&json!({ "checked": checked, "bad": bad }))?;
    } else {
        for one in &bad {
            let words: Vec<_> = ["artifact_id", "name", "problem", "database"]
                .iter()
                .filter_map(|field| one.get(field).and_then(|value| value.as_str()))
                .collect();
            context.output.line(&words.join(": "))?;
        }
        context.output.line(&format!("{checked} files checked, {} problems", bad.len()))?;
    }
    Ok(if bad.is_empty() { Exit::Well } else { Exit::SomeFailed })
}
