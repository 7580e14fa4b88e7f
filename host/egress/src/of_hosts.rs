//! What is remembered of each host, of a bounded number of hosts.
//!
//! Must never grow beyond its bound, whatever number of hosts is asked.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gleaner_model::key::HostKey;
use tokio::time::Instant;

/// Hosts that are remembered. When there are more, the one that was first noted goes.
const MOST: usize = 4096;

/// One value a host.
#[derive(Debug)]
pub(crate) struct OfHosts<V>(Mutex<HashMap<HostKey, (Instant, V)>>);

impl<V> Default for OfHosts<V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<V: Clone> OfHosts<V> {
    /// What is remembered of a host.
    pub(crate) fn get(&self, host: &HostKey) -> Option<V> {
        self.lock().get(host).map(|(_, value)| value.clone())
    }

    /// The same, with `V::default()` remembered if there was nothing.
    pub(crate) fn get_or_default(&self, host: &HostKey) -> V
    where
        V: Default,
    {
        let mut all = self.lock();
        if let Some((_, value)) = all.get(host) {
            return value.clone();
        }
        let value = V::default();
        insert(&mut all, host, value.clone());
        value
    }

    /// Remembers something else of a host.
    pub(crate) fn set(&self, host: &HostKey, value: V) {
        insert(&mut self.lock(), host, value);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<HostKey, (Instant, V)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn insert<V>(all: &mut HashMap<HostKey, (Instant, V)>, host: &HostKey, value: V) {
    if all.len() >= MOST
        && !all.contains_key(host)
        && let Some(first) = all.iter().min_by_key(|(_, (noted, _))| *noted).map(|(host, _)| host.clone())
    {
        all.remove(&first);
    }
    all.insert(host.clone(), (Instant::now(), value));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_memory_is_bounded_and_the_oldest_goes() {
        let hosts = OfHosts::<usize>::default();
        let host = |n: usize| HostKey::from_normalised(&format!("h{n}.example.org"));
        for n in 0..MOST {
            hosts.set(&host(n), n);
            tokio::time::advance(std::time::Duration::from_millis(1)).await;
        }
        hosts.set(&host(0), 7);
        hosts.set(&host(MOST), MOST);
        assert_eq!(hosts.lock().len(), MOST);
        assert_eq!([hosts.get(&host(0)), hosts.get(&host(1)), hosts.get(&host(2))], [Some(7), None, Some(2)]);
    }
}
