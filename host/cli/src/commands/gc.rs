//! `gleaner library gc`: removes what nothing in the library refers to.
//!
//! Safe beside runs: what was touched within the grace period is left, and a run touches whatever it stores.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::time::{Duration, SystemTime};

use gleaner_content::{ContentError, Kind, Leftover};
use gleaner_model::job::JobId;
use gleaner_store::Library;
use serde_json::json;

use crate::args::Gc;
use crate::context::Context;
use crate::exit::{Exit, Failed};
use crate::output::bytes;

/// Rows read at a time.
const PAGE: u32 = 1000;

/// Removes, or says what it would.
pub(crate) async fn gc(context: &Context, args: &Gc) -> Result<Exit, Failed> {
    // For writing, so that a library of an earlier version knows of earlier versions of files.
    let library = context.library_to_change()?;
    let content = context.content()?;
    let now = Duration::from_millis(u64::try_from(context.now().0).unwrap_or_default());
    let before = SystemTime::UNIX_EPOCH + now.saturating_sub(args.grace.0);
    let mut gc = content.gc(before, args.dry_run)?;
    let mut gone = Vec::new();
    for shard in content.shards()? {
        let known = library.hashes(&shard).await?.into_iter().collect();
        let swept = tokio::task::spawn_blocking(move || {
            let found = gc.blobs(&shard, &known)?;
            Ok::<_, ContentError>((gc, found))
        });
        let found;
        (gc, found) = swept.await.map_err(io::Error::other)??;
        gone.extend(found);
    }
    let (hasher, names) = names(&library).await?;
    let swept = tokio::task::spawn_blocking(move || {
        let mut found = gc.names(|name| names.contains(&hasher.hash_one(name)))?;
        found.extend(gc.temporary()?);
        Ok::<_, ContentError>(found)
    });
    gone.extend(swept.await.map_err(io::Error::other)??);
    library.close().await;
    print(context, args.dry_run, &gone)?;
    Ok(Exit::Well)
}

/// Every readable name in use, hashed: two that are hashed alike keep one file too many, and nothing else.
async fn names(library: &Library) -> Result<(RandomState, HashSet<u64>), Failed> {
    let (hasher, mut names) = (RandomState::new(), HashSet::new());
    let mut after: Option<JobId> = None;
    loop {
        let rows = library.files(after, PAGE).await?;
        let Some(last) = rows.last() else { break };
        after = Some(last.job);
        names.extend(rows.iter().map(|row| hasher.hash_one(row.name.as_str())));
    }
    let mut after = 0;
    loop {
        let page = library.earlier(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok((hasher, names)) };
        after = last.row;
        names.extend(page.iter().map(|one| hasher.hash_one(one.file.name.as_str())));
    }
}

fn print(context: &Context, is_dry: bool, gone: &[Leftover]) -> Result<(), Failed> {
    let count = |kind| gone.iter().filter(|one| one.kind == kind).count();
    let (blobs, names, temporary) = (count(Kind::Blob), count(Kind::Name), count(Kind::Temporary));
    let size: u64 = gone.iter().map(|one| one.size).sum();
    if context.output.is_json() {
        let paths: Vec<_> = gone.iter().map(|one| one.path.display().to_string()).collect();
        return Ok(context.output.json(&json!({
            "blobs": blobs, "names": names, "temporary": temporary, "bytes": size, "dry_run": is_dry, "paths": paths,
        }))?);
    }
    for one in gone {
        context.output.line(&one.path.display().to_string())?;
    }
    let verb = if is_dry { "would go" } else { "gone" };
    Ok(context.output.line(&format!(
        "{blobs} files, {names} names and {temporary} temporary files {verb}, {}",
        bytes(size)
    ))?)
}
