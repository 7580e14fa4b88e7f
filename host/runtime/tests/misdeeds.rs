//! What guests may do wrong in a call, and what files may be instead of plugins: each ends as
//! `docs/reference/misdeeds.md` says, within its limits of time and memory, and the next call finds nothing of it.
//!
//! One test, so that the memory of the process is what these misdeeds left. What guests ask of the web is in the suite of
//! that name of the whole program.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod harness;
#[path = "wasi/mod.rs"]
mod wasi;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gleaner_model::reason::FailureClass;
use gleaner_model::units::{ByteSize, Span};
use gleaner_runtime::{Plugin, Runtime, Sandbox};
use gleaner_testing::{Row, quoted, rows_below};
use harness::{Web, call, guest, hostile, order, runtime};

/// The machine may be busy; a guest that is not stopped computes or sleeps for ever.
const LATE: Duration = Duration::from_secs(60);
/// Of the whole process, beyond what one call may take.
const SPARE_MEMORY: u64 = 192 << 20;

fn document(heading: &str) -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/misdeeds.md");
    rows_below(&fs::read_to_string(path).unwrap(), heading)
}

/// How it is done.
enum Deed {
    /// An order for the hostile guest.
    Order(&'static str),
    /// The instructions of `resolve`, and its locals.
    Text(&'static str),
}

use Deed::{Order, Text};

fn small() -> Sandbox {
    Sandbox {
        cpu: Span(Duration::from_millis(200)),
        wall: Span(Duration::from_secs(60)),
        ..Sandbox::default()
    }
}

fn short() -> Sandbox {
    Sandbox { cpu: Span(Duration::from_secs(600)), wall: Span(Duration::from_millis(200)), ..small() }
}

fn patient() -> Sandbox {
    Sandbox { cpu: Span(Duration::from_secs(60)), ..small() }
}

fn roomy() -> Sandbox {
    Sandbox { memory: ByteSize(128 << 20), ..patient() }
}

/// As the document names them.
fn deeds() -> Vec<(&'static str, Deed, Sandbox)> {
    vec![
        ("an endless loop", Order("loop"), small()),
        ("an endless loop, with time to compute", Order("loop"), short()),
        ("sleep", Text(SLEEP), short()),
        ("a memory bomb", Order("alloc"), patient()),
        ("100 MB of text at once", Order("big"), patient()),
        ("a table bomb", Text(TABLE_BOMB), patient()),
        (
            "a table bomb in small steps",
            Text(SMALL_TABLES),
            Sandbox { memory: ByteSize(128 << 10), ..patient() },
        ),
        ("deep recursion", Order("recurse"), patient()),
        ("a trap", Order("trap"), patient()),
        ("an instruction that traps", Text("i32.const 1 i32.const 0 i32.div_u"), patient()),
        ("a panic", Order("panic"), patient()),
        ("`exit(0)`", Text("i32.const 0 call $exit unreachable"), patient()),
        ("a log flood", Order("log-flood"), small()),
        ("a flood of standard error", Text(STDERR_FLOOD), small()),
        ("a result of 1 GB", Text(GIGABYTE), patient()),
        ("a million candidates", Order("many:1000000"), patient()),
        ("a million candidates that are one", Text(MILLION), roomy()),
        ("text that is not UTF-8", Text(NOT_UTF_8), patient()),
        ("an answer that points nowhere", Text(NOWHERE), patient()),
    ]
}

const SLEEP: &str = "i64.const 3600000000000 call $subscribe call $block i32.const 0";
const STDERR_FLOOD: &str = "(local $stderr i32) call $get-stderr local.set $stderr
    loop $more local.get $stderr i32.const 256 i32.const 12 i32.const 512 call $write br $more end unreachable";
const TABLE_BOMB: &str = "loop $more ref.null func i32.const 10000 table.grow $table i32.const -1 i32.ne br_if $more end unreachable";
/// 8 KiB of the host's memory each time.
const SMALL_TABLES: &str = "loop $more ref.null func i32.const 1000 table.grow $table i32.const -1 i32.ne br_if $more end unreachable";
/// A thousand candidates, and the URL of each is the same megabyte.
const GIGABYTE: &str = "(local $n i32) (local $at i32)
    i32.const 31 memory.grow drop
    (local.set $at (i32.const 131072))
    loop $next
      (i32.store (local.get $at) (i32.const 1048576))
      (i32.store offset=4 (local.get $at) (i32.const 1048576))
      (local.set $at (i32.add (local.get $at) (i32.const 76)))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $n) (i32.const 1000)))
    end
    (i32.store (i32.const 520) (i32.const 131072))
    (i32.store (i32.const 524) (i32.const 1000))
    i32.const 512";
