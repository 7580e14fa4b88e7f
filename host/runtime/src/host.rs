//! What the host offers to a guest, as a trait that the orchestrator implements.
//!
//! The requests that arrive here have passed the rules of the interface (method, headers, sizes, caps of the
//! call). Grants, address guard and limits of hosts are the implementation's: this crate knows none of them.

use std::time::Duration;

use async_trait::async_trait;
use url::Url;

/// The way out, the settings and the time of day of one call.
#[async_trait]
pub trait GuestHost: Send + Sync {
    /// Sends one request and reads its whole answer. May be dropped at any await; several run at once.
    ///
    /// # Errors
    /// What the guest is told instead of an answer.
    async fn send(&self, request: GuestRequest) -> Result<GuestResponse, GuestHttpError>;

    /// The operator's value of a setting of this resolver; `contact` and `base-url` are settings too.
    fn setting(&self, key: &str) -> Option<String>;

    /// Milliseconds since 1970-01-01T00:00:00Z.
    fn now_ms(&self) -> u64;
}

/// The methods that a guest may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestMethod {
    /// Read.
    Get,
    /// Read the head only.
    Head,
    /// Send a body and read.
    Post,
}

impl GuestMethod {
    /// As sent: `GET`, `HEAD`, `POST`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
        }
    }
}

/// A request of a guest, held to the rules of the interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestRequest {
    /// What to do.
    pub method: GuestMethod,
    /// Absolute, http or https, with a host, without user, password and fragment.
    pub url: Url,
    /// At most 64, 16 KiB together; well-formed, and none that belongs to the host.
    pub headers: Vec<(String, String)>,
    /// What to send.
    pub body: Option<Vec<u8>>,
    /// From sending to the last byte, redirects included; within what the call has left.
    pub timeout: Duration,
    /// Largest body to read, in bytes; within what the call has left.
    pub max_bytes: u64,
}

/// An answer for a guest. A 429, and a 503 with `Retry-After`, are [`GuestHttpError::RateLimited`] instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestResponse {
    /// Any HTTP status.
    pub status: u16,
    /// Where the answer came from, after redirects.
    pub url: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Decompressed.
    pub body: Vec<u8>,
    /// Whether nothing was sent for it.
    pub from_cache: bool,
}

/// Why a guest gets no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuestHttpError {
    /// A rule forbids it; the text says which.
    #[error("denied: {0}")]
    Denied(String),
    /// No complete answer in time.
    #[error("no complete answer in time")]
    Timeout,
    /// The body is larger than this many bytes.
    #[error("the body is larger than {0} bytes")]
    TooLarge(u64),
    /// The source, or the operator's limit for it, asks to wait; milliseconds from now where known.
    #[error("the source asks to wait")]
    RateLimited(Option<u64>),
    /// DNS, TLS, connection, protocol.
    #[error("{0}")]
    Transport(String),
}
