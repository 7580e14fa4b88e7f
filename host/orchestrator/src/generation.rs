//! What steps go by, all of one moment: plugins with their grants, the plan's rules, and the way out.
//!
//! A generation is never changed, only replaced by the next one; a step takes one and keeps to it, so that it never
//! sees half of a change. Must never be kept by what waits for long: a generation is freed when its last call ends.

use std::sync::{Arc, Mutex, Weak};

use arc_swap::ArcSwap;
use gleaner_egress::Egress;
use gleaner_model::next::Planner;
use tokio::sync::Notify;

use crate::pieces::lock;
use crate::resolvers::Resolvers;

/// One state of plugins and configuration.
pub struct Generation {
    /// Who can be asked.
    pub resolvers: Resolvers,
    /// In which order.
    pub planner: Planner,
    /// Through what.
    pub egress: Egress,
    /// The largest answer of a service, in bytes.
    pub max_body: u64,
}

/// The generation in service, and those before it that are still in use.
pub struct Live {
    now: ArcSwap<Generation>,
    old: Mutex<Old>,
    /// Told when jobs were cancelled in this process, so that the run looks at once which of its steps that ends.
    pub cancelled: Notify,
}

struct Old {
    /// How many there were.
    count: u64,
    in_use: Vec<Weak<Generation>>,
}

impl Live {
    /// Begins with generation 1.
    pub fn new(first: Generation) -> Self {
        let old = Mutex::new(Old { count: 0, in_use: Vec::new() });
        Self { now: ArcSwap::from_pointee(first), old, cancelled: Notify::new() }
    }

    /// The one in service, to go by and to drop.
    pub fn now(&self) -> Arc<Generation> {
        self.now.load_full()
    }

    /// Puts the next one in service: whoever asks from now on gets it, and running calls end with their own. Returns
    /// its number.
    pub fn replace(&self, next: Generation) -> u64 {
        let before = Arc::downgrade(&self.now.swap(Arc::new(next)));
        let mut old = lock(&self.old);
        old.in_use.push(before);
        old.in_use.retain(|one| one.strong_count() > 0);
        old.count += 1;
        old.count + 1
    }

    /// The number of the one in service; 1 is the first.
    pub fn number(&self) -> u64 {
        lock(&self.old).count + 1
    }

    /// How many that are not in service any more are still in use.
    pub fn retained(&self) -> usize {
        lock(&self.old).in_use.iter().filter(|one| one.strong_count() > 0).count()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::num::NonZeroU32;
    use std::time::Duration;

    use gleaner_egress::EgressConfig;
    use gleaner_limits::{KeyedLimiter, LimitRules};
    use gleaner_model::clock::SystemClock;
    use gleaner_model::next::Budgets;

    use super::*;

    fn generation(max_body: u64) -> Generation {
        let clock = Arc::new(SystemClock);
        let limiter = KeyedLimiter::new(LimitRules::default(), clock.clone());
        let egress = Egress::new(&EgressConfig::default(), None, limiter, clock).unwrap();
        let budgets = Budgets { attempts: NonZeroU32::MIN, time: Duration::ZERO };
        let planner = Planner::new(Vec::new(), budgets, BTreeMap::new());
        Generation { resolvers: Resolvers::default(), planner, egress, max_body }
    }

    #[test]
    fn a_generation_is_freed_when_its_last_call_ends() {
        let live = Live::new(generation(1));
        let call = live.now();
        let other_call = live.now();
        assert_eq!((live.replace(generation(2)), live.replace(generation(3))), (2, 3));
        assert_eq!(live.number(), 3);
        // Nobody used the second.
        assert_eq!((call.max_body, live.now().max_body, live.retained()), (1, 3, 1));
        let first = Arc::downgrade(&call);
        drop(call);
        assert!(first.upgrade().is_some());
        drop(other_call);
        assert!(first.upgrade().is_none());
        assert_eq!(live.retained(), 0);
        (4..=100).for_each(|number| assert_eq!(live.replace(generation(number)), number));
        assert_eq!(lock(&live.old).in_use.len(), 0);
    }
}