/// Candidates without a URL, of zeros that the system gave.
const MILLION: &str = "i32.const 1200 memory.grow drop
    (i32.store (i32.const 520) (i32.const 131072))
    (i32.store (i32.const 524) (i32.const 1000000))
    i32.const 512";
const NOT_UTF_8: &str = "(i32.store8 (i32.const 600) (i32.const 255))
    (i32.store (i32.const 704) (i32.const 600))
    (i32.store (i32.const 708) (i32.const 1))
    (i32.store (i32.const 520) (i32.const 704))
    (i32.store (i32.const 524) (i32.const 1))
    i32.const 512";
const NOWHERE: &str = "(i32.store (i32.const 520) (i32.const 0x00ff0000))
    (i32.store (i32.const 524) (i32.const 1))
    i32.const 512";

/// A file that is no plugin, as the document names it, and its bytes.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let good = fs::read(guest("hostile")).unwrap();
    let renamed = |from: &str, to: &str| {
        let mut bytes = good.clone();
        while let Some(at) = bytes.windows(from.len()).position(|window| window == from.as_bytes()) {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
        bytes
    };
    let garbled = [&good[..12], &[0xff; 400], &good[412..]].concat();
    let native = wasmtime::Engine::default().precompile_component(&good).unwrap();
    let answer = "i32.const 0";
    vec![
        ("an empty file", Vec::new()),
        ("a script", b"#!/bin/sh\necho no component\n".to_vec()),
        ("a web page", b"<!doctype html><title>Not found</title>".to_vec()),
        ("a core module", b"\0asm\x01\0\0\0".to_vec()),
        ("the first half of a component", good[..good.len() / 2].to_vec()),
        ("a component with nonsense in it", garbled),
        ("native code", native),
        ("a component of another world", b"\0asm\x0d\0\x01\0".to_vec()),
        ("a resolver of a later interface", renamed("@0.1.0", "@0.3.0")),
        (
            "a resolver that wants what nobody gives",
            renamed("gleaner:resolver/clock", "stranger:resolve/clock"),
        ),
        ("`describe` loops", wasi::component(answer, "loop $for-ever br $for-ever end unreachable")),
        ("`describe` traps", wasi::component(answer, "unreachable")),
        ("`describe` points nowhere", wasi::component(answer, "i32.const 0x00ff0000")),
        ("`describe` says nothing", wasi::component(answer, "i32.const 0")),
    ]
}

/// A line of `/proc/self/status`, in bytes.
fn memory(line: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let value = status.lines().find_map(|text| text.strip_prefix(line)).unwrap();
    value.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// What differs from the document, all of it.
#[derive(Default)]
struct Verdict(Vec<String>);

impl Verdict {
    fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.0.push(what());
        }
    }
}

#[tokio::test]
async fn every_misdeed_ends_as_documented_in_bounded_time_and_memory() {
    let (runtime, mut verdict) = (runtime(2), Verdict::default());
    let plugin = hostile(&runtime).await;
    assert!(call(&plugin, "ok").await.outcome.is_ok());
    let before = memory("VmRSS");
    calls(&runtime, &plugin, &mut verdict).await;
    load(&runtime, &mut verdict).await;
    // At its highest, and when all is done.
    let most = SPARE_MEMORY + Sandbox::default().memory.0 * 2;
    let (peak, after) = (memory("VmHWM"), memory("VmRSS"));
    verdict.expect(peak < before + most, || format!("memory rose from {before} to {peak}"));
    verdict
        .expect(after < before + SPARE_MEMORY, || format!("of {before} bytes of memory {after} were left"));
    assert!(verdict.0.is_empty(), "{}", verdict.0.join("\n"));
}

