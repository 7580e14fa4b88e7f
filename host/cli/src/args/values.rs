//! Values of arguments, read from text: what is not understood is answered with how to write it. Those that the server
//! reads too are the desk's.
//!
//! Must never look anything up: whether a resolver or a host is known is for the command to say.

use std::num::NonZeroU16;

use gleaner_model::job::JobState;
use gleaner_model::key::ResolverName;
use gleaner_orchestrator::config::GrantedHost;

pub(super) use gleaner_desk::{
    Ago, When, parse_ended_state as ended_state, parse_host as host, parse_key as key,
    parse_priority as read_priority, parse_reason as reason, parse_resolver as resolver_name,
    parse_state as state,
};

pub(super) fn granted_host(text: &str) -> Result<GrantedHost, String> {
    GrantedHost::try_from(text.to_owned())
}

/// A state in which works are forgotten.
pub(super) fn forgotten_state(text: &str) -> Result<JobState, String> {
    match state(text)? {
        ended @ (JobState::Error | JobState::Skipped) => Ok(ended),
        other => Err(format!("a work that is {other} is never forgotten; use error or skipped")),
    }
}

pub(super) fn resolver_cap(text: &str) -> Result<(ResolverName, NonZeroU16), String> {
    let (name, cap) = text.split_once('=').ok_or_else(|| format!("{text:?}: write it like unpaywall=2"))?;
    let cap = cap.parse().map_err(|_| format!("{cap:?} is not a number from 1 to 65535"))?;
    Ok((resolver_name(name)?, cap))
}
