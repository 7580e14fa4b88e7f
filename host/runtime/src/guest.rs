//! The state of one call, beside its instance: limits, accounts, log, and the empty WASI world.
//!
//! One [`Guest`] belongs to one store and one call; it must never be used for a second.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wasmtime::component::ResourceTable;
use wasmtime::{Store, StoreContextMut, UpdateDeadline};
use wasmtime_wasi::clocks::HostWallClock;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::engine::{Shared, TICK};
use crate::host::GuestHost;
use crate::log::Log;
use crate::memory::MemoryMeter;
use crate::outbound::Outbound;
use crate::plugin::LogLevel;
use crate::sandbox::Sandbox;
use crate::stderr::Tail;

const MOST_HANDLES: usize = 1024;
/// Of one set of header fields of `wasi:http`, as the host counts them: twice what may be sent.
const MOST_FIELDS: usize = 32 << 10;
const MOST_RANDOM_BYTES: u64 = 64 << 10;

pub(crate) struct Guest {
    pub(crate) sandbox: Sandbox,
    pub(crate) began: Instant,
    /// Wall time of this call: the sandbox's, or what its job has left.
    pub(crate) wall: Duration,
    pub(crate) memory: MemoryMeter,
    pub(crate) ticks: u64,
    pub(crate) out_of_cpu: bool,
    pub(crate) log: Log,
    pub(crate) outbound: Outbound,
    pub(crate) stderr: Tail,
    wasi: WasiCtx,
    wasi_http: WasiHttpCtx,
    table: ResourceTable,
}

impl Guest {
    /// The state of a call that begins now.
    pub(crate) fn new(
        (plugin, job): (&str, &str),
        host: Arc<dyn GuestHost>,
        sandbox: Sandbox,
        wall: Duration,
    ) -> Self {
        let stderr = Tail::default();
        let mut wasi = WasiCtx::builder();
        wasi.stderr(stderr.clone())
            .wall_clock(TimeOfDay(Arc::clone(&host)))
            .max_random_size(MOST_RANDOM_BYTES)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        let mut table = ResourceTable::new();
        table.set_max_capacity(MOST_HANDLES);
        let mut wasi_http = WasiHttpCtx::new();
        wasi_http.set_field_size_limit(MOST_FIELDS);
        let began = Instant::now();
        Self {
            sandbox,
            began,
            wall,
            memory: MemoryMeter::new(sandbox.memory.0),
            ticks: 0,
            out_of_cpu: false,
            log: Log::new(plugin, job, sandbox.log_lines),
            outbound: Outbound::new(host, sandbox, began + wall),
            stderr,
            wasi: wasi.build(),
            wasi_http,
            table,
        }
    }

    /// Time the guest computed, in whole ticks.
    pub(crate) fn cpu(&self) -> Duration {
        TICK.saturating_mul(u32::try_from(self.ticks).unwrap_or(u32::MAX))
    }

    /// Logs the rules that `wasi:http` could not tell the guest: its error codes carry no text.
    pub(crate) fn log_refusals(&mut self) {
        for rule in self.outbound.take_refusals() {
            self.log.add(LogLevel::Warn, &format!("wasi:http: denied: {rule}"), &[]);
        }
    }

    /// A store of its own for this call, with every limit set.
    pub(crate) fn into_store(self, shared: &Shared) -> Store<Self> {
        let ticks = self.sandbox.cpu.0.as_millis().div_ceil(TICK.as_millis());
        let handed_over = usize::try_from(self.sandbox.memory.0).unwrap_or(usize::MAX);
        let mut store = Store::new(&shared.engine, self);
        store.limiter(|guest| &mut guest.memory);
        // What is handed over at a time takes no more of the host than it may take of the guest.
        store.set_hostcall_fuel(handed_over);
        store.set_max_component_handles(MOST_HANDLES);
        store.set_epoch_deadline(1);
        // Runs when the guest computes across a tick, or first computes again after waiting through some:
        // one tick is charged for either, so waiting is free.
        store.epoch_deadline_callback(move |mut store: StoreContextMut<'_, Self>| {
            let guest = store.data_mut();
            guest.ticks += 1;
            if u128::from(guest.ticks) > ticks {
                guest.out_of_cpu = true;
                return Ok(UpdateDeadline::Interrupt);
            }
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        });
        store
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.outbound, table: &mut self.table, ctx: &mut self.wasi_http }
    }
}

/// The host's time of day, for guests that ask WASI for it.
struct TimeOfDay(Arc<dyn GuestHost>);

impl HostWallClock for TimeOfDay {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.now_ms())
    }
}
