//! A permit in use: who asks which key, and what the key learns from it.
//!
//! Must never tell the limiter that a host works before its whole answer is there.

use std::time::Duration;

use gleaner_limits::{Outcome, Permit};
use http::StatusCode;

use crate::error::EgressError;

/// One request under its permit, from its sending to the last byte. Dropping it gives the permit back.
#[derive(Debug)]
pub(crate) struct Errand {
    permit: Permit,
    patience: Duration,
    /// What its status said: that the host works is told at the end, anything else was told by then.
    said: Option<Outcome>,
}

impl Errand {
    /// A request is sent under that permit. `patience`: who gives up earlier has learnt nothing about the host.
    pub(crate) fn begin(permit: Permit, patience: Duration) -> Self {
        permit.spend();
        Self { permit, patience, said: None }
    }

    /// The permit of a request that did not reach its host, for another one.
    pub(crate) fn into_permit(self) -> Permit {
        self.permit
    }

    /// Takes in what the status says of the host; that it works counts at the end of its answer.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        let outcome = outcome(status);
        if outcome != Outcome::Worked {
            self.permit.note(outcome);
        }
        self.said = Some(outcome);
    }

    /// The whole answer is there.
    pub(crate) fn ended(self) {
        if self.said == Some(Outcome::Worked) {
            self.permit.note(Outcome::Worked);
        }
    }

    /// The answer came more slowly than its reader takes.
    pub(crate) fn too_slow(self) {
        if self.said == Some(Outcome::Worked) {
            self.permit.note(Outcome::Strained);
        }
    }

    /// There is no answer, or no whole one.
    pub(crate) fn failed(self, error: &EgressError) {
        let outcome = match error {
            _ if self.said.is_some_and(|said| said != Outcome::Worked) => return,
            error if error.is_hasty(self.patience) => return,
            EgressError::Timeout { .. } => Outcome::Strained,
            EgressError::Connection { .. }
            | EgressError::Dns { .. }
            | EgressError::Tls { .. }
            | EgressError::Truncated { .. } => Outcome::Failed,
            _ => return,
        };
        self.permit.note(outcome);
    }
}

/// What a status says of the host.
fn outcome(status: StatusCode) -> Outcome {
    match status {
        StatusCode::SERVICE_UNAVAILABLE => Outcome::Strained,
        _ if status.is_server_error() => Outcome::Failed,
        _ if status.is_client_error() => Outcome::Neutral,
        _ => Outcome::Worked,
    }
}