async fn calls(runtime: &Runtime, plugin: &Plugin, verdict: &mut Verdict) {
    let rows = document("## In a call");
    let dir = tempfile::tempdir().unwrap();
    let mut done = BTreeSet::new();
    for (name, deed, sandbox) in deeds() {
        done.insert(name.to_owned());
        let Some(row) = rows.iter().find(|row| row[0] == name) else {
            verdict.expect(false, || format!("{name} is not documented"));
            continue;
        };
        let web = Arc::new(Web::default());
        let report = match deed {
            Order(what) => plugin.resolve(&order(what), web, &sandbox).await,
            Text(resolve) => {
                let file = dir.path().join("text.wasm");
                fs::write(&file, wasi::resolver(resolve)).unwrap();
                let text = runtime.load(&file).await.unwrap();
                text.resolve(&order("x"), web, &sandbox).await
            }
        };
        let (cpu, wall, most) = (sandbox.cpu.0, sandbox.wall.0, sandbox.memory.0);
        verdict.expect(report.cpu <= cpu + Duration::from_millis(10), || {
            format!("{name}: cpu {:?}", report.cpu)
        });
        verdict.expect(report.wall <= wall + LATE, || format!("{name}: wall {:?}", report.wall));
        verdict.expect(report.peak_memory <= most, || format!("{name}: memory {}", report.peak_memory));
        verdict.expect(report.log.len() <= 50, || format!("{name}: {} lines", report.log.len()));
        match report.outcome {
            Ok(resolution) => verdict.expect(false, || format!("{name} was answered: {resolution:?}")),
            Err(failure) => {
                let is_fault = failure.class == FailureClass::PluginFault;
                let is_reason = quoted(&row[1]) == [failure.reason.as_str()];
                let tells = quoted(&row[2]).iter().all(|part| failure.detail.contains(part.as_str()));
                let is_short = failure.detail.len() < 900;
                verdict.expect(is_fault && is_reason && tells && is_short, || format!("{name}: {failure:?}"));
            }
        }
        let next = call(plugin, "ok").await.outcome;
        verdict.expect(next.is_ok(), || format!("after {name}: {next:?}"));
    }
    for row in rows.iter().filter(|row| !done.contains(&row[0])) {
        verdict.expect(false, || format!("nothing does {:?}", row[0]));
    }
}

async fn load(runtime: &Runtime, verdict: &mut Verdict) {
    let rows = document("## Files that are no plugins");
    let dir = tempfile::tempdir().unwrap();
    let mut done = BTreeSet::new();
    let mut paths = Vec::new();
    for (number, (name, bytes)) in files().into_iter().enumerate() {
        let path = dir.path().join(format!("{number}.wasm"));
        fs::write(&path, bytes).unwrap();
        paths.push((name, path));
    }
    // Almost all of it a hole, but nobody could know.
    let huge = dir.path().join("huge.wasm");
    fs::copy(guest("hostile"), &huge).unwrap();
    File::options().append(true).open(&huge).unwrap().set_len(200 << 20).unwrap();
    paths.push(("a file of 200 MB", huge));
    paths.push(("a directory", dir.path().to_owned()));
    for (name, path) in paths {
        done.insert(name.to_owned());
        let Some(row) = rows.iter().find(|row| row[0] == name) else {
            verdict.expect(false, || format!("{name} is not documented"));
            continue;
        };
        match runtime.load(&path).await {
            Ok(plugin) => verdict.expect(false, || format!("{name} is a plugin: {plugin:?}")),
            Err(error) => {
                let message = error.to_string();
                let tells = quoted(&row[1]).iter().all(|part| message.contains(part.as_str()));
                verdict.expect(tells, || format!("{name}: {message}"));
            }
        }
    }
    for row in rows.iter().filter(|row| !done.contains(&row[0])) {
        verdict.expect(false, || format!("nothing is {:?}", row[0]));
    }
}
