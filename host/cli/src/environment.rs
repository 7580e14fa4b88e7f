//! Every environment variable that the program reads, but settings (`GLEANER_SECTION__KEY`, read by `config`) and
//! secrets: the one list, which `docs/reference/environment.md` is made from.
//!
//! Must never be passed by: a test looks for variables that are read and do not stand here.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gleaner_telemetry::OtelVariables;

/// A variable and what it does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Variable {
    pub(crate) name: &'static str,
    /// For the reference page.
    #[cfg_attr(not(test), allow(dead_code, reason = "what the page says"))]
    pub(crate) meaning: &'static str,
}

impl Variable {
    /// Its value, if it has one.
    pub(crate) fn os(self) -> Option<OsString> {
        std::env::var_os(self.name)
    }

    /// Its value as text; none when it is no Unicode.
    pub(crate) fn text(self) -> Option<String> {
        std::env::var(self.name).ok()
    }
}

macro_rules! variables {
    ($($constant:ident = $name:literal: $meaning:literal;)+) => {
        $(
            #[doc = $meaning]
            #[cfg_attr(not(test), allow(dead_code, reason = "some are read by libraries, and are on the page"))]
            pub(crate) const $constant: Variable = Variable { name: $name, meaning: $meaning };
        )+
        /// All of them, in the order of the page.
        pub(crate) const ALL: &[Variable] = &[$($constant),+];
    };
}

variables! {
    LOG = "GLEANER_LOG": "What is logged, as a filter of `tracing` like `warn,gleaner=debug`; wins over `-v` and `-q`.";
    LOG_FORMAT = "GLEANER_LOG_FORMAT": "How log lines look: `console` or `json`.";
    FAULT = "GLEANER_FAULT": "`NAME:N` kills a debug build at the N-th pass of that fault point; release builds do not read it.";
    NO_COLOR = "NO_COLOR": "Anything but nothing: no colours, on a terminal either.";
    CONFIG_HOME = "XDG_CONFIG_HOME": "Where the user's `gleaner/gleaner.toml` is; `~/.config` without.";
    CACHE_HOME = "XDG_CACHE_HOME": "Where compiled plugins are kept, in `gleaner/components`; `~/.cache` without.";
    HOME = "HOME": "Stands in for the two above.";
    PATH = "PATH": "Where `plugin build` looks for the tools of a language.";
    OTEL_SDK_DISABLED = "OTEL_SDK_DISABLED": "`true`: no traces and metrics are sent, whatever else says so.";
    OTEL_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT": "The collector that traces and metrics are sent to, as `http://localhost:4318`; wins over `telemetry.otlp-endpoint`.";
    OTEL_TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "The whole address for traces alone.";
    OTEL_METRICS_ENDPOINT = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "The whole address for metrics alone.";
    OTEL_HEADERS = "OTEL_EXPORTER_OTLP_HEADERS": "Headers for the collector, as `name=value,name=value`; never shown.";
    OTEL_CERTIFICATE = "OTEL_EXPORTER_OTLP_CERTIFICATE": "A PEM file of the certificates that a collector's may be signed by; those that the system trusts without.";
    OTEL_TIMEOUT = "OTEL_EXPORTER_OTLP_TIMEOUT": "How long one export may take, in milliseconds; 10000 without.";
    OTEL_SERVICE_NAME = "OTEL_SERVICE_NAME": "`service.name` of what is sent; `gleaner` without.";
    OTEL_RESOURCE_ATTRIBUTES = "OTEL_RESOURCE_ATTRIBUTES": "Further attributes of what is sent, as `name=value,name=value`.";
    OTEL_TRACES_EXPORTER = "OTEL_TRACES_EXPORTER": "`none`: no traces.";
    OTEL_METRICS_EXPORTER = "OTEL_METRICS_EXPORTER": "`none`: no metrics over OTLP.";
    OTEL_TRACES_SAMPLER = "OTEL_TRACES_SAMPLER": "`always_on`, `always_off`, `traceidratio`, or these with `parentbased_`, which makes no difference; wins over `telemetry.sample`, and then all that it says are traced, however many they are.";
    OTEL_TRACES_SAMPLER_ARG = "OTEL_TRACES_SAMPLER_ARG": "The part for `traceidratio`, 0 to 1.";
    OTEL_BSP_MAX_QUEUE_SIZE = "OTEL_BSP_MAX_QUEUE_SIZE": "Spans that may wait to be sent; 65536 without. Other `OTEL_BSP_` variables hold as the standard says.";
    OTEL_METRIC_EXPORT_INTERVAL = "OTEL_METRIC_EXPORT_INTERVAL": "Between two exports of metrics, in milliseconds; 60000 without.";
    NOTIFY_SOCKET = "NOTIFY_SOCKET": "Set by systemd: where a run tells that it is ready, stopping, alive.";
    WATCHDOG_USEC = "WATCHDOG_USEC": "Set by systemd: within how many microseconds it wants to hear that a run is alive.";
    WATCHDOG_PID = "WATCHDOG_PID": "Set by systemd: whose watchdog that is.";
    RUSTC = "RUSTC": "The compiler that `plugin build` builds a resolver in Rust with.";
}

