//! An address that nobody may ever connect to, and that would notice.
//!
//! Must never answer: a connection is all there is to see.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The ports that downloads may use and that anybody may listen on.
const PORTS: [u16; 2] = [8080, 8443];

/// Listens on an address of 127.0.0.0/8 that no other test has, until it is dropped.
#[derive(Debug)]
pub struct Trap {
    address: Ipv4Addr,
    connections: Arc<AtomicUsize>,
    listeners: Vec<JoinHandle<()>>,
}

impl Trap {
    /// On ports 8080 and 8443, on the current tokio runtime.
    pub async fn start() -> Result<Self> {
        let address = Ipv4Addr::new(127, fastrand::u8(64..250), fastrand::u8(1..250), fastrand::u8(1..250));
        let (connections, mut listeners) = (Arc::<AtomicUsize>::default(), Vec::new());
        for port in PORTS {
            let listener = TcpListener::bind((address, port)).await;
            let listener = listener.with_context(|| format!("no trap at {address}:{port}"))?;
            let count = Arc::clone(&connections);
            listeners.push(tokio::spawn(async move {
                while listener.accept().await.is_ok() {
                    count.fetch_add(1, Ordering::SeqCst);
                }
            }));
        }
        Ok(Self { address, connections, listeners })
    }

    /// Where it is.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        for listener in &self.listeners {
            listener.abort();
        }
    }
}
