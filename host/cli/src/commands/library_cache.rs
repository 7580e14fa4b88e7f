//! `gleaner library cache`: what the kept answers of services take, and removing them.
//!
//! Must never touch anything of the library but its folder `cache`.

use std::io;

use gleaner_egress::{CacheUse, cache_use, clear_cache};
use serde_json::json;

use crate::context::Context;
use crate::exit::{Exit, Failed};
use crate::generations;
use crate::output::bytes;

/// Shows or clears.
pub(crate) async fn cache(context: &Context, clear: bool) -> Result<Exit, Failed> {
    drop(context.existing_library()?);
    let dir = generations::cache_dir(context.library_dir());
    let work = move || if clear { clear_cache(&dir) } else { cache_use(&dir) };
    let CacheUse { entries, bytes: size } =
        tokio::task::spawn_blocking(work).await.map_err(io::Error::other)??;
    if context.output.is_json() {
        let done = if clear { "removed" } else { "entries" };
        context.output.json(&json!({ done: entries, "bytes": size }))?;
    } else {
        let done = if clear { "removed" } else { "kept" };
        context.output.line(&format!("{entries} answers {done}, {}", bytes(size)))?;
    }
    Ok(Exit::Well)
}
