//! The state of one call, beside its instance: limits, accounts, log, and the empty WASI world.
//!
//! One [`Guest`] belongs to one store. Where an instance is used for several calls, each begins with
//! [`Guest::begin`]: nothing of the call before it may be left but what the guest itself remembers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use wasmtime::component::ResourceTable;
use wasmtime::{Store, StoreContextMut, UpdateDeadline};
use wasmtime_wasi::clocks::HostWallClock;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::aside::Lane;
use crate::engine::{Shared, TICK};
use crate::host::GuestHost;
use crate::load::Nothing;
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
/// A call that has computed for so long goes on aside.
const SLOW: Duration = TICK.saturating_mul(3);
/// One that has computed for so long goes on behind everybody else.
const VERY_SLOW: Duration = Duration::from_millis(200);

pub(crate) struct Guest {
    pub(crate) sandbox: Sandbox,
    pub(crate) began: Instant,
    /// Wall time of this call: the sandbox's, or what its job has left.
    pub(crate) wall: Duration,
    pub(crate) memory: MemoryMeter,
    /// Time that the guest computed: whole ticks, and what it had of them where that is known.
    pub(crate) cpu: Duration,
    pub(crate) out_of_cpu: bool,
    lane: Arc<Lane>,
    /// Of the time it had aside, what is in `cpu` or will never be.
    seen_aside: Duration,
    pub(crate) log: Log,
    pub(crate) outbound: Outbound,
    pub(crate) stderr: Tail,
    /// Made when the guest first uses it: most never do, and it costs as much as a call's own work.
    wasi: Option<WasiCtx>,
    wasi_http: WasiHttpCtx,
    now: TimeOfDay,
    table: ResourceTable,
}

impl Guest {
    /// The state of a call that begins now.
    pub(crate) fn new(
        (plugin, job): (&str, &str),
        host: Arc<dyn GuestHost>,
        sandbox: Sandbox,
        wall: Duration,
        lane: Arc<Lane>,
    ) -> Self {
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
            cpu: Duration::ZERO,
            out_of_cpu: false,
            lane,
            seen_aside: Duration::ZERO,
            log: Log::new(plugin, job, sandbox.log_lines),
            now: TimeOfDay::of(&host),
            outbound: Outbound::new(host, sandbox, began + wall),
            stderr: Tail::default(),
            wasi: None,
            wasi_http,
            table,
        }
    }

    /// Another call begins in this store's instance: new limits, accounts and log, another job's host. What WASI
    /// handed out stays, because the guest may hold it.
    pub(crate) fn begin(
        &mut self,
        (plugin, job): (&str, &str),
        host: Arc<dyn GuestHost>,
        sandbox: Sandbox,
        wall: Duration,
        lane: Arc<Lane>,
    ) {
        (self.sandbox, self.began, self.wall) = (sandbox, Instant::now(), wall);
        self.memory.begin(sandbox.memory.0);
        (self.cpu, self.out_of_cpu) = (Duration::ZERO, false);
        (self.lane, self.seen_aside) = (lane, Duration::ZERO);
        self.log = Log::new(plugin, job, sandbox.log_lines);
        self.now.become_that_of(&host);
        self.outbound = Outbound::new(host, sandbox, self.began + wall);
        self.stderr.clear();
    }

    /// Between two calls the instance has no host.
    pub(crate) fn let_go(&mut self) {
        let nobody: Arc<dyn GuestHost> = Arc::new(Nothing);
        self.now.become_that_of(&nobody);
        self.outbound = Outbound::new(nobody, self.sandbox, self.began);
    }

    /// Charges what it computed since it was last asked, a tick at most; whether it may go on.
    fn charge(&mut self) -> bool {
        // Aside a guest may have waited for a processor through many ticks.
        let computed = match self.lane.time_aside() {
            Some(now) => now.saturating_sub(std::mem::replace(&mut self.seen_aside, now)).min(TICK),
            None => TICK,
        };
        self.cpu += computed;
        self.out_of_cpu = self.cpu > self.sandbox.cpu.0;
        if self.cpu >= SLOW {
            self.lane.is_slow();
        }
        if self.cpu >= VERY_SLOW {
            self.lane.goes_last();
        }
        !self.out_of_cpu
    }

    /// Logs the rules that `wasi:http` could not tell the guest: its error codes carry no text.
    pub(crate) fn log_refusals(&mut self) {
        for rule in self.outbound.take_refusals() {
            self.log.add(LogLevel::Warn, &format!("wasi:http: denied: {rule}"), &[]);
        }
    }

    /// A store of its own for this call, with every limit set.
    pub(crate) fn into_store(self, shared: &Shared) -> Store<Self> {
        let mut store = Store::new(&shared.engine, self);
        store.limiter(|guest| &mut guest.memory);
        store.set_max_component_handles(MOST_HANDLES);
        prepare(&mut store);
        // Runs when the guest computes across a tick, or first computes again after waiting through some:
        // one tick is charged for either, so waiting is free.
        store.epoch_deadline_callback(move |mut store: StoreContextMut<'_, Self>| {
            if !store.data_mut().charge() {
                return Ok(UpdateDeadline::Interrupt);
            }
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        });
        store
    }
}

/// Sets what a store counts by itself, for the call that begins.
pub(crate) fn prepare(store: &mut Store<Guest>) {
    // What is handed over at a time takes no more of the host than it may take of the guest.
    let handed_over = usize::try_from(store.data().sandbox.memory.0).unwrap_or(usize::MAX);
    store.set_hostcall_fuel(handed_over);
    store.set_epoch_deadline(1);
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let ctx = self.wasi.get_or_insert_with(|| {
            let mut wasi = WasiCtx::builder();
            wasi.stderr(self.stderr.clone())
                .wall_clock(self.now.clone())
                .max_random_size(MOST_RANDOM_BYTES)
                .allow_tcp(false)
                .allow_udp(false)
                .allow_ip_name_lookup(false);
            wasi.build()
        });
        WasiCtxView { ctx, table: &mut self.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.outbound, table: &mut self.table, ctx: &mut self.wasi_http }
    }
}

/// The host's time of day, for guests that ask WASI for it: always that of the call that runs.
#[derive(Clone)]
struct TimeOfDay(Arc<Mutex<Arc<dyn GuestHost>>>);

impl TimeOfDay {
    fn of(host: &Arc<dyn GuestHost>) -> Self {
        Self(Arc::new(Mutex::new(Arc::clone(host))))
    }

    fn become_that_of(&self, host: &Arc<dyn GuestHost>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(host);
    }
}

impl HostWallClock for TimeOfDay {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.lock().unwrap_or_else(PoisonError::into_inner).now_ms())
    }
}
