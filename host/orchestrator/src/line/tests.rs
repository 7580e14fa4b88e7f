//! Lines of a run that has one host and no resolver: when they form, how long they are, who leaves them.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gleaner_content::{Content, ContentConfig};
use gleaner_egress::{Egress, EgressConfig};
use gleaner_limits::{KeyedLimiter, LimitRules, Permit};
use gleaner_model::clock::{SharedClock, SystemClock};
use gleaner_model::key::Key;
use gleaner_model::manifest::RunIdentity;
use gleaner_model::next::Planner;
use gleaner_runtime::{Catalogue, Sandbox};
use gleaner_store::{Library, StoreOptions};
use gleaner_telemetry::Silent;
use serde::Deserialize;

use super::{InLine, TURNS};
use crate::config::{OrchestratorConfig, TiersConfig};
use crate::pace::PATIENCE;
use crate::{Blocking, Breakers, Generation, Live, Pieces, Resolvers, Sources};

/// As many at once.
const AT_ONCE: usize = 2;

#[derive(Deserialize)]
struct Config {
    tiers: TiersConfig,
    orchestrator: OrchestratorConfig,
    queue: StoreOptions,
}

/// A run on an empty library, whose hosts take [`AT_ONCE`] requests at once and as many a second as come.
fn run() -> (tempfile::TempDir, Arc<Pieces>) {
    let dir = tempfile::tempdir().unwrap();
    let config: Config = toml::from_str(include_str!("../../../../config/default.toml")).unwrap();
    let limits = "default-host = { concurrency = 2, rate = \"1000000/s\", burst = 1000000 }";
    let limits: LimitRules = toml::from_str(limits).unwrap();
    let clock: SharedClock = Arc::new(SystemClock);
    let limiter = KeyedLimiter::new(limits, Arc::clone(&clock));
    let egress = Egress::new(&EgressConfig::default(), None, limiter.clone(), Arc::clone(&clock)).unwrap();
    let none = BTreeMap::new();
    let secret = |_: &str| Ok(String::new());
    let resolvers =
        Resolvers::assemble(Catalogue::default(), None, &none, None, Sandbox::default(), &secret, None);
    let (tiers, budgets) = config.tiers.lower();
    let planner = Planner::new(tiers, budgets, resolvers.takes());
    let sources = Sources {
        live: Arc::new(Live::new(Generation { resolvers, planner, egress, max_body: 0 })),
        breakers: Breakers::new(NonZeroU32::MIN, Duration::ZERO, Arc::clone(&clock)),
        blocking: Blocking::default(),
        limiter,
        clock: Arc::clone(&clock),
    };
    let library = Library::open(dir.path(), &config.queue, clock).unwrap();
    let template = "{title}.{ext}".parse().unwrap();
    let content = Content::open(dir.path(), ContentConfig::default(), template).unwrap();
    let identity = RunIdentity { run_id: "test".into(), config_hash: "test".into() };
    (dir, Pieces::new(sources, library, content, config.orchestrator, identity, Arc::new(Silent)))
}

fn host() -> Key {
    Key::parse("host:files.example.org").unwrap()
}

/// All permits of the host, after many that were held for so long.
async fn all_out(pieces: &Pieces, held: Duration) -> Vec<Permit> {
    let limiter = &pieces.sources.limiter;
    for _ in 0..50 {
        let permit = limiter.acquire(&host()).await;
        permit.spend();
        tokio::time::advance(held).await;
        drop(permit);
    }
    (0..AT_ONCE).map(|_| limiter.try_now(&host()).unwrap()).collect()
}

fn line(pieces: &Arc<Pieces>, ready: u64) -> Vec<InLine> {
    pieces.line_up(&host(), ready)
}

#[tokio::test(start_paused = true)]
async fn a_line_is_as_long_as_what_comes_up_soon_and_filled_when_half_of_it_is_gone() {
    let (_dir, pieces) = run();
    assert!(line(&pieces, 100).is_empty(), "nothing is known of the host");
    // In the time of eight leases, 2 ms each, each of two permits comes back four times.
    let _out = all_out(&pieces, Duration::from_millis(4)).await;
    assert_eq!(line(&pieces, 3).len(), 3, "no more than there are jobs; they are gone again");
    let mut places = line(&pieces, 100);
    assert_eq!(places.len(), 8);
    assert!(line(&pieces, 100).is_empty(), "it is full");
    let changes = pieces.sources.limiter.changes();
    let is_told = async || tokio::time::timeout(Duration::from_millis(1), changes.notified()).await.is_ok();
    is_told().await;
    places.truncate(5);
    assert!(line(&pieces, 100).is_empty() && !is_told().await, "more than half are left");
    places.truncate(4);
    assert!(is_told().await, "the dispatcher is to lease others");
    assert_eq!(line(&pieces, 100).len(), 4);
    assert!(pieces.line_up(&Key::parse("resolver:r").unwrap(), 100).is_empty(), "for hosts only");
}

#[tokio::test(start_paused = true)]
async fn no_line_is_longer_than_a_few_turns_and_a_slow_host_has_none() {
    let (_dir, pieces) = run();
    let out = all_out(&pieces, Duration::from_micros(10)).await;
    assert_eq!(line(&pieces, 100).len(), AT_ONCE * TURNS as usize);
    drop(out);
    let _out = all_out(&pieces, Duration::from_secs(1)).await;
    assert!(line(&pieces, 100).is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_stands_in_line_gets_the_next_permit_or_goes_back() {
    let (_dir, pieces) = run();
    let mut out = all_out(&pieces, Duration::from_millis(4)).await;
    let mut places = line(&pieces, 3).into_iter();
    let [first, second, third] = std::array::from_fn(|_| tokio::spawn(places.next().unwrap().reservation()));
    tokio::time::advance(Duration::from_millis(1)).await;
    drop(out.pop());
    let reservation = first.await.unwrap().unwrap();
    assert_eq!(reservation.permit.key(), &host());
    let began = tokio::time::Instant::now();
    assert!(second.await.unwrap().is_none(), "no other permit came back");
    assert!(began.elapsed() <= PATIENCE);
    assert!(third.await.unwrap().is_none());
    assert!(line(&pieces, 100).is_empty(), "permits are held longer than was thought");
    drop((reservation, out));
    // Once the run ends nothing begins any more, not even with a permit in hand.
    let mut out = all_out(&pieces, Duration::from_millis(4)).await;
    let last = tokio::spawn(line(&pieces, 1).pop().unwrap().reservation());
    tokio::time::advance(Duration::from_millis(1)).await;
    pieces.winding_down.store(true, Ordering::SeqCst);
    drop(out.pop());
    assert!(last.await.unwrap().is_none());
}
