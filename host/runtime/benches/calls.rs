//! How long calls of guests take that have nothing to do: a fresh instance or one that is used again, the query, the
//! answer. Prints JSON lines, as `cargo xtask bench plugins` passes them on. Must never judge.
//!
//! `GLEANER_BENCH_RUNS` and `GLEANER_BENCH_CALLS` say how often; `GLEANER_BENCH_JS` and `GLEANER_BENCH_PY` name
//! components in these languages, where there are any; `GLEANER_BENCH_GROWTH` asks for the memory of so many calls
//! instead.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs, reason = "its figures are its output")]

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use gleaner_model::identifier::Identifier;
use gleaner_model::units::{ByteSize, Span};
use gleaner_runtime::{
    GuestHost, GuestHttpError, GuestRequest, GuestResponse, Plugin, Query, Runtime, RuntimeConfig, Sandbox,
};

/// Calls of a run of the no-op guest; a tenth of it before the first.
const CALLS: usize = 20_000;
/// Of guests that carry an engine.
const CALLS_OF_AN_ENGINE: usize = 300;
/// Between two looks at the memory.
const SOME_CALLS: usize = 10_000;

/// None of these guests asks for anything.
struct Nothing;

#[async_trait]
impl GuestHost for Nothing {
    async fn send(&self, _: GuestRequest) -> Result<GuestResponse, GuestHttpError> {
        Err(GuestHttpError::Timeout)
    }

    fn setting(&self, _: &str) -> Option<String> {
        // Some cannot begin without; no work is called so.
        Some("none".to_owned())
    }

    fn now_ms(&self) -> u64 {
        0
    }
}

fn main() {
    // `cargo test --benches` builds and starts this as well, without asking for figures.
    let Ok(target) = std::env::var("GLEANER_TARGET_DIR") else { return };
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let noop = PathBuf::from(target).join("guests/noop.wasm");
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    tokio.block_on(async {
        let runtime = Runtime::new(RuntimeConfig::default()).unwrap();
        let plugin = runtime.load(&noop).await.unwrap();
        if let Some(calls) = number("GLEANER_BENCH_GROWTH") {
            return growth(&plugin, calls).await;
        }
        let calls = number("GLEANER_BENCH_CALLS");
        let (fresh, again) = (Sandbox::default(), reusing());
        let mut figures = measure(&plugin, "10.1000/x", &fresh, calls.unwrap_or(CALLS)).await;
        print("plugin.call_p50", &mut figures.p50);
        print("plugin.call_p99", &mut figures.p99);
        print("plugin.call_cpu", &mut figures.cpu);
        let mut figures = measure(&plugin, "10.1000/x", &again, calls.unwrap_or(CALLS)).await;
        print("plugin.call_reuse_p50", &mut figures.p50);
        for (variable, language) in [("GLEANER_BENCH_JS", "js"), ("GLEANER_BENCH_PY", "py")] {
            let Some(path) = std::env::var_os(variable) else { continue };
            let plugin = runtime.load(Path::new(&path)).await.unwrap();
            // A work that the guest has nothing to say of: no example takes these.
            let calls = calls.unwrap_or(CALLS_OF_AN_ENGINE);
            let mut figures = measure(&plugin, "isbn:9780262033848", &large(&fresh), calls).await;
            print(&format!("plugin.call_{language}_p50"), &mut figures.p50);
            print(&format!("plugin.call_{language}_p99"), &mut figures.p99);
            let mut figures = measure(&plugin, "isbn:9780262033848", &large(&again), calls).await;
            print(&format!("plugin.call_{language}_reuse_p50"), &mut figures.p50);
        }
    });
}

fn number(variable: &str) -> Option<usize> {
    std::env::var(variable).ok()?.parse().ok()
}

fn reusing() -> Sandbox {
    Sandbox { reuse: NonZeroU32::MAX, ..Sandbox::default() }
}

/// What an engine may need at its start.
fn large(sandbox: &Sandbox) -> Sandbox {
    let (memory, cpu) = (ByteSize(512 << 20), Span(Duration::from_secs(10)));
    Sandbox { memory, cpu, ..*sandbox }
}

/// Microseconds; a value for each run.
#[derive(Default)]
struct Figures {
    p50: Vec<f64>,
    p99: Vec<f64>,
    cpu: Vec<f64>,
}

async fn measure(plugin: &Plugin, work: &str, sandbox: &Sandbox, calls: usize) -> Figures {
    let mut figures = Figures::default();
    for run in 0..=number("GLEANER_BENCH_RUNS").unwrap_or(5) {
        let calls = if run == 0 { calls.div_ceil(10) } else { calls };
        let before = processor_time();
        let mut times = call(plugin, work, sandbox, calls).await;
        if run > 0 {
            figures.cpu.push((processor_time() - before).as_secs_f64() * 1e6 / calls as f64);
            times.sort_by(f64::total_cmp);
            figures.p50.push(times[calls / 2]);
            figures.p99.push(times[calls * 99 / 100]);
        }
    }
    figures
}

/// One call after the other, and how long each took.
async fn call(plugin: &Plugin, work: &str, sandbox: &Sandbox, calls: usize) -> Vec<f64> {
    let identifiers = vec![Identifier::parse(work).unwrap()];
    let query = Query { identifiers, deadline: Duration::from_secs(10), ..Query::default() };
    let host = Arc::new(Nothing);
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        let started = Instant::now();
        let report = plugin.resolve(&query, host.clone(), sandbox).await;
        times.push(started.elapsed().as_secs_f64() * 1e6);
        assert!(report.outcome.is_ok(), "{:?}", report.outcome);
    }
    times
}

/// What so many calls leave behind, after a tenth as many to warm up: half of them in fresh instances, half in one
/// that is used again.
async fn growth(plugin: &Plugin, calls: usize) {
    let (fresh, again) = (Sandbox::default(), reusing());
    let work = async |calls: usize| {
        for _ in 0..calls.div_ceil(2 * SOME_CALLS) {
            for sandbox in [&fresh, &again] {
                drop(call(plugin, "10.1000/x", sandbox, SOME_CALLS.min(calls)).await);
            }
        }
    };
    work(calls / 10).await;
    let before = resident();
    work(calls).await;
    let grown = (resident() as f64 - before as f64) / 1e6;
    line("plugin.rss_growth_1m_calls", "MB", grown, &format!("{grown:.3}"));
}

/// Bytes of this process that are in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Of all threads of this process so far, in steps of 10 ms: those of `/proc`, a hundred a second on Linux.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // Behind the name, which may hold anything, user and system time are the 12th and the 13th field.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

fn print(name: &str, runs: &mut [f64]) {
    let all = runs.iter().map(|run| format!("{run:.1}")).collect::<Vec<_>>().join(",");
    runs.sort_by(f64::total_cmp);
    line(name, "us", runs[runs.len() / 2], &all);
}

fn line(name: &str, unit: &str, value: f64, runs: &str) {
    println!("{{\"bench\":\"{name}\",\"value\":{value:.3},\"unit\":\"{unit}\",\"runs\":[{runs}]}}");
}
