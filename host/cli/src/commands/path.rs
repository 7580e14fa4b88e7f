//! `gleaner library path`: where works' files are, for scripts.
//!
//! Prints only paths of files that are there.

use std::io::{self, Write};
use std::path::PathBuf;

use gleaner_store::{FileRow, Library};
use serde_json::json;

use crate::args::PathOf;
use crate::commands::enqueue::report;
use crate::context::Context;
use crate::exit::{Exit, Failed};

/// Prints the paths, in the order in which the works were given.
pub(crate) async fn path(context: &Context, args: &PathOf) -> Result<Exit, Failed> {
    let library = context.existing_library()?;
    let mut exit = Exit::Well;
    for id in &args.ids {
        let rows = rows(&library, id, args.all).await?;
        let there = rows.iter().filter_map(|row| Some((row, place(context, args.blob, row)?)));
        let there: Vec<_> = there.collect();
        if there.is_empty() {
            exit = Exit::SomeFailed;
            report(&if rows.is_empty() {
                format!("{id}: the library has no file of it; `gleaner queue explain` says why")
            } else {
                format!("{id}: its file is missing; `gleaner library refresh` fetches it anew")
            });
        }
        for (row, path) in there {
            print(context, args, id, row, &path)?;
        }
    }
    Ok(exit)
}

/// The file of a work, or every work's file of a hash; with `all`, earlier versions behind it.
async fn rows(library: &Library, id: &str, all: bool) -> Result<Vec<FileRow>, Failed> {
    let text = id.trim().strip_prefix("sha256:").unwrap_or(id.trim()).to_ascii_lowercase();
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let mut rows = library.files_of(&text).await?;
        rows.truncate(if all { rows.len() } else { 1 });
        return Ok(rows);
    }
    let Some(view) = library.find(id).await? else { return Ok(Vec::new()) };
    let mut rows: Vec<FileRow> = view.file.into_iter().collect();
    if all {
        rows.extend(library.earlier_of(view.row.id).await?.into_iter().map(|one| one.file));
    }
    Ok(rows)
}

/// Where the file is: under its readable name, else, and for `blob`, under its hash.
fn place(context: &Context, blob: bool, row: &FileRow) -> Option<PathBuf> {
    let dir = context.library_dir();
    let (shard, rest) = row.sha256.split_at_checked(2)?;
    let hash = dir.join("blobs").join(shard).join(rest);
    let name = dir.join(&row.name);
    [(!blob).then_some(name), Some(hash)].into_iter().flatten().find(|path| path.is_file())
}

fn print(
    context: &Context,
    args: &PathOf,
    id: &str,
    row: &FileRow,
    path: &std::path::Path,
) -> Result<(), Failed> {
    if context.output.is_json() {
        let path = path.display().to_string();
        return Ok(context.output.json(&json!({
            "id": id, "artifact_id": row.artifact_id, "sha256": row.sha256, "size": row.size,
            "stored_at": row.stored_at.to_string(), "path": path,
        }))?);
    }
    // As it is, also where it is no text.
    let mut out = io::stdout().lock();
    out.write_all(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()))?;
    Ok(out.write_all(if args.null { b"\0" } else { b"\n" })?)
}
