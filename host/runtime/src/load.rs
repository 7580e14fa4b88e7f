//! From a file to a plugin: read, checked, compiled, linked, described.
//!
//! Must never compile on an async thread, nor run code of a file whose borders were not checked.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use tokio::time::timeout;
use wasmtime::component::Component;

use crate::answer::Description;
use crate::engine::{Runtime, Shared};
use crate::error::LoadError;
use crate::guest::Guest;
use crate::host::{GuestHost, GuestHttpError, GuestRequest, GuestResponse};
use crate::inspect::{Borders, check_borders, check_bytes, mismatch};
use crate::plugin::{Needs, Plugin, PluginInfo, ended};
use crate::sandbox::Sandbox;
use crate::track_0_1::Track;

/// A file's component, ready to be asked who it is.
struct Compiled {
    track: Track,
    borders: Borders,
    needs: Needs,
    sha256: String,
    size: u64,
    compile: Duration,
}

impl Runtime {
    /// Loads one file: reads, checks, compiles off the async threads, links, and asks it to describe itself
    /// (without network, within 1 s; once for a file where there is a cache directory).
    ///
    /// # Errors
    /// What the file is, and what to do about it.
    pub async fn load(&self, path: &Path) -> Result<Plugin, LoadError> {
        let _permit = self.shared.loading.acquire().await;
        let (shared, file) = (Arc::clone(&self.shared), path.to_owned());
        let compiled = tokio::task::spawn_blocking(move || compile(&shared, &file))
            .await
            .map_err(|error| LoadError::Host(error.to_string()))??;
        let description = self.describe(&compiled).await?;
        let said = description.check().map_err(LoadError::Info)?;
        if let Some(cache) = &self.shared.cache {
            cache.keep_description(&compiled.sha256, &description);
        }
        let info = PluginInfo {
            name: said.name,
            version: said.version,
            summary: said.summary,
            takes: said.takes,
            hosts: said.hosts,
            settings: said.settings,
            path: path.to_owned(),
            sha256: compiled.sha256,
            size: compiled.size,
            wit: format!("gleaner:resolver@{}", compiled.borders.version),
            compile: compiled.compile,
            needs: compiled.needs,
            imports: compiled.borders.imports,
            exports: compiled.borders.exports,
        };
        Ok(Plugin { info, track: compiled.track, shared: Arc::clone(&self.shared) })
    }

    async fn describe(&self, compiled: &Compiled) -> Result<Description, LoadError> {
        let cached = self.shared.cache.as_ref().and_then(|cache| cache.description(&compiled.sha256));
        if let Some(description) = cached {
            return Ok(description);
        }
        let sandbox = Sandbox::describe();
        let guest = Guest::new(("(describe)", ""), Arc::new(Nothing), sandbox, sandbox.wall.0);
        let mut store = guest.into_store(&self.shared);
        let result = timeout(sandbox.wall.0, compiled.track.describe(&mut store)).await;
        let (description, _) = ended(result, store);
        description.map_err(LoadError::Describe)
    }
}

fn compile(shared: &Shared, path: &Path) -> Result<Compiled, LoadError> {
    let bytes = read(path, shared.max_file)?;
    check_bytes(&bytes)?;
    let began = Instant::now();
    let component = Component::new(&shared.engine, &bytes).map_err(|error| {
        // Where its tables or memories have no room in the pool, in words that say so to others.
        let said = format!("{error:#}").replace("fit in pooling allocator requirements", "fit into a call");
        LoadError::Compile(said)
    })?;
    let compile = began.elapsed();
    let borders = check_borders(&component)?;
    let mismatch = |error: wasmtime::Error| mismatch(&format!("{error:#}"), &borders.version);
    let instance = shared.linker.instantiate_pre(&component).map_err(mismatch)?;
    let track = Track::new(instance).map_err(mismatch)?;
    let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let needs = Needs::of(&component);
    Ok(Compiled { track, borders, needs, sha256, size: bytes.len() as u64, compile })
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, LoadError> {
    let meta = std::fs::metadata(path)?;
    if !meta.is_file() {
        return Err(LoadError::NotAFile);
    }
    if meta.len() > most {
        return Err(LoadError::TooLarge { size: meta.len(), most });
    }
    let mut bytes = Vec::new();
    // It may have grown since.
    let size = File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)? as u64;
    if size > most { Err(LoadError::TooLarge { size, most }) } else { Ok(bytes) }
}

/// What `describe` has of the host: nothing.
pub(crate) struct Nothing;

#[async_trait]
impl GuestHost for Nothing {
    async fn send(&self, _: GuestRequest) -> Result<GuestResponse, GuestHttpError> {
        Err(GuestHttpError::Denied("nothing is sent while a plugin describes itself".into()))
    }

    fn setting(&self, _: &str) -> Option<String> {
        None
    }

    fn now_ms(&self) -> u64 {
        0
    }
}
