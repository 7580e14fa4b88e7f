//! The coming and going of processes, on both.

use std::time::Duration;

use gleaner_store::Expired;

use crate::model::MAX_ATTEMPTS;
use crate::model::expected::Place;
use crate::model::pair::Pair;

impl Pair {
    /// A process joins once.
    pub(super) async fn join(&mut self, by: usize, ttl: u64) {
        if self.handles[by].member.is_some() {
            return;
        }
        let (now, until, me) = (self.now(), self.later(ttl), self.handles[by].id);
        let joined = self.handles[by].library.join(Duration::from_secs(ttl), MAX_ATTEMPTS).await;
        let (member, expired) = joined.unwrap();
        self.handles[by].member = Some(member);
        let row = self.expected.processes.entry(me).or_default();
        (row.alive_until, row.lives) = (until, true);
        same(expired, self.expected.bury(me, now));
    }

    pub(super) async fn renew(&mut self, by: usize, ttl: u64) {
        self.handles[by].library.renew(Duration::from_secs(ttl)).await.unwrap();
        let until = self.later(ttl);
        self.expected.processes.entry(self.handles[by].id).or_default().alive_until = until;
    }

    /// Who leaves with a lease is as good as dead.
    pub(super) async fn leave(&mut self, by: usize) {
        let Some(member) = self.handles[by].member.take() else { return };
        let (now, me) = (self.now(), self.handles[by].id);
        let left = member.leave().await;
        let mut jobs = self.expected.jobs.values();
        if jobs.any(|job| matches!(job.place, Place::Leased(_, _, holder) if holder == me)) {
            assert!(left.is_err());
            self.expected.processes.get_mut(&me).unwrap().lives = false;
        } else {
            left.unwrap();
            self.expected.forget(me, now);
        }
    }

    /// Ends a process without a word, and starts another.
    pub(super) async fn crash(&mut self, by: usize, closes: bool) {
        let next = self.open().await;
        let died = std::mem::replace(&mut self.handles[by], next);
        if let Some(row) = self.expected.processes.get_mut(&died.id) {
            row.lives = false;
        }
        drop(died.member);
        if closes {
            died.library.close().await;
        }
    }

    pub(super) async fn bury(&mut self, by: usize) {
        let (now, me) = (self.now(), self.handles[by].id);
        let expired = self.handles[by].library.bury_the_dead(MAX_ATTEMPTS).await.unwrap();
        same(expired, self.expected.bury(me, now));
    }
}

fn same(mut expired: Expired, expected: (u64, Vec<gleaner_model::job::JobId>)) {
    expired.poisoned.sort();
    assert_eq!((expired.requeued, expired.poisoned), expected);
}
