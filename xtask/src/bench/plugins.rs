//! Calls of a plugin, measured inside a process by a benchmark of the plugin host: `plugin.call_p50`,
//! `plugin.call_p99` (instantiate and resolve), and the processor time of a call, `plugin.call_cpu`.

use super::place::Place;
use crate::stage;
use anyhow::{Context, Result};
use serde::Deserialize;

/// The benchmark prints its own figures.
pub(super) fn calls(place: &Place) -> Result<()> {
    stage::run(place.bench("calls")?.env("GLEANER_BENCH_RUNS", place.runs.to_string()))
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
    use super::value;

    #[test]
    fn a_figure_is_found_among_others() {
        let text = "warming up\n{\"bench\":\"a\",\"value\":1.5,\"unit\":\"us\",\"runs\":[1.5]}\n\
                    {\"bench\":\"b\",\"value\":28,\"unit\":\"us\",\"runs\":[28]}\n";
        assert_eq!(value(text, "b"), Some(28.0));
        assert_eq!(value(text, "c"), None);
    }
}
