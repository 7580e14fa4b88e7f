//! Extends the leases of steps that run, and stops those that lost theirs, as cancelled jobs do, or outlived their
//! deadline.
//!
//! Must never extend a lease beyond its step's deadline: a hung step's job has to come back by itself. Nor stop a step
//! that has just ended by itself and is about to say so.

use std::sync::Arc;
use std::time::Duration;

use gleaner_store::{Lease, StoreError};
use tokio::time::MissedTickBehavior;

use crate::pieces::Pieces;

/// How often it is looked whether another process cancelled a job whose step runs here. A shorter step ends by itself.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A step that still runs so long after its lease was gone did not give it back itself.
const GIVING_BACK: Duration = Duration::from_millis(100);

/// Stops steps whose leases were taken away, until it is dropped; returns only when the store fails.
pub(crate) async fn stop_cancelled(pieces: Arc<Pieces>) -> StoreError {
    loop {
        let age = tokio::select! {
            () = pieces.sources.live.cancelled.notified() => Duration::ZERO,
            () = tokio::time::sleep(LOOK_EVERY) => LOOK_EVERY,
        };
        if let Err(error) = stop_lost(&pieces, age).await {
            return error;
        }
    }
}

async fn stop_lost(pieces: &Pieces, age: Duration) -> Result<(), StoreError> {
    let running = pieces.running.longer_than(age);
    if running.is_empty() {
        return Ok(());
    }
    let lost = pieces.library.lost(running).await?;
    if lost.is_empty() {
        return Ok(());
    }
    tokio::time::sleep(GIVING_BACK).await;
    lost.into_iter().for_each(|lease| stop(pieces, lease));
    Ok(())
}

fn stop(pieces: &Pieces, lease: Lease) {
    if pieces.running.abort(lease) {
        tracing::warn!(job = %lease.job, "the lease was lost; its step was stopped");
    }
}

/// Beats until it is dropped; returns only when the store fails.
pub(crate) async fn beat(pieces: Arc<Pieces>) -> StoreError {
    let mut ticks = tokio::time::interval(pieces.config.heartbeat.0);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        if let Err(error) = once(&pieces).await {
            return error;
        }
    }
}

async fn once(pieces: &Pieces) -> Result<(), StoreError> {
    let (extend, hung) = pieces.running.due(pieces.config.lease_ttl.0, pieces.sources.clock.now());
    for lease in hung {
        tracing::warn!(job = %lease.job, "the step is past its deadline and was stopped; its lease expires");
        pieces.running.abort(lease);
    }
    for lease in pieces.queue.heartbeat(extend).await? {
        stop(pieces, lease);
    }
    Ok(())
}
