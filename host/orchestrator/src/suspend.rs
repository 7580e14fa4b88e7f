//! What a run does about suspended plugins: the library is told, and their jobs are planned anew.
//!
//! While a plugin is suspended its key is blocked, as by a cooldown: its jobs are neither called nor failed. Those
//! that others can resolve go on; who has nobody else to ask waits for the end of it. Must never end a job.

use std::time::Duration;

use gleaner_model::key::Key;
use gleaner_store::StoreError;
use gleaner_telemetry::Event;

use crate::breaker::News;
use crate::pieces::{Pieces, lock};

/// Jobs that are planned anew by one write.
const CHUNK: u32 = 4096;

impl Pieces {
    /// Writes down which plugins were suspended and which are called again, so that a restart and others know it.
    pub(crate) async fn save_suspensions(&self) -> Result<(), StoreError> {
        for news in self.sources.breakers.take_news() {
            match &news {
                News::Suspended(suspension) => self.library.suspend(suspension.clone()).await?,
                News::Resumed(resolver) => self.library.end_suspension(resolver.clone()).await?,
            }
            self.sources.breakers.told(&news);
            match news {
                News::Suspended(suspension) => self.tell(&Event::Suspended(suspension)),
                News::Resumed(resolver) => {
                    self.wake(&Key::Resolver(resolver.clone()));
                    self.tell(&Event::Resumed(resolver));
                }
            }
        }
        Ok(())
    }

    /// Takes in what the library knows of suspensions, and that files were replaced.
    pub(crate) async fn take_in_suspensions(&self) -> Result<(), StoreError> {
        let breakers = &self.sources.breakers;
        let told = breakers.times_told();
        let known = self.library.suspensions().await?;
        let in_service = self.sources.now();
        for resolver in breakers.take_in(&known, told, |name| in_service.resolvers.sha256(name)) {
            // Once more, for those that were put off because of it only just now.
            self.library.end_suspension(resolver.clone()).await?;
            self.wake(&Key::Resolver(resolver.clone()));
            self.tell(&Event::Resumed(resolver));
        }
        self.save_suspensions().await
    }

    /// Lets the key take its turn, and those that waited for its time.
    fn wake(&self, key: &Key) {
        self.note_waiting(key, Some(self.sources.clock.now()));
        self.sources.limiter.look_again(key);
    }

    /// Has the jobs of keys whose plugin is suspended planned anew, or, while a call decides, lets them wait for it.
    /// Returns how many jobs were moved.
    pub(crate) async fn hand_on(&self, suspended: Vec<(Key, Option<Duration>)>) -> Result<usize, StoreError> {
        let mut moved = 0;
        for (key, wait) in suspended {
            if wait.is_none() {
                lock(&self.schedule).park_behind(&key, &key);
                continue;
            }
            let jobs = self.library.hand_over(key.clone(), Key::Plan, CHUNK).await?;
            moved += usize::try_from(jobs).unwrap_or(usize::MAX);
            let mut schedule = lock(&self.schedule);
            if jobs > 0 {
                schedule.add(&Key::Plan, jobs);
            }
            if jobs == u64::from(CHUNK) {
                schedule.put_back(key);
            } else {
                // None is left. What comes meanwhile is seen at the next look.
                schedule.emptied(&key);
            }
        }
        Ok(moved)
    }
}
