//! `gleaner library`: lists the files; the other commands of the library have files of their own.

use gleaner_model::job::JobId;
use serde_json::json;

use crate::args::{Library, Manifest};
use crate::commands::{backup, gc, library_cache, manifest, path, refresh, verify};
use crate::context::Context;
use crate::exit::{Exit, Failed};
use crate::output::bytes;

/// Rows read at a time.
const PAGE: u32 = 1000;

/// Everything of the library.
pub(crate) async fn library(context: &Context, command: Library) -> Result<Exit, Failed> {
    match command {
        Library::List => list(context).await,
        Library::Manifest(args) => manifest::manifest(context, &args).await,
        Library::Export { output } => {
            manifest::manifest(context, &Manifest { output, ..Manifest::default() }).await
        }
        Library::Verify => verify::verify(context).await,
        Library::Path(args) => path::path(context, &args).await,
        Library::Refresh(args) => refresh::refresh(context, &args).await,
        Library::Gc(args) => gc::gc(context, &args).await,
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
