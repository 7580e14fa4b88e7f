//! The private directory of compiled components, and of what plugins said of themselves.
//!
//! Both are found by the digest of the component; compiled code also by the engine that made it. What lies there is
//! run as native code: the directory must never be one that anyone else can change, and nothing else is ever loaded
//! from it. What was used longest ago goes when there is too much.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Error, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::answer::Description;
use crate::private::{self, Distrust};

/// An open cache directory.
#[derive(Debug, Clone)]
pub(crate) struct CacheDir {
    dir: PathBuf,
    /// Bytes of all files together.
    most: u64,
}

impl CacheDir {
    /// Makes the directory where it is missing. More than `most` bytes are not kept.
    pub(crate) fn open(path: &Path, most: u64) -> Result<Self, Distrust> {
        Ok(Self { dir: private::open(path)?, most })
    }

    /// The component with that digest, if this engine has compiled it before.
    pub(crate) fn component(&self, engine: &Engine, sha256: &str) -> Option<Component> {
        let file = self.compiled_file(engine, sha256);
        if !file.is_file() {
            return None;
        }
        match load(engine, &file) {
            Ok(component) => {
                note_use(&file);
                Some(component)
            }
            Err(error) => {
                tracing::warn!(file = %file.display(), "a compiled plugin cannot be used and is compiled again: {error:#}");
                None
            }
        }
    }

    /// Keeps a component that was compiled. A failure costs only time later and is logged.
    pub(crate) fn keep_component(&self, engine: &Engine, sha256: &str, component: &Component) {
        let kept = component
            .serialize()
            .map_err(|error| Error::other(format!("{error:#}")))
            .and_then(|code| self.keep(&self.compiled_file(engine, sha256), &code));
        if let Err(error) = kept {
            tracing::warn!(dir = %self.dir.display(), %error, "a compiled plugin was not cached");
        }
    }

    /// What the file with that digest said of itself when it was asked.
    pub(crate) fn description(&self, sha256: &str) -> Option<Description> {
        let file = self.describe_file(sha256);
        let description = serde_json::from_slice(&fs::read(&file).ok()?).ok()?;
        note_use(&file);
        Some(description)
    }

    /// Keeps what it said. A failure costs only time later and is logged.
    pub(crate) fn keep_description(&self, sha256: &str, description: &Description) {
        let file = self.describe_file(sha256);
        let kept = serde_json::to_vec(description).map_err(Error::from);
        if let Err(error) = kept.and_then(|json| self.keep(&file, &json)) {
            tracing::warn!(file = %file.display(), %error, "a plugin's description was not cached");
        }
    }

    /// Another version of the engine makes other code, and so do other settings of it.
    fn compiled_file(&self, engine: &Engine, sha256: &str) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        self.dir.join(format!("{sha256}-{:016x}.cwasm", hasher.finish()))
    }

    fn describe_file(&self, sha256: &str) -> PathBuf {
        self.dir.join(format!("{sha256}.json"))
    }

    /// Whole and synced before it has its name: another process may read it at once, and after a power cut too.
    fn keep(&self, file: &Path, bytes: &[u8]) -> Result<(), Error> {
        let part = file.with_extension(format!("{}-{:08x}.part", std::process::id(), unlike_any()));
        let mut writing = File::create_new(&part)?;
        let written = writing.write_all(bytes).and_then(|()| writing.sync_all());
        if let Err(error) = written.and_then(|()| fs::rename(&part, file)) {
            let _ = fs::remove_file(&part);
            return Err(error);
        }
        self.prune()
    }

    /// Removes what was used longest ago until a quarter of the room is free, if there is too much.
    fn prune(&self) -> Result<(), Error> {
        let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.dir)?.flatten() {
            // Another process may have removed it.
            let Ok(found) = entry.metadata() else { continue };
            if found.is_file() {
                files.push((found.modified()?, found.len(), entry.path()));
            }
        }
        let mut sum: u64 = files.iter().map(|(_, size, _)| size).sum();
        if sum <= self.most {
            return Ok(());
        }
        files.sort();
        for (_, size, path) in files {
            if sum <= self.most / 4 * 3 {
                break;
            }
            // What is in use stays mapped; only its name goes.
            let _ = fs::remove_file(path);
            sum -= size;
        }
        Ok(())
    }
}

/// Runs what the file says: only for files of a [`CacheDir`].
#[allow(
    unsafe_code,
    reason = "wasmtime cannot check native code; who may have written it is checked instead"
)]
fn load(engine: &Engine, file: &Path) -> wasmtime::Result<Component> {
    // SAFETY: the file lies in a directory that only this user can change, or reach through directories that only
    // this user and root can change (`private::open`); there it was put under its name whole, by `keep`, out of
    // `Component::serialize`, and is never written to again. wasmtime checks that its own version and settings made it.
    unsafe { Component::deserialize_file(engine, file) }
}

/// What was used last is removed last.
fn note_use(file: &Path) {
    let (now, as_it_is) =
        (Timespec { tv_sec: 0, tv_nsec: UTIME_NOW }, Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT });
    let times = Timestamps { last_access: as_it_is, last_modification: now };
    // Only its turn to be removed depends on it.
    let _ = rustix::fs::utimensat(CWD, file, &times, AtFlags::empty());
}

/// Two threads may keep the same thing.
fn unlike_any() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn described(name: &str) -> Description {
        Description { name: name.into(), ..Description::default() }
    }

    #[test]
    fn descriptions_come_back_and_nonsense_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let cache = CacheDir::open(&dir.path().join("a/b"), 1 << 20).unwrap();
        assert!(cache.description("00").is_none());
        cache.keep_description("00", &described("x"));
        assert_eq!(cache.description("00").unwrap().name, "x");
        fs::write(cache.describe_file("00"), "{").unwrap();
        assert!(cache.description("00").is_none());
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let dir = tempfile::tempdir().unwrap();
        let size = serde_json::to_vec(&described("x")).unwrap().len() as u64;
        let cache = CacheDir::open(&dir.path().join("cache"), size * 8).unwrap();
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for n in 0..8 {
            cache.keep_description(&format!("{n:02}"), &described("x"));
            let file = File::options().write(true).open(cache.describe_file(&format!("{n:02}"))).unwrap();
            file.set_modified(long_ago + Duration::from_secs(n)).unwrap();
        }
        assert!(cache.description("00").is_some(), "used now, so it is the youngest");
        cache.keep_description("08", &described("x"));
        let left = (0..9).filter(|n| cache.describe_file(&format!("{n:02}")).exists()).collect::<Vec<_>>();
        assert_eq!(left, [0, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn compiled_code_comes_back_for_its_engine_alone() {
        let dir = tempfile::tempdir().unwrap();
        let cache = CacheDir::open(&dir.path().join("cache"), 1 << 30).unwrap();
        let one = Engine::default();
        let other = Engine::new(wasmtime::Config::new().epoch_interruption(true)).unwrap();
        let bytes = wat::parse_str("(component (core module (func unreachable)))").unwrap();
        let component = Component::new(&one, &bytes).unwrap();
        cache.keep_component(&one, "00", &component);
        assert!(cache.component(&one, "00").is_some());
        assert!(cache.component(&one, "01").is_none() && cache.component(&other, "00").is_none());
        // Whatever else has that name is not run.
        fs::write(cache.compiled_file(&other, "00"), "nonsense").unwrap();
        fs::copy(cache.compiled_file(&one, "00"), cache.compiled_file(&other, "01")).unwrap();
        assert!(cache.component(&other, "00").is_none() && cache.component(&other, "01").is_none());
    }
}
