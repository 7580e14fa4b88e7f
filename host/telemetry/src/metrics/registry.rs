//! The measurements themselves, and their text for Prometheus (exposition format 0.0.4).
//!
//! Must never bound anything: values come bounded.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::catalogue::{ALL, Kind, Metric};

/// The series of each metric.
#[derive(Debug, Default)]
pub(super) struct Registry {
    metrics: BTreeMap<&'static str, BTreeMap<String, Series>>,
    /// Kept, so that nothing is allocated for a series that is there.
    key: String,
}

#[derive(Debug, Default)]
struct Series {
    labels: Vec<String>,
    value: f64,
    /// Of a histogram: how many fell under each bound and no lower one, and how many there are.
    buckets: Vec<u64>,
    count: u64,
}

impl Registry {
    pub(super) fn note(&mut self, metric: &'static Metric, values: &[&str], amount: f64) {
        self.key.clear();
        for value in values {
            self.key.push_str(value);
            self.key.push('\0');
        }
        let all = self.metrics.entry(metric.name).or_default();
        let series = match all.get_mut(&self.key) {
            Some(series) => series,
            None => {
                let labels = values.iter().map(|value| (*value).to_owned()).collect();
                all.entry(self.key.clone()).or_insert(Series { labels, ..Series::default() })
            }
        };
        match metric.kind {
            Kind::Counter => series.value += amount,
            Kind::Gauge => series.value = amount,
            Kind::Histogram(bounds) => {
                series.buckets.resize(bounds.len(), 0);
                series.value += amount;
                series.count += 1;
                if let Some(at) = bounds.iter().position(|bound| amount <= seconds(*bound)) {
                    series.buckets[at] += 1;
                }
            }
        }
    }

    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        for metric in ALL {
            let kind = match metric.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram(_) => "histogram",
            };
            let name = metric.name;
            let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}", metric.help);
            for series in self.metrics.get(name).into_iter().flat_map(BTreeMap::values) {
                write_series(&mut text, metric, &series.labels, series);
            }
        }
        text
    }

    /// The values of a counter or gauge, with those of its labels.
    pub(super) fn values(&self, metric: &Metric) -> impl Iterator<Item = (&[String], f64)> {
        let all = self.metrics.get(metric.name).into_iter().flat_map(BTreeMap::values);
        all.map(|series| (&*series.labels, series.value))
    }
}

fn write_series(text: &mut String, metric: &Metric, values: &[String], series: &Series) {
    let name = metric.name;
    let Kind::Histogram(bounds) = metric.kind else {
        let _ = writeln!(text, "{name}{} {}", labels(metric, values, None), series.value);
        return;
    };
    let mut below = 0;
    for (bound, count) in bounds.iter().zip(&series.buckets) {
        below += count;
        let le = seconds(*bound).to_string();
        let _ = writeln!(text, "{name}_bucket{} {below}", labels(metric, values, Some(&le)));
    }
    let _ = writeln!(text, "{name}_bucket{} {}", labels(metric, values, Some("+Inf")), series.count);
    let _ = writeln!(text, "{name}_sum{} {}", labels(metric, values, None), series.value);
    let _ = writeln!(text, "{name}_count{} {}", labels(metric, values, None), series.count);
}

/// Hundredths of a second as seconds.
pub(super) fn seconds(bound: u16) -> f64 {
    f64::from(bound) / 100.0
}

/// `{state="queued"}`, or nothing.
fn labels(metric: &Metric, values: &[String], le: Option<&str>) -> String {
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let named = metric.labels.iter().zip(values).map(|(label, value)| (label.name, value.as_str()));
    let all: Vec<String> = named
        .chain(le.map(|le| ("le", le)))
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
        .collect();
    if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::catalogue::COOLDOWNS;

    #[test]
    fn whatever_a_label_says_stays_inside_its_quotes() {
        let mut registry = Registry::default();
        registry.note(COOLDOWNS, &["a\"} 7\nb\\"], 1.0);
        let text = registry.render();
        assert!(text.contains("gleaner_cooldowns_total{key=\"a\\\"} 7\\nb\\\\\"} 1\n"), "{text}");
    }
}
