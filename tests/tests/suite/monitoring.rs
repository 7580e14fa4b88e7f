//! Metrics: a run writes them as they are, and what is shipped to look at them names only those that there are.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use gleaner_testing::rows_below;
use serde_json::Value;

use crate::papers::{bench, enqueue};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

/// Names of all metrics, those of a histogram's parts too.
fn names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for row in rows_below(&read("docs/reference/metrics.md"), "# Metrics") {
        let name = row[0].trim_matches('`').to_owned();
        if row[1] == "histogram" {
            names.extend(["bucket", "sum", "count"].map(|part| format!("{name}_{part}")));
        } else {
            names.insert(name);
        }
    }
    names
}

/// Every metric that a text names.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("gleaner_")).map(str::to_owned).collect()
}

#[test]
fn the_dashboard_and_the_alerts_name_only_metrics_that_there_are() {
    let all = names();
    assert!(all.len() > 10, "{all:?}");
    let dashboard: Value = serde_json::from_str(&read("examples/monitoring/grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut shown = BTreeSet::new();
    for target in panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap()) {
        let metrics = named(target["expr"].as_str().unwrap());
        assert!(!metrics.is_empty() && metrics.is_subset(&all), "{target}");
        shown.extend(metrics);
    }
    let of_panels: Vec<&str> = all
        .iter()
        .map(String::as_str)
        .filter(|name| !name.ends_with("_sum") && !name.ends_with("_count"))
        .collect();
    assert!(
        of_panels.iter().all(|name| shown.contains(*name)),
        "not on the dashboard: {of_panels:?} but {shown:?}"
    );
    let alerts = read("examples/monitoring/alerts.yml");
    let expressions: Vec<&str> =
        alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).collect();
    assert!(expressions.len() >= 5);
    for expression in expressions {
        let metrics = named(expression);
        assert!(!metrics.is_empty() && metrics.is_subset(&all), "{expression}");
    }
}

#[test]
fn a_run_writes_what_it_did_as_metrics() {
    let bench = bench(3);
    enqueue(&bench, 3);
    let file = bench.path("gleaner.prom");
    bench.run(&["queue", "run", "--drain", "--metrics-file", file.to_str().unwrap()]).expect_code(0);
    let text = fs::read_to_string(&file).unwrap();
    for line in [
        "gleaner_jobs_completed_total{outcome=\"done\",reason=\"ok\"} 3",
        "gleaner_attempts_total{resolver=\"unpaywall\",status=\"ok\",reason=\"ok\"} 6",
        "gleaner_queue_depth{state=\"done\"} 3",
        "gleaner_queue_depth{state=\"queued\"} 0",
        "gleaner_jobs_inflight 0",
        "gleaner_http_requests_total{role=\"metadata\",status=\"2xx\"} 3",
        "gleaner_http_requests_total{role=\"content\",status=\"2xx\"} 3",
        "gleaner_http_latency_seconds_count{role=\"content\"} 3",
    ] {
        assert!(text.lines().any(|one| one == line), "{line} is missing in:\n{text}");
    }
    let all = names();
    let told = named(&text);
    assert!(told.iter().all(|name| all.contains(name) || name == "gleaner_http_latency_seconds"), "{told:?}");
    let left: Vec<_> =
        fs::read_dir(file.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".tmp")), "{left:?}");
}
