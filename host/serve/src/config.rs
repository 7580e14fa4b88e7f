//! `[serve]`: where the server listens, and who may ask.
//!
//! Must never hold a secret, only where it stands.

use std::net::SocketAddr;

use gleaner_orchestrator::SecretConfig;
use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest, Sha256};

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

/// What everybody has to show, if anything, as its hash: one that is safe where the server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token(Option<[u8; 32]>);

impl ServeConfig {
    /// What everybody has to show, where this is what the operator wrote.
    ///
    /// # Errors
    /// When others could ask without a token, or the token can be guessed.
    pub fn token(&self, text: Option<&str>) -> Result<Token, ServeError> {
        match text {
            None if !self.listen.ip().is_loopback() => Err(ServeError::Open { listen: self.listen }),
            Some(text) if text.len() < SHORTEST_TOKEN => Err(ServeError::Weak { least: SHORTEST_TOKEN }),
            text => Ok(Token(text.map(|text| Sha256::digest(text).into()))),
        }
    }
}

impl Token {
    /// This one in place of `self`, while the server goes on.
    ///
    /// # Errors
    /// When there was one and would be none: a line that is lost from a file must not open what was closed.
    pub fn replaced_by(self, new: Self) -> Result<Self, ServeError> {
        match (self.0, new.0) {
            (Some(_), None) => Err(ServeError::Opened),
            _ => Ok(new),
        }
    }

    /// Whether everybody may ask.
    pub(crate) fn is_none(self) -> bool {
        self.0.is_none()
    }

    /// Whether that is what has to be shown.
    pub(crate) fn is(self, given: &[u8]) -> bool {
        self.0 == Some(Sha256::digest(given).into())
    }
}
