//! What a guest may do beyond computing, adapted to egress.
//!
//! Must never add a right: every request goes through egress with the scope of its call; nor pass on a secret that an
//! upstream says back.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use gleaner_egress::{Egress, EgressError, Request, Scope};
use gleaner_model::clock::SharedClock;
use gleaner_model::reason::{FailureClass, Reason};
use gleaner_runtime::{GuestHost, GuestHttpError, GuestMethod, GuestRequest, GuestResponse};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::redact::Redaction;

/// The host of one call.
pub(crate) struct CallHost {
    pub(crate) egress: Egress,
    pub(crate) scope: Scope,
    pub(crate) max_body: u64,
    pub(crate) settings: Arc<BTreeMap<String, String>>,
    pub(crate) redaction: Redaction,
    pub(crate) clock: SharedClock,
}

#[async_trait]
impl GuestHost for CallHost {
    async fn send(&self, request: GuestRequest) -> Result<GuestResponse, GuestHttpError> {
        let request = lower(request, self.max_body).map_err(GuestHttpError::Denied)?;
        let response = self.egress.send(request, &self.scope).await.map_err(|error| refusal(&error))?;
        let status = response.status.as_u16();
        let url = response.chain.last().map(ToString::to_string).unwrap_or_default();
        let redacted =
            |value: &HeaderValue| self.redaction.text(String::from_utf8_lossy(value.as_bytes()).into_owned());
        let headers =
            response.headers.iter().map(|(name, value)| (name.to_string(), redacted(value))).collect();
        let from_cache = response.from_cache;
        let body = response.body.collect().await.map_err(|error| refusal(&error))?;
        let (url, body) = (self.redaction.text(url), self.redaction.bytes(body.to_vec()));
        Ok(GuestResponse { status, url, headers, body, from_cache })
    }

    fn setting(&self, key: &str) -> Option<String> {
        self.settings.get(key).cloned()
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.clock.now().0).unwrap_or(0)
    }
}

fn lower(request: GuestRequest, max_body: u64) -> Result<Request, String> {
    let method = match request.method {
        GuestMethod::Get => Method::GET,
        GuestMethod::Head => Method::HEAD,
        GuestMethod::Post => Method::POST,
    };
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let header =
            HeaderName::try_from(name.as_str()).map_err(|_| format!("{name:?} is not a header's name"))?;
        let value = HeaderValue::try_from(value.as_str())
            .map_err(|_| format!("the value of {name} has a character that headers cannot carry"))?;
        headers.append(header, value);
    }
    Ok(Request {
        method,
        url: request.url,
        headers,
        body: request.body.map(Bytes::from),
        timeout: Some(request.timeout),
        max_bytes: request.max_bytes.min(max_body),
    })
}

/// The guest's word for a request that got no answer.
fn refusal(error: &EgressError) -> GuestHttpError {
    let failure = error.failure();
    match (failure.class, failure.reason) {
        (FailureClass::Throttled { retry_after }, _) => {
            GuestHttpError::RateLimited(Some(u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX)))
        }
        (_, Reason::Timeout) => GuestHttpError::Timeout,
        (FailureClass::Denied, _) | (_, Reason::PrivateAddress) => GuestHttpError::Denied(error.to_string()),
        _ => match error {
            EgressError::TooLarge { cap: most, .. } | EgressError::Bomb { unpacked: most, .. } => {
                GuestHttpError::TooLarge(*most)
            }
            _ => GuestHttpError::Transport(error.to_string()),
        },
    }
}
