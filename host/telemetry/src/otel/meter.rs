//! Measurements as instruments of OpenTelemetry, under the names of the catalogue.
//!
//! Counters and gauges are read when they are sent, so that counting costs the same whoever reads. Must never bound or
//! change a value: both come as the registry has them.

use std::collections::HashMap;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Histogram, Meter};

use crate::metrics::catalogue::{ALL, Kind, Metric};
use crate::metrics::{Sink, metrics};

/// Those that are told every value.
pub(super) struct Instruments(HashMap<&'static str, Histogram<f64>>);

impl Instruments {
    /// One instrument for each metric.
    pub(super) fn new(meter: &Meter) -> Self {
        let mut told = HashMap::new();
        for metric in ALL.iter().copied() {
            let (name, help) = (metric.name, metric.help);
            match metric.kind {
                Kind::Counter => {
                    let counter = meter.f64_observable_counter(name).with_description(help);
                    let _ = counter.with_callback(|into| observe(metric, into)).build();
                }
                Kind::Gauge => {
                    let gauge = meter.f64_observable_gauge(name).with_description(help);
                    let _ = gauge.with_callback(|into| observe(metric, into)).build();
                }
                Kind::Histogram(bounds) => {
                    let bounds = bounds.iter().map(|bound| f64::from(*bound) / 100.0).collect();
                    let histogram = meter.f64_histogram(name).with_description(help).with_unit("s");
                    told.insert(name, histogram.with_boundaries(bounds).build());
                }
            }
        }
        Self(told)
    }
}

fn observe(metric: &Metric, into: &dyn AsyncInstrument<f64>) {
    metrics().read(metric, |values, value| into.observe(value, &labels(metric, values.iter())));
}

fn labels(metric: &Metric, values: impl Iterator<Item = impl ToString>) -> Vec<KeyValue> {
    let named = metric.labels.iter().zip(values);
    named.map(|(label, value)| KeyValue::new(label.name, value.to_string())).collect()
}

impl Sink for Instruments {
    fn note(&self, metric: &'static Metric, values: &[&str], amount: f64) {
        if let Some(histogram) = self.0.get(metric.name) {
            histogram.record(amount, &labels(metric, values.iter()));
        }
    }
}
