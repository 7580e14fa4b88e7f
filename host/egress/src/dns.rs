//! What addresses a name has: DNS and the hosts file, each answer kept for as long as DNS allows.
//!
//! Must never judge an address: what comes from here, kept or new, is judged anew at every use, in `connect.rs`.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;

use crate::guard;

/// Names whose answers are kept.
const MOST_NAMES: u64 = 4096;
/// An answer is asked for again after this long, whatever DNS allows.
const LONGEST: Duration = Duration::from_secs(3600);
/// The same for the answer that there is no such name or address.
const LONGEST_WITHOUT: Duration = Duration::from_secs(60);
/// What says where DNS is, and which names need none.
const SYSTEM_FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

/// Looks names up. Tests bring their own.
#[async_trait::async_trait]
pub(crate) trait Lookup: Send + Sync {
    /// The addresses of a name.
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>>;

    /// Whether a connection may be made to an address: what the guard says. Tests of how connections are made say
    /// more, since every address that they can serve is private.
    fn permits(&self, address: IpAddr) -> bool {
        guard::is_public(address)
    }
}

/// DNS as this machine uses it, or through the name servers of the configuration.
pub(crate) struct Dns {
    name_servers: Vec<SocketAddr>,
    current: Mutex<Current>,
}

/// A resolver, and when the files that it was made from were written.
struct Current {
    resolver: TokioResolver,
    written: [Option<SystemTime>; 2],
}

impl Dns {
    /// Without name servers, those of the system.
    ///
    /// # Errors
    /// When a resolver cannot be made.
    pub(crate) fn new(name_servers: &[SocketAddr]) -> io::Result<Self> {
        let current = Current { resolver: resolver(name_servers)?, written: written() };
        Ok(Self { name_servers: name_servers.to_vec(), current: Mutex::new(current) })
    }

    /// The resolver for what the system's files say now: a notebook moves from network to network.
    fn resolver(&self) -> io::Result<TokioResolver> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let written = written();
        if current.written != written {
            *current = Current { resolver: resolver(&self.name_servers)?, written };
        }
        Ok(current.resolver.clone())
    }
}

#[async_trait::async_trait]
impl Lookup for Dns {
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        // A name in a URL is whole: with a dot at its end, no domain of this network is tried after it.
        let whole = format!("{}.", name.trim_end_matches('.'));
        let found = self.resolver()?.lookup_ip(whole).await.map_err(|error| match error {
            error if error.is_no_records_found() => {
                io::Error::new(io::ErrorKind::NotFound, "there is no such name, or it has no address")
            }
            error => io::Error::other(error),
        })?;
        Ok(found.iter().collect())
    }
}

fn written() -> [Option<SystemTime>; 2] {
    SYSTEM_FILES.map(|path| fs::metadata(path).and_then(|file| file.modified()).ok())
}

fn resolver(name_servers: &[SocketAddr]) -> io::Result<TokioResolver> {
    let given = |servers: &[SocketAddr]| {
        let servers = servers.iter().map(|server| name_server(*server)).collect();
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    let mut builder = if name_servers.is_empty() {
        TokioResolver::builder_tokio().unwrap_or_else(|error| {
            // As the C library does it.
            tracing::warn!("{} names no name server ({error}); 127.0.0.1 is asked", SYSTEM_FILES[0]);
            given(&[(Ipv4Addr::LOCALHOST, 53).into()])
        })
    } else {
        given(name_servers)
    };
    keep_to_bounds(builder.options_mut());
    builder.build().map_err(io::Error::other)
}

fn keep_to_bounds(options: &mut ResolverOpts) {
    options.cache_size = MOST_NAMES;
    options.positive_max_ttl = Some(LONGEST);
    options.negative_max_ttl = Some(LONGEST_WITHOUT);
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let at_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(at_port).into();
    NameServerConfig::new(address.ip(), true, connections)
}
