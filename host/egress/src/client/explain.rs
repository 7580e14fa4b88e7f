//! From an error of the HTTP client to what happened to which host.
//!
//! Must never repeat a URL: it may hold a secret.

use gleaner_model::key::HostKey;

use super::Egress;
use crate::connect::{RouteError, root_cause};
use crate::error::{EgressError, Stage};

impl Egress {
    /// Finds the cause of a failed request.
    pub(super) fn explain(&self, error: &reqwest::Error, host: &HostKey) -> EgressError {
        let host = host.to_string();
        if error.is_builder() {
            return EgressError::Denied { rule: format!("{host:?} cannot be asked: {}", root_cause(error)) };
        }
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(this) = cause {
            match this.downcast_ref::<RouteError>() {
                Some(RouteError::Private(address)) => {
                    return EgressError::PrivateAddress { host, address: *address };
                }
                Some(RouteError::NoAddress(detail)) => {
                    return EgressError::Dns { host, detail: detail.clone() };
                }
                None => {}
            }
            if let Some(tls) = this.downcast_ref::<rustls::Error>() {
                return EgressError::Tls { host, detail: tls.to_string() };
            }
            // What an io::Error carries is not its `source` but stands in its place.
            let io = this.downcast_ref::<std::io::Error>();
            cause = match io.and_then(std::io::Error::get_ref) {
                Some(carried) => Some(carried),
                None => this.source(),
            };
        }
        if error.is_connect() && error.is_timeout() {
            let (stage, after) = (Stage::Connect, self.0.config.connect_timeout.0);
            return EgressError::Timeout { host, stage, after };
        }
        EgressError::Connection { host, detail: root_cause(error) }
    }
}
