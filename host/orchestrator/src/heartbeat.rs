//! Extends the leases of steps that run, and stops those that lost theirs or outlived their deadline.
//!
//! Must never extend a lease beyond its step's deadline: a hung step's job has to come back by itself.

use std::sync::Arc;

use gleaner_store::StoreError;
use tokio::time::MissedTickBehavior;

use crate::pieces::Pieces;

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
        tracing::warn!(job = %lease.job, "the lease was lost; its step was stopped");
        pieces.running.abort(lease);
    }
    Ok(())
}
