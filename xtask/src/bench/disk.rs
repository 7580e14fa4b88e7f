//! What the disk takes at best: as many bytes in as many files, written and synced by a program that does nothing else.
//! It never reads them again.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::panic::resume_unwind;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// So many write at once.
const WRITERS: usize = 16;

/// The seconds that it takes until `files` new files of `size` bytes in `dir`, which is made, are on the disk.
pub(super) fn seconds(dir: &Path, files: usize, size: usize) -> Result<f64> {
    fs::create_dir_all(dir)?;
    let started = Instant::now();
    std::thread::scope(|scope| {
        let write = |writer: usize| {
            let bytes = vec![writer as u8; size];
            (writer..files).step_by(WRITERS).try_for_each(|n| fs::write(dir.join(n.to_string()), &bytes))
        };
        let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || write(writer))).collect();
        writers.into_iter().try_for_each(|writer| writer.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
    .with_context(|| format!("cannot write to {}", dir.display()))?;
    let status = Command::new("sync").arg("-f").arg(dir).status().context("cannot run sync")?;
    ensure!(status.success(), "sync -f {} ended with {status}", dir.display());
    Ok(started.elapsed().as_secs_f64())
}
