//! A whole drain of no-op jobs inside one process, with the sandboxed guest or with the same resolver compiled natively:
//! what is between the two is the sandbox. Prints one JSON object a call; `cargo xtask bench plugins` makes medians.
//!
//! `drain wasm|native LIBRARY NOOP.wasm`, with the defaults of `config/default.toml`. `native` needs the feature of that
//! name. Must never judge.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "its figures are its output, and nobody goes on without them"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gleaner_content::{Content, ContentConfig, NameTemplate};
use gleaner_egress::{Egress, EgressConfig};
use gleaner_limits::{KeyedLimiter, LimitRules};
use gleaner_model::clock::{SharedClock, SystemClock};
use gleaner_model::manifest::RunIdentity;
use gleaner_model::next::Planner;
use gleaner_orchestrator::config::{OrchestratorConfig, SuspendConfig, TiersConfig};
use gleaner_orchestrator::{
    ALIVE_FOR, Blocking, Breakers, Drain, Generation, Live, Pieces, Resolvers, Sources, Stop,
};
use gleaner_runtime::{Catalogue, Plugin, Runtime, RuntimeConfig, Sandbox};
use gleaner_store::{Library, StoreOptions};
use gleaner_telemetry::Silent;
use serde::Deserialize;
use tokio::sync::watch;

/// The sections that a run needs.
#[derive(Deserialize)]
struct Config {
    library: LibraryConfig,
    plugins: PluginsConfig,
    tiers: TiersConfig,
    limits: LimitRules,
    egress: EgressConfig,
    content: ContentConfig,
    orchestrator: OrchestratorConfig,
    queue: StoreOptions,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct LibraryConfig {
    name_template: NameTemplate,
}

#[derive(Deserialize)]
struct PluginsConfig {
    sandbox: Sandbox,
    suspend: SuspendConfig,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo bench` and `cargo test --benches` start this without asking for a figure.
    let [form, library, guest] = arguments.as_slice() else { return };
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let seconds = tokio.block_on(drain(form, Path::new(library), Path::new(guest)));
    println!("{{\"seconds\":{seconds:.6}}}");
}

async fn drain(form: &str, dir: &Path, guest: &Path) -> f64 {
    let config: Config = toml::from_str(include_str!("../../../config/default.toml")).unwrap();
    let clock: SharedClock = Arc::new(SystemClock);
    let began = Instant::now();
    let workers = config.orchestrator.workers.get().into();
    let runtime = Runtime::new(RuntimeConfig { workers, ..RuntimeConfig::default() }).unwrap();
    let plugin = shaped(form, runtime.load(guest).await.unwrap());
    let mut catalogue = Catalogue::default();
    catalogue.plugins.insert(plugin.info.name.clone(), Arc::new(plugin));
    let none = BTreeMap::new();
    let resolvers = Resolvers::assemble(
        catalogue,
        None,
        &none,
        None,
        config.plugins.sandbox,
        &|_| Ok(String::new()),
        None,
    );
    let (tiers, budgets) = config.tiers.lower();
    let planner = Planner::new(tiers, budgets, resolvers.takes());
    let limiter = KeyedLimiter::new(config.limits, Arc::clone(&clock));
    let egress = Egress::new(&config.egress, None, limiter.clone(), Arc::clone(&clock)).unwrap();
    let SuspendConfig { after, pause } = config.plugins.suspend;
    let breakers = Breakers::new(after, pause.0, Arc::clone(&clock));
    let max_body = config.egress.max_body.0;
    let live = Arc::new(Live::new(Generation { resolvers, planner, egress, max_body }));
    let sources =
        Sources { live, breakers, blocking: Blocking::default(), limiter, clock: Arc::clone(&clock) };
    let library = Library::open(dir, &config.queue, clock).unwrap();
    let content = Content::open(dir, config.content, config.library.name_template).unwrap();
    let identity = RunIdentity { run_id: "bench".into(), config_hash: "bench".into() };
    let (member, _) = library.join(ALIVE_FOR, config.orchestrator.max_attempts.get()).await.unwrap();
    library.begin_run(identity.clone()).await.unwrap();
    let pieces =
        Pieces::new(sources, library.clone(), content, config.orchestrator, identity, Arc::new(Silent));
    let (_go, stop) = watch::channel(Stop::Go);
    pieces.run(Drain::Empty { max_wait: Duration::ZERO }, stop).await.unwrap();
    drop(pieces);
    member.leave().await.unwrap();
    library.close().await;
    began.elapsed().as_secs_f64()
}

/// The plugin as it is to answer. Loading it is a part of both forms, and small beside a drain.
fn shaped(form: &str, plugin: Plugin) -> Plugin {
    match form {
        #[cfg(feature = "native")]
        "native" => plugin.natively(|_, _| Ok(gleaner_model::plan::Resolution::default())),
        "wasm" => plugin,
        other => panic!("{other:?} is not wasm or native, or this was built without the feature `native`"),
    }
}
