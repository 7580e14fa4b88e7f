//! Server-sent events: whoever watches hears, at most once a second, that something has changed, and how the queue
//! stands.
//!
//! Must never wait for one who watches, nor keep what they have not read: who falls behind is let go.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use gleaner_orchestrator::Stop;
use gleaner_store::{QueueStats, WorkQueue};
use http::{HeaderMap, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::MissedTickBehavior;

use crate::config::Token;
use crate::problem::Problem;
use crate::site::Site;

/// Between two looks.
const BEAT: Duration = Duration::from_secs(1);
/// A line for connections that would be taken for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Events that one who watches may be behind.
const BEHIND: usize = 4;
/// Who may watch at a time.
const MOST_VIEWERS: usize = 400;

/// What is told.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Change {
    /// RFC 3339.
    pub(crate) at: String,
    /// Jobs per state.
    pub(crate) stats: QueueStats,
}

/// Who watches.
pub(crate) struct Pulse {
    tell: broadcast::Sender<Bytes>,
    room: Arc<Semaphore>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { tell: broadcast::channel(BEHIND).0, room: Arc::new(Semaphore::new(MOST_VIEWERS)) }
    }
}

/// Looks every second whether something has changed.
pub(crate) async fn beat(site: Site) {
    let mut ticks = tokio::time::interval(BEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = None;
    loop {
        ticks.tick().await;
        let is_watched = site.pulse.tell.receiver_count() > 0;
        // The next look is not far; what is wrong with the library others say.
        let Ok(stats) = site.library.stats().await else { continue };
        site.counted.sample(&stats);
        let _ = site.counted.count(&site, is_watched).await;
        let now = Some((stats, site.ledger.events()));
        if is_watched && seen != now {
            let change = Change { at: site.clock.now().to_string(), stats };
            let data = serde_json::to_string(&change).unwrap_or_default();
            // Nobody may be left to hear it.
            let _ = site.pulse.tell.send(Bytes::from(format!("event: change\ndata: {data}\n\n")));
            seen = now;
        }
    }
}

struct Viewer {
    hears: broadcast::Receiver<Bytes>,
    stop: watch::Receiver<Stop>,
    /// Who has shown the old one is not told more.
    token: watch::Receiver<Token>,
    greeting: bool,
    _place: OwnedSemaphorePermit,
}

/// `GET /api/v1/events`.
pub(crate) async fn events(State(site): State<Site>, headers: HeaderMap) -> Result<Response, Problem> {
    let place = Arc::clone(&site.pulse.room).try_acquire_owned().map_err(|_| full())?;
    let hears = site.pulse.tell.subscribe();
    let (stop, mut token) = (site.stop.clone(), site.access.token());
    token.mark_unchanged();
    // It may have changed since the request was let in.
    site.access.check_token(&headers)?;
    let viewer = Viewer { hears, stop, token, greeting: true, _place: place };
    let body = Body::from_stream(stream::unfold(viewer, next));
    Ok(([(header::CONTENT_TYPE, "text/event-stream")], body).into_response())
}

/// What is said when there is no room.
pub(crate) fn full() -> Problem {
    let detail = format!("{MOST_VIEWERS} others watch already");
    let to_do = "close some of them; pages can be read without";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no-room", "Too many watch", detail, to_do)
}

/// What a viewer gets next; none ends the stream.
async fn next(mut viewer: Viewer) -> Option<(Result<Bytes, Infallible>, Viewer)> {
    if std::mem::take(&mut viewer.greeting) {
        return Some((Ok(Bytes::from_static(b": watching\n\n")), viewer));
    }
    let told = tokio::select! {
        told = viewer.hears.recv() => match told {
            Ok(event) => event,
            Err(RecvError::Lagged(_) | RecvError::Closed) => return None,
        },
        () = tokio::time::sleep(KEEP_ALIVE) => Bytes::from_static(b": still here\n\n"),
        _ = viewer.stop.wait_for(|stop| *stop != Stop::Go) => return None,
        Ok(()) = viewer.token.changed() => return None,
    };
    Some((Ok(told), viewer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::tests::token;

    #[tokio::test]
    async fn who_falls_behind_or_shows_an_old_token_is_let_go() {
        let pulse = Pulse::default();
        let (tell, stop) = watch::channel(Stop::Go);
        let (renew, token_now) = watch::channel(token(Some("sesame-sesame-16")));
        let viewer = || Viewer {
            hears: pulse.tell.subscribe(),
            stop: stop.clone(),
            token: token_now.clone(),
            greeting: false,
            _place: Arc::clone(&pulse.room).try_acquire_owned().unwrap(),
        };
        let (mut quick, slow, last) = (viewer(), viewer(), viewer());
        for number in 0..=BEHIND {
            let event = Bytes::from(number.to_string());
            pulse.tell.send(event.clone()).unwrap();
            let (heard, again) = next(quick).await.unwrap();
            assert_eq!(heard, Ok(event));
            quick = again;
        }
        assert!(next(slow).await.is_none());
        drop(last);
        let old = viewer();
        tell.send(Stop::Drain).unwrap();
        assert!(next(quick).await.is_none());
        tell.send(Stop::Go).unwrap();
        renew.send(token(Some("another-sesame-17"))).unwrap();
        assert!(next(old).await.is_none());
        assert_eq!(pulse.room.available_permits(), MOST_VIEWERS);
    }
}
