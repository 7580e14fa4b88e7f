//! What can go wrong on the way out, and what the queue does about each.
//!
//! Must never carry a URL with its query, a header or a secret: these texts end in logs and in the manifest.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use gleaner_limits::{Blocked, Why};
use gleaner_model::key::Key;
use gleaner_model::reason::{Failure, FailureClass, Reason};

/// How far a request came before its time was up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Connecting, TLS included.
    Connect,
    /// Waiting for the status and headers.
    Headers,
    /// Between two chunks of the body.
    Idle,
    /// Anywhere: the whole request took too long.
    Whole,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection",
            Self::Headers => "no answer had begun",
            Self::Idle => "nothing more came of the answer",
            Self::Whole => "the answer was not complete",
        })
    }
}

/// Why there is no answer, or no whole one. `host` is a host key.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The configuration cannot be used.
    #[error("[egress] {0}")]
    Config(String),
    /// A file of certificate authorities cannot be used.
    #[error(
        "egress.extra-ca-certs: {} cannot be used: {source}; name a file with certificates in PEM form",
        path.display()
    )]
    CaCerts {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Policy does not allow the request.
    #[error("not allowed: {rule}")]
    Denied {
        /// Which rule, and what would allow it.
        rule: String,
    },
    /// No address of the host is a public one.
    #[error("{host} is at a private, local or reserved address ({address}), which is never contacted")]
    PrivateAddress {
        /// The host as asked for.
        host: String,
        /// The first such address.
        address: std::net::IpAddr,
    },
    /// The host's name has no address.
    #[error("{host} has no address: {detail}")]
    Dns {
        /// The host as asked for.
        host: String,
        /// What the lookup said.
        detail: String,
    },
    /// The connection could not be made, or broke.
    #[error("the connection to {host} failed: {detail}")]
    Connection {
        /// The host.
        host: String,
        /// What happened.
        detail: String,
    },
    /// The host could not prove who it is.
    #[error("TLS with {host} failed: {detail}")]
    Tls {
        /// The host.
        host: String,
        /// What happened.
        detail: String,
    },
    /// Too slow.
    #[error("{host} took too long: {stage} after {after:.1?}")]
    Timeout {
        /// The host.
        host: String,
        /// What took too long.
        stage: Stage,
        /// The limit it met, or the time that had passed.
        after: Duration,
    },
    /// Larger than the request or its scope allows.
    #[error("{host} sent more than the {cap} bytes that were allowed")]
    TooLarge {
        /// The host.
        host: String,
        /// The cap in bytes, counted after decompression.
        cap: u64,
    },
    /// A packed body that unpacks to far more than it is.
    #[error(
        "{host} sent {packed} bytes that unpack to {unpacked} and more, beyond {ratio} times their size \
         (egress.max-ratio)"
    )]
    Bomb {
        /// The host.
        host: String,
        /// Bytes that came.
        packed: u64,
        /// Bytes that had come out of them.
        unpacked: u64,
        /// How many times its size it might have had.
        ratio: u32,
    },
    /// The body ended early.
    #[error("{host} sent {received} bytes{}", match declared {
        Some(declared) => format!(" of {declared}"),
        None => " and then broke off".to_owned(),
    })]
    Truncated {
        /// The host.
        host: String,
        /// Bytes that came.
        received: u64,
        /// Bytes that were announced, if any were.
        declared: Option<u64>,
    },
    /// A redirect leads back to a URL of its own chain.
    #[error("{host} redirects in a circle")]
    RedirectLoop {
        /// The host.
        host: String,
    },
    /// The chain of redirects is too long.
    #[error("more than {max} redirects; the last was to {host}")]
    TooManyRedirects {
        /// The cap.
        max: u32,
        /// The host of the redirect that was not followed.
        host: String,
    },
    /// A limit or cooldown of ours does not allow the request in time.
    #[error("{} {}", .0.key, match (.0.why, .0.retry_in) {
        (Why::Cooldown, Some(left)) => format!("is cooling down for {left:?}"),
        (Why::Breaker, Some(left)) => format!("failed too often in a row and is left alone for {left:?}"),
        (Why::Budget, Some(left)) => format!("has used up its budget of the day, for {left:?}"),
        (Why::Paused, _) => "is paused; `gleaner queue resume` lets it go on".to_owned(),
        (Why::NotOwned, _) => "is in use by another process that works on this library".to_owned(),
        (_, Some(wait)) => format!("may be asked again in {wait:?}"),
        (_, None) => "has all its requests in flight".to_owned(),
    })]
    Blocked(Blocked),
    /// robots.txt asks not to fetch the page.
    #[error(
        "robots.txt of {host} asks not to fetch this page; egress.robots-exceptions names hosts where it is not read"
    )]
    Robots {
        /// The host.
        host: String,
    },
    /// robots.txt cannot be had, so nothing is fetched for now.
    #[error("robots.txt of {host} cannot be had ({detail}), so its pages are not fetched for now")]
    RobotsUnreachable {
        /// The host.
        host: String,
        /// What happened.
        detail: String,
        /// What kind of failure that is: the network's, or `robots_disallowed`.
        reason: Reason,
        /// Until it is asked for again.
        again: Duration,
    },
    /// The host asked to slow down; its cooldown has begun.
    #[error("{key} asked to slow down ({status}); asked again in {retry_after:?}")]
    Throttled {
        /// The key that cools down.
        key: Key,
        /// 429 or 503.
        status: http::StatusCode,
        /// How long.
        retry_after: Duration,
    },
    /// Public services want to know whom to write to.
    #[error("{host} is a public service and no contact is configured; set contact = \"you@example.org\"")]
    NoContact {
        /// The host.
        host: String,
    },
    /// The scope's number of requests or bytes is used up.
    #[error("{who} used up its {what}")]
    Budget {
        /// Whose.
        who: String,
        /// Which, with the number.
        what: String,
    },
}

