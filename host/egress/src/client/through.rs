//! One hop through the cache: a kept answer, or one that is asked for under a permit.
//!
//! Must never take a token for an answer that is kept, or wait for another's answer with a permit in hand.

use std::time::Duration;

use gleaner_model::SPANS;
use gleaner_model::key::{HostKey, Key};
use http::header::HeaderMap;
use http::{Method, StatusCode};
use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Instrument, Span};
use url::Position;

use super::Egress;
use crate::body::{Body, Terms};
use crate::cache::{Asking, Recording, Stored, Turn};
use crate::errand::Errand;
use crate::error::{EgressError, Stage};
use crate::redirect::{self, Hop};
use crate::scope::Scope;
use crate::unpack::Packing;

/// What came back for one hop.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) waited: Duration,
    pub(super) connect: Option<Duration>,
    pub(super) first_byte: Duration,
    origin: Origin,
}

enum Origin {
    Sent {
        answer: Box<reqwest::Response>,
        errand: Errand,
        recording: Option<Box<Recording>>,
    },
    /// `confirmed`: by a request that was sent.
    Kept {
        body: bytes::Bytes,
        confirmed: bool,
    },
}

impl Reply {
    pub(super) fn is_kept(&self) -> bool {
        matches!(self.origin, Origin::Kept { confirmed: false, .. })
    }

    pub(super) fn into_body(self, terms: Terms, is_sent: bool) -> Body {
        match self.origin {
            Origin::Sent { answer, errand, recording } => {
                Body::new(*answer, errand, terms, is_sent).recorded(recording.map(|recording| *recording))
            }
            Origin::Kept { body, .. } => Body::kept(body, terms),
        }
    }

    /// Of a redirect that is followed, nobody wants the body.
    pub(super) async fn end(self) {
        if let Origin::Sent { answer, errand, recording } = self.origin {
            drop(answer);
            errand.ended();
            if let Some(recording) = recording {
                recording.whole().await;
            }
        }
    }
}

/// Why a request was not answered with a status.
pub(super) struct Unasked {
    pub(super) error: EgressError,
    /// There was no connection, so nobody got the request.
    pub(super) is_unconnected: bool,
}

impl From<EgressError> for Unasked {
    fn from(error: EgressError) -> Self {
        Self { error, is_unconnected: false }
    }
}

/// Why a hop has no reply.
pub(super) struct Unanswered {
    error: EgressError,
    /// Of a request that nobody got; its key has not been told yet.
    spare: Option<Errand>,
}

impl From<EgressError> for Unanswered {
    fn from(error: EgressError) -> Self {
        Self { error, spare: None }
    }
}

impl Unanswered {
    /// Whether another scheme may do: the host is there, and no connection over this one.
    pub(super) fn may_be_for_want_of_https(&self) -> bool {
        let is_connecting = matches!(
            self.error,
            EgressError::Connection { .. }
                | EgressError::Tls { .. }
                | EgressError::Timeout { stage: Stage::Connect, .. }
        );
        self.spare.is_some() && is_connecting
    }

    /// The error, of which the key is told.
    pub(super) fn told(self) -> EgressError {
        if let Some(errand) = self.spare {
            errand.failed(&self.error);
        }
        self.error
    }

    /// The error; the permit serves the scope's next request, and the key is told nothing.
    pub(super) fn spared(self, scope: &Scope) -> EgressError {
        if let Some(errand) = self.spare {
            scope.reserve(errand.into_permit());
        }
        self.error
    }
}

/// A request as the semantic conventions of OpenTelemetry for HTTP have it. Without query and user: keys are there.
fn span_of(hop: &Hop, scope: &Scope) -> Span {
    let url = &hop.url;
    tracing::info_span!(
        target: SPANS, "http.request",
        otel.kind = "client",
        http.request.method = hop.method.as_str(),
        server.address = url.host_str().unwrap_or_default(),
        server.port = url.port_or_known_default().unwrap_or_default(),
        url.full = format!("{}://{}{}", url.scheme(), &url[Position::BeforeHost..Position::AfterPort], url.path()),
        gleaner.role = scope.role(url).as_str(),
        http.response.status_code = Empty,
        "error.type" = Empty,
        otel.status_code = Empty,
    )
}

impl Egress {
    /// Answers one hop that was checked.
    pub(super) async fn reply(
        &self,
        hop: &Hop,
        host: &HostKey,
        scope: &Scope,
        end: Instant,
    ) -> Result<Reply, Unanswered> {
        let since = Instant::now();
        let give_back = || drop(scope.take_reserved(&self.0.limiter.canonical(&Key::Host(host.clone()))));
        match self.0.cache.turn(hop, scope, end, give_back).await {
            Turn::Kept(stored) => {
                tracing::debug!(%host, status = stored.status.as_u16(), "http.kept");
                Ok(self.kept(&stored, false))
            }
            Turn::Ask(asking) => self.asked(asking, hop, host, scope, end).await,
            Turn::Late => {
                let (stage, after) = (Stage::Headers, since.elapsed());
                Err(EgressError::Timeout { host: host.to_string(), stage, after }.into())
            }
            Turn::Past => {
                let reply = self.sent(hop, host, scope, end).await?;
                let is_unsafe = !matches!(hop.method, Method::GET | Method::HEAD);
                // RFC 9111, section 4.4.
                if is_unsafe && (reply.status.is_success() || reply.status.is_redirection()) {
                    self.0.cache.invalidate(&hop.url).await;
                }
                Ok(reply)
            }
        }
    }

