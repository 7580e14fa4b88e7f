//! How long a call of a no-op guest takes, and how much processor time: a fresh instance, the query, the answer.
//! Prints JSON lines, as `cargo xtask bench plugins` passes them on. Must never judge.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs, reason = "its figures are its output")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use gleaner_model::identifier::Identifier;
use gleaner_runtime::{
    GuestHost, GuestHttpError, GuestRequest, GuestResponse, Query, Runtime, RuntimeConfig, Sandbox,
};

/// Calls of a run, and before the first.
const CALLS: usize = 20_000;
const WARM_UP: usize = 2000;

/// The no-op guest asks for nothing.
struct Nothing;

#[async_trait]
impl GuestHost for Nothing {
    async fn send(&self, _: GuestRequest) -> Result<GuestResponse, GuestHttpError> {
        Err(GuestHttpError::Timeout)
    }

    fn setting(&self, _: &str) -> Option<String> {
        None
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
    let runs: usize =
        std::env::var("GLEANER_BENCH_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let guest = PathBuf::from(target).join("guests/noop.wasm");
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (mut p50, mut p99, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    tokio.block_on(async {
        let runtime = Runtime::new(RuntimeConfig::default()).unwrap();
        let plugin = runtime.load(&guest).await.unwrap();
        let query = Query {
            identifiers: vec![Identifier::parse("10.1000/x").unwrap()],
            deadline: Duration::from_secs(10),
            ..Query::default()
        };
        let (host, sandbox) = (Arc::new(Nothing), Sandbox::default());
        for run in 0..=runs {
            let calls = if run == 0 { WARM_UP } else { CALLS };
            let mut times = Vec::with_capacity(calls);
            let before = processor_time();
            for _ in 0..calls {
                let started = Instant::now();
                let report = plugin.resolve(&query, host.clone(), &sandbox).await;
                times.push(started.elapsed().as_secs_f64() * 1e6);
                assert!(report.outcome.is_ok(), "{:?}", report.outcome);
            }
            if run > 0 {
                cpu.push((processor_time() - before).as_secs_f64() * 1e6 / calls as f64);
                times.sort_by(f64::total_cmp);
                p50.push(times[calls / 2]);
                p99.push(times[calls * 99 / 100]);
            }
        }
    });
    print("plugin.call_p50", &mut p50);
    print("plugin.call_p99", &mut p99);
    print("plugin.call_cpu", &mut cpu);
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
    let median = runs[runs.len() / 2];
    println!("{{\"bench\":\"{name}\",\"value\":{median:.1},\"unit\":\"us\",\"runs\":[{all}]}}");
}
