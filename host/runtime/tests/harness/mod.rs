//! What the suites of the plugin host share: the built guests, and a host that answers from memory.

#![allow(dead_code, reason = "each suite uses its part")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gleaner_model::identifier::Identifier;
use gleaner_runtime::{
    CallReport, GuestHost, GuestHttpError, GuestRequest, GuestResponse, Plugin, Query, Runtime,
    RuntimeConfig, Sandbox,
};

/// A built guest. They lie beside the host's own build, or where `GLEANER_TARGET_DIR` says.
pub(crate) fn guest(name: &str) -> PathBuf {
    let target = std::env::var_os("GLEANER_TARGET_DIR").map(PathBuf::from).unwrap_or_else(|| {
        let test = std::env::current_exe().expect("a test has a path");
        test.ancestors().nth(3).expect("target/PROFILE/deps/TEST").to_owned()
    });
    let file = target.join("guests").join(format!("{name}.wasm"));
    assert!(file.is_file(), "{} is missing: run `cargo xtask plugins` first", file.display());
    file
}

pub(crate) fn runtime(workers: usize) -> Runtime {
    Runtime::new(RuntimeConfig { workers, ..RuntimeConfig::default() }).expect("the engine starts")
}

pub(crate) async fn hostile(runtime: &Runtime) -> Plugin {
    runtime.load(&guest("hostile")).await.expect("the hostile guest loads")
}

/// The query that makes the hostile guest do that. DOIs are in lower case, so orders are too.
pub(crate) fn order(what: &str) -> Query {
    Query {
        job: "job-1".into(),
        attempt: 1,
        deadline: Duration::from_secs(60),
        identifiers: vec![Identifier::parse(&format!("doi:10.5555/{what}")).expect("a DOI")],
        ..Query::default()
    }
}

/// One call with the default sandbox and a [`Web`] of its own.
pub(crate) async fn call(plugin: &Plugin, what: &str) -> CallReport {
    plugin.resolve(&order(what), Arc::new(Web::default()), &Sandbox::default()).await
}

/// Answers by the URL's path: `/slow` never, `/limited` asks to wait 7 s, `/denied` is refused, a number gives
/// that many bytes, anything else none.
#[derive(Default)]
pub(crate) struct Web {
    in_flight: AtomicUsize,
    pub(crate) most_in_flight: AtomicUsize,
    pub(crate) dropped: Arc<AtomicUsize>,
}

struct CountsDrop(Arc<AtomicUsize>);

impl Drop for CountsDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait::async_trait]
impl GuestHost for Web {
    async fn send(&self, request: GuestRequest) -> Result<GuestResponse, GuestHttpError> {
        let _counts = CountsDrop(Arc::clone(&self.dropped));
        let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_in_flight.fetch_max(now, Ordering::SeqCst);
        tokio::task::yield_now().await;
        let answer = match request.url.path() {
            "/slow" => std::future::pending().await,
            "/limited" => Err(GuestHttpError::RateLimited(Some(7000))),
            "/denied" => Err(GuestHttpError::Denied("no grant for this host".into())),
            size => Ok(GuestResponse {
                status: 200,
                url: request.url.to_string(),
                headers: vec![("content-type".into(), "text/plain".into())],
                body: vec![b'x'; size.trim_start_matches('/').parse().unwrap_or(0)],
                from_cache: false,
            }),
        };
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        answer
    }

    fn setting(&self, key: &str) -> Option<String> {
        (key == "contact").then(|| "someone@example.org".to_owned())
    }

    fn now_ms(&self) -> u64 {
        1_700_000_000_123
    }
}