    /// Asks, with the conditions of what is kept.
    async fn asked(
        &self,
        mut asking: Box<Asking>,
        hop: &Hop,
        host: &HostKey,
        scope: &Scope,
        end: Instant,
    ) -> Result<Reply, Unanswered> {
        let conditions = asking.conditions();
        let is_conditional = conditions.is_some();
        let mut conditional = hop.clone();
        conditional.headers.extend(conditions.unwrap_or_default());
        let mut reply = match self.sent(&conditional, host, scope, end).await {
            Ok(reply) => reply,
            Err(unanswered) => {
                let Some(stored) = asking.instead_of_error(&unanswered.error) else { return Err(unanswered) };
                let error = unanswered.told();
                tracing::debug!(%host, %error, "a kept answer stands in");
                return Ok(self.kept(&stored, false));
            }
        };
        if let Some(stored) = asking.instead_of_status(reply.status) {
            tracing::debug!(%host, status = reply.status.as_u16(), "a kept answer stands in");
            reply.end().await;
            return Ok(self.kept(&stored, false));
        }
        if is_conditional && reply.status == StatusCode::NOT_MODIFIED {
            asking = match asking.confirmed(&reply.headers).await {
                Ok(stored) => {
                    let (waited, connect, first_byte) = (reply.waited, reply.connect, reply.first_byte);
                    reply.end().await;
                    return Ok(Reply { waited, connect, first_byte, ..self.kept(&stored, true) });
                }
                Err(asking) => asking,
            };
            // It is about another answer than ours: ask for all of it.
            reply.end().await;
            scope.count_request()?;
            reply = self.sent(hop, host, scope, end).await?;
        }
        if let Origin::Sent { answer, recording, .. } = &mut reply.origin {
            let is_followed = redirect::next(hop, reply.status, &reply.headers).is_some();
            // A packed body says itself where it ends; its length, that of the packed bytes, is gone from the headers.
            let is_packed = answer.extensions().get::<Packing>().is_some();
            let ends_by_itself = is_followed || is_packed || hop.method == Method::HEAD;
            let begun = asking.record(reply.status, answer.version(), &reply.headers, ends_by_itself);
            *recording = begun.map(Box::new);
        }
        Ok(reply)
    }

    /// Sends one hop under a permit of its host.
    async fn sent(
        &self,
        hop: &Hop,
        host: &HostKey,
        scope: &Scope,
        end: Instant,
    ) -> Result<Reply, Unanswered> {
        let since = Instant::now();
        let permit = self.permit(host, scope, end).await?;
        let (waited, key) = (since.elapsed(), permit.key().clone());
        let mut errand = Errand::begin(permit, self.0.config.patience());
        let sent = Instant::now();
        let span = span_of(hop, scope);
        let answer = self.ask(hop, host, scope, sent, end).instrument(span.clone()).await;
        match &answer {
            Ok((answer, _)) => {
                span.record("http.response.status_code", answer.status().as_u16());
                if answer.status().is_client_error() || answer.status().is_server_error() {
                    span.record("otel.status_code", "ERROR");
                }
            }
            Err(Unasked { error, .. }) => {
                span.record("error.type", error.failure().reason.as_str());
                span.record("otel.status_code", "ERROR");
            }
        }
        drop(span);
        let status = answer.as_ref().ok().map(|(answer, _)| answer.status().as_u16());
        self.0.listener.tell(scope.role(&hop.url), status, sent.elapsed());
        let (answer, connect) = match answer {
            Ok(answer) => answer,
            Err(Unasked { error, is_unconnected: true }) => {
                return Err(Unanswered { error, spare: Some(errand) });
            }
            Err(Unasked { error, is_unconnected: false }) => {
                errand.failed(&error);
                return Err(error.into());
            }
        };
        let (status, headers, first_byte) = (answer.status(), answer.headers().clone(), sent.elapsed());
        tracing::debug!(%host, status = status.as_u16(), ?waited, ?connect, ?first_byte, "http.request");
        self.heed(&mut errand, &key, status, &headers)?;
        let origin = Origin::Sent { answer: Box::new(answer), errand, recording: None };
        Ok(Reply { status, headers, waited, connect, first_byte, origin })
    }

    fn kept(&self, stored: &Stored, confirmed: bool) -> Reply {
        let headers = self.0.cache.headers(stored);
        let origin = Origin::Kept { body: stored.body.clone(), confirmed };
        let (waited, first_byte) = (Duration::ZERO, Duration::ZERO);
        Reply { status: stored.status, headers, waited, connect: None, first_byte, origin }
    }
}
