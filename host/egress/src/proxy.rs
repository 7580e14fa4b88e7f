//! The proxy of the `[egress]` section, and which requests go through it.
//!
//! Must never read an environment variable: whoever can set one would see every request.

use std::fmt;

use serde::Deserialize;
use url::{Host, Url};

use crate::config::EgressConfig;
use crate::connect;
use crate::error::EgressError;

/// Endings of names that belong to the local network or machine (RFC 6761, 6762, 8375, and `internal`, which is kept
/// for private use). Only whoever looks a name up can see its address; behind a proxy these are refused unseen.
const LOCAL: [&str; 4] = ["localhost", "local", "internal", "home.arpa"];

/// Where a proxy is: `http://proxy.example.org:3128`.
#[derive(Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String")]
#[schemars(into = "String")]
pub struct ProxyUrl(Url);

impl ProxyUrl {
    pub(crate) fn url(&self) -> &Url {
        &self.0
    }

    /// Its name, if it has one.
    pub(crate) fn name(&self) -> Option<&str> {
        self.0.domain()
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl TryFrom<String> for ProxyUrl {
    type Error = String;

    /// The text is not repeated: what stands there in place of an address may be a password.
    fn try_from(text: String) -> Result<Self, String> {
        let shape = "write it like \"http://proxy.example.org:3128\"";
        let url = Url::parse(&text).map_err(|error| format!("proxy is no URL ({error}); {shape}"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(format!("a proxy is reached over http or https; {shape}"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(format!("a proxy with a user or password is not supported; {shape}"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(format!("a proxy has no path; {shape}"));
        }
        Ok(Self(url))
    }
}

/// Whether a request for that URL goes through the proxy.
pub(crate) fn covers(config: &EgressConfig, url: &Url) -> bool {
    let straight = match url.host() {
        Some(Host::Domain(name)) => config.no_proxy.cover(name),
        _ => false,
    };
    config.proxy.is_some() && !straight && connect::target(&config.connect_to, url).is_none()
}

/// Refuses what must not be asked of a proxy: itself, and names of the network that it stands in.
pub(crate) fn check(config: &EgressConfig, url: &Url) -> Result<(), EgressError> {
    let Some(Host::Domain(name)) = url.host() else { return Ok(()) };
    if !covers(config, url) {
        return Ok(());
    }
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let of_proxy = config.proxy.as_ref().and_then(ProxyUrl::name).map(|name| name.trim_end_matches('.'));
    let ends_in = |ending: &&str| {
        name.strip_suffix(ending).is_some_and(|before| before.is_empty() || before.ends_with('.'))
    };
    if of_proxy == Some(&name) || !name.contains('.') || LOCAL.iter().any(ends_in) {
        let rule = format!("{name}, a name of the local network, through the proxy");
        return Err(EgressError::Denied { rule });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_proxy_is_refused_without_being_repeated() {
        for (text, says) in [
            ("proxy.example.org:3128", "over http or https"),
            ("socks5://proxy.example.org:1080", "over http or https"),
            ("http://user:hunter2@proxy.example.org:3128", "user or password"),
            ("http://proxy.example.org/hunter2", "no path"),
            ("hunter2", "no URL"),
        ] {
            let error = ProxyUrl::try_from(text.to_owned()).unwrap_err();
            assert!(error.contains(says) && !error.contains("hunter2"), "{text}: {error}");
        }
    }

    #[test]
    fn names_of_the_local_network_are_not_asked_of_a_proxy() {
        let config: EgressConfig = toml::from_str(
            r#"proxy = "http://Proxy.example.org:3128"
               no-proxy = ["*.example.net", "intranet"]
               connect-to = { "mapped.local:443" = "127.0.0.1:1" }"#,
        )
        .unwrap();
        for (url, refused) in [
            ("https://files.example.org/", false),
            ("https://localhosts.org/", false),
            ("https://proxy.example.org/", true),
            ("https://proxy.example.org.:3128/", true),
            ("https://localhost/", true),
            ("https://x.LOCALHOST./", true),
            ("https://printer.local/", true),
            ("http://metadata.google.internal/", true),
            ("https://router.home.arpa/", true),
            ("https://wiki/", true),
            // Not through the proxy: its address is looked up and judged.
            ("https://intranet/", false),
            ("https://mapped.local/", false),
        ] {
            assert_eq!(check(&config, &Url::parse(url).unwrap()).is_err(), refused, "{url}");
        }
        assert!(!covers(&config, &Url::parse("https://a.example.net/").unwrap()));
        assert!(covers(&config, &Url::parse("https://8.8.8.8/").unwrap()));
    }
}
