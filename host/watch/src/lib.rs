//! Settled changes of files and directories: for plugins and for the configuration.
//!
//! What the system tells of changes only says when to look; what has changed is found by looking. So a file system
//! without events, an event that was lost and a folder that is not there yet cost time and nothing else. Must never
//! read a file, nor tell of one that is still being written.

mod places;
mod seen;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use crate::places::Places;
use crate::seen::Seen;

/// How often it looks when nothing was heard.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A change is told when two looks so far apart found the same.
const SETTLED: Duration = Duration::from_millis(100);
/// What never settles is told of after so many looks: it must not keep the rest from being taken in.
const MOST_LOOKS: u32 = 10;
/// Between two looks in a folder in which others are busy.
const BREATH: Duration = Duration::from_millis(50);

/// What to watch. Relative paths are meant from the working directory; nothing needs to be there yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watched {
    /// Directories whose files count.
    pub dirs: Vec<PathBuf>,
    /// How the names of those files end, without the dot.
    pub endings: Vec<&'static str>,
    /// Single files.
    pub files: Vec<PathBuf>,
}

/// Tells when something of it has changed and settled.
#[derive(Debug)]
pub struct Watch {
    watched: Watched,
    told: Seen,
    places: Arc<Mutex<Places>>,
    heard: Arc<Notify>,
}

impl Watch {
    /// From now on. What is there now is known, and not told of.
    pub async fn start(watched: Watched) -> Self {
        let heard = Arc::new(Notify::new());
        let places = Arc::new(Mutex::new(Places::new(Arc::clone(&heard))));
        let mut watch = Self { watched, told: Seen::default(), places, heard };
        watch.told = watch.look().await;
        watch
    }

    /// Watches something else. What was and is watched is told of if it has changed since; what is new, at once.
    pub fn set(&mut self, watched: Watched) {
        if watched != self.watched {
            self.watched = watched;
            self.heard.notify_one();
        }
    }

    /// Returns when something has changed since this returned last, and stayed as it is for a tenth of a second.
    /// What changes while the caller acts on it is told of again. May be dropped at any time; nothing is lost.
    pub async fn changed(&mut self) {
        loop {
            let mut seen = self.look().await;
            if seen != self.told {
                for _ in 0..MOST_LOOKS {
                    sleep(SETTLED).await;
                    let again = self.look().await;
                    if again == seen {
                        break;
                    }
                    seen = again;
                }
                // It may have been put back meanwhile.
                if seen != self.told {
                    self.told = seen;
                    return;
                }
            }
            tokio::select! {
                () = self.heard.notified() => sleep(BREATH).await,
                () = sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Off the async threads: a file system may take its time.
    async fn look(&self) -> Seen {
        let (watched, places) = (self.watched.clone(), Arc::clone(&self.places));
        let look = move || {
            // First listen, then look: nothing falls between.
            places.lock().unwrap_or_else(PoisonError::into_inner).listen_for(&watched);
            Seen::of(&watched)
        };
        // Never cancelled while somebody waits for it; a panic in it ends the watching, not the run.
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
