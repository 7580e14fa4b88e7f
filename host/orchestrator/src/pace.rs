//! How long calls and leases take, and so how many jobs to lease for one slot.
//!
//! A call that takes microseconds would wait for its lease a hundred times longer than it runs, so a slot gets as
//! many jobs as it can do while the next lease is written, one after the other. Must never give a slow resolver
//! more than one.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use gleaner_model::key::ResolverName;

use crate::pieces::lock;

/// What a lease is taken to cost, within what is measured: a slow disk must not make a slot hoard jobs.
const LEASE: std::ops::RangeInclusive<Duration> = Duration::from_millis(2)..=Duration::from_millis(40);
/// Most jobs of one slot.
pub(crate) const MOST: u32 = 512;
/// A job that has waited so long for those before it goes back to the queue.
pub(crate) const PATIENCE: Duration = Duration::from_millis(250);

/// The times of recent calls and leases.
#[derive(Debug, Default)]
pub(crate) struct Paces {
    calls: Mutex<HashMap<ResolverName, Duration>>,
    lease: Mutex<Duration>,
    /// Works of one call, where calls for several ended without answers and it has not come back to as many as it takes.
    batches: Mutex<HashMap<ResolverName, u32>>,
}

impl Paces {
    /// A call took so long. One slow call makes careful at once, many quick ones make bold again.
    pub(crate) fn note(&self, resolver: &ResolverName, took: Duration) {
        let mut paces = lock(&self.calls);
        match paces.get_mut(resolver) {
            Some(pace) if took < *pace => *pace = (*pace * 7 + took) / 8,
            Some(pace) => *pace = (*pace + took) / 2,
            None => drop(paces.insert(resolver.clone(), took)),
        }
    }

    /// A lease took so long to be written.
    pub(crate) fn note_lease(&self, took: Duration) {
        let mut lease = lock(&self.lease);
        *lease = (*lease * 3 + took) / 4;
    }

    /// A call for so many works, or for one, ended with answers or without. Half as many are asked about next, or twice as
    /// many again; a call for fewer shows nothing of more, and one for more began before the failure.
    pub(crate) fn note_batch(&self, resolver: &ResolverName, works: usize, answered: bool) {
        let works = u32::try_from(works).unwrap_or(u32::MAX);
        let mut batches = lock(&self.batches);
        match batches.get_mut(resolver) {
            Some(most) if answered && works == *most => *most = most.saturating_mul(2),
            Some(_) if answered => {}
            Some(most) => *most = (*most).min(works / 2).max(1),
            // One that was asked about alone has nothing to do with how many are asked about.
            None if answered || works == 1 => {}
            None => drop(batches.insert(resolver.clone(), works / 2)),
        }
    }

    /// How many works to ask about in one call that takes `most`.
    pub(crate) fn works_a_call(&self, resolver: &ResolverName, most: u32) -> u32 {
        let mut batches = lock(&self.batches);
        let Some(&now) = batches.get(resolver) else { return most };
        if now >= most {
            batches.remove(resolver);
        }
        now.clamp(1, most)
    }

    /// How long a lease takes, within bounds.
    pub(crate) fn lease_time(&self) -> Duration {
        lock(&self.lease).clamp(*LEASE.start(), *LEASE.end())
    }

    /// How many jobs a slot can do while the next lease is written; 1 when nothing is known.
    pub(crate) fn jobs_a_slot(&self, resolver: &ResolverName) -> u32 {
        let lease = self.lease_time();
        let paces = lock(&self.calls);
        let Some(pace) = paces.get(resolver) else { return 1 };
        let fit = lease.as_nanos() / pace.as_nanos().max(1);
        u32::try_from(fit).unwrap_or(MOST).clamp(1, MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_without_answers_is_asked_about_in_halves_until_one_is_left() {
        let (paces, name) = (Paces::default(), ResolverName::new("r").unwrap());
        let works = || paces.works_a_call(&name, 100);
        assert_eq!(works(), 100);
        for (asked, expected) in [(100, 50), (50, 25), (25, 12), (12, 6), (6, 3), (3, 1), (1, 1)] {
            paces.note_batch(&name, asked, false);
            assert_eq!(works(), expected);
        }
        // Calls that began before, or are for fewer, change nothing.
        paces.note_batch(&name, 100, true);
        assert_eq!(works(), 1);
        for expected in [2, 4, 8, 16, 32, 64, 100, 100] {
            paces.note_batch(&name, works() as usize, true);
            assert_eq!(works(), expected);
        }
        paces.note_batch(&name, 40, false);
        assert_eq!(works(), 20, "half of what was asked, not of what it takes");
    }

    #[test]
    fn quick_calls_come_in_batches_and_a_slow_one_ends_that() {
        let (paces, name) = (Paces::default(), ResolverName::new("r").unwrap());
        assert_eq!(paces.jobs_a_slot(&name), 1);
        paces.note(&name, Duration::from_micros(40));
        assert_eq!(paces.jobs_a_slot(&name), 50);
        paces.note(&name, Duration::from_secs(30));
        assert_eq!(paces.jobs_a_slot(&name), 1);
        (0..200).for_each(|_| paces.note(&name, Duration::from_micros(400)));
        assert_eq!(paces.jobs_a_slot(&name), 5);
        (0..50).for_each(|_| paces.note_lease(Duration::from_millis(12)));
        assert!((25..=30).contains(&paces.jobs_a_slot(&name)));
    }
}
