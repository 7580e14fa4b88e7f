//! Plain http is asked for over https first: which URLs have a twin there, and what is remembered of their hosts.
//!
//! Must never send anything, nor let a request go out in plain that carries more than the question.

use std::time::Duration;

use gleaner_model::key::HostKey;
use http::Method;
use tokio::time::Instant;
use url::{Host, Url};

use crate::config::ConnectTo;
use crate::connect;
use crate::guard;
use crate::of_hosts::OfHosts;
use crate::redirect::{HARMLESS, Hop};
use crate::scope::Scope;

/// A host that was found without https is asked over http for so long without a try of https.
const PLAIN: Duration = Duration::from_secs(3600);
/// A host that answered over https is not asked over http for so long, whatever stands between.
const SECURE: Duration = Duration::from_secs(24 * 3600);

/// How a host is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// It answered over https.
    Https,
    /// It answered over http and not over https.
    Http,
}

/// What is remembered of hosts.
#[derive(Debug, Default)]
pub(crate) struct Schemes(OfHosts<(Instant, Scheme)>);

impl Schemes {
    /// How a host was found to be asked, unless that is too long ago.
    pub(crate) fn known(&self, host: &HostKey) -> Option<Scheme> {
        let (since, scheme) = self.0.get(host)?;
        let kept = if scheme == Scheme::Http { PLAIN } else { SECURE };
        (since.elapsed() < kept).then_some(scheme)
    }

    /// Returns whether that is news.
    pub(crate) fn note(&self, host: &HostKey, scheme: Scheme) -> bool {
        let is_news = self.known(host) != Some(scheme);
        self.0.set(host, (Instant::now(), scheme));
        is_news
    }
}

/// What is asked for in place of a URL: the same over https. None for other schemes; for explicit ports, behind which
/// another service may be; for addresses and names that have no certificates; and where the operator says by `connect-to`
/// where the plain one is, and not where the other would be.
pub(crate) fn twin(url: &Url, connect_to: &ConnectTo) -> Option<Url> {
    if url.scheme() != "http" || url.port().is_some() || !matches!(url.host()?, Host::Domain(_)) {
        return None;
    }
    let mut twin = url.clone();
    twin.set_scheme("https").ok()?;
    guard::check_name(&twin).ok()?;
    let is_half_mapped =
        connect::target(connect_to, url).is_some() && connect::target(connect_to, &twin).is_none();
    (!is_half_mapped).then_some(twin)
}

/// Whether a request may go out in plain where its twin gets no connection: it only asks, and says nothing of who does.
/// `twin`: secrets are for https alone, and one that waits for this request must not be left out of it silently.
pub(crate) fn may_be_plain(hop: &Hop, twin: &Url, scope: &Scope) -> bool {
    matches!(hop.method, Method::GET | Method::HEAD)
        && hop.body.is_none()
        && hop.headers.keys().all(|name| HARMLESS.contains(name))
        && scope.injections(twin).next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twins_are_of_names_at_the_usual_port() {
        let section = toml::from_str::<crate::EgressConfig>(
            r#"connect-to = { "half.example.org:80" = "127.0.0.1:1", "whole.example.org:80" = "127.0.0.1:1",
                              "whole.example.org:443" = "127.0.0.1:2", "other.example.org:443" = "127.0.0.1:2" }"#,
        )
        .unwrap();
        for (url, expected) in [
            ("http://a.example.org/x?y=1", Some("https://a.example.org/x?y=1")),
            ("http://a.example.org:80/", Some("https://a.example.org/")),
            ("http://whole.example.org/", Some("https://whole.example.org/")),
            ("http://other.example.org/", Some("https://other.example.org/")),
            ("http://half.example.org/", None),
            ("http://a.example.org:8080/", None),
            ("http://a.example.org:443/", None),
            ("https://a.example.org/", None),
            ("http://a..example.org/", None),
            ("http://8.8.8.8/", None),
            ("http://[2600::1]/", None),
            ("ftp://a.example.org/", None),
        ] {
            let twin = twin(&Url::parse(url).unwrap(), &section.connect_to);
            assert_eq!(twin.as_ref().map(Url::as_str), expected, "{url}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_is_tried_anew_after_a_while() {
        let schemes = Schemes::default();
        let host = HostKey::from_normalised("a.example.org");
        assert!(schemes.known(&host).is_none());
        assert!(schemes.note(&host, Scheme::Http) && !schemes.note(&host, Scheme::Http));
        tokio::time::advance(PLAIN).await;
        assert!(schemes.known(&host).is_none());
        schemes.note(&host, Scheme::Https);
        tokio::time::advance(PLAIN).await;
        assert_eq!(schemes.known(&host), Some(Scheme::Https));
        tokio::time::advance(SECURE).await;
        assert!(schemes.known(&host).is_none());
    }
}
