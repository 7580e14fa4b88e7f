//! What becomes of jobs whose key is stopped for long: who could be resolved by another goes there.
//!
//! They are looked at where they wait, a part at a time, without a lease; who has nobody else to ask stays, and goes on
//! when its key does. Must never move a job to a key that is stopped too, nor look at all of them again and again.

use std::collections::HashMap;
use std::time::Duration;

use gleaner_model::job::{JobId, Priority};
use gleaner_model::key::Key;
use gleaner_model::next::Next;
use gleaner_store::StoreError;
use tokio::time::Instant;

use crate::pieces::{Pieces, lock};

/// Jobs that are looked at in a turn.
const PART: u32 = 256;
/// Those that came later are looked at after so long, all of them after so much longer: others may be able by then.
const AGAIN: Duration = Duration::from_secs(60);
const ALL_AGAIN: Duration = Duration::from_secs(600);

/// The stopped keys, and how far their jobs have been looked at.
#[derive(Debug, Default)]
pub(crate) struct Stopped(HashMap<Key, Seen>);

#[derive(Debug)]
enum Seen {
    /// Those up to there.
    UpTo(Option<(Priority, JobId)>),
    /// All, and so many were left.
    All { at: Instant, left: u64 },
}

impl Stopped {
    /// The key was found to be stopped.
    pub(crate) fn add(&mut self, key: &Key) {
        self.0.entry(key.clone()).or_insert(Seen::UpTo(None));
    }

    /// Looks at a part of the jobs of each key that is still stopped. Returns how many have been moved, or are still to be
    /// looked at.
    pub(crate) async fn pass_on(&mut self, pieces: &Pieces) -> Result<usize, StoreError> {
        if self.0.is_empty() {
            return Ok(0);
        }
        let generation = pieces.sources.now();
        self.0.retain(|key, _| pieces.sources.stopped(&generation, key).is_some());
        let mut busy = 0;
        for (key, seen) in &mut self.0 {
            let ready = lock(&pieces.schedule).ready(key);
            let behind = match seen {
                Seen::UpTo(behind) => *behind,
                Seen::All { at, left } if !is_due(at.elapsed(), ready > *left) => continue,
                Seen::All { .. } => None,
            };
            let jobs = pieces.library.waiting(key.clone(), behind, PART).await?;
            let last = jobs.last().map(|job| job.place).filter(|_| jobs.len() == PART as usize);
            let elsewhere = jobs.into_iter().filter_map(|job| {
                let Next::Step(step) = pieces.sources.next(&generation, &job.plan, &job.artifact) else {
                    return None;
                };
                let other = pieces.key_of(&job.plan, &step);
                let is_open = other != *key && pieces.sources.stopped(&generation, &other).is_none();
                is_open.then_some((job.place, other))
            });
            let elsewhere: Vec<_> = elsewhere.collect();
            let mut moved = 0;
            if !elsewhere.is_empty() {
                let others: Vec<Key> = elsewhere.iter().map(|(_, other)| other.clone()).collect();
                moved = pieces.library.pass_on(key.clone(), elsewhere).await?;
                let mut schedule = lock(&pieces.schedule);
                for other in &others {
                    schedule.add(other, 1);
                }
                schedule.lost(key, moved);
                tracing::info!(%key, jobs = moved, "passed on");
            }
            *seen = match last {
                Some(last) => Seen::UpTo(Some(last)),
                None => Seen::All { at: Instant::now(), left: lock(&pieces.schedule).ready(key) },
            };
            busy += usize::try_from(moved).unwrap_or(usize::MAX).max(usize::from(last.is_some()));
        }
        Ok(busy)
    }
}

/// Whether jobs that were looked at so long ago are looked at again.
fn is_due(ago: Duration, more_came: bool) -> bool {
    ago >= ALL_AGAIN || (more_came && ago >= AGAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_that_stay_are_looked_at_again_now_and_then() {
        let seconds = Duration::from_secs;
        assert!(!is_due(seconds(59), true) && is_due(seconds(60), true));
        assert!(!is_due(seconds(599), false) && is_due(seconds(600), false));
    }
}