/// What the standard variables of OpenTelemetry say, as far as its libraries do not read them themselves.
pub(crate) fn of_otel() -> OtelVariables {
    let is_set = |variable: Variable| variable.text().is_some_and(|text| !text.is_empty());
    let is_none = |variable: Variable| variable.text().is_some_and(|text| text == "none");
    let names_service = OTEL_RESOURCE_ATTRIBUTES.text().is_some_and(|text| text.contains("service.name="));
    OtelVariables {
        is_disabled: OTEL_SDK_DISABLED.text().is_some_and(|text| text.eq_ignore_ascii_case("true")),
        has_endpoint: [OTEL_ENDPOINT, OTEL_TRACES_ENDPOINT, OTEL_METRICS_ENDPOINT].into_iter().any(is_set),
        wants_traces: !is_none(OTEL_TRACES_EXPORTER),
        wants_metrics: !is_none(OTEL_METRICS_EXPORTER),
        sampler: OTEL_TRACES_SAMPLER.text().filter(|text| !text.is_empty()),
        sampler_arg: OTEL_TRACES_SAMPLER_ARG.text(),
        timeout: OTEL_TIMEOUT.text().and_then(|text| text.parse().ok()).map(Duration::from_millis),
        certificate: OTEL_CERTIFICATE.os().filter(|file| !file.is_empty()).map(PathBuf::from),
        has_service_name: is_set(OTEL_SERVICE_NAME) || names_service,
        has_queue_size: is_set(OTEL_BSP_MAX_QUEUE_SIZE),
    }
}

/// The directory that a variable of the XDG base directories names, else that one in the user's home.
pub(crate) fn base_dir(variable: Variable, in_home: &str) -> Option<PathBuf> {
    let home = || HOME.os().map(|home| Path::new(&home).join(in_home));
    variable.os().map(PathBuf::from).or_else(home)
}

/// Whether colours are not wanted (no-color.org).
pub(crate) fn is_colourless() -> bool {
    NO_COLOR.os().is_some_and(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(dir: &Path, text: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                code(&path, text);
            } else {
                text.push((path.clone(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }

    #[test]
    fn variables_are_read_here_or_are_settings_and_secrets() {
        let mut files = Vec::new();
        code(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
        let reads = |text: &str| text.split("std::env::var").skip(1).map(str::to_owned).collect::<Vec<_>>();
        for (path, text) in &files {
            let allowed = ["environment.rs", "load.rs", "generations.rs"];
            if allowed.iter().any(|name| path.ends_with(name)) {
                continue;
            }
            for read in reads(text) {
                let is_for_tests = read.starts_with("_os(\"GLEANER_UPDATE\")");
                assert!(is_for_tests, "{} reads a variable by itself: {read:.60}", path.display());
            }
        }
        assert!(files.len() > 30 && ALL.len() > 5);
    }
}