impl EgressError {
    /// Whether it was given up earlier than a host is given time for: that says something of who asked, not of the host.
    pub(crate) fn is_hasty(&self, patience: Duration) -> bool {
        matches!(self, Self::Timeout { stage: Stage::Headers | Stage::Whole, after, .. } if *after < patience)
    }

    /// The reason for the manifest, and what the queue does.
    pub fn failure(&self) -> Failure {
        let (reason, class) = match self {
            Self::Config(_) | Self::CaCerts { .. } | Self::NoContact { .. } | Self::Denied { .. } => {
                (Reason::Denied, FailureClass::Denied)
            }
            Self::PrivateAddress { .. } => (Reason::PrivateAddress, FailureClass::Denied),
            Self::Robots { .. } => (Reason::RobotsDisallowed, FailureClass::Denied),
            // As it would be for the page.
            Self::RobotsUnreachable { reason: Reason::Tls, .. } => (Reason::Tls, FailureClass::Permanent),
            Self::RobotsUnreachable { reason, again, .. } => {
                (*reason, FailureClass::Transient { retry_after: Some(*again) })
            }
            Self::Dns { .. } => (Reason::Dns, TRANSIENT),
            Self::Connection { .. } => (Reason::Connection, TRANSIENT),
            Self::Tls { .. } => (Reason::Tls, FailureClass::Permanent),
            Self::Timeout { .. } => (Reason::Timeout, TRANSIENT),
            Self::TooLarge { .. } | Self::Bomb { .. } => (Reason::TooLarge, FailureClass::Permanent),
            Self::Truncated { declared: Some(_), .. } => (Reason::LengthMismatch, TRANSIENT),
            Self::Truncated { declared: None, .. } => (Reason::Truncated, TRANSIENT),
            Self::RedirectLoop { .. } => (Reason::RedirectLoop, FailureClass::Permanent),
            Self::TooManyRedirects { .. } => (Reason::TooManyRedirects, FailureClass::Permanent),
            Self::Blocked(blocked) => (
                match blocked.why {
                    Why::Cooldown => Reason::Cooldown,
                    Why::Breaker => Reason::BreakerOpen,
                    Why::Budget => Reason::BudgetExhausted,
                    Why::Full | Why::Rate | Why::Paused | Why::NotOwned => Reason::RateLimited,
                },
                FailureClass::Throttled { retry_after: blocked.retry_in.unwrap_or(WHEN_RELEASED) },
            ),
            Self::Throttled { retry_after, .. } => {
                (Reason::RateLimited, FailureClass::Throttled { retry_after: *retry_after })
            }
            Self::Budget { .. } => (Reason::BudgetExhausted, FailureClass::PluginFault),
        };
        Failure { reason, detail: self.to_string(), class }
    }
}

const TRANSIENT: FailureClass = FailureClass::Transient { retry_after: None };

/// When nobody knows when a permit comes back.
const WHEN_RELEASED: Duration = Duration::from_secs(1);
