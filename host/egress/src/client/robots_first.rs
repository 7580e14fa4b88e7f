//! Before a landing page: what its host's robots.txt says of it (RFC 9309), asked for once and kept a while.
//!
//! Must never take a robots.txt that cannot be had for one that allows.

use std::pin::Pin;

use gleaner_model::key::{HostKey, Key};
use gleaner_model::reason::Reason;
use tokio::time::Instant;
use url::Url;

use super::{Egress, Request};
use crate::error::EgressError;
use crate::robots::{self, Lack, Says};
use crate::scope::{Role, Scope};

impl Egress {
    /// Refuses a landing page that its host's robots.txt asks not to fetch.
    pub(super) async fn ask_robots(
        &self,
        url: &Url,
        host: &HostKey,
        scope: &Scope,
        end: Instant,
    ) -> Result<(), EgressError> {
        let config = &self.0.config;
        let is_exempt = || config.robots_exceptions.iter().any(|other| other == host.as_str());
        if !config.robots || scope.role(url) != Role::Landing || is_exempt() {
            return Ok(());
        }
        let slot = self.0.robots.get_or_default(host);
        let mut known = slot.lock().await;
        let (says, again) = match robots::fresh(known.as_ref()) {
            Some(fresh) => fresh,
            None => {
                let own = Scope::robots(end);
                // The step's permit is for this host: it goes to the first of its requests, which is this one.
                let key = self.0.limiter.canonical(&Key::Host(host.clone()));
                if let Some(permit) = scope.take_reserved(&key) {
                    own.reserve(permit);
                }
                let says = self.fetch_robots(url, &own).await?;
                *known = Some((Instant::now(), says.clone()));
                (says.clone(), says.kept())
            }
        };
        drop(known);
        if says.allows(url) {
            return Ok(());
        }
        let host = host.to_string();
        if let Says::Unreachable(Lack { detail, reason }) = says {
            if reason == Reason::RobotsDisallowed {
                scope.note_robots();
            }
            return Err(EgressError::RobotsUnreachable { host, detail, reason, again });
        }
        scope.note_robots();
        Err(EgressError::Robots { host })
    }

    /// What a host's robots.txt says; that it cannot be had is a saying too, which is remembered (section 2.3.1.4).
    /// Boxed, since it sends as the request did that it is asked for.
    fn fetch_robots<'a>(
        &'a self,
        url: &'a Url,
        scope: &'a Scope,
    ) -> Pin<Box<dyn Future<Output = Result<Says, EgressError>> + Send + 'a>> {
        let patience = self.0.config.patience();
        Box::pin(async move {
            let request = Request::get(robots::address(url), u64::MAX);
            let mut answer = match self.send_at_most(request, scope, robots::REDIRECTS).await {
                Ok(answer) => answer,
                // Section 2.3.1.2: as if there were none.
                Err(EgressError::TooManyRedirects { .. } | EgressError::RedirectLoop { .. }) => {
                    return Ok(Says::Nothing);
                }
                Err(error) => return Lack::of(error, patience).map(Says::Unreachable),
            };
            if answer.status.is_server_error() {
                let detail = answer.status.to_string();
                return Ok(Says::Unreachable(Lack { detail, reason: Reason::RobotsDisallowed }));
            }
            if !answer.status.is_success() {
                return Ok(Says::Nothing);
            }
            let mut file = Vec::new();
            while file.len() < robots::MOST_BYTES {
                match answer.body.chunk().await {
                    Ok(Some(chunk)) => file.extend_from_slice(&chunk),
                    Ok(None) => break,
                    Err(error) => return Lack::of(error, patience).map(Says::Unreachable),
                }
            }
            file.truncate(robots::MOST_BYTES);
            drop(answer);
            Ok(Says::of_file(file).await)
        })
    }
}
