//! While a run goes on: looks now and then how the library stands, and writes the measurements to a file for those who
//! collect files (the textfile collector of Prometheus' node exporter).
//!
//! Must never fail the run: a file that cannot be written is said once.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gleaner_orchestrator::Pieces;
use gleaner_store::{Library, WorkQueue};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);

/// Looks and writes.
pub(crate) struct Measure {
    library: Library,
    pieces: Arc<Pieces>,
    file: Option<PathBuf>,
    has_complained: bool,
}

impl Measure {
    /// What a run with this file has; nothing is counted when there is none and nobody else wants it.
    pub(crate) fn new(library: Library, pieces: Arc<Pieces>, file: Option<PathBuf>) -> Self {
        if file.is_some() {
            gleaner_telemetry::metrics().want();
        }
        Self { library, pieces, file, has_complained: false }
    }

    /// Until it is dropped.
    pub(crate) async fn keep_up(mut self) {
        if !gleaner_telemetry::metrics().is_wanted() {
            return;
        }
        loop {
            self.look().await;
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Once.
    pub(crate) async fn look(&mut self) {
        let metrics = gleaner_telemetry::metrics();
        if !metrics.is_wanted() {
            return;
        }
        if let Ok(stats) = self.library.stats().await {
            metrics.set_depths(&stats.by_state());
            metrics.set_inflight(self.pieces.inflight());
        }
        let Some(file) = &self.file else { return };
        if let Err(error) = replace(file, &metrics.render())
            && !self.has_complained
        {
            tracing::warn!("cannot write {}: {error}; see --metrics-file", file.display());
            self.has_complained = true;
        }
    }
}

/// Whoever reads it finds it whole: this one or the one before.
fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let new = file.with_file_name(name);
    std::fs::write(&new, text)?;
    std::fs::rename(&new, file)
}
