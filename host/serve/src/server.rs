//! Listening, and one task for each connection, until the run is told to stop.
//!
//! Must never keep the run from ending: what is open then has a moment to end, and streams end at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::get;
use gleaner_orchestrator::Stop;
use http::{Method, Uri};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::error::ServeError;
use crate::guard::{self, Access};
use crate::patient::Patient;
use crate::problem::Problem;
use crate::site::{Inner, Parts, Site};
use crate::{api, assets, health, live, metrics, page, turn};

/// Connections at a time.
const MOST_CONNECTIONS: usize = 512;
/// How long a request's head may take to come.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long answers that are being given may take once the run is told to stop.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// After the system refused a connection, as it does when files run out.
const PAUSE: Duration = Duration::from_millis(100);

/// A server that listens and does not answer yet.
pub struct Bound {
    listener: TcpListener,
    parts: Parts,
    access: Access,
}

/// Takes the address.
///
/// # Errors
/// When the address is not to be had.
pub async fn bind(parts: Parts) -> Result<Bound, ServeError> {
    let access = Access::new(&parts.config, parts.token.clone())?;
    let listen = parts.config.listen;
    let listener = TcpListener::bind(listen).await.map_err(|source| ServeError::Listen { listen, source })?;
    Ok(Bound { listener, parts, access })
}

impl Bound {
    /// Where it listens: the port too, where the system chose it.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until the run is told to stop.
    pub async fn run(self, stop: watch::Receiver<Stop>) {
        let Self { listener, parts, access } = self;
        let site = Inner::new(parts, access, stop.clone());
        let pulse = tokio::spawn(live::beat(Arc::clone(&site)));
        let service = TowerToHyperService::new(routes(&site));
        let graceful = GracefulShutdown::new();
        let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
        let mut told = stop;
        loop {
            let accepted = tokio::select! {
                accepted = accept(&listener, &room) => accepted,
                _ = told.wait_for(|stop| *stop != Stop::Go) => break,
            };
            let Some((stream, place)) = accepted else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let connection = builder.serve_connection(TokioIo::new(Patient::new(stream)), service.clone());
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                // What a peer breaks off is its own affair.
                let _ = connection.await;
                drop(place);
            });
        }
        drop(listener);
        let _ = tokio::time::timeout(LAST_WORDS, graceful.shutdown()).await;
        pulse.abort();
    }
}

type Place = tokio::sync::OwnedSemaphorePermit;

/// The next connection, when there is room for it; none when the system refused.
async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> Option<(tokio::net::TcpStream, Place)> {
    let place = Arc::clone(room).acquire_owned().await.ok()?;
    let (stream, _) = listener.accept().await.ok()?;
    let _ = stream.set_nodelay(true);
    Some((stream, place))
}

fn routes(site: &Site) -> Router {
    let views = api::router().merge(page::router()).route("/metrics", get(metrics::metrics));
    views
        .layer(from_fn_with_state(Arc::clone(site), turn::in_turn))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/static/{file}", get(assets::file))
        .method_not_allowed_fallback(|method: Method, uri: Uri| async move {
            Problem::method(&method, uri.path()).into_response()
        })
        .fallback(|uri: Uri| async move { Problem::no_such_page(uri.path()).into_response() })
        .layer(from_fn_with_state(Arc::clone(site), guard::guard))
        .with_state(Arc::clone(site))
}
