//! Calls of a plugin, measured inside a process by a benchmark of the plugin host: how long they take, what they leave
//! behind, and what the sandbox costs. Must never judge.

use super::figure::Figures;
use super::place::{Filled, Place};
use crate::stage::{self, say};
use anyhow::{Context, Result};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// `plugin.call_p50`, `plugin.call_p99` (instantiate and resolve), `plugin.call_cpu`, `plugin.call_reuse_p50`; and the
/// same of guests in JavaScript (`plugin.call_js_p50`) and Python (`plugin.call_py_p50`), if examples in these languages
/// are built. The benchmark prints its own figures.
pub(super) fn calls(place: &Place) -> Result<()> {
    let mut bench = place.bench("calls")?;
    bench.env("GLEANER_BENCH_RUNS", place.runs.to_string());
    let examples = place.target.join("examples");
    for (engine, variable) in [(Engine::JavaScript, "GLEANER_BENCH_JS"), (Engine::Python, "GLEANER_BENCH_PY")]
    {
        match first_of(&examples, engine)? {
            Some(component) => drop(bench.env(variable, component)),
            None => say(format_args!("not measured: no {engine:?} component in {}", examples.display())),
        }
    }
    stage::run(&mut bench)
}

/// `plugin.rss_growth_1m_calls`: one process, measured once however many runs are asked for, because it is the calls
/// that count.
pub(super) fn growth(place: &Place) -> Result<()> {
    stage::run(place.bench("calls")?.env("GLEANER_BENCH_GROWTH", place.jobs.to_string()))
}

/// `plugin.sandbox_overhead`: the time of a whole drain of no-op jobs over that of the same drain where the same resolver
/// is compiled into the program, in turn; and both speeds.
pub(super) fn sandbox_overhead(place: &Place) -> Result<()> {
    let filled = place.medium();
    let mut figures = Figures::default();
    for _ in 0..place.runs {
        let native = drain(place, filled, "native")?;
        let wasm = drain(place, filled, "wasm")?;
        let jobs = filled.free as f64;
        figures.add("plugin.sandbox_overhead", "ratio", wasm / native);
        figures.add("plugin.drain_wasm", "jobs/s", jobs / wasm);
        figures.add("plugin.drain_native", "jobs/s", jobs / native);
    }
    figures.print()
}

fn drain(place: &Place, filled: Filled, form: &str) -> Result<f64> {
    let library = place.copy_of(filled)?.library;
    let guest = place.target.join("guests/noop.wasm");
    let text = stage::capture(place.bench("drain")?.arg(form).args([library, guest]))?;
    let answer: Took = serde_json::from_str(&text).with_context(|| format!("the drain answered {text:?}"))?;
    Ok(answer.seconds)
}

#[derive(Deserialize)]
struct Took {
    seconds: f64,
}

/// What a component carries to run its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Engine {
    JavaScript,
    Python,
}

/// Told by the names that the engine's own code leaves in a component, so that no file has to be called so.
fn engine_of(component: &[u8]) -> Option<Engine> {
    let has = |word: &str| component.windows(word.len()).any(|window| window == word.as_bytes());
    if has("StarlingMonkey") || has("SpiderMonkey") {
        return Some(Engine::JavaScript);
    }
    (has("libpython") || has("Py_Initialize")).then_some(Engine::Python)
}

/// The first component of a directory, by name, that carries the engine.
fn first_of(directory: &Path, engine: Engine) -> Result<Option<PathBuf>> {
    let Ok(entries) = fs::read_dir(directory) else { return Ok(None) };
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "wasm"));
    files.sort();
    for file in files {
        if engine_of(&fs::read(&file)?) == Some(engine) {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// Microseconds of processor time that a call of the no-op guest takes, in one run of the benchmark.
pub(super) fn processor_us_of_a_call(place: &Place) -> Result<f64> {
    let text = stage::capture(place.bench("calls")?.env("GLEANER_BENCH_RUNS", "1"))?;
    value(&text, "plugin.call_cpu").context("the benchmark of plugin calls did not say plugin.call_cpu")
}

#[derive(Deserialize)]
struct Line {
    bench: String,
    value: f64,
}

/// The value of a figure among JSON lines.
fn value(text: &str, name: &str) -> Option<f64> {
    let mut lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    lines.find(|line| line.bench == name).map(|line| line.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_known_by_its_engine() {
        let scratch = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(scratch.path().join(name), text).unwrap();
        write("a.wasm", "\0asm nothing of its own");
        write("b.wasm", "\0asm libpython3.14.so");
        write("c.wasm", "\0asm StarlingMonkey");
        write("d.txt", "StarlingMonkey");
        let first = |engine| first_of(scratch.path(), engine).unwrap().unwrap();
        assert!(first(Engine::Python).ends_with("b.wasm") && first(Engine::JavaScript).ends_with("c.wasm"));
        assert_eq!(first_of(&scratch.path().join("missing"), Engine::Python).unwrap(), None);
    }

    #[test]
    fn a_figure_is_found_among_others() {
        let text = "warming up\n{\"bench\":\"a\",\"value\":1.5,\"unit\":\"us\",\"runs\":[1.5]}\n\
                    {\"bench\":\"b\",\"value\":28,\"unit\":\"us\",\"runs\":[28]}\n";
        assert_eq!(value(text, "b"), Some(28.0));
        assert_eq!(value(text, "c"), None);
    }
}
