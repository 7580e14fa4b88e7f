//! Holds answers back until a test lets them go: to freeze a job in the middle of a request, without a sleep.
//!
//! Must never time out by itself: the test decides.

use tokio::sync::watch;

/// Holds every reply that was made with [`super::Reply::held_by`] it, before the headers, until [`Barrier::open`].
#[derive(Debug, Clone)]
pub struct Barrier(watch::Sender<bool>);

impl Barrier {
    /// A closed barrier.
    #[expect(clippy::new_without_default, reason = "that it starts closed is worth a look at `new`")]
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Lets everything go, now and later.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(super) async fn passed(&self) {
        // The channel cannot be closed while `self` holds its sender.
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}
