//! Hashing many files at the speed of the disk: several at a time, each read in order.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{BlobProblem, Content};

/// More readers make no disk faster, and each has a core busy with hashing.
const MOST_THREADS: usize = 8;

impl Content {
    /// Hashes these blobs, as many at a time as the machine has cores, at most eight, and tells `done` of each as soon as
    /// it is known, in any order: its place in the list, and what is wrong with it. Blocks until all are done.
    pub fn verify_blobs(&self, blobs: &[String], done: &(dyn Fn(usize, Option<BlobProblem>) + Sync)) {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some((at, sha256)) = {
                let at = next.fetch_add(1, Ordering::Relaxed);
                blobs.get(at).map(|sha256| (at, sha256))
            } {
                done(at, self.verify_blob(sha256).err());
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads.min(blobs.len()) {
                scope.spawn(work);
            }
            work();
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::{ContentConfig, NameTemplate};

    #[test]
    fn every_blob_is_told_of_once() {
        let dir = tempfile::tempdir().unwrap();
        let content = Content::open(dir.path(), ContentConfig::default(), NameTemplate::default()).unwrap();
        let blobs: Vec<String> = (0..100).map(|n| format!("{n:064x}")).collect();
        let told = Mutex::new(vec![0; blobs.len()]);
        content.verify_blobs(&blobs, &|at, problem| {
            assert!(matches!(problem, Some(BlobProblem::Missing(_))));
            told.lock().unwrap()[at] += 1;
        });
        assert_eq!(told.into_inner().unwrap(), vec![1; 100]);
        content.verify_blobs(&[], &|_, _| panic!("of what"));
    }
}
