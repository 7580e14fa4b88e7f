//! How long a resolver's calls take, and so how many jobs to lease for one slot.
//!
//! A call that takes microseconds would wait for its lease a hundred times longer than it runs, so a slot gets as
//! many jobs as it can do in a few milliseconds, one after the other. Must never give a slow resolver more than one.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use gleaner_model::key::ResolverName;

use crate::pieces::lock;

/// As long as a lease takes to be written, about.
const LEASE: Duration = Duration::from_millis(4);
/// Most jobs of one slot.
pub(crate) const MOST: u32 = 64;
/// A job that has waited so long for those before it goes back to the queue.
pub(crate) const PATIENCE: Duration = Duration::from_millis(100);

/// The times of recent calls.
#[derive(Debug, Default)]
pub(crate) struct Paces(Mutex<HashMap<ResolverName, Duration>>);

impl Paces {
    /// A call took so long. One slow call makes careful at once, many quick ones make bold again.
    pub(crate) fn note(&self, resolver: &ResolverName, took: Duration) {
        let mut paces = lock(&self.0);
        match paces.get_mut(resolver) {
            Some(pace) if took < *pace => *pace = (*pace * 7 + took) / 8,
            Some(pace) => *pace = (*pace + took) / 2,
            None => drop(paces.insert(resolver.clone(), took)),
        }
    }

    /// How many jobs a slot can do while the next lease is written; 1 when nothing is known.
    pub(crate) fn jobs_a_slot(&self, resolver: &ResolverName) -> u32 {
        let paces = lock(&self.0);
        let Some(pace) = paces.get(resolver) else { return 1 };
        let fit = LEASE.as_nanos() / pace.as_nanos().max(1);
        u32::try_from(fit).unwrap_or(MOST).clamp(1, MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_calls_come_in_batches_and_a_slow_one_ends_that() {
        let (paces, name) = (Paces::default(), ResolverName::new("r").unwrap());
        assert_eq!(paces.jobs_a_slot(&name), 1);
        paces.note(&name, Duration::from_micros(40));
        assert_eq!(paces.jobs_a_slot(&name), MOST);
        paces.note(&name, Duration::from_secs(30));
        assert_eq!(paces.jobs_a_slot(&name), 1);
        (0..200).for_each(|_| paces.note(&name, Duration::from_micros(400)));
        assert_eq!(paces.jobs_a_slot(&name), 10);
    }
}
