//! Several works in one call: the kept component of `gleaner:resolver-batch@0.1.0`, and today's build of its source.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod harness;

use std::path::Path;
use std::sync::Arc;

use gleaner_model::reason::{FailureClass, Reason};
use gleaner_runtime::{CallReport, Plugin, Sandbox};
use harness::{Web, guest, order, runtime};

async fn plugins() -> Vec<Plugin> {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/resolver-batch-0.1.0.wasm");
    let runtime = runtime(1);
    let mut plugins = Vec::new();
    for file in [kept, guest("batch")] {
        plugins.push(runtime.load(&file).await.unwrap());
    }
    plugins
}

/// One call about the works of these words, numbered.
async fn call(plugin: &Plugin, words: &[&str]) -> Result<Vec<CallReport>, Box<CallReport>> {
    let orders = words.iter().enumerate().map(|(n, word)| order(&format!("batch.{word}.{n}")));
    let queries: Vec<_> = orders.collect();
    plugin.resolve_many(&queries, Arc::new(Web::default()), &Sandbox::default()).await
}

#[tokio::test]
async fn every_query_has_its_own_checked_answer_in_its_place() {
    for plugin in plugins().await {
        assert_eq!(plugin.info.most.map(std::num::NonZeroU32::get), Some(50));
        let reports = call(&plugin, &["file", "none", "retry", "file"]).await.unwrap();
        let urls = |report: &CallReport| {
            let candidates = &report.outcome.as_ref().unwrap().candidates;
            candidates.iter().map(|one| one.url.as_url().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(urls(&reports[0]), ["https://files.example.org/0.pdf"]);
        assert_eq!(urls(&reports[1]), [""; 0]);
        let failure = reports[2].outcome.as_ref().unwrap_err();
        assert!(matches!(failure.class, FailureClass::Transient { .. }), "{failure:?}");
        assert_eq!(urls(&reports[3]), ["https://files.example.org/3.pdf"]);
        assert!(reports.iter().all(|report| report.requests == 1), "one request for all of them");
    }
}

#[tokio::test]
async fn a_call_that_breaks_off_is_one_failure_of_the_plugin() {
    for plugin in plugins().await {
        let trap = call(&plugin, &["file", "trap"]).await.unwrap_err();
        let failure = trap.outcome.unwrap_err();
        assert_eq!((failure.reason, failure.class), (Reason::PluginTrap, FailureClass::PluginFault));
        assert!(trap.log.iter().any(|line| line.message.contains("asked to trap by 1")), "{:?}", trap.log);
        let short = call(&plugin, &["file", "short", "file"]).await.unwrap_err();
        let failure = short.outcome.unwrap_err();
        assert_eq!((failure.reason, failure.class), (Reason::PluginContract, FailureClass::PluginFault));
        assert!(failure.detail.contains("about 3 works and gave 2 answers"), "{}", failure.detail);
        assert_eq!(
            call(&plugin, &["file"]).await.unwrap().len(),
            1,
            "and the next call is as if nothing was"
        );
    }
}

#[tokio::test]
async fn a_resolver_without_it_is_said_to_take_one() {
    let plugin = runtime(1).load(&guest("noop")).await.unwrap();
    assert_eq!(plugin.info.most, None);
    let queries = [order("a"), order("b")];
    let report =
        plugin.resolve_many(&queries, Arc::new(Web::default()), &Sandbox::default()).await.unwrap_err();
    let failure = report.outcome.unwrap_err();
    assert!(failure.detail.contains("the component has no resolve-many"), "{}", failure.detail);
}
