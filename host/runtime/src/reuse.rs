//! Instances that wait for another call of their plugin, where the operator lets it reuse them.
//!
//! Must never keep an instance whose last call did not end with an answer, nor more of them than the engine's pool
//! has room for beside the calls that run.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedSemaphorePermit;
use wasmtime::Store;

use crate::engine::Shared;
use crate::guest::Guest;
use crate::sandbox::Sandbox;
use crate::track_0_1::Live;

/// An instance between two calls.
pub(crate) struct Kept {
    pub(crate) store: Store<Guest>,
    pub(crate) live: Live,
    pub(crate) use_of: UseOf,
}

/// How often an instance was used, and its place among those that are kept.
pub(crate) struct UseOf {
    calls: u32,
    _room: OwnedSemaphorePermit,
}

/// The instances of one plugin that wait.
#[derive(Default)]
pub(crate) struct Idle(Mutex<Vec<Kept>>);

impl Idle {
    /// The instance that was used last, if one may be used again.
    pub(crate) fn take(&self, sandbox: &Sandbox) -> Option<Kept> {
        if sandbox.reuse.get() == 1 {
            return None;
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Keeps an instance whose call ended with an answer, unless that was its last, or there is no room: then it
    /// ends here.
    pub(crate) fn keep(
        &self,
        shared: &Shared,
        sandbox: &Sandbox,
        use_of: Option<UseOf>,
        (mut store, live): (Store<Guest>, Live),
    ) {
        if use_of.as_ref().map_or(1, |before| before.calls + 1) >= sandbox.reuse.get() {
            return;
        }
        let new = || {
            let _room = Arc::clone(&shared.kept).try_acquire_owned().ok()?;
            Some(UseOf { calls: 0, _room })
        };
        let Some(mut use_of) = use_of.or_else(new) else { return };
        use_of.calls += 1;
        store.data_mut().let_go();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Kept { store, live, use_of });
    }
}
