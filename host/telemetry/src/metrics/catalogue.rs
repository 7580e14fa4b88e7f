//! Every metric by name: what dashboards and alerts are written against.
//!
//! Names and labels are a contract; a metric that is not here is never told. Labels that come from outside are marked
//! open: their values are bounded.

/// How a metric is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, from the start of the process.
    Counter,
    /// What is now.
    Gauge,
    /// How many were at most so long: bounds in hundredths of a second.
    Histogram(&'static [u16]),
}

/// A label of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Whether values come from outside, so that there may be any number of them.
    pub is_open: bool,
}

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// As Prometheus and OTLP have it.
    pub name: &'static str,
    /// How it is read.
    pub kind: Kind,
    /// What it says.
    pub help: &'static str,
    /// In the order of their values.
    pub labels: &'static [Label],
}

const fn closed(name: &'static str) -> Label {
    Label { name, is_open: false }
}

const fn open(name: &'static str) -> Label {
    Label { name, is_open: true }
}

/// Bounds of latencies, in hundredths of a second.
const LATENCIES: &[u16] = &[1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 3000, 6000];

macro_rules! metrics {
    ($($constant:ident = $name:literal, $kind:expr, [$($label:expr),*], $help:literal;)+) => {
        $(
            #[doc = $help]
            pub(crate) const $constant: &Metric =
                &Metric { name: $name, kind: $kind, help: $help, labels: &[$($label),*] };
        )+
        /// All of them.
        pub const ALL: &[&Metric] = &[$($constant),+];
    };
}

metrics! {
    QUEUE_DEPTH = "gleaner_queue_depth", Kind::Gauge, [closed("state")], "Jobs of the library in each state.";
    JOBS_INFLIGHT = "gleaner_jobs_inflight", Kind::Gauge, [], "Jobs that this process is working on.";
    JOBS_COMPLETED = "gleaner_jobs_completed_total", Kind::Counter, [closed("outcome"), closed("reason")], "Jobs that ended.";
    JOBS_FAILED = "gleaner_jobs_failed_total", Kind::Counter, [], "Jobs that ended as error.";
    ATTEMPTS = "gleaner_attempts_total", Kind::Counter, [open("resolver"), closed("status"), closed("reason")], "Steps carried out: a resolver was called, or a candidate of it fetched.";
    RETRIES = "gleaner_retries_total", Kind::Counter, [], "Steps that had been tried before.";
    BYTES = "gleaner_bytes_total", Kind::Counter, [], "Bytes of files received.";
    HTTP_REQUESTS = "gleaner_http_requests_total", Kind::Counter, [closed("role"), closed("status")], "Requests sent, by what they were for (metadata, landing, content, robots) and what came back: 2xx, 3xx, 4xx, 5xx, or none.";
    HTTP_LATENCY = "gleaner_http_latency_seconds", Kind::Histogram(LATENCIES), [closed("role")], "From sending a request to the headers of its answer.";
    COOLDOWNS = "gleaner_cooldowns_total", Kind::Counter, [open("key")], "Pauses that an upstream imposed.";
    SUSPENSIONS = "gleaner_plugin_suspensions_total", Kind::Counter, [open("resolver")], "Suspensions of plugins that kept failing.";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> String {
        let row = |metric: &&Metric| {
            let kind = match metric.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram(_) => "histogram",
            };
            let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{}`", label.name)).collect();
            format!("| `{}` | {kind} | {} | {} |\n", metric.name, labels.join(" "), metric.help)
        };
        let rows: String = ALL.iter().map(row).collect();
        format!(
            "# Metrics\n\nMade from the code; `GLEANER_UPDATE=1 cargo test -p gleaner-telemetry` writes it anew.\n\n\
             The same names in the text format of Prometheus (`gleaner queue run --metrics-file PATH`) and over OTLP. Of a label whose\n\
             values come from outside (resolvers, keys), {} values are told apart and all others are `{}`. Reasons:\n\
             [reasons.md](reasons.md).\n\n\
             | metric | kind | labels | meaning |\n|---|---|---|---|\n{rows}",
            crate::metrics::MOST_VALUES,
            crate::metrics::OTHER,
        )
    }

    #[test]
    fn the_metrics_are_documented_as_they_are() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/metrics.md");
        if std::env::var_os("GLEANER_UPDATE").is_some() {
            std::fs::write(&path, page()).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written == page(),
            "metrics.md is not current: GLEANER_UPDATE=1 cargo test -p gleaner-telemetry"
        );
    }

    #[test]
    fn names_are_unique_and_as_prometheus_wants_them() {
        for (at, metric) in ALL.iter().enumerate() {
            assert!(ALL[..at].iter().all(|other| other.name != metric.name));
            let fits = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            assert!(metric.name.starts_with("gleaner_") && fits(metric.name));
            assert!(metric.labels.iter().all(|label| fits(label.name) && label.name != "le"));
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
        }
    }
}
