//! The engine: one for the process, with its pool of instances and its ticking epoch.
//!
//! Must never tick from an async thread, nor give out more instances than the pool has: an exhausted pool
//! fails, it does not wait.

use std::fmt;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::sync::Semaphore;
use wasmtime::component::Linker;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails,
};

use crate::cache::CacheDir;
use crate::error::RuntimeError;
use crate::guest::Guest;
use crate::track_0_1;

/// Between two ticks of the epoch: how finely computing time is counted, and how long a guest holds an async
/// thread at most.
pub(crate) const TICK: Duration = Duration::from_millis(10);
/// What one component may have. Guests that carry a JavaScript or Python engine need about this much.
pub(crate) const MOST_CORE_INSTANCES: u32 = 200;
pub(crate) const MOST_TABLES: u32 = 64;
pub(crate) const MOST_MEMORIES: u32 = 8;
const MOST_TABLE_ELEMENTS: usize = 100_000;
const MOST_INSTANCE_BYTES: usize = 10 << 20;
/// Of a place in the pool: what a call dirtied up to here is overwritten for the next one instead of being given back to
/// the system and asked for again, which costs a small guest more than its own work.
const KEPT_MEMORY: usize = 1 << 20;
const KEPT_TABLE: usize = 64 << 10;
/// Of a guest's own stack; the rest of the fiber is for the host's functions that the guest calls.
const WASM_STACK: usize = 1 << 20;
const FIBER_STACK: usize = 3 << 20;

/// KiB of files that are loaded at once. Compiling one takes many times its size in memory, and a large one uses all
/// processors by itself.
const LOADING: u32 = 16 << 10;

/// What a file of that many bytes takes of [`LOADING`]: its size, but so much that there are never more files than
/// processors.
pub(crate) fn part_of_loading(size: u64) -> u32 {
    // Asked once: the system reads its answer out of several files.
    static PROCESSORS: LazyLock<u32> = LazyLock::new(|| {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        u32::try_from(processors).unwrap_or(LOADING).max(1)
    });
    let least = LOADING / *PROCESSORS;
    u32::try_from(size >> 10).unwrap_or(LOADING).clamp(least.max(1), LOADING)
}

/// How the engine is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// Where compiled components are kept; made with mode 0700. What lies there is run as native code, so one that
    /// anyone else can change is not used, which is logged. None compiles anew at every start.
    pub cache_dir: Option<PathBuf>,
    /// The most that is kept there, in bytes; what was used longest ago goes.
    pub cache_size: u64,
    /// Most calls at a time; sizes the pool of instances. At least 1 is taken.
    pub workers: usize,
    /// Largest plugin file, in bytes.
    pub max_file: u64,
}

impl Default for RuntimeConfig {
    /// No cache, of up to 512 MiB where there is one, 8 workers, files up to 64 MiB.
    fn default() -> Self {
        Self { cache_dir: None, cache_size: 512 << 20, workers: 8, max_file: 64 << 20 }
    }
}

/// Loads plugins and runs their calls. Cheap to clone.
#[derive(Clone)]
pub struct Runtime {
    pub(crate) shared: Arc<Shared>,
}

/// What all plugins have in common. When the last owner is gone, the ticking stops.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<Guest>,
    pub(crate) cache: Option<CacheDir>,
    pub(crate) max_file: u64,
    /// One permit for each call that the pool has room for.
    pub(crate) calls: Arc<Semaphore>,
    /// One permit for each instance that the pool has room for between its calls.
    pub(crate) kept: Arc<Semaphore>,
    /// KiB of files that may be loaded at once: see [`part_of_loading`].
    pub(crate) loading: Semaphore,
    /// A plugin that is asked who it is has an instance of its own in the pool.
    pub(crate) describing: Semaphore,
    _ticking: Sender<()>,
}

impl Runtime {
    /// Sets up engine and linker, and starts the thread that ticks every 10 ms.
    ///
    /// # Errors
    /// When wasmtime refuses this machine.
    pub fn new(config: RuntimeConfig) -> Result<Self, RuntimeError> {
        let wrong = |error: wasmtime::Error| RuntimeError::Engine(format!("{error:#}"));
        let workers = config.workers.clamp(1, Semaphore::MAX_PERMITS);
        let cache = config.cache_dir.as_deref().and_then(|dir| {
            let opened = CacheDir::open(dir, config.cache_size);
            let opened = opened.inspect_err(|why| {
                tracing::warn!(
                    "compiled plugins are not cached in {}, and starting takes longer: {why}",
                    dir.display()
                );
            });
            opened.ok()
        });
        let common = common_config();
        let engine = pooled(&common, workers).or_else(|error| {
            tracing::warn!(%error, "no pool of instances on this machine; memory is mapped for each call");
            Engine::new(&common).map_err(wrong)
        })?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(wrong)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).map_err(wrong)?;
        track_0_1::add_to_linker(&mut linker).map_err(wrong)?;
        let shared = Shared {
            linker,
            cache,
            max_file: config.max_file,
            calls: Arc::new(Semaphore::new(workers)),
            kept: Arc::new(Semaphore::new(workers)),
            loading: Semaphore::new(LOADING as usize),
            describing: Semaphore::new(1),
            _ticking: tick(&engine)?,
            engine,
        };
        Ok(Self { shared: Arc::new(shared) })
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").finish_non_exhaustive()
    }
}

fn common_config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBER_STACK)
        .wasm_backtrace_details(WasmBacktraceDetails::Enable);
    config
}

/// An engine with room for `workers` calls, as many instances between their calls, and one plugin that is being
/// loaded. The room is address space; memory is used only as far as guests touch it.
fn pooled(common: &Config, workers: usize) -> wasmtime::Result<Engine> {
    let instances = u32::try_from(workers)?.saturating_mul(2).saturating_add(1);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_stacks(instances)
        .total_core_instances(instances.saturating_mul(MOST_CORE_INSTANCES))
        .total_memories(instances.saturating_mul(MOST_MEMORIES))
        .total_tables(instances.saturating_mul(MOST_TABLES))
        .max_core_instances_per_component(MOST_CORE_INSTANCES)
        .max_memories_per_component(MOST_MEMORIES)
        .max_tables_per_component(MOST_TABLES)
        .max_component_instance_size(MOST_INSTANCE_BYTES)
        .max_core_instance_size(MOST_INSTANCE_BYTES)
        .table_elements(MOST_TABLE_ELEMENTS)
        .linear_memory_keep_resident(KEPT_MEMORY)
        .table_keep_resident(KEPT_TABLE)
        .pagemap_scan(Enabled::Auto);
    let mut config = common.clone();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}

/// Ticks until the returned sender is dropped.
fn tick(engine: &Engine) -> Result<Sender<()>, RuntimeError> {
    let (alive, stopped) = channel::<()>();
    let engine = engine.weak();
    let ticking = move || {
        while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            let Some(engine) = engine.upgrade() else { return };
            engine.increment_epoch();
        }
    };
    let thread = std::thread::Builder::new().name("plugin-epoch".into()).spawn(ticking);
    thread.map_err(|error| RuntimeError::Engine(format!("its clock thread does not start: {error}")))?;
    Ok(alive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_has_room_for_the_most_workers_that_may_be_configured() {
        let engine = pooled(&common_config(), 256).unwrap();
        assert!(engine.pooling_allocator_metrics().is_some());
    }
}
