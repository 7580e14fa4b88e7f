//! The SQLite backend keeps what a work queue has to keep.

use std::sync::Arc;

use gleaner_store::conformance::{Fixture, all};

use crate::scratch::Scratch;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqlite_conforms() {
    all(|| {
        let scratch = Scratch::new();
        Fixture {
            queue: Arc::new(scratch.open()),
            clock: Arc::clone(&scratch.clock),
            guard: Box::new(scratch),
        }
    })
    .await;
}
