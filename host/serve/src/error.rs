//! Why the server cannot begin.
//!
//! What goes wrong later is told to who asks, and never ends the run.

use std::net::SocketAddr;

/// The server cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Everybody who reaches the address could ask.
    #[error(
        "{listen} is not a loopback address, so whoever reaches it could work with this library; write [serve] token = \
         {{ file = \"PATH\" }}, set GLEANER_SECRET_SERVE_TOKEN, or listen on 127.0.0.1"
    )]
    Open {
        /// The address.
        listen: SocketAddr,
    },
    /// The token can be guessed.
    #[error(
        "the token of [serve] is too short to be safe; make one of at least {least} characters, as with `openssl rand -hex 32`"
    )]
    Weak {
        /// Bytes.
        least: usize,
    },
    /// The token went away while the server runs.
    #[error(
        "the server has a token and would have none; write [serve] token again, or start `gleaner serve` anew to let everybody \
         in"
    )]
    Opened,
    /// The address cannot be listened on.
    #[error("cannot listen on {listen}: {source}; name another address with --listen or [serve] listen")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is nothing unguessable to be had.
    #[error(
        "the system gives no random bytes ({detail}), and forms cannot be protected without; look at /dev/urandom"
    )]
    Random {
        /// What the system said.
        detail: String,
    },
}
