//! Read-only connections, kept while there is use for them.
//!
//! Must never block the async runtime, nor hold a transaction open between two calls.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use crate::connection::{Mode, open};
use crate::error::{StoreError, Trouble};
use crate::options::StoreOptions;

/// Connections kept open while idle.
const KEPT: usize = 4;

/// The pool.
#[derive(Debug, Clone)]
pub(crate) struct Readers(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    path: PathBuf,
    options: StoreOptions,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    /// A pool whose first connection is open, so that what is wrong shows now.
    pub(crate) fn open(path: PathBuf, options: StoreOptions) -> Result<Self, StoreError> {
        let first = open(&path, Mode::Read, &options)?;
        Ok(Self(Arc::new(Pool { path, options, idle: Mutex::new(vec![first]) })))
    }

    /// Runs `work` on a thread that may block, in one transaction: all it reads is of one moment.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.call_alone(move |connection| {
            let moment = connection.unchecked_transaction()?;
            work(&moment)
        })
        .await
    }

    /// Runs `work` on a thread that may block, in no transaction.
    pub(crate) async fn call_alone<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, StoreError> {
        let pool = self.0.clone();
        match tokio::task::spawn_blocking(move || pool.run(work)).await {
            Ok(answer) => answer,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Only a runtime that shuts down cancels a task nobody else can reach.
                Err(_) => Err(StoreError::Closed { path: self.0.path.clone() }),
            },
        }
    }

    /// Closes the idle connections.
    pub(crate) fn close(&self) {
        self.0.idle().clear();
    }
}

impl Pool {
    fn run<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Trouble>) -> Result<T, StoreError> {
        let idle = self.idle().pop();
        let connection = idle.map_or_else(|| open(&self.path, Mode::Read, &self.options), Ok)?;
        let answer = work(&connection);
        let mut idle = self.idle();
        if idle.len() < KEPT {
            idle.push(connection);
        }
        answer.map_err(|trouble| trouble.at(&self.path, self.options.busy_timeout.0))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
