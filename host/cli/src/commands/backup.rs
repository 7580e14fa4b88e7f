//! `gleaner library backup`: a copy of the library while others work on it.
//!
//! The copy's database gets its name last: a directory with a `library.db` is a whole library, always.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use gleaner_content::{Content, Given};
use gleaner_model::job::JobId;
use gleaner_store::{FileRow, Library, Scope};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::commands::enqueue::report;
use crate::context::Context;
use crate::exit::{Exit, Failed};
use crate::output::bytes;
use crate::progress;

/// Rows read at a time.
const PAGE: u32 = 1000;
/// Where the copy's database stands until all of its files are there; tells an unfinished backup from other things.
const UNFINISHED: &str = "backup.unfinished";

/// Copies the library into `dir`.
pub(crate) async fn backup(context: &Context, dir: &Path) -> Result<Exit, Failed> {
    let library = context.existing_library()?;
    let unfinished = dir.join(UNFINISHED);
    prepare(dir, &unfinished)?;
    let database = unfinished.join(Library::DATABASE);
    library.backup(&database).await?;
    let copy = context.library_at(&unfinished)?;
    let held = copy.summary(Scope::Library).await?;
    let problems = give_files(context, &copy, dir, held.bytes).await?;
    copy.close().await;
    let end = dir.join(Library::DATABASE);
    fs::rename(&database, &end).map_err(|error| refused("write", &end, &error))?;
    fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| refused("write", dir, &error))?;
    // Nothing of the copy is in it any more.
    let _ = fs::remove_dir_all(&unfinished);
    let (path, files) = (dir.display(), held.files);
    if context.output.is_json() {
        let path = path.to_string();
        context
            .output
            .json(&json!({ "path": path, "files": files, "bytes": held.bytes, "problems": problems }))?;
    } else {
        for problem in &problems {
            let text = |field: &str| problem[field].as_str().unwrap_or_default().to_owned();
            context.output.line(&format!(
                "{}: {}: {}",
                text("artifact_id"),
                text("name"),
                text("problem")
            ))?;
        }
        context.output.line(&format!("{files} files, {} in {path}", bytes(held.bytes)))?;
    }
    Ok(if problems.is_empty() { Exit::Well } else { Exit::SomeFailed })
}

/// Makes the directory ready, unless it is in use for something else.
fn prepare(dir: &Path, unfinished: &Path) -> Result<(), Failed> {
    let path = dir.display();
    if dir.join(Library::DATABASE).exists() {
        return Err(Failed::usage(format!(
            "{path} holds a library already; name another directory, or remove it first"
        )));
    }
    if dir.exists() && !dir.is_dir() {
        return Err(Failed::usage(format!("{path} is a file, and a backup is a directory; name another")));
    }
    if unfinished.exists() {
        report(&format!("{path} holds a backup that was interrupted; it is finished as of now"));
        fs::remove_dir_all(unfinished).map_err(|error| refused("remove", unfinished, &error))?;
    } else if dir.exists() {
        let mut entries = fs::read_dir(dir).map_err(|error| refused("read", dir, &error))?;
        if entries.next().is_some() {
            return Err(Failed::usage(format!(
                "{path} is not empty, and is no backup that was interrupted; name a directory that is empty or not there"
            )));
        }
    }
    let is_new = !dir.exists();
    fs::create_dir_all(unfinished).map_err(|error| refused("make the directory", unfinished, &error))?;
    // For its owner and their group at most, as every library that is made.
    let narrow = |mode: u32| fs::set_permissions(dir, fs::Permissions::from_mode(mode & 0o750));
    let narrowed =
        fs::metadata(dir).and_then(|found| if is_new { narrow(found.permissions().mode()) } else { Ok(()) });
    narrowed.map_err(|error| refused("protect", dir, &error))
}

/// Gives every file that the copy names to it, earlier versions too; returns what could not be given.
async fn give_files(context: &Context, copy: &Library, dir: &Path, total: u64) -> Result<Vec<Value>, Failed> {
    let (from, to) = (context.content()?, context.content_at(dir)?);
    let bar = progress::bytes_bar(total, context.quiet);
    let (mut after, mut problems): (Option<JobId>, Vec<Value>) = (None, Vec::new());
    loop {
        let rows = copy.files(after, PAGE).await?;
        let Some(last) = rows.last() else { break };
        after = Some(last.job);
        problems.extend(give(&from, &to, rows, &bar).await?);
    }
    let mut after = 0;
    loop {
        let page = copy.earlier(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.row;
        let rows = page.into_iter().map(|one| one.file).collect();
        problems.extend(give(&from, &to, rows, &bar).await?);
    }
    tokio::task::spawn_blocking(move || to.sync()).await.map_err(io::Error::other)??;
    bar.finish_and_clear();
    Ok(problems)
}

async fn give(
    from: &Content,
    to: &Content,
    rows: Vec<FileRow>,
    bar: &ProgressBar,
) -> Result<Vec<Value>, Failed> {
    let (from, to, bar) = (from.clone(), to.clone(), bar.clone());
    let given = tokio::task::spawn_blocking(move || {
        let mut problems = Vec::new();
        for row in rows {
            let problem = match from.give(&to, &row.sha256, row.size, &row.name)? {
                Given::Whole => None,
                Given::Missing => Some("the library does not have this file; see `gleaner library verify`"),
                Given::Unnamed => Some("copied under its hash only: the name is another file's there"),
            };
            problems.extend(problem.map(|problem| {
                json!({ "artifact_id": row.artifact_id, "sha256": row.sha256, "name": row.name, "problem": problem })
            }));
            bar.inc(row.size);
        }
        Ok::<_, gleaner_content::ContentError>(problems)
    });
    Ok(given.await.map_err(io::Error::other)??)
}

fn refused(action: &str, path: &Path, error: &io::Error) -> Failed {
    let message =
        format!("cannot {action} {}: {error}; make it writable or name another directory", path.display());
    Failed { exit: Exit::Storage, error: anyhow::anyhow!(message) }
}
