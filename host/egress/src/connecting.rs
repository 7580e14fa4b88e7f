//! How long a new connection took: the host looked up, connected to, and proved over TLS.
//!
//! reqwest does not say it, but lets a layer stand around its connector, which is called by the task that waits for the
//! connection; a task-local variable leads from there to the request. Must never change what the connector does.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

tokio::task_local! {
    /// Where the request that is being sent wants to find the time.
    static TIME: Arc<OnceLock<Duration>>;
}

/// Does some work, and says how long the connection took that was made for it; nothing where one was there already.
pub(crate) async fn timed<T>(work: impl Future<Output = T>) -> (T, Option<Duration>) {
    let time = Arc::<OnceLock<Duration>>::default();
    let done = TIME.scope(Arc::clone(&time), work).await;
    (done, time.get().copied())
}

/// The layer.
#[derive(Debug, Clone)]
pub(crate) struct Timing;

/// A connector with a clock.
#[derive(Debug, Clone)]
pub(crate) struct Timed<S>(S);

impl<S> Layer<S> for Timing {
    type Service = Timed<S>;

    fn layer(&self, connector: S) -> Timed<S> {
        Timed(connector)
    }
}

impl<S, R> Service<R> for Timed<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (began, time) = (Instant::now(), TIME.try_with(Arc::clone).ok());
        let connecting = self.0.call(request);
        Box::pin(async move {
            let connected = connecting.await;
            if let (Ok(_), Some(time)) = (&connected, time) {
                // Where another connection came first the request has ended already, and nobody looks.
                let _ = time.set(began.elapsed());
            }
            connected
        })
    }
}
