//! Fault points: named places right before and after each durable write, where a test lets the process die.
//!
//! Must never cost a release build anything, nor decide what dying is: who arms a point says that.

/// Every fault point, in the order in which a harvest passes them.
pub const NAMES: [&str; 12] = [
    "store.commit",          // a group of writes is ready
    "store.committed",       // it is durable, and nobody has been told
    "blob.written",          // all bytes are in the temporary file
    "blob.synced",           // and on the disk
    "shard.made",            // a new directory for the blob
    "shard.synced",          // and its name is on the disk
    "blob.renamed",          // the blob has its name
    "blob.directory-synced", // and the name is on the disk
    "name.linked",           // the readable name is there
    "name.directory-synced", // and on the disk; no row names the file yet
    "log.merge",             // the log is about to be merged into the database
    "log.merged",            // and is
];

/// A place where the process may have to die. In a release build nothing is left of it; in a debug build one
/// atomic load, unless a point is armed.
#[inline]
#[cfg_attr(not(debug_assertions), expect(unused_variables, reason = "a release build has no fault points"))]
pub fn point(name: &'static str) {
    #[cfg(debug_assertions)]
    if let Some(armed) = armed::ARMED.get() {
        armed.pass(name);
    }
}

#[cfg(debug_assertions)]
pub use armed::{FaultError, arm};

#[cfg(debug_assertions)]
mod armed {
    use std::num::NonZeroU32;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::NAMES;

    pub(super) static ARMED: OnceLock<Armed> = OnceLock::new();

    pub(super) struct Armed {
        name: &'static str,
        /// Passes up to the fatal one.
        left: AtomicU32,
        die: fn() -> !,
    }

    /// Why a fault point cannot be armed.
    #[derive(Debug, PartialEq, Eq, thiserror::Error)]
    pub enum FaultError {
        /// Neither `NAME:N` nor a known name.
        #[error(
            "{spec:?} is no fault point; write NAME:N, where N counts from 1 and NAME is one of {}",
            NAMES.join(", ")
        )]
        Unknown {
            /// What was asked for.
            spec: String,
        },
        /// There is one per process.
        #[error("a fault point is armed already; arm one")]
        Twice,
    }

    /// Calls `die` at the n-th pass of a point, which `spec` names as `NAME:N`.
    ///
    /// # Errors
    /// [`FaultError`]: when `spec` is anything else, or this is the second call.
    pub fn arm(spec: &str, die: fn() -> !) -> Result<(), FaultError> {
        let armed = Armed::parse(spec, die).ok_or_else(|| FaultError::Unknown { spec: spec.to_owned() })?;
        ARMED.set(armed).map_err(|_| FaultError::Twice)
    }

    impl Armed {
        fn parse(spec: &str, die: fn() -> !) -> Option<Self> {
            let (wanted, passes) = spec.split_once(':')?;
            let name = NAMES.into_iter().find(|name| *name == wanted)?;
            let passes: NonZeroU32 = passes.parse().ok()?;
            Some(Self { name, left: AtomicU32::new(passes.get()), die })
        }

        pub(super) fn pass(&self, name: &str) {
            if name == self.name && self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
                (self.die)();
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        /// Stands in for a death that a test can survive.
        fn die() -> ! {
            panic!("died")
        }

        #[test]
        fn the_process_dies_at_the_pass_that_was_asked_for() {
            let armed = Armed::parse("blob.synced:3", die).unwrap();
            armed.pass("blob.synced");
            armed.pass("blob.renamed");
            armed.pass("blob.synced");
            assert!(std::panic::catch_unwind(|| armed.pass("blob.synced")).is_err());
        }

        #[test]
        fn any_text_is_a_fault_point_or_none() {
            gleaner_testing::each_mutation(
                &["blob.synced:3", "store.commit:1", "log.merged:4294967295"],
                |spec| {
                    if let Some(armed) = Armed::parse(spec, die) {
                        assert!(NAMES.contains(&armed.name) && armed.left.into_inner() > 0);
                    }
                },
            );
        }

        #[test]
        fn what_is_no_fault_point_is_refused_with_those_that_are() {
            for spec in ["", "blob.synced", "blob.synced:0", "blob.synced:x", "blob.sync:1"] {
                let message = arm(spec, die).unwrap_err().to_string();
                assert!(message.contains("log.merged"), "{message}");
            }
        }
    }
}
