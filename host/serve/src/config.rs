//! `[serve]`: where the server listens, and who may ask.
//!
//! Must never hold a secret, only where it stands.

use std::net::SocketAddr;

use gleaner_orchestrator::SecretConfig;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::ServeError;

/// The shortest token, in bytes.
const SHORTEST_TOKEN: usize = 16;

/// `[serve]`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ServeConfig {
    /// Where to listen. Any address but a loopback one needs a token.
    pub listen: SocketAddr,
    /// Where the token stands that everybody has to show.
    pub token: Option<SecretConfig>,
    /// Names of this server besides addresses and `localhost`, without ports.
    pub hosts: Vec<String>,
}

impl ServeConfig {
    /// Checks what may be listened on, with this token or without one.
    ///
    /// # Errors
    /// When others could ask without a token, or the token can be guessed.
    pub fn check(&self, token: Option<&str>) -> Result<(), ServeError> {
        match token {
            None if !self.listen.ip().is_loopback() => Err(ServeError::Open { listen: self.listen }),
            Some(token) if token.len() < SHORTEST_TOKEN => Err(ServeError::Weak { least: SHORTEST_TOKEN }),
            _ => Ok(()),
        }
    }
}
