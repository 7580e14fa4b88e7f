//! One hop of a chain: its checks, and over https first.
//!
//! This is the one place where a plain URL becomes one over https, and where a host is asked in plain after all. Must
//! never do the latter because of what a host answered, but for a redirect from https to the same in plain.

use gleaner_model::key::{HostKey, Key};
use gleaner_model::manifest::Transport;
use http::Method;
use tokio::time::Instant;
use url::Url;

use super::Egress;
use super::through::{Reply, Unanswered};
use crate::error::EgressError;
use crate::https_first::{self, Scheme};
use crate::redirect::Hop;
use crate::scope::Scope;

/// The way of a request so far.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// Every URL on it.
    pub(super) urls: Vec<Url>,
    /// What the last redirect was the answer to, as it was asked for.
    pub(super) from: Option<Url>,
    /// Redirects that were followed.
    pub(super) redirects: u32,
    /// Of the least protected hop.
    pub(super) transport: Transport,
    sent: Vec<(Method, Url)>,
}

impl Way {
    fn was_sent(&self, method: &Method, url: &Url) -> bool {
        self.sent.iter().any(|(of, sent)| of == method && sent == url)
    }

    fn was_sent_last(&self, method: &Method, url: &Url) -> bool {
        self.sent.last().is_some_and(|(of, sent)| of == method && sent == url)
    }

    /// Goes on to a URL.
    fn lead_to(&mut self, scope: &Scope, url: &Url) {
        self.urls.push(url.clone());
        scope.note_asked(url);
    }

    /// Refuses to ask for the same a second time.
    fn keep_on(&self, method: &Method, url: &Url) -> Result<(), EgressError> {
        if !self.was_sent(method, url) {
            return Ok(());
        }
        let last = self.sent.last().and_then(|(_, url)| HostKey::of(url));
        Err(EgressError::RedirectLoop { host: last.map(|host| host.to_string()).unwrap_or_default() })
    }
}

/// A hop that was answered.
pub(super) struct Answered {
    /// As it was sent.
    pub(super) hop: Hop,
    pub(super) host: HostKey,
    pub(super) reply: Reply,
}

impl Egress {
    /// Checks a hop and sends it: over https first, where plain http is wanted and could be https.
    pub(super) async fn hop(
        &self,
        wanted: &Hop,
        way: &mut Way,
        scope: &Scope,
        end: Instant,
    ) -> Result<Answered, EgressError> {
        let host = self.check(&wanted.url, scope)?;
        let schemes = &self.0.schemes;
        let twin = https_first::twin(&wanted.url, &self.0.config.connect_to);
        // By its own answer: what another host leads to says nothing of this one.
        let is_sent_back = twin.as_ref().is_some_and(|twin| way.was_sent_last(&wanted.method, twin));
        let descent = scope.check_descent(way.from.as_ref(), &wanted.url);
        let is_harmless = twin.as_ref().is_none_or(|twin| https_first::may_be_plain(wanted, twin, scope));
        let may_be_plain = is_harmless && descent.is_ok();
        if twin.is_none() || is_sent_back {
            descent?;
        }
        if is_sent_back && may_be_plain && schemes.note(&host, Scheme::Http) {
            tracing::info!("{host} leads from https back to plain http, and is asked there");
        }
        self.ask_robots(&wanted.url, &host, scope, end).await?;
        let known = schemes.known(&host);
        let twin = twin.filter(|_| !(may_be_plain && known == Some(Scheme::Http)));
        way.keep_on(&wanted.method, twin.as_ref().unwrap_or(&wanted.url))?;
        scope.count_request()?;
        way.lead_to(scope, &wanted.url);

        let Some(twin) = twin else {
            let answered = self.send_hop(wanted.clone(), host, way, scope, end).await;
            return answered.map_err(Unanswered::told);
        };
        self.check(&twin, scope)?;
        way.lead_to(scope, &twin);
        let secure = Hop { url: twin, ..wanted.clone() };
        let unanswered = match self.send_hop(secure, host.clone(), way, scope, end).await {
            Ok(answered) => return Ok(answered),
            Err(unanswered) => unanswered,
        };
        if !may_be_plain || known == Some(Scheme::Https) || !unanswered.may_be_for_want_of_https() {
            return Err(unanswered.told());
        }
        // The same permit, and no second token: nobody got the request.
        let why = unanswered.spared(scope);
        way.lead_to(scope, &wanted.url);
        let answered =
            self.send_hop(wanted.clone(), host, way, scope, end).await.map_err(Unanswered::told)?;
        let host = &answered.host;
        if answered.reply.is_kept() {
            // Nobody was asked, so nothing is known, and the permit is of no use to this scope.
            drop(scope.take_reserved(&self.0.limiter.canonical(&Key::Host(host.clone()))));
        } else if schemes.note(host, Scheme::Http) {
            tracing::warn!("{host} is asked over plain http, since over https it cannot be: {why}");
        }
        Ok(answered)
    }

    /// Sends a hop as it is, and notes how.
    async fn send_hop(
        &self,
        hop: Hop,
        host: HostKey,
        way: &mut Way,
        scope: &Scope,
        end: Instant,
    ) -> Result<Answered, Unanswered> {
        way.sent.push((hop.method.clone(), hop.url.clone()));
        let reply = self.reply(&hop, &host, scope, end).await?;
        let transport = match hop.url.scheme() {
            "https" if self.0.clients.is_insecure(&hop.url, scope) => Transport::HttpsUnverified,
            "https" => Transport::Https,
            _ => Transport::Http,
        };
        way.transport = way.transport.max(transport);
        if transport != Transport::Http && !reply.is_kept() {
            self.0.schemes.note(&host, Scheme::Https);
        }
        Ok(Answered { hop, host, reply })
    }
}
