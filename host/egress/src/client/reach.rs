//! Whether a host can be reached: one request, to tell how far it came and how long that took.
//!
//! Must never send more than that one, whatever comes back, nor pass a check or a limit by.

use std::time::Duration;

use gleaner_model::key::HostKey;
use http::header::HeaderMap;
use http::{Method, StatusCode};
use tokio::time::Instant;
use url::Url;

use super::{Egress, Unasked};
use crate::errand::Errand;
use crate::error::EgressError;
use crate::redirect::Hop;
use crate::scope::Scope;

/// How a host answered.
#[derive(Debug, Clone)]
pub struct Reached {
    /// How long its name was looked up; none when there was nothing to look up: `connect-to`, a proxy, an address.
    pub looked_up: Option<Duration>,
    /// From then to the headers of the answer: connection, TLS, and the request.
    pub answered: Duration,
    /// Whatever it says: a host that answers can be reached.
    pub status: StatusCode,
    /// Of the answer.
    pub headers: HeaderMap,
    /// It asks to wait for so long (429, or 503 with `Retry-After`): its limit pauses.
    pub asks_to_wait: Option<Duration>,
}

impl Egress {
    /// Sends one HEAD request, as for a download: checked, under the host's limits, by `end`. Redirects are not followed.
    ///
    /// # Errors
    /// As [`Egress::send`]; a status is none.
    pub async fn reach(&self, url: &Url, end: Instant) -> Result<Reached, EgressError> {
        let scope = Scope::download(end);
        let host: HostKey = self.check(url, &scope)?;
        let permit = self.permit(&host, &scope, end).await?;
        let looked_up = self.0.clients.look_up(url).await;
        let looked_up = looked_up
            .transpose()
            .map_err(|detail| EgressError::Dns { host: host.to_string(), detail: detail.to_string() })?;
        let key = permit.key().clone();
        let mut errand = Errand::begin(permit, self.0.config.patience());
        let hop = Hop { method: Method::HEAD, url: url.clone(), headers: HeaderMap::new(), body: None };
        let sent = Instant::now();
        let asked = self.ask(&hop, &host, &scope, sent, end).await;
        let status = asked.as_ref().ok().map(|(answer, _)| answer.status().as_u16());
        self.0.listener.tell(scope.role(url), status, sent.elapsed());
        let (answer, _) = match asked {
            Ok(asked) => asked,
            Err(Unasked { error, .. }) => {
                errand.failed(&error);
                return Err(error);
            }
        };
        let (status, headers) = (answer.status(), answer.headers().clone());
        let asks_to_wait = match self.heed(&mut errand, &key, status, &headers) {
            Ok(()) => None,
            Err(EgressError::Throttled { retry_after, .. }) => Some(retry_after),
            Err(error) => return Err(error),
        };
        let answered = sent.elapsed();
        errand.ended();
        Ok(Reached { looked_up, answered, status, headers, asks_to_wait })
    }
}
