//! What a service manager is told: ready, stopping, still alive (sd_notify(3)). Nothing without `NOTIFY_SOCKET`.
//!
//! Must never fail or hold up a run: a manager that does not listen is not waited for.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use gleaner_orchestrator::Stop;
use tokio::sync::watch;

use crate::environment;

/// The way to the service manager.
pub(crate) struct Notify {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// How often it wants to hear that the program is alive.
    watchdog: Option<Duration>,
}

impl Notify {
    /// As the environment says.
    pub(crate) fn from_environment() -> Self {
        let number = |variable: environment::Variable| variable.text()?.parse::<u64>().ok();
        let is_for_us =
            number(environment::WATCHDOG_PID).is_none_or(|pid| pid == u64::from(std::process::id()));
        let most = number(environment::WATCHDOG_USEC).filter(|most| is_for_us && *most > 0);
        let address = environment::NOTIFY_SOCKET.text().as_deref().and_then(address);
        let socket = address.and_then(|address| {
            let socket = UnixDatagram::unbound().ok()?;
            socket.set_nonblocking(true).ok()?;
            Some((socket, address))
        });
        // Twice in its time, as the manual advises.
        Self { socket, watchdog: most.map(|most| Duration::from_micros(most / 2)) }
    }

    /// Work has begun.
    pub(crate) fn ready(&self) {
        self.send("READY=1");
    }

    /// Work ends.
    pub(crate) fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// Tells that the program is alive, as often as is wanted, and that it was told to stop; until it is dropped. A runtime
    /// that no longer gets on does not come here, and is found out.
    pub(crate) async fn keep_up(self, mut told: watch::Receiver<Stop>) {
        if self.socket.is_none() {
            return;
        }
        let mut is_stopping = false;
        loop {
            let pause = async {
                match self.watchdog {
                    Some(every) => tokio::time::sleep(every).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = pause => self.send("WATCHDOG=1"),
                heard = told.wait_for(|told| *told >= Stop::Drain), if !is_stopping => {
                    is_stopping = true;
                    if heard.is_ok() {
                        self.stopping();
                    }
                }
            }
        }
    }

    fn send(&self, state: &str) {
        if let Some((socket, address)) = &self.socket {
            // Whoever reads no message misses it.
            let _ = socket.send_to_addr(state.as_bytes(), address);
        }
    }
}

/// A path, or a name in the abstract name space, which begins with `@`.
fn address(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name).ok(),
        None if text.starts_with('/') => SocketAddr::from_pathname(text).ok(),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_paths_or_abstract_names() {
        assert!(address("/run/notify").unwrap().as_pathname().is_some());
        assert_eq!(address("@abstract").unwrap().as_abstract_name(), Some(&b"abstract"[..]));
        assert!(address("relative").is_none() && address("").is_none());
    }
}
