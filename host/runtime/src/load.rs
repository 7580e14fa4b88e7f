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
use tokio::sync::SemaphorePermit;
use tokio::time::timeout;
use wasmtime::component::Component;

use crate::answer::Description;
use crate::aside::{Doubts, Lane};
use crate::call::{Callee, judged};
use crate::engine::{Runtime, Shared, part_of_loading};
use crate::error::LoadError;
use crate::guest::Guest;
use crate::host::{GuestHost, GuestHttpError, GuestRequest, GuestResponse};
use crate::inspect::{Borders, check_borders, check_bytes, mismatch};
use crate::plugin::{Needs, Plugin, PluginInfo};
use crate::sandbox::Sandbox;
use crate::track_0_1::Track;

/// What a file holds.
struct Source {
    bytes: Vec<u8>,
    sha256: String,
}

/// A file's component, ready to be asked who it is.
struct Compiled {
    track: Track,
    borders: Borders,
    /// What it said of itself when it was asked before.
    said_before: Option<Description>,
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
        let size = tokio::fs::metadata(path).await?.len();
        let _room = self.room_to_load(size).await;
        let source = self.read(path).await?;
        self.make(path, source).await
    }

    /// As [`Runtime::load`], but a file whose contents are still those of `before` is only read. Its size is told, because
    /// looking it up here would start a thread for each file of a directory.
    pub(crate) async fn load_anew(
        &self,
        path: &Path,
        size: u64,
        before: Option<&Arc<Plugin>>,
    ) -> Result<Arc<Plugin>, LoadError> {
        let _room = self.room_to_load(size).await;
        let source = self.read(path).await?;
        match before.filter(|before| before.info.sha256 == source.sha256) {
            Some(before) => Ok(Arc::clone(before)),
            None => self.make(path, source).await.map(Arc::new),
        }
    }

    /// Waits until there is room for one more file of that size.
    async fn room_to_load(&self, size: u64) -> Option<SemaphorePermit<'_>> {
        // Never closed, so never an error.
        self.shared.loading.acquire_many(part_of_loading(size)).await.ok()
    }

    async fn read(&self, path: &Path) -> Result<Source, LoadError> {
        let (most, path) = (self.shared.max_file, path.to_owned());
        off_the_async_threads(move || {
            let bytes = read(&path, most)?;
            let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            Ok(Source { bytes, sha256 })
        })
        .await
    }

    async fn make(&self, path: &Path, source: Source) -> Result<Plugin, LoadError> {
        let shared = Arc::clone(&self.shared);
        let compiled = off_the_async_threads(move || compile(&shared, source)).await?;
        let said = match &compiled.said_before {
            Some(description) => description.check(),
            None => {
                let description = self.describe(&compiled).await?;
                let said = description.check();
                if said.is_ok() {
                    self.keep(&compiled.sha256, description).await?;
                }
                said
            }
        };
        let said = said.map_err(LoadError::Info)?;
        let info = PluginInfo {
            name: said.name,
            version: said.version,
            summary: said.summary,
            takes: said.takes,
            hosts: said.hosts,
            settings: said.settings,
            most: said.most,
            path: path.to_owned(),
            sha256: compiled.sha256,
            size: compiled.size,
            wit: format!("gleaner:resolver@{}", compiled.borders.version),
            compile: compiled.compile,
            needs: compiled.needs,
            imports: compiled.borders.imports,
            exports: compiled.borders.exports,
        };
        Ok(Plugin {
            info,
            callee: Arc::new(Callee::new(compiled.track, Arc::clone(&self.shared))),
            #[cfg(feature = "native")]
            native: None,
        })
    }

    async fn describe(&self, compiled: &Compiled) -> Result<Description, LoadError> {
        let _one_at_a_time = self.shared.describing.acquire().await;
        let sandbox = Sandbox::describe();
        // Nobody drives it aside: it is once for a file, and a second at most.
        let lane = Lane::new(Doubts::default());
        let guest = Guest::new(("(describe)", ""), Arc::new(Nothing), sandbox, sandbox.wall.0, lane);
        let mut store = guest.into_store(&self.shared);
        let describing = async { compiled.track.instantiate(&mut store).await?.describe(&mut store).await };
        let result = timeout(sandbox.wall.0, describing).await;
        judged(result, store.data()).map_err(LoadError::Describe)
    }

    async fn keep(&self, sha256: &str, description: Description) -> Result<(), LoadError> {
        let (shared, sha256) = (Arc::clone(&self.shared), sha256.to_owned());
        off_the_async_threads(move || {
            if let Some(cache) = &shared.cache {
                cache.keep_description(&sha256, &description);
            }
            Ok(())
        })
        .await
    }
}

async fn off_the_async_threads<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
) -> Result<T, LoadError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| LoadError::Host(error.to_string()))?
}

fn compile(shared: &Shared, source: Source) -> Result<Compiled, LoadError> {
    let Source { bytes, sha256 } = source;
    check_bytes(&bytes)?;
    let began = Instant::now();
    let cached = shared.cache.as_ref().and_then(|cache| cache.component(&shared.engine, &sha256));
    let component = match cached {
        Some(component) => component,
        None => {
            let compiled = Component::new(&shared.engine, &bytes).map_err(|error| {
                // Where its tables or memories have no room in the pool, in words that say so to others.
                let said = format!("{error:#}");
                LoadError::Compile(said.replace("fit in pooling allocator requirements", "fit into a call"))
            })?;
            if let Some(cache) = &shared.cache {
                cache.keep_component(&shared.engine, &sha256, &compiled);
            }
            compiled
        }
    };
    let compile = began.elapsed();
    let borders = check_borders(&component)?;
    let mismatch = |error: wasmtime::Error| mismatch(&format!("{error:#}"), &borders.version);
    let instance = shared.linker.instantiate_pre(&component).map_err(mismatch)?;
    let track = Track::new(instance, borders.has_batch).map_err(mismatch)?;
    let said_before = shared.cache.as_ref().and_then(|cache| cache.description(&sha256));
    let needs = Needs::of(&component);
    Ok(Compiled { track, borders, said_before, needs, sha256, size: bytes.len() as u64, compile })
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, LoadError> {
    let meta = std::fs::metadata(path)?;
    if !meta.is_file() {
        return Err(LoadError::NotAFile);
    }
    if meta.len() > most {
        return Err(LoadError::TooLarge { size: meta.len(), most });
    }
    // Room for the end of the file as well: a text that grows is moved several times. It may have grown since.
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0) + 1);
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
