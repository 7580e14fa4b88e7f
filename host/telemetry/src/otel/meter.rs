//! Measurements as instruments of OpenTelemetry, under the names of the catalogue.
//!
//! Must never bound or change a value: both come as the registry has them.

use std::collections::HashMap;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter};

use crate::metrics::Sink;
use crate::metrics::catalogue::{ALL, Kind, Metric};

enum Instrument {
    Counter(Counter<f64>),
    Gauge(Gauge<f64>),
    Histogram(Histogram<f64>),
}

/// One instrument for each metric.
pub(super) struct Instruments(HashMap<&'static str, Instrument>);

impl Instruments {
    pub(super) fn new(meter: &Meter) -> Self {
        let one = |metric: &&Metric| {
            let (name, help) = (metric.name, metric.help);
            let instrument = match metric.kind {
                Kind::Counter => Instrument::Counter(meter.f64_counter(name).with_description(help).build()),
                Kind::Gauge => Instrument::Gauge(meter.f64_gauge(name).with_description(help).build()),
                Kind::Histogram(bounds) => {
                    let bounds = bounds.iter().map(|bound| f64::from(*bound) / 100.0).collect();
                    let histogram = meter.f64_histogram(name).with_description(help).with_unit("s");
                    Instrument::Histogram(histogram.with_boundaries(bounds).build())
                }
            };
            (name, instrument)
        };
        Self(ALL.iter().map(one).collect())
    }
}

impl Sink for Instruments {
    fn note(&self, metric: &'static Metric, values: &[&str], amount: f64) {
        let labels = metric.labels.iter().zip(values);
        let labels: Vec<KeyValue> =
            labels.map(|(label, value)| KeyValue::new(label.name, (*value).to_owned())).collect();
        match self.0.get(metric.name) {
            Some(Instrument::Counter(counter)) => counter.add(amount, &labels),
            Some(Instrument::Gauge(gauge)) => gauge.record(amount, &labels),
            Some(Instrument::Histogram(histogram)) => histogram.record(amount, &labels),
            None => {}
        }
    }
}
