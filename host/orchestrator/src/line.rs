//! Jobs that wait in line for their host's permit: leased a moment before there is room for them, so that a permit that
//! comes back is used at once, and not after a lease has been written.
//!
//! Must never hold more jobs than come up within a few lease times, nor any of a key that is blocked by more than its
//! being full: such a job goes back to the queue.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use gleaner_model::key::Key;

use crate::pace::PATIENCE;
use crate::pieces::{Pieces, lock};
use crate::reserve::{Reservation, Seat};

/// A line holds the jobs that come up while so many leases are written: half of them are leased at once, and a lease of few
/// costs nearly as much as one of many.
const LEASES: u32 = 8;
/// And at most so many for each permit of its key.
const TURNS: u32 = 4;

/// How many jobs of each key wait.
#[derive(Debug, Default)]
pub(crate) struct Lines(Mutex<HashMap<Key, Line>>);

#[derive(Debug, Default)]
struct Line {
    waiting: u32,
    /// When so few are left, others are leased.
    low: u32,
}

/// A job's place in its key's line, and its slot.
pub(crate) struct InLine {
    place: Waiting,
    seat: Seat,
}

struct Waiting {
    pieces: Arc<Pieces>,
    key: Key,
}

impl Pieces {
    /// Places for jobs of a host whose permits are all out: as many as come back while [`LEASES`] are written, and none
    /// while half of them wait already.
    pub(crate) fn line_up(self: &Arc<Self>, key: &Key, ready: u64) -> Vec<InLine> {
        if !matches!(key, Key::Host(_)) {
            return Vec::new();
        }
        let limiter = &self.sources.limiter;
        let at_once = limiter.get_limit(key).map_or(0, |limit| limit.concurrency.get());
        let time = self.paces.lease_time() * LEASES;
        let wanted = limiter.returns_within(key, time).min(at_once.saturating_mul(TURNS));
        let waiting = lock(&self.lines.0).get(key).map_or(0, |line| line.waiting);
        if waiting > wanted / 2 {
            return Vec::new();
        }
        let most = u64::from(wanted - waiting).min(ready);
        let places: Vec<InLine> = (0..most)
            .map_while(|_| {
                let seat = self.seat(key).ok()?;
                lock(&self.lines.0).entry(key.clone()).or_default().waiting += 1;
                Some(InLine { place: Waiting { pieces: Arc::clone(self), key: key.clone() }, seat })
            })
            .collect();
        if let Some(line) = lock(&self.lines.0).get_mut(key) {
            line.low = line.waiting / 2;
        }
        places
    }
}

impl InLine {
    /// Waits for the key's permit. None where it does not come soon.
    pub(crate) async fn reservation(self) -> Option<Reservation> {
        let Self { place, seat } = self;
        let Waiting { pieces, key } = &place;
        let permit = pieces.sources.limiter.try_acquire(key, PATIENCE).await.ok()?;
        let is_over = pieces.winding_down.load(Ordering::SeqCst);
        let key = key.clone();
        drop(place);
        (!is_over).then_some(Reservation { key, trial: None, permit, host: None, seat })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut lines = lock(&self.pieces.lines.0);
        let Some(line) = lines.get_mut(&self.key) else { return };
        line.waiting -= 1;
        let is_low = line.waiting == line.low;
        if line.waiting == 0 {
            lines.remove(&self.key);
        }
        drop(lines);
        if is_low {
            self.pieces.sources.limiter.look_again(&self.key);
        }
    }
}

#[cfg(test)]
mod tests;
