//! Whether a host can be reached: one request, to tell how far it came and how long that took.
//!
//! Must never send more than that one, whatever comes back, nor pass a check or a limit by.

use std::time::Duration;

use gleaner_model::key::HostKey;
use http::header::HeaderMap;
use http::{Method, StatusCode};
use tokio::time::Instant;
use url::Url;

use super::Egress;
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
        permit.spend();
        let hop = Hop { method: Method::HEAD, url: url.clone(), headers: HeaderMap::new(), body: None };
        let sent = Instant::now();
        let asked = self.ask(&hop, &host, &scope, sent, end).await;
        let (answer, _) = asked.map_err(|unasked| unasked.error)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        Ok(Reached { looked_up, answered: sent.elapsed(), status, headers })
    }
}
