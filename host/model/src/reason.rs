//! Why a job or an attempt ended as it did: a closed list, and what the queue does about it.
//!
//! Must never be decided from a message text.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal),+ $(,)?) => {
        /// Why. The names are what the manifest, tables and filters use.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Reason {
            /// Every reason, in the order of the documentation.
            pub const ALL: &[Reason] = &[$(Reason::$variant),+];

            /// The name, as stored and shown.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// One line that says what it means.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim_ascii()),+ }
            }
        }
    };
}

reasons! {
    /// A file was found, checked and stored.
    Ok = "ok",
    /// The upstream confirmed that the stored copy is still current.
    NotModified = "not_modified",
    /// The file was in the library already.
    AlreadyStored = "already_stored",
    /// robots.txt asks not to fetch this page.
    RobotsDisallowed = "robots_disallowed",
    /// Copies are known, but none is open.
    NotOpen = "not_open",
    /// Every resolver answered, and none knows a copy.
    NoCandidate = "no_candidate",
    /// The upstream does not have it (404, 410).
    NotFound = "not_found",
    /// Another HTTP status than success; the detail is the status.
    HttpStatus = "http_status",
    /// No complete answer in time.
    Timeout = "timeout",
    /// The connection failed or broke.
    Connection = "connection",
    /// The TLS handshake failed: the host could not prove who it is.
    Tls = "tls",
    /// The host's name has no address.
    Dns = "dns",
    /// Not allowed by policy: a host that was not granted, a scheme, a port.
    Denied = "denied",
    /// The address is private, local or reserved.
    PrivateAddress = "private_address",
    /// A redirect leads back to where it came from.
    RedirectLoop = "redirect_loop",
    /// More redirects than allowed.
    TooManyRedirects = "too_many_redirects",
    /// Larger than the cap.
    TooLarge = "too_large",
    /// Smaller than a full text can be.
    TooSmall = "too_small",
    /// The end is missing.
    Truncated = "truncated",
    /// Fewer or more bytes than declared.
    LengthMismatch = "length_mismatch",
    /// Neither a PDF nor another accepted kind of file.
    NotAPdf = "not_a_pdf",
    /// A web page where a PDF was promised.
    HtmlInsteadOfPdf = "html_instead_of_pdf",
    /// A page that wants proof of a human or a browser.
    ChallengePage = "challenge_page",
    /// A page that wants a login.
    LoginPage = "login_page",
    /// No bytes at all.
    Empty = "empty",
    /// The hash is not what was announced.
    Checksum = "checksum",
    /// The upstream asked to slow down.
    RateLimited = "rate_limited",
    /// The host or resolver is in a pause that it asked for.
    Cooldown = "cooldown",
    /// Too many failures in a row: requests are suspended for a while.
    BreakerOpen = "breaker_open",
    /// The job used up its budget of time or attempts.
    BudgetExhausted = "budget_exhausted",
    /// The input cannot be worked on.
    InvalidInput = "invalid_input",
    /// The plugin trapped: a bug in it.
    PluginTrap = "plugin_trap",
    /// The plugin used more time than it has.
    PluginTimeout = "plugin_timeout",
    /// The plugin wanted more memory than it has.
    PluginMemory = "plugin_memory",
    /// The plugin's answer breaks the interface's rules, or it reported a failure of its own.
    PluginContract = "plugin_contract",
    /// The job killed its worker too often.
    Poison = "poison",
    /// Cancelled by the operator.
    Cancelled = "cancelled",
    /// Stopped with the process; goes on at the next start.
    Shutdown = "shutdown",
    /// The library's disk or database refused.
    Storage = "storage",
    /// The file is encrypted.
    Encrypted = "encrypted",
    /// The file is another work's.
    Unmatched = "unmatched",
    /// The resolver that the job asks for is not there.
    PluginUnavailable = "plugin_unavailable",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Reason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        Self::ALL
            .iter()
            .copied()
            .find(|reason| reason.as_str() == text)
            .ok_or_else(|| UnknownReason(crate::identifier::abridged(text)))
    }
}

impl serde::Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Reason {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Not one of the reasons.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a reason; see `gleaner queue retry-failed --help` for the list")]
pub struct UnknownReason(String);

/// What the queue does after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// May pass: tried again after a back-off, or after what the upstream asked for.
    Transient {
        /// What the upstream asked for.
        retry_after: Option<Duration>,
    },
    /// The key's owner asked to wait: every job of the key waits, none is charged.
    Throttled {
        /// From now.
        retry_after: Duration,
    },
    /// Would be the same again: the step is closed.
    Permanent,
    /// Policy refused: the step is closed.
    Denied,
    /// The plugin broke its rules: the step is closed.
    PluginFault,
    /// Stopped from outside: nothing is charged.
    Cancelled,
}

/// A failed try: why, what more there is to say, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub reason: Reason,
    /// Which limit, which rule, which status; at most a few hundred bytes, no secrets.
    pub detail: String,
    /// What the queue does.
    pub class: FailureClass,
}

impl Failure {
    /// A failure that may pass.
    pub fn transient(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), class: FailureClass::Transient { retry_after: None } }
    }

    /// A failure that will not pass.
    pub fn permanent(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), class: FailureClass::Permanent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_read_back_and_say_what_they_mean() {
        for reason in Reason::ALL {
            assert_eq!(reason.as_str().parse::<Reason>().unwrap(), *reason);
            assert!(reason.meaning().ends_with('.'), "{reason}");
        }
        let names: std::collections::HashSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        assert!("nope".parse::<Reason>().is_err());
    }
}
