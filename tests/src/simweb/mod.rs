//! The scholarly web, simulated: APIs, publishers and repositories under their real names, over real TLS on loopback.
//!
//! `SimWeb` serves a `World` and records what it saw. A client reaches it by sending `*:443` to [`SimWeb::addr`] and
//! `*:80` to [`SimWeb::plain_addr`] and by trusting [`SimWeb::ca_pem`]; nothing else about the client has to change.
//! Must never connect to anything, and never serve text that was recorded from a real service.

mod apis;
mod authority;
mod barrier;
mod behaviour;
mod body;
mod core;
mod crossref;
mod doaj;
mod europe_pmc;
mod limit;
mod listings;
pub mod pdf;
mod pmc;
mod raw;
pub mod reading_list;
mod record;
mod reply;
mod semantic_scholar;
mod server;
mod trap;
mod wayback;
mod world;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use self::core::{CORE_KEY, CoreWork};
pub use apis::{Eprint, Location, Work};
pub use barrier::Barrier;
pub use behaviour::Behaviour;
pub use crossref::Deposit;
pub use doaj::OpenArticle;
pub use europe_pmc::{Access, Article};
pub use limit::HostLimit;
pub use listings::{Listing, Source};
pub use pmc::{CentralArticle, Holding};
pub use raw::{Act, RawWeb};
pub use record::{HostReport, Report, Seen, Summary};
pub use reply::{Reply, RetryAfter};
pub use semantic_scholar::Paper;
pub use trap::Trap;
pub use wayback::{Kept, Snapshot};
pub use world::World;

use authority::Authority;
use record::Recorder;
use server::Shared;

/// A running simulated web. It stops, and cuts its connections, when dropped.
#[derive(Debug)]
pub struct SimWeb {
    addr: SocketAddr,
    plain_addr: SocketAddr,
    ca_pem: String,
    shared: Arc<Shared>,
    listeners: [JoinHandle<()>; 2],
}

impl SimWeb {
    /// Binds two free ports of 127.0.0.1, makes a CA, and serves `world` on the current tokio runtime.
    pub async fn start(world: World) -> Result<Self> {
        let authority = Authority::new()?;
        let ca_pem = authority.pem();
        let tls = authority.into_acceptor()?;
        let secure = TcpListener::bind("127.0.0.1:0").await.context("no port for the simulated web")?;
        let plain = TcpListener::bind("127.0.0.1:0").await.context("no port for the simulated web")?;
        let (addr, plain_addr) = (secure.local_addr()?, plain.local_addr()?);
        let shared = Arc::new(Shared { world: RwLock::new(world), recorder: Recorder::start() });
        let listeners = [
            tokio::spawn(server::serve(secure, Some(tls), Arc::clone(&shared))),
            tokio::spawn(server::serve(plain, None, Arc::clone(&shared))),
        ];
        Ok(Self { addr, plain_addr, ca_pem, shared, listeners })
    }

    /// Where the TLS listener is: the target for every `https://` URL.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where the listener without TLS is: the target for every `http://` URL.
    pub fn plain_addr(&self) -> SocketAddr {
        self.plain_addr
    }

    /// The certificate of the CA that vouches for every host name here.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Writes `DIR/ca.pem` and `DIR/gleaner.toml`, a configuration that sends `gleaner` here and nowhere else.
    pub fn write_config(&self, dir: &Path) -> Result<()> {
        let dir = dir.canonicalize().with_context(|| format!("{} is not a directory", dir.display()))?;
        let ca = dir.join("ca.pem");
        std::fs::write(&ca, &self.ca_pem).with_context(|| format!("cannot write {}", ca.display()))?;
        let config = dir.join("gleaner.toml");
        let text = format!(
            "contact = \"reader@example.org\"\n\n\
             [egress]\n\
             connect-to = {{ \"*:443\" = \"{}\", \"*:80\" = \"{}\" }}\n\
             extra-ca-certs = [{}]\n",
            self.addr,
            self.plain_addr,
            toml::Value::from(ca.display().to_string()),
        );
        std::fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))
    }

    /// Sets what a URL does from now on; a URL without a query answers for every query.
    pub fn set(&self, url: &str, behaviour: impl Into<Behaviour>) {
        self.change(|world| {
            world.set(url, behaviour);
        });
    }

    /// Changes the world while it runs.
    pub fn change(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.shared.world.write().expect("no thread panicked while it changed the world"));
    }

    /// What a host saw so far; an empty report when it saw nothing.
    pub fn seen(&self, host: &str) -> HostReport {
        self.shared.recorder.seen(&[host])
    }

    /// What several hosts saw together, as if they were one: for limits that they share.
    pub fn seen_together(&self, hosts: &[&str]) -> HostReport {
        self.shared.recorder.seen(hosts)
    }

    /// What all hosts saw.
    pub fn report(&self) -> Report {
        self.shared.recorder.report()
    }

    /// Returns when a host has seen that many requests, at once if it has.
    pub async fn wait_for_requests(&self, host: &str, count: usize) {
        self.shared.recorder.wait_for(host, count).await;
    }

    /// The time since the web was started: the clock of [`Seen::at`].
    pub fn now(&self) -> Duration {
        self.shared.recorder.now()
    }

    /// Forgets what was seen so far, for a test of what a second run asks for. Requests in flight are forgotten too.
    pub fn forget(&self) {
        self.shared.recorder.forget();
    }
}

impl Drop for SimWeb {
    fn drop(&mut self) {
        for listener in &self.listeners {
            listener.abort();
        }
    }
}
